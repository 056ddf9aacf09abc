"""Ctrl-C and SIGTERM: the first asks the training to end between two batches, the second ends the process at once."""

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

EXIT_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}  # 128 + number, as shells have it


class Stopped(BaseException):
    """The user or the system wants the run to end; no Exception, so that nobody takes it for a failure.

    Args:
        signum: the signal that said so.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class Stop:
    """What the signals of this process asked for.

    Args:
        wanted: the first signal that came; None while there was none.
        patient: whether somebody looks at `wanted` soon, as the training loop does between two batches; otherwise a
            signal raises `Stopped` where it finds the program.
    """

    def __init__(self) -> None:
        self.wanted: int | None = None
        self.patient = False
        self._at_once: Callable[[], None] | None = None

    @contextmanager
    def listening(self, at_once: Callable[[], None]) -> Iterator[None]:
        """Takes over both signals while the block lasts; only the main thread of a program can.

        Args:
            at_once: what is worth a second before the process ends on the second signal.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        self._at_once = at_once
        before = {signum: signal.getsignal(signum) for signum in EXIT_CODES}
        self.take()
        try:
            yield
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)

    def take(self) -> None:
        """Takes the signals back: Lightning's own handler of SIGTERM talks to the other processes at any moment."""
        if self._at_once is not None:
            for signum in EXIT_CODES:
                signal.signal(signum, self._handle)

    def _handle(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature of handlers
        if self.wanted is not None:
            _leave(signum, self._at_once)
        self.wanted = signum
        if not self.patient:
            raise Stopped(signum)
        if getattr(rank_zero_only, "rank", 0) == 0:
            print("stopping after this batch; press Ctrl-C again to quit now", file=sys.stderr, flush=True)


def _leave(signum: int, at_once: Callable[[], None] | None) -> NoReturn:
    """Ends this process and its children now."""
    last_words = threading.Thread(target=at_once, daemon=True)
    last_words.start()
    last_words.join(1.0)
    for child in multiprocessing.active_children():
        child.kill()
    os._exit(EXIT_CODES[signal.Signals(signum)])
