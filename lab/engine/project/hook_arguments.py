"""Hooks of a project that Lightning would call with other arguments than they take."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

from lightning import LightningDataModule, LightningModule
from lightning.pytorch.core import hooks

# how many arguments Lightning passes at least and at most, where its own signature does not say
_PASSED = {
    "training_step": (1, 2),
    "validation_step": (1, 3),
    "test_step": (1, 3),
    "backward": (1, 1),
    "optimizer_step": (4, 4),
    "optimizer_zero_grad": (3, 3),
    "lr_scheduler_step": (2, 2),
    "configure_gradient_clipping": (1, 3),
    "configure_optimizers": (0, 0),
    "configure_callbacks": (0, 0),
}


def misfits(owner: LightningModule | LightningDataModule) -> Iterator[str]:
    """Hooks that cannot be called with what Lightning passes, such as those of an older version."""
    for name, (least, most) in _passed(type(owner)).items():
        method = getattr(owner, name, None)
        if not callable(method) or not foreign(_definer(owner, name)):
            continue
        try:
            signature = inspect.signature(method, follow_wrapped=False)
        except (TypeError, ValueError):
            continue
        parameters = list(signature.parameters.values())
        given = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
        wanted = [each.name for each in given if each.default is each.empty][most:]
        wanted += [each.name for each in parameters if each.kind is each.KEYWORD_ONLY and each.default is each.empty]
        is_open = any(each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD) for each in parameters)
        if wanted:
            advice = "; keep the outputs of the steps in a list of the module" if wanted == ["outputs"] else ""
            yield f"{place(owner, name)} wants {', '.join(wanted)}, which Lightning 2 does not pass{advice}"
        elif len(given) < least and not is_open:
            yield f"{place(owner, name)} takes {len(given)} of the {least} arguments that Lightning passes"


def _passed(kind: type) -> dict[str, tuple[int, int]]:
    """Hooks, with how many arguments Lightning passes at least and at most."""
    bases = [hooks.DataHooks, hooks.CheckpointHooks, *([hooks.ModelHooks] if issubclass(kind, LightningModule) else [])]
    found = dict(_PASSED) if issubclass(kind, LightningModule) else {}
    for name, function in ((name, each) for base in bases for name, each in vars(base).items() if name[0] != "_"):
        parameters = list(inspect.signature(function).parameters.values())[1:]
        found[name] = sum(each.default is each.empty for each in parameters), len(parameters)
    return found


def _definer(owner: object, name: str) -> type:
    """The class that a method of an object is written in."""
    return next((base for base in type(owner).__mro__ if name in vars(base)), type(owner))


def foreign(kind: type) -> bool:
    """Whether a class is neither Lightning's nor torch's."""
    return kind.__module__.partition(".")[0] not in ("lightning", "torch", "builtins")


def place(owner: object, name: str) -> str:
    """`Net.training_epoch_end (net.py:12)`."""
    code = getattr(getattr(getattr(owner, name), "__func__", None), "__code__", None)
    if code is None:
        return f"{type(owner).__name__}.{name}"
    path = Path(code.co_filename)
    file = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"{type(owner).__name__}.{name} ({file}:{code.co_firstlineno})"
