"""Settings of the Trainer that a recipe got wrong, by their keys: Lightning says what, and not which."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# Lightning takes any number for these, and then divides by 0 or turns gradients round.
LEAST = {"accumulate_grad_batches": 1, "check_val_every_n_epoch": 1, "gradient_clip_val": 0, "num_nodes": 1}


def too_small(settings: Mapping[str, Any]) -> list[str]:
    """The settings that are below the least that works."""
    return [key for key, least in LEAST.items() if settings.get(key) is not None and settings[key] < least]


def blamed(settings: Mapping[str, Any], words: str) -> str:
    """The key of the setting that an error is about: the first that it names, or else one whose value it quotes.

    >>> blamed({"max_epochs": 2, "accelerator": "gpu"}, "No supported gpu backend found!")
    'trainer.accelerator'

    Args:
        settings: the recipe's.
        words: the error.
    """
    named = [key for key in settings if re.search(rf"\b{key}\b", words)]
    quoted = [key for key, value in settings.items() if re.search(rf"\b{re.escape(str(value))}\b", words)]
    return ".".join(["trainer", *(sorted(named, key=words.index) or quoted)[:1]])
