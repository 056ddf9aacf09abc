"""Whether the source of a module logs a metric, for names that no validation has shown yet."""

from __future__ import annotations

import inspect
import re

from lightning import LightningModule

TRAINING = re.compile(r"(?<![A-Za-z])(train|training|fit)(?![a-z])", re.I)
TEST = re.compile(r"(?<![A-Za-z])test(?![a-z])", re.I)
LIBRARIES = ("lightning", "pytorch_lightning", "lightning_fabric", "torch", "builtins", "typing", "abc")


def may_be_logged(name: str, source: str) -> bool:
    """Whether training may log a name, or another epoch."""
    if TEST.search(name):
        return False
    quoted = rf"""["']{re.escape(name)}["']"""
    made_up = TRAINING.search(name) and re.search(r"log\w*\(\s*(?![\"'\s])", source)
    return bool(made_up or re.search(rf"log\w*\([^)]*{quoted}|{quoted}\s*:", source))


def source_of(module: LightningModule) -> str | None:
    """The source of the module's classes, as far as they are the project's own; None where it cannot be read."""
    kinds = [kind for kind in type(module).__mro__ if kind.__module__.partition(".")[0] not in LIBRARIES]
    try:
        return "\n".join(inspect.getsource(kind) for kind in kinds if kind is not object)
    except (OSError, TypeError):
        return None
