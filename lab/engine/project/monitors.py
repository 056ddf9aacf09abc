"""Reports a monitored metric that is never logged, before the first epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.model_helpers import is_overridden

from lab.engine import boundary
from lab.engine.project.log_calls import may_be_logged, source_of
from lab.errors import BadSetting, nearest
from lab.task import counterpart


@dataclass(frozen=True)
class Monitor:
    """A metric that something waits for.

    Args:
        key: the recipe's key that names it, or `model` where the module itself does.
        name: the metric.
        who: who waits, where the module itself says so.
    """

    key: str
    name: str
    who: str = ""

    @property
    def of_validation(self) -> bool:
        """Whether the metric's name says that it belongs to a validation."""
        return counterpart(self.name) != self.name

    def never_logged(self, reason: str) -> BadSetting:
        """The refusal of a metric that no step can log."""
        return BadSetting(self.key, f"{self.who}{self.name!r} is never logged: {reason}")


class MonitorCheck(Callback):
    """Compares what the task, callbacks and learning-rate schedules monitor with what is logged.

    The sanity check is a validation, so its metrics show which names there are. A name may still come later: one that
    the module's source logs, one with `train` in it if the source makes up names, or any if it asks whether this is the
    sanity check or names its metrics by the stage. These are looked for again after the first validation and at the end
    of the first epoch.

    Args:
        monitor: the task's.
        key: the recipe's key that names it.
        callbacks: the recipe's callbacks by the key of each one's monitor.
        schedule: the recipe's key for learning-rate schedules; by default they are the module's.
    """

    def __init__(
        self, monitor: str | None, key: str, callbacks: Mapping[str, Callback], schedule: str | None = None
    ) -> None:
        self.monitor, self.key, self.callbacks, self.schedule = monitor, key, callbacks, schedule
        self.validated = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.enable_validation:
            return
        has_step = is_overridden("validation_step", pl_module, LightningModule)
        reason = "there are no batches of validation" if has_step else "the module has no validation_step"
        for monitor in self._monitors(trainer):
            if monitor.of_validation:
                raise monitor.never_logged(reason)

    def on_sanity_check_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        source, logged = source_of(pl_module), boundary.names_in_sanity_check(trainer)
        named_by_stage = any("sanity_check" in name.lower() for name in logged)
        if source is not None and "sanity_checking" not in source and not named_by_stage:
            self._check(trainer, source, logged)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking and not self.validated:
            self.validated = True
            self._check(trainer, source_of(pl_module) or "", set(trainer.callback_metrics))

    def at_epoch_end(self, trainer: Trainer) -> None:
        """Refuses whatever an epoch with its validation has not logged; called after the module's own hooks."""
        if trainer.check_val_every_n_epoch == 1:
            self._check(trainer, None, set(trainer.callback_metrics))

    def _check(self, trainer: Trainer, source: str | None, logged: set[str]) -> None:
        """Refuses what is not logged by now; what the source logs elsewhere may still come, if there is a source."""
        for monitor in self._monitors(trainer):
            if monitor.name in logged or (source is not None and may_be_logged(monitor.name, source)):
                continue
            if source is None and trainer.enable_validation and not self.validated and monitor.of_validation:
                advice = "set trainer.val_check_interval or trainer.limit_train_batches"
                raise monitor.never_logged(f"training ended before a validation; {advice}")
            known = f"; logged are {', '.join(sorted(logged))}" if logged else "; none is"
            raise BadSetting(
                monitor.key,
                f"{monitor.who}no metric {monitor.name!r} is logged{nearest(monitor.name, logged) or known}",
            )

    def named(self) -> Iterator[Monitor]:
        """The monitors that the recipe names."""
        if self.monitor is not None:
            yield Monitor(self.key, self.monitor)
        yield from (Monitor(key, name) for key, each in self.callbacks.items() if (name := _waits_for(each)))

    def _monitors(self, trainer: Trainer) -> Iterator[Monitor]:
        yield from self.named()
        own = [self, *self.callbacks.values()]
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            name = None if any(callback is each for each in own) else _waits_for(callback)
            if name is not None and name != self.monitor:
                yield Monitor("model", name, f"monitor of {type(callback).__name__} in configure_callbacks: ")
        for config in trainer.lr_scheduler_configs:
            if config.reduce_on_plateau and config.strict and config.monitor:
                place = "" if self.schedule else " in configure_optimizers"
                who = f"monitor of {type(config.scheduler).__name__}{place}: "
                yield Monitor(self.schedule or "model", config.monitor, who)


def _waits_for(callback: Callback) -> str | None:
    """The metric that a callback cannot do without."""
    name = getattr(callback, "monitor", None)
    return name if isinstance(name, str) and getattr(callback, "strict", True) else None
