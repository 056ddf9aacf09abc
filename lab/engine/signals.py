"""Ctrl-C and SIGTERM: the first asks the training to end between two batches, the second ends the process at once.

In a notebook or at a prompt the second stops the training where it is, and the process goes on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from lightning.pytorch.utilities import rank_zero_only

from lab.sentences import note

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}  # 128 + number, as shells have it


class Stopped(BaseException):
    """The user or the system wants the run to end; no Exception, so that nobody takes it for a failure.

    Args:
        signum: the signal that said so.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class SignalHandler:
    """Handles Ctrl-C and SIGTERM of this process.

    Attributes:
        received: the first signal that came; None while there was none.
        deferred: whether somebody looks at `received` soon, as the training loop does between two batches; otherwise a
            signal raises `Stopped` where it finds the program.
        ending: whether the run is over and only has to be written down, which is not to be interrupted.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.deferred = self.ending = False
        self._on_second: Callable[[], None] | None = None

    @contextmanager
    def installed(self, on_second: Callable[[], None]) -> Iterator[None]:
        """Handles both signals while the block lasts; only the main thread of a program can.

        Args:
            on_second: what is worth a second before the process ends on the second signal.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._on_second = on_second
        before = {signum: signal.getsignal(signum) for signum in EXIT_CODES}
        self.reinstall()
        try:
            yield
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)

    def reinstall(self) -> None:
        """Handles the signals again: Lightning's own handler of SIGTERM talks to the other processes at any moment."""
        if self._on_second is not None:
            for signum in EXIT_CODES:
                signal.signal(signum, self._handle)

    def _handle(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature of handlers
        again = self.received is not None
        self.received = self.received or signum
        if again and not interactive():
            _quit_now(signum, self._on_second)
        if not self.deferred or (again and not self.ending):
            raise Stopped(signum)
        if getattr(rank_zero_only, "rank", 0) == 0 and not self.ending:
            how = "interrupt again to stop now" if interactive() else "press Ctrl-C again to quit now"
            note(f"stopping after this batch; {how}")


def interactive() -> bool:
    """Whether this process is a notebook's or a prompt's: its variables are not to be lost."""
    return hasattr(sys, "ps1")


def _quit_now(signum: int, on_second: Callable[[], None] | None) -> NoReturn:
    """Ends this process and its children now."""
    last_words = threading.Thread(target=on_second, daemon=True)
    last_words.start()
    last_words.join(1.0)
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(EXIT_CODES[signal.Signals(signum)])
