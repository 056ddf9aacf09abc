"""Lightning's epoch of training without what nobody listens to.

Around every step Lightning calls thirty hooks by name, each in a context of the profiler, looks up who has them,
gathers what was logged and asks what is due: half a millisecond, a sixth of what a small network needs for 256 images.
Here a step is the same work in the same order (`training_step`, `zero_grad`, `backward`, the optimiser's `step`, the
callbacks' `on_train_batch_end`). A step of which somebody wants to hear more, and one with which a validation or the
end is due, is Lightning's own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loops.fetchers import _PrefetchDataFetcher
from lightning.pytorch.loops.optimization.automatic import ClosureResult, _AutomaticOptimization
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.plugins.precision import MixedPrecision, Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.trainer.connectors.logger_connector.result import _ResultCollection, _ResultMetric
from torch import Tensor
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

# What Lightning calls between `training_step` and the end of the optimiser's step, and around all of that.
WITHIN = ("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step")
OF_OPTIMISER = (*WITHIN, "backward", "optimizer_step", "optimizer_zero_grad", "configure_gradient_clipping")
BEGIN, END = AROUND = ("on_train_batch_start", "on_train_batch_end")
OF_TRANSFER = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")


def shorten(trainer: Trainer) -> None:
    """Takes short steps in this Trainer's training."""
    loop = trainer.fit_loop.epoch_loop
    trainer.fit_loop.epoch_loop = Epoch(trainer, loop.min_steps, loop.max_steps)


class Epoch(_TrainingEpochLoop):
    """The batches of an epoch; before each step of Lightning's own, all those with which nothing is due."""

    def __init__(self, trainer: Trainer, min_steps: int | None, max_steps: int) -> None:
        super().__init__(trainer, min_steps, max_steps)
        self.automatic_optimization: Optimization = Optimization(trainer)
        self._results: Results = Results(training=True)

    def between(self) -> None:
        """Is called between two batches, after all that belongs to the first; for others to put theirs in its place."""

    def advance(self, data_fetcher: Any) -> None:
        trainer: Any = self.trainer
        self.automatic_optimization.short = unheard(trainer)
        steps = self.undisturbed(data_fetcher)
        if steps:
            take = self.short_step(data_fetcher)
        for _ in range(steps):
            take()
            every, ends = trainer.log_every_n_steps, trainer.should_stop
            if ends or (every and (self._batches_that_stepped + 1) % every == 0):
                trainer._logger_connector.update_train_step_metrics()
            if ends:  # by somebody's decision in this step; what comes of it is up to Lightning
                return
            self._batches_that_stepped += 1
            self.between()
        super().advance(data_fetcher)

    def on_advance_end(self, data_fetcher: Any) -> None:
        super().on_advance_end(data_fetcher)
        self.between()

    def undisturbed(self, fetcher: Any) -> int:
        """How many of the next steps nobody wants to hear more of than their end, and nothing is due with."""
        trainer: Any = self.trainer
        if (
            self.restarting
            or trainer.should_stop
            or trainer.fast_dev_run
            or trainer.accumulate_grad_batches != 1
            or not plain(trainer)
            or type(fetcher) is not _PrefetchDataFetcher
            or fetcher.length is None
            or any(config.interval == "step" for config in trainer.lr_scheduler_configs)
            or any(not unused(trainer.lightning_module, hook, LightningModule) for hook in AROUND)
            or any(not unused(callback, BEGIN, Callback) for callback in trainer.callbacks)
        ):
            return 0
        ready = self.batch_progress.current.ready
        until = [fetcher.length - fetcher.fetched, trainer.num_training_batches - ready]
        if self.max_steps >= 0:  # an optimisation by hand takes as many as it likes
            until.append(self.max_steps - self.global_step if trainer.lightning_module.automatic_optimization else 1)
        if self._should_check_val_epoch():
            if trainer._val_check_time_interval is not None:
                return 0
            seen = self.batch_progress.total.ready if trainer.check_val_every_n_epoch is None else ready
            until.append(trainer.val_check_batch - seen % trainer.val_check_batch)
        return int(min(until)) - 1

    def short_step(self, fetcher: Any) -> Callable[[], None]:
        """What takes one of them; the batch is forgotten at its end, so that the next one finds its memory free."""
        trainer: Any = self.trainer
        module, connector = trainer.lightning_module, trainer._logger_connector
        results, progress = self._results, self.batch_progress
        choose, device = trainer._data_connector._datahook_selector.get_instance, trainer.strategy.root_device
        before, move, after = (getattr(choose(hook), hook) for hook in OF_TRANSFER)
        names = tuple(self._build_kwargs(OrderedDict(), None, 0))  # batch, and batch_idx where it is wanted
        heard = [c.on_train_batch_end for c in trainer.callbacks if not unused(c, END, Callback)]
        optimizer: Any = trainer.optimizers[0] if module.automatic_optimization else None

        def run(index: int, arguments: Any) -> Any:
            if optimizer is None:
                return self.manual_optimization.run(arguments)
            return self.automatic_optimization.run(optimizer, index, arguments)

        def take() -> None:
            batch = after(move(before(next(fetcher)[0], 0), device, 0), 0)
            progress.increment_ready()
            index = progress.current.ready - 1
            connector._first_loop_iter = connector._first_loop_iter is None
            results.batch, results.batch_size, results.dataloader_idx = batch, None, None
            outputs = None
            if batch is None:
                self._warning_cache.warn("the data gave a batch that is None; it is passed over")
            else:
                progress.increment_started()
                outputs = run(index, OrderedDict(zip(names, (batch, index), strict=False)))
            progress.increment_processed()
            module._current_fx_name = END
            for callback in heard:
                callback(trainer, module, outputs, batch, index)
            module._current_fx_name = None
            if results.newest is None:
                connector.on_batch_end()
            results.batch = results.batch_size = None
            progress.increment_completed()

        return take


class Optimization(_AutomaticOptimization):
    """One step on one batch, as short as the module, the callbacks and the Trainer's settings allow."""

    short = False

    def run(self, optimizer: torch.optim.Optimizer, batch_idx: int, kwargs: Any) -> dict[str, Any]:
        trainer, progress = self.trainer, self.optim_progress.optimizer
        if not self.short or self._skip_backward or trainer.accumulate_grad_batches != 1 or trainer.gradient_clip_val:
            return super().run(optimizer, batch_idx, kwargs)
        module, result = trainer.lightning_module, ClosureResult(None)

        def closure() -> Tensor | None:
            nonlocal result
            with torch.enable_grad():
                module._current_fx_name = "training_step"
                with trainer.precision_plugin.forward_context():
                    output: Any = module.training_step(*kwargs.values())
                module._current_fx_name = None
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
        unhooked(optimizer)(closure)
        progress.step.increment_completed()
        return {} if result.loss is None else result.asdict()


def unhooked(optimizer: torch.optim.Optimizer) -> Callable[[Any], Any]:
    """The optimiser's step, without torch's record for its profiler and its hooks if there are none of them."""
    step: Any = optimizer.step
    hooks = (
        optimizer._optimizer_step_pre_hooks,
        optimizer._optimizer_step_post_hooks,
        _global_optimizer_pre_hooks,
        _global_optimizer_post_hooks,
    )
    if "step" in vars(optimizer) or not hasattr(step, "hooked") or any(hooks) or torch._C._autograd._profiler_enabled():
        return step  # type: ignore[no-any-return]
    return partial(step.__wrapped__, optimizer)


class Results(_ResultCollection):
    """What training has logged, gathered anew only after something was logged."""

    newest: Any = None  # of the step that logged last

    def __init__(self, training: bool) -> None:
        super().__init__(training)
        self.how: dict[str, Any] = {}  # the values of a step are logged, by the name of the place

    def log(self, fx: str, name: str, value: Any, **how: Any) -> None:
        """As Lightning's; what is logged as it was before, of a step alone, goes straight to its place."""
        place = f"{fx}.{name}"
        kept = self.get(place)
        if kept is None or self.how.get(place) != how or not _of_step(kept, value):
            super().log(fx, name, value, **how)
            self.how[place] = how
            return
        self.newest = None
        kept.forward(value.detach(), batch_size=1)
        kept.has_reset = False

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


def _of_step(kept: _ResultMetric, value: Any) -> bool:
    """Whether it is a number that concerns nothing but this step, on the device of those before."""
    alone = kept.meta.on_step and not kept.meta.on_epoch and not kept.meta.enable_graph
    return alone and kept.is_tensor and isinstance(value, Tensor) and value.device == kept.value.device


def plain(trainer: Any) -> bool:
    """Whether one device computes, without scaled gradients, and nobody measures how long what takes."""
    precision = trainer.precision_plugin
    unscaled = type(precision) is Precision or (type(precision) is MixedPrecision and precision.scaler is None)
    measured = not isinstance(trainer.profiler, PassThroughProfiler)
    return unscaled and not measured and type(trainer.strategy) is SingleDeviceStrategy


def unheard(trainer: Any) -> bool:
    """Whether nobody wants to hear of the parts of a step, and nothing but the optimiser handles gradients."""
    return (
        plain(trainer)
        and all(unused(trainer.lightning_module, hook, LightningModule) for hook in OF_OPTIMISER)
        and all(unused(callback, hook, Callback) for callback in trainer.callbacks for hook in WITHIN)
    )


def unused(owner: object, hook: str, base: type) -> bool:
    """Whether the owner has left a hook as `base` has it, or has none any more."""
    own = getattr(owner, hook)
    return own is None or getattr(own, "__func__", None) is getattr(base, hook)
