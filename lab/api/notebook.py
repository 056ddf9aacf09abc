"""Progress in the output of a notebook's cell: one block that changes in place, and is short when all is over."""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

from lab.stages import LOGGER, Progress

LINES = 12  # that the block keeps, of validations and the like
UPDATE_SECONDS = 0.5
STYLE = "color:inherit;opacity:0.85;white-space:pre-wrap;font-family:var(--jp-code-font-family,monospace);font-size:90%"


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    if "IPython" not in sys.modules:
        return False
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


@contextmanager
def shown_in_cell() -> Iterator[None]:
    """While the block lasts, the records of `lab.stages` are shown in the cell that is running.

    Libraries that ask for ipywidgets when they are imported are kept quiet: this display needs none.
    """
    display = CellDisplay()
    level, propagate = LOGGER.level, LOGGER.propagate
    LOGGER.addHandler(display)
    LOGGER.setLevel(logging.DEBUG)
    LOGGER.propagate = False
    widgets = logging.getLogger("ray.widgets.util")  # where torchrl finds ray, it is imported
    widgets.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "IProgress not found")  # tqdm, which MLflow imports
            yield
    finally:
        widgets.setLevel(logging.NOTSET)
        LOGGER.removeHandler(display)
        LOGGER.setLevel(level)
        LOGGER.propagate = propagate
        display.close()


class CellDisplay(logging.Handler):
    """Shows the newest lines, a bar while something trains, and the stage."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[str] = deque(maxlen=LINES)
        self.count = 0  # of all lines
        self.stage = ""
        self.progress: Progress | None = None
        self.output: Any = None  # of IPython: the block, once there is something to show
        self.drawn = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if (progress := getattr(record, "progress", None)) is not None:
            self.progress, self.stage = progress, ""
        elif getattr(record, "stage", False):
            self.stage, self.progress = text, None
        else:
            self.stage = ""
            self.count += 1
            self.lines.append(text)
        if self.output is None or time.monotonic() - self.drawn > UPDATE_SECONDS:
            self._draw()

    def close(self) -> None:
        """The lines stay, without a bar."""
        self.stage, self.progress = "", None
        if self.output is not None:
            self._draw()
        super().close()

    def _draw(self) -> None:
        from IPython.display import display

        self.drawn = time.monotonic()
        page = {"text/html": self._html(), "text/plain": "\n".join(self._shown())}
        if self.output is None:
            self.output = display(page, raw=True, display_id=True)
        else:
            self.output.update(page, raw=True)

    def _shown(self) -> list[str]:
        earlier = self.count - len(self.lines)
        return [*([f"... {earlier} earlier line{'s' if earlier > 1 else ''}"] if earlier else []), *self.lines]

    def _html(self) -> str:
        rows = [escape(line) for line in self._shown()]
        if self.progress is not None:
            limits = f' value="{self.progress.done}" max="{self.progress.total}"' if self.progress.total else ""
            rows.append(f"<progress{limits}></progress> {escape(self.progress.position)}")
        elif self.stage:
            rows.append(f"{escape(self.stage)} ...")
        return f'<div style="{STYLE}">{"<br>".join(rows)}</div>' if rows else ""
