"""What a command is doing, for whoever listens: records of the logger `lab`, at level INFO.

The command line prints them on standard error. From Python nothing is printed, unless a handler is added:
`logging.getLogger("lab").setLevel("INFO")`.
"""

from __future__ import annotations

import logging

LOGGER = logging.getLogger("lab")


def stage(text: str) -> None:
    """Something begins that may take seconds, such as `testing the best checkpoint`; the stage before it is over."""
    LOGGER.info(text, extra={"stage": True})


def say(text: str) -> None:
    """A line to keep, such as the result of a validation; the stage before it is over."""
    LOGGER.info(text)
