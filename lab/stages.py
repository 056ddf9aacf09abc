"""The stage of a command, for whoever listens: records of the logger `lab`.

Stages and lines are records at level INFO; the command line prints them on standard error. Progress within a training
is a record at level DEBUG each second. From Python nothing is printed, unless a handler is added:
`logging.getLogger("lab").setLevel("INFO")`.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

LOGGER = logging.getLogger("lab")


@dataclass(frozen=True)
class Progress:
    """The progress of a training: `progress` of a record at level DEBUG.

    Args:
        done: what is done of it.
        total: what there is to do; None if nobody knows.
        position: that in words, with the epoch: `epoch 2/5  200/500 batches`.
        seconds: since it began.
        validated: values of the last validation, the monitored metric first; empty before the first one.
    """

    done: int
    total: int | None
    position: str
    seconds: float
    validated: Mapping[str, float] = field(default_factory=dict)


def _write_past_displays() -> None:
    """A worker of a data loader, forked while a display is drawn, has a copy of its lock that nobody will release."""
    for name in ("stdout", "stderr"):
        proxied = getattr(getattr(sys, name), "rich_proxied_file", None)
        if proxied is not None:
            setattr(sys, name, proxied)


os.register_at_fork(after_in_child=_write_past_displays)


def stage(text: str) -> None:
    """Something begins that may take seconds, such as `testing the best checkpoint`; the stage before it is over."""
    LOGGER.info(text, extra={"stage": True})


def say(text: str) -> None:
    """A line to keep, such as the result of a validation; the stage before it is over."""
    LOGGER.info(text)


def report(progress: Progress) -> None:
    """Report the progress of the training."""
    LOGGER.debug(progress.position, extra={"progress": progress})


def values_text(metrics: Mapping[str, float]) -> str:
    """Metrics in one line, each with four significant digits."""
    return "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())


def number(value: float | None) -> str:
    """Four significant digits; a dash where there is none."""
    return "-" if value is None or value != value else f"{value:.4g}"


def duration(seconds: float) -> str:
    """`9 s`, `2 min 5 s`, `3 h 20 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"
