"""While a command works: its stages on standard error, with a spinner and the seconds on a terminal."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lab.sentences import note
from lab.stages import LOGGER, duration

if TYPE_CHECKING:
    from rich.progress import Progress


FIRST_SECONDS = 1.0  # that a command may work before it says anything
TICK_SECONDS = 0.2
SILENCE_SECONDS = 45.0  # longer than a training's own lines are apart


@contextlib.contextmanager
def working(what: str) -> Iterator[None]:
    """While something slow runs: its stages, and whatever libraries print, go to standard error.

    Args:
        what: a stage to begin with, such as `reading the runs`; it is said where it takes longer than FIRST_SECONDS and
            nothing else was said.
    """
    handler = StageHandler(what)
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False  # a project's `logging.basicConfig` would print each line a second time
    try:
        with contextlib.redirect_stdout(sys.stderr):
            try:
                yield
            finally:
                handler.close()  # within: a spinner puts back the standard output that it found
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(logging.NOTSET)
        LOGGER.propagate = True


class StageHandler(logging.Handler):
    """Prints the records of `lab.stages`.

    On a terminal a stage has a spinner and its seconds until the next one. In a log file a line repeats what goes on
    when nothing was said for SILENCE_SECONDS.

    Args:
        first: the stage to begin with, for a command that says nothing in FIRST_SECONDS.
    """

    def __init__(self, first: str) -> None:
        super().__init__()
        self.spinner: Progress | None = None
        self.first = first
        self.name_of_stage, self.since = "", time.monotonic()
        self.closing, self.said = threading.Event(), self.since
        if is_first_process():
            threading.Thread(target=self._watch, daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        if not is_first_process():
            return
        self.end_stage()
        text = record.getMessage()
        self.said = time.monotonic()
        if not text.startswith(" "):  # those lines belong to the one before
            self.name_of_stage, self.since = text, self.said
        if getattr(record, "stage", False) and sys.stderr.isatty():
            self._spin(text)
        else:
            note(text)

    def _spin(self, text: str) -> None:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
        self.spinner = Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=4)
        self.spinner.add_task(text)
        self.spinner.start()

    def _watch(self) -> None:
        """Says the first stage if nobody speaks, and in a log file repeats what goes on."""
        terminal = sys.stderr.isatty()
        while not (self.closing.wait(TICK_SECONDS) or (terminal and self.name_of_stage)):
            with self.turn():
                now, most = time.monotonic(), SILENCE_SECONDS if self.name_of_stage else FIRST_SECONDS
                if self.closing.is_set() or now - self.said < most:
                    continue
                self.said = now
                if self.name_of_stage:
                    note(f"{self.name_of_stage} ({duration(now - self.since)} so far)")
                else:
                    self.name_of_stage = self.first
                    (self._spin if terminal else note)(self.first)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """One thread at a time speaks; `logging` calls `emit` in the same way."""
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def end_stage(self) -> None:
        """Takes the spinner away; a line stays of what took seconds."""
        if self.spinner is None:
            return
        self.spinner.stop()
        self.spinner = None
        if (seconds := time.monotonic() - self.since) >= 1:
            note(f"{self.name_of_stage}: {duration(seconds)}")

    def close(self) -> None:
        with self.turn():
            self.closing.set()
            self.end_stage()
        super().close()


def is_first_process() -> bool:
    """Whether this is no further process of a distributed training: each of those runs the same command.

    Known from the environment, as Lightning, torchrun and Slurm set it, because nothing heavy is imported yet.
    """
    ranks = (os.environ.get(name) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
    return next((rank for rank in ranks if rank is not None), "0") == "0"
