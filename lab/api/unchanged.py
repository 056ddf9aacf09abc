"""The state of the process: what training changes is put back."""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any


@contextmanager
def restored() -> Iterator[None]:
    """Leaves the process as it was before the block: for whoever trains from a program or a notebook of their own.

    That is random generators, torch's threads and flags, variables of the environment, filters of warnings, loggers,
    and how `multiprocessing` starts processes. Libraries that are not imported yet have no state; import torch before a
    block that trains.
    """
    states = _states()
    variables = dict(os.environ)
    loggers = {logger: _state(logger) for logger in _loggers()}
    start_method = multiprocessing.get_start_method(allow_none=True)
    try:
        with warnings.catch_warnings():
            yield
    finally:
        for setter, value in states:
            setter(value)
        for name in os.environ.keys() - variables.keys():
            del os.environ[name]
        os.environ.update(variables)
        for logger, (level, propagate, disabled, handlers) in loggers.items():
            if logger.level != level:  # setting it makes every logger forget what it is enabled for
                logger.setLevel(level)
            logger.propagate, logger.disabled, logger.handlers[:] = propagate, disabled, handlers
        if multiprocessing.get_start_method(allow_none=True) != start_method:
            multiprocessing.set_start_method(start_method, force=True)


def _states() -> list[tuple[Callable[[Any], Any], Any]]:
    """Random generators and torch's settings as they are, each with the function that sets it."""
    found: list[tuple[Callable[[Any], Any], Any]] = [(random.setstate, random.getstate())]
    if "numpy" in sys.modules:
        import numpy as np

        found.append((np.random.set_state, np.random.get_state()))
    if "torch" in sys.modules:
        import torch

        found.append((torch.set_rng_state, torch.get_rng_state()))
        if torch.cuda.is_initialized():
            found.append((torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all()))
        warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
        deterministic = partial(torch.use_deterministic_algorithms, warn_only=warn_only)
        cudnn = torch.backends.cudnn
        smallest = torch.tensor([5e-324], dtype=torch.float64)  # a denormal number; zero once these are flushed
        found += [
            (torch.set_num_threads, torch.get_num_threads()),
            (torch.set_flush_denormal, not (smallest * 1).item()),
            (deterministic, torch.are_deterministic_algorithms_enabled()),
            (torch.set_float32_matmul_precision, torch.get_float32_matmul_precision()),
            (torch.set_default_dtype, torch.get_default_dtype()),
            (torch.set_grad_enabled, torch.is_grad_enabled()),
            (partial(setattr, cudnn, "deterministic"), cudnn.deterministic),
            (partial(setattr, cudnn, "benchmark"), cudnn.benchmark),
        ]
    return found


def _loggers() -> list[logging.Logger]:
    known = logging.root.manager.loggerDict.values()
    return [logging.root, *(logger for logger in known if isinstance(logger, logging.Logger))]


def _state(logger: logging.Logger) -> tuple[int, bool, bool, list[logging.Handler]]:
    return logger.level, logger.propagate, logger.disabled, list(logger.handlers)
