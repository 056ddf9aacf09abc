"""The demands of Lightning on a module, its data and its Trainer, checked before a run begins.

Lightning itself makes them when it begins to train or to test, or when it calls a hook: its `configuration_validator`
needs a Trainer that is at it, and so cannot be asked. Nothing here calls a method of the module or of the data, but the
module's own `check_trainer`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lightning import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import GradientAccumulationScheduler
from lightning.pytorch.utilities.model_helpers import is_overridden

from lab.engine import boundary
from lab.engine.project.hook_arguments import foreign, misfits, place
from lab.engine.project.monitors import Monitor
from lab.errors import BadSetting, closest
from lab.task import hook

Refusal = tuple[str, str]  # a key of the recipe, and what is wrong with it

_GONE = {  # methods of older versions that Lightning refuses, and what it calls instead
    "training_epoch_end": "on_train_epoch_end",
    "validation_epoch_end": "on_validation_epoch_end",
    "test_epoch_end": "on_test_epoch_end",
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
    if not is_overridden("training_step", module) and (held := _held(module)):
        searched = (
            f"name the model that it holds, {held.__module__}:{held.__qualname__}; `lab tune` varies its settings"
        )
        yield keys["module"], f"{_lacks(module, 'training_step')}; {searched}"
    else:
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
            yield keys["module"], f"Lightning 2 refuses {place(module, old)}: {advice}"
    if is_overridden("configure_sharded_model", module) and is_overridden("configure_model", module):
        yield keys["module"], f"{place(module, 'configure_sharded_model')} and configure_model do the same: keep this"
    yield from ((keys["module"], message) for message in misfits(module))
    if source is data:
        yield from ((keys["data"], message) for message in misfits(data))
        yield from _clashes(module, data)
    yield from _manual(trainer, module)
    try:
        (hook(module, "check_trainer") or (lambda _: None))(trainer)
    except BadSetting as error:
        yield error.key if "." in error.key else f"model.{error.key}", error.message


def _missing(owner: object, name: str, key: str = "") -> str:
    """That a method is missing, and which one might have been meant."""
    kind = type(owner)
    own = [each for base in kind.__mro__ if foreign(base) for each in vars(base) if each[0] != "_"]
    close = closest(name, [each for each in own if callable(getattr(kind, each))], cutoff=0.75)
    other = "set `optimizer`" if name == "configure_optimizers" else f"name a class in {key or 'its place'} that has it"
    advice = f"rename {close}" if close else f"write it, or {other}"
    return f"{_lacks(owner, name)}; {advice}"


def _lacks(owner: object, name: str) -> str:
    return f"{type(owner).__name__} has no {name}, without which Lightning does not train"


def _held(module: LightningModule) -> type[LightningModule] | None:
    """The class of a model in an attribute of a module: some search its settings and train it in their own `fit`."""
    kinds = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, LightningModule)]
    return next((kind for kind in kinds if kind.training_step is not LightningModule.training_step), None)


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
