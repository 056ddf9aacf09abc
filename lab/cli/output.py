"""Output of the commands: data on standard output, everything else on standard error."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import math
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.errors import BadInput, LabError, RecipeError
from lab.stages import LOGGER

if TYPE_CHECKING:
    from rich.progress import Progress

LONGEST = 200  # characters of an override in a message
PLOT_FORMATS = (".png", ".pdf", ".svg")


def emit(value: Any) -> None:
    """Print `value` as JSON and nothing else."""
    print(json.dumps(plain(value), indent=2, ensure_ascii=False))


def plain(value: Any) -> Any:
    """JSON's own types; a number JSON cannot write (NaN, infinity) becomes null."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(key): plain(entry) for key, entry in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(entry) for entry in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return str(value)


def number(value: float | None) -> str:
    """Four significant digits; a dash where there is none."""
    return "-" if value is None or math.isnan(value) else f"{value:.4g}"


def check_plot(plot: Path) -> None:
    """Refuses a name that no plot can be written to, before anything slow starts."""
    if plot.suffix.lower() not in PLOT_FORMATS:
        raise BadInput(f"--plot {plot}: expected a name ending in {', '.join(PLOT_FORMATS[:-1])} or {PLOT_FORMATS[-1]}")
    if not plot.parent.is_dir():
        raise BadInput(f"--plot {plot}: there is no folder {plot.parent}")
    if plot.is_dir():
        raise BadInput(f"--plot {plot} is a folder; name a file")


@contextlib.contextmanager
def working() -> Iterator[None]:
    """While something slow runs: its stages, and whatever libraries print, go to standard error."""
    handler = StageHandler()
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        handler.close()
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(logging.NOTSET)


class StageHandler(logging.Handler):
    """Prints the records of `lab.stages`: on a terminal a stage has a spinner and its seconds until the next one."""

    def __init__(self) -> None:
        super().__init__()
        self.spinner: Progress | None = None
        self.name_of_stage, self.since = "", 0.0

    def emit(self, record: logging.LogRecord) -> None:
        if not is_first_process():
            return
        self.end_stage()
        text = record.getMessage()
        if not getattr(record, "stage", False) or not sys.stderr.isatty():
            print(text, file=sys.stderr, flush=True)
            return
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
        self.spinner = Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=4)
        self.spinner.add_task(text)
        self.spinner.start()
        self.name_of_stage, self.since = text, time.monotonic()

    def end_stage(self) -> None:
        """Takes the spinner away; a line stays of what took seconds."""
        if self.spinner is None:
            return
        self.spinner.stop()
        self.spinner = None
        if (seconds := time.monotonic() - self.since) >= 1:
            print(f"{self.name_of_stage}: {seconds:.0f} s", file=sys.stderr, flush=True)

    def close(self) -> None:
        self.end_stage()
        super().close()


def is_first_process() -> bool:
    """Whether this is no further process of a distributed training: each of those runs the same command.

    Known from the environment, as Lightning, torchrun and Slurm set it, because nothing heavy is imported yet.
    """
    ranks = (os.environ.get(name) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))
    return next((rank for rank in ranks if rank is not None), "0") == "0"


def explain(error: LabError) -> str:
    """The text for standard error: one line, or for a recipe one line per problem and a count."""
    from lab.tracking.redaction import mask_addresses

    if not isinstance(error, RecipeError):
        return mask_addresses(f"error: {error}")
    short = [dataclasses.replace(each, where=shorten(each.where)) for each in error.problems]
    lines = [" ".join(str(problem).splitlines()) for problem in short]
    places = [problem.where for problem in error.problems if not problem.where.startswith("override ")]
    file = " ".join(re.sub(r":\d+$", "", places[0]).splitlines()) if places else "the overrides"
    count = f"{len(lines)} problem{'s' if len(lines) > 1 else ''}"
    return mask_addresses("\n".join([*lines, f"{count} in {file}; nothing was started"]))


def shorten(text: str) -> str:
    """A text of which the beginning is enough, such as an override of ten thousand characters."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def surprise(error: Exception, debug: bool) -> str:
    """One line about an unexpected error."""
    from lab.tracking.redaction import mask_secrets

    first = mask_secrets(str(error).strip().partition("\n")[0])
    hint = "" if debug else " (set LAB_DEBUG=1 to see the traceback)"
    return f"error: {type(error).__name__}{': ' if first else ''}{first}{hint}"
