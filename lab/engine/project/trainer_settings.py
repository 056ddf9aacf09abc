"""Settings of the Trainer and of Lightning's callbacks that cannot be meant, by their keys.

Lightning takes some of them without a word, and then trains nothing or divides by 0; of others it does not say which
key is wrong. What it alone knows, `blamed` assigns to a key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from lightning.pytorch.strategies import StrategyRegistry

from lab.engine.project.hardware import Refusal, hardware
from lab.errors import nearest, suggestion

LEAST = {
    "accumulate_grad_batches": 1,
    "check_val_every_n_epoch": 1,
    "fast_dev_run": 0,
    "gradient_clip_val": 0,
    "log_every_n_steps": 0,
    "max_epochs": 0,  # only tests
    "max_steps": 0,
    "min_epochs": 0,
    "min_steps": 0,
    "num_nodes": 1,
    "num_sanity_val_steps": -1,
    "reload_dataloaders_every_n_epochs": 0,
}
LEAST_OF_CALLBACKS = {
    "annealing_epochs": 0,
    "init_val": 1,
    "max_depth": -1,
    "max_trials": 1,
    "num_training_steps": 1,
    "patience": 0,
    "refresh_rate": 0,
    "steps_per_trial": 1,
    "unfreeze_backbone_at_epoch": 0,
    "update_every_n_steps": 1,
    "warmup": 0,
}
ENDLESS = ("max_epochs", "max_steps")  # -1 stands for no limit
ABOVE_ZERO = ("limit_train_batches", "val_check_interval")  # batches, or a share of them
SHARES = (*ABOVE_ZERO, "limit_val_batches", "limit_test_batches", "limit_predict_batches", "overfit_batches")
PROFILERS = ("simple", "advanced", "pytorch", "xla")
CLIPPING = ("norm", "value")
TIMES = ("weeks", "days", "hours", "minutes", "seconds", "milliseconds", "microseconds")


def too_small(settings: Mapping[str, Any], least: Mapping[str, int]) -> Iterator[Refusal]:
    """The settings below the least that works."""
    for key, bound in least.items():
        value = settings.get(key)
        if isinstance(value, int | float) and value < bound and not (key in ENDLESS and value == -1):
            yield key, f"expected {bound} or more{', or -1 for no limit' if key in ENDLESS else ''}, found {value}"


def refused_settings(settings: Mapping[str, Any]) -> Iterator[Refusal]:
    """All that cannot be meant, of the settings of a Trainer."""
    yield from too_small(settings, LEAST)
    for low, high in (("min_epochs", "max_epochs"), ("min_steps", "max_steps")):
        least, most = settings.get(low), settings.get(high)
        if least is not None and most not in (None, -1) and least > most:
            yield low, f"expected at most {high} ({most}), found {least}"
    for key in SHARES:
        value, least = settings.get(key), 1 if key in ABOVE_ZERO else 0
        if isinstance(value, int | float) and (value < least if isinstance(value, int) else not 0 <= value <= 1):
            yield key, f"expected {least} or more batches, or a share of them from 0.0 to 1.0, found {value}"
        elif least and value == 0:
            yield key, "expected a share above 0.0, found 0.0"
    known = {"gradient_clip_algorithm": CLIPPING, "profiler": PROFILERS, "strategy": ("auto", *StrategyRegistry)}
    for key, names in known.items():
        name = settings.get(key)
        if isinstance(name, str) and name not in names:
            yield key, f"there is no {name!r}{suggestion(name, names)}"
    yield from hardware(settings.get("accelerator"), settings.get("devices"))
    yield from _duration(settings.get("max_time"))


def _duration(max_time: Any) -> Iterator[Refusal]:
    """A length of time that is none."""
    form = "expected DD:HH:MM:SS above 0, such as 00:02:00:00, or {hours: 2}"
    if isinstance(max_time, str):
        if not re.fullmatch(r"\d+:\d\d:\d\d:\d\d", max_time.strip()) or not re.search("[1-9]", max_time):
            yield "max_time", f"{form}, found {max_time!r}"
    elif isinstance(max_time, Mapping):
        for unit in max_time.keys() - set(TIMES):
            yield "max_time", f"unknown unit {unit!r}{nearest(str(unit), TIMES)}"
        if all(value <= 0 for value in max_time.values()):
            yield "max_time", f"{form}, found {dict(max_time)}"


def blamed(settings: Mapping[str, Any], words: str) -> str:
    """The key of the setting that an error is about: the first that it names, or else one whose value it quotes.

    >>> blamed({"max_epochs": 2, "strategy": "fsdp"}, "The strategy `fsdp` requires a GPU")
    'trainer.strategy'

    Args:
        settings: the recipe's.
        words: the error.
    """
    named = [key for key in settings if re.search(rf"\b{key}\b", words)]
    quoted = [key for key, value in settings.items() if re.search(rf"\b{re.escape(str(value))}\b", words)]
    return ".".join(["trainer", *(sorted(named, key=words.index) or quoted)[:1]])
