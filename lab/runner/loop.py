"""A step of Lightning's automatic optimisation without what nobody listens to.

Around every step Lightning calls thirty hooks by name, each in a context of the profiler, looks up who has them, and
gathers what has been logged. That takes half a millisecond, a sixth of what a small network needs for 256 images. Here
a step is the same calls in the same order (`training_step`, `zero_grad`, `backward`, the optimiser's `step`); whenever
somebody wants more of it, Lightning's own step is taken. What stays the same between two steps is remembered.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from lightning import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.loops.optimization.automatic import ClosureResult, _AutomaticOptimization
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.trainer import call
from lightning.pytorch.trainer.connectors.data_connector import _DataHookSelector
from lightning.pytorch.trainer.connectors.logger_connector.result import _ResultCollection
from torch import Tensor

# What Lightning calls between `training_step` and the end of the optimiser's step.
WITHIN = ("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step")
OF_MODULE = (*WITHIN, "backward", "optimizer_step", "optimizer_zero_grad", "configure_gradient_clipping")
OF_BATCH = (
    *WITHIN,
    *(f"on_{stage}_batch_{end}" for stage in ("train", "validation", "test") for end in ("start", "end")),
)
OF_TRANSFER = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")
NOTHING = nullcontext()


class Silent(PassThroughProfiler):
    """Lightning's profiler that measures nothing, without a generator for each thing that is not measured."""

    def profile(self, action_name: str) -> AbstractContextManager[None]:  # type: ignore[override]  # noqa: ARG002
        return NOTHING


class Optimization(_AutomaticOptimization):
    """One step on one batch, as short as the module, the callbacks and the Trainer's settings allow."""

    short: bool | None = None  # as the present epoch has it; None while nobody has looked

    def run(self, optimizer: torch.optim.Optimizer, batch_idx: int, kwargs: Any) -> dict[str, Any]:
        trainer, progress = self.trainer, self.optim_progress.optimizer
        if self.short is None or batch_idx == 0:
            self.short = can_be_short(trainer)
        if not self.short or self._skip_backward or trainer.accumulate_grad_batches != 1 or trainer.gradient_clip_val:
            return super().run(optimizer, batch_idx, kwargs)
        result = ClosureResult(None)

        def closure() -> Tensor | None:
            nonlocal result
            with torch.enable_grad():
                output = call._call_strategy_hook(trainer, "training_step", *kwargs.values())
                whole = isinstance(output, Tensor)
                result = ClosureResult(output) if whole else ClosureResult.from_training_step_output(output)
                progress.zero_grad.increment_ready()
                progress.zero_grad.increment_started()
                optimizer.zero_grad()
                progress.zero_grad.increment_completed()
                if result.closure_loss is not None:
                    result.closure_loss.backward()
            return result.loss

        progress.step.increment_ready()
        optimizer.step(closure=closure)  # type: ignore[arg-type]
        progress.step.increment_completed()
        return {} if result.loss is None else result.asdict()


class Results(_ResultCollection):
    """What training has logged, gathered anew only after something was logged."""

    newest: Any = None  # of the step that logged last

    def metrics(self, on_step: bool) -> Any:
        if not on_step:
            return super().metrics(on_step)
        if self.newest is None:
            self.newest = super().metrics(on_step)
        return self.newest

    def update_metrics(self, key: str, value: Any, batch_size: int) -> None:
        self.newest = None
        super().update_metrics(key, value, batch_size)

    def reset(self, metrics: bool | None = None, fx: str | None = None) -> None:
        self.newest = None
        super().reset(metrics, fx)


def shorten(trainer: Trainer, module: LightningModule, data: LightningDataModule | None = None) -> None:
    """Takes short steps in this Trainer's training, and spares its callbacks the hooks that they leave empty."""
    loop: Any = trainer.fit_loop.epoch_loop
    loop.automatic_optimization, loop._build_kwargs = Optimization(trainer), remembered(trainer, loop._build_kwargs)
    loop._results = Results(training=True)
    if isinstance(trainer.profiler, PassThroughProfiler):  # type: ignore[attr-defined]
        module._call_batch_hook = transfers(module, data)  # type: ignore[method-assign]
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        for hook in OF_BATCH:
            if unused(callback, hook, Callback):
                setattr(callback, hook, None)  # Lightning passes over what cannot be called


def transfers(module: LightningModule, data: LightningDataModule | None) -> Callable[..., Any]:
    """What calls a hook that handles batches, of whoever has it."""
    choose = _DataHookSelector(module, data).get_instance
    hooks = {name: getattr(choose(name), name) for name in OF_TRANSFER}
    return lambda name, *arguments: hooks[name](*arguments)


def remembered(trainer: Trainer, build: Callable[[Any, Any, int], Any]) -> Callable[[Any, Any, int], Any]:
    """What makes the arguments of `training_step`, without inspecting its signature for every batch."""
    module: LightningModule | None = None
    names: tuple[str, ...] = ()

    def arguments(given: Any, batch: Any, batch_idx: int) -> Any:
        nonlocal module, names
        if module is not trainer.lightning_module or batch_idx == 0:
            module, given = trainer.lightning_module, build(given, batch, batch_idx)
            names = tuple(given)  # batch, and batch_idx where it is wanted
        else:
            given.update(zip(names, (batch, batch_idx), strict=False))
        return given

    return arguments


def can_be_short(trainer: Trainer) -> bool:
    """Whether nobody wants to hear of the parts of a step, and nothing but the optimiser handles gradients."""
    module, precision = trainer.lightning_module, trainer.precision_plugin
    plain = type(precision) is Precision or (type(precision) is MixedPrecision and precision.scaler is None)
    return (
        plain
        and type(trainer.strategy) is SingleDeviceStrategy
        and isinstance(trainer.profiler, PassThroughProfiler)  # type: ignore[attr-defined]
        and all(unused(module, hook, LightningModule) for hook in OF_MODULE)
        and all(unused(callback, hook, Callback) for callback in trainer.callbacks for hook in WITHIN)  # type: ignore[attr-defined]
    )


def unused(owner: object, hook: str, base: type) -> bool:
    """Whether the owner has left a hook as `base` has it, or has none any more."""
    own = getattr(owner, hook)
    return own is None or getattr(own, "__func__", None) is getattr(base, hook)
