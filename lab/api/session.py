"""While a function of `lab` works: one at a time, progress is shown, and the process is left as it was."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from lab.api.unchanged import restored
from lab.api.wording import in_python
from lab.errors import LabError, RecipeError
from lab.stages import stage

_one_at_a_time = threading.RLock()


class Interrupted(KeyboardInterrupt):
    """The user interrupted; a line on standard error has said how to go on."""

    def _render_traceback_(self) -> list[str]:
        """For IPython, which shows this in place of a traceback."""
        return ["interrupted"]


@contextmanager
def training() -> Iterator[None]:
    """For functions that train or test.

    Raises:
        LabError: what the block raises, in Python's words and without the passwords of addresses.
        KeyboardInterrupt: the user interrupted.
    """
    with _one_at_a_time, _display():
        if "torch" not in sys.modules:
            stage("importing torch")
            import torch  # noqa: F401 - before its state is kept
        with reading():
            yield


@contextmanager
def reading() -> Iterator[None]:
    """For functions that only ask the tracking server; raises what `training` does."""
    try:
        with _one_at_a_time, restored():
            yield
    except LabError as error:
        _reword(error)
        raise
    except KeyboardInterrupt:
        raise Interrupted from None


def _display() -> AbstractContextManager[None]:
    """Progress in the cell of a notebook, and elsewhere as the command line shows it."""
    from lab.api.notebook import in_notebook, shown_in_cell
    from lab.cli.terminal.working import working

    return shown_in_cell() if in_notebook() else working("preparing")


def _reword(error: LabError) -> None:
    """Puts a message into Python's words, without passwords: notebooks are saved with what they show."""
    from lab.tracking.redaction import mask_addresses

    def reworded(text: str) -> str:
        return in_python(mask_addresses(text))

    error.args = tuple(reworded(each) if isinstance(each, str) else each for each in error.args)
    if isinstance(error, RecipeError):
        error.problems = tuple(replace(each, message=reworded(each.message)) for each in error.problems)
