"""The demands of Lightning on a module, its data and its Trainer, checked before a run begins.

Lightning itself makes them when it begins to train or to test, or when it calls a hook: its `configuration_validator`
needs a Trainer that is at it, and so cannot be asked. Nothing here calls a method of the module or of the data, but the
module's own `check_trainer`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lightning import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from lightning.pytorch.core import hooks
from lightning.pytorch.utilities.model_helpers import is_overridden

from lab.engine import boundary
from lab.engine.project.monitors import Monitor
from lab.errors import BadSetting, closest
from lab.task import hook

Refusal = tuple[str, str]  # a key of the recipe, and what is wrong with it

_GONE = {  # methods of older versions that Lightning refuses, and what it calls instead
    "training_epoch_end": "on_train_epoch_end",
    "validation_epoch_end": "on_validation_epoch_end",
    "test_epoch_end": "on_test_epoch_end",
}
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


def refusals(
    trainer: Trainer,
    module: LightningModule,
    data: LightningDataModule,
    keys: dict[str, str],
    monitors: Sequence[Monitor],
) -> Iterator[Refusal]:
    """Problems that Lightning, or the module itself, would report later.

    Args:
        trainer: built, and not training.
        module: what it is to train.
        data: its data; a bare LightningDataModule where the module brings its own loaders.
        keys: of the recipe, that name the `module` and the `data`.
        monitors: those that the recipe names.
    """
    source: Any = module if type(data) is LightningDataModule else data
    yield from (
        (keys["module"], _missing(module, name))
        for name in ("training_step", "configure_optimizers")
        if not is_overridden(name, module)
    )
    if not is_overridden("train_dataloader", source):
        yield keys["data"], _missing(source, "train_dataloader")
    for owner, name, key in ((module, "validation_step", "module"), (source, "val_dataloader", "data")):
        if not is_overridden(name, owner):
            refused = [each.never_logged(_missing(owner, name, keys[key])) for each in monitors if each.of_validation]
            yield from ((each.key, each.message) for each in refused)
    tests = is_overridden("test_step", module) and is_overridden("test_dataloader", source)
    for old, new in _GONE.items():
        if callable(getattr(module, old, None)) and (tests or old != "test_epoch_end"):
            advice = f"write {new}(self), and keep the outputs of the steps in a list of the module"
            yield keys["module"], f"Lightning 2 refuses {_place(module, old)}: {advice}"
    if is_overridden("configure_sharded_model", module) and is_overridden("configure_model", module):
        yield keys["module"], f"{_place(module, 'configure_sharded_model')} and configure_model do the same: keep this"
    yield from ((keys["module"], message) for message in _signatures(module))
    if source is data:
        yield from ((keys["data"], message) for message in _signatures(data))
        yield from _clashes(module, data)
    yield from _manual(trainer, module)
    try:
        (hook(module, "check_trainer") or (lambda _: None))(trainer)
    except BadSetting as error:
        yield error.key if "." in error.key else f"model.{error.key}", error.message


def _missing(owner: object, name: str, key: str = "") -> str:
    """That a method is missing, and which one might have been meant."""
    kind = type(owner)
    own = [each for base in kind.__mro__ if _foreign(base) for each in vars(base) if each[0] != "_"]
    close = closest(name, [each for each in own if callable(getattr(kind, each))], cutoff=0.75)
    other = "set `optimizer`" if name == "configure_optimizers" else f"name a class in {key or 'its place'} that has it"
    advice = f"rename {close}" if close else f"write it, or {other}"
    return f"{kind.__name__} has no {name}, without which Lightning does not train; {advice}"


def _manual(trainer: Trainer, module: LightningModule) -> Iterator[Refusal]:
    """Settings that contradict a module that takes the steps of its optimizers itself."""
    if module.automatic_optimization:
        return
    why = f"{type(module).__name__} optimizes by itself (automatic_optimization = False)"
    if trainer.gradient_clip_val:
        own = "set model.max_grad_norm" if "max_grad_norm" in module.hparams else "it would have to clip in its step"
        yield "trainer.gradient_clip_val", f"{why}, so Lightning cannot clip its gradients: leave this out; {own}"
    if trainer.accumulate_grad_batches != 1:
        yield "trainer.accumulate_grad_batches", f"{why}, so Lightning cannot add up its gradients: leave this out"
    if any(isinstance(each, GradientAccumulationScheduler) for each in trainer.callbacks):  # type: ignore[attr-defined]
        yield "callbacks", f"{why}, so it cannot train with GradientAccumulationScheduler: leave this out"


def _clashes(module: LightningModule, data: LightningDataModule) -> Iterator[Refusal]:
    """Hyperparameters of one name and two values: Lightning logs both under that name, and refuses to."""
    if not (boundary.logs_hyperparameters(module) and boundary.logs_hyperparameters(data)):
        return
    ours, theirs = module.hparams_initial, data.hparams_initial
    for name in ours.keys() & theirs.keys() - {"_class_path"}:  # which is LightningCLI's
        one, other = ours[name], theirs[name]
        if type(one) is type(other) and (one is other or bool(one == other)):
            continue
        values = f", {one!r} and {other!r}" if _short(one) and _short(other) else ""
        yield (
            f"model.{name}",
            f"{type(module).__name__} and {type(data).__name__} both have a hyperparameter {name}, with other values"
            f"{values}: give it one, or write self.save_hyperparameters(logger=False) in one of the classes",
        )


def _short(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _signatures(owner: LightningModule | LightningDataModule) -> Iterator[str]:
    """Hooks that cannot be called with what Lightning passes, such as those of an older version."""
    for name, (least, most) in _passed(type(owner)).items():
        method = getattr(owner, name, None)
        if not callable(method) or not _foreign(_definer(owner, name)):
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
            yield f"{_place(owner, name)} wants {', '.join(wanted)}, which Lightning 2 does not pass{advice}"
        elif len(given) < least and not is_open:
            yield f"{_place(owner, name)} takes {len(given)} of the {least} arguments that Lightning passes"


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


def _foreign(kind: type) -> bool:
    """Whether a class is neither Lightning's nor torch's."""
    return kind.__module__.partition(".")[0] not in ("lightning", "torch", "builtins")


def _place(owner: object, name: str) -> str:
    """`Net.training_epoch_end (net.py:12)`."""
    code = getattr(getattr(getattr(owner, name), "__func__", None), "__code__", None)
    if code is None:
        return f"{type(owner).__name__}.{name}"
    path = Path(code.co_filename)
    file = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"{type(owner).__name__}.{name} ({file}:{code.co_firstlineno})"
