"""A LightningModule with one loss: optimizer, learning-rate schedule and regularisation by name, and an evaluation."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt
from lightning import Trainer
from torch import Tensor

from lab.errors import BadSetting
from lab.learning.evaluation import EvaluatedModule
from lab.learning.optimizers import OptimizerName, check_optimizer, decayed_parameters, make_optimizer
from lab.learning.precision import check_precision
from lab.learning.schedules import ScheduleName, make_schedule, needs_length
from lab.task import Unit

LazyMetrics = Callable[[], Mapping[str, Any]]  # called only in a step that is logged


class SupervisedModule(EvaluatedModule):
    """Makes one loss smaller. A subclass has a `network`, its `training_loss` and its `evaluate_batch`.

    Its constructor takes these keywords as `**kwargs` and passes them on to `super().__init__`, which also saves the
    hyperparameters of both. One that trains its parts one after the other says `trains_in_phases = True`: else several
    processes would wait for the gradients of what rests.

    >>> class Line(SupervisedModule):
    ...     def __init__(self, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.network = nn.Linear(1, 1)
    ...     def training_loss(self, batch, progress):
    ...         return (self.network(batch["x"]) - batch["y"]).square().mean()
    >>> Line(lr=0.1, optimizer="sgd").configure_optimizers().param_groups[0]["lr"]
    0.1

    Args:
        lr: learning rate of the optimizer; its largest one, if a schedule changes it.
        final_lr: learning rate at the end of the run, as a fraction of `lr`.
        schedule: schedule of the learning rate: constant (ignores final_lr), linear, cosine, step, exponential or
            one_cycle.
        schedule_args: further arguments of step (step_size, gamma) and one_cycle (pct_start, div_factor).
        warmup: linear warm-up of the learning rate, as a fraction of the run (below 1) or a number of steps.
        optimizer: sgd, adagrad, adadelta, rmsprop, adam, adamw, adamax, nadam or lbfgs.
        optimizer_args: further arguments of torch's class, such as {momentum: 0.9, nesterov: true}.
        weight_decay: decoupled weight decay for adamw, an L2 penalty for the others.
        decay_norm_and_bias: apply weight decay and l1 to biases and normalisation layers too.
        l1: weight of the L1 penalty in the loss; with an L2 penalty an elastic net.
    """

    trains_in_phases = False  # whether some parameters rest in some steps

    def __init__(
        self,
        lr: Annotated[float, Gt(0)] = 1e-3,
        final_lr: Unit = 0.0,
        schedule: ScheduleName = "cosine",
        schedule_args: dict[str, float] | None = None,
        warmup: Annotated[float, Ge(0)] = 0.0,
        optimizer: OptimizerName = "adamw",
        optimizer_args: dict[str, Any] | None = None,
        weight_decay: Annotated[float, Ge(0)] = 0.01,
        decay_norm_and_bias: bool = True,
        l1: Annotated[float, Ge(0)] = 0.0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.lr, self.l1, self.pretrained_wanted, self.fused = lr, l1, False, True
        self.optimizer, self.weight_decay, self.decay_norm_and_bias = optimizer, weight_decay, decay_norm_and_bias
        self.optimizer_args = check_optimizer(optimizer, lr, weight_decay, optimizer_args or {})
        self.schedule, self.warmup = schedule, warmup
        self.lr_factor = make_schedule(schedule, final_lr, warmup, schedule_args)

    @abstractmethod
    def training_loss(self, batch: Any, progress: float) -> Tensor | tuple[Tensor, LazyMetrics]:
        """The mean loss of a batch, (), and further values to log by their full names.

        Args:
            batch: of the training data.
            progress: share of the run that is done, from 0 to 1; 0 in a run whose length is not known.
        """

    def endless(self) -> BadSetting | None:
        """The error of a run whose length is not known; None where it needs no length."""
        if needs_length(self.schedule, self.warmup):
            return BadSetting("trainer", "the learning-rate schedule needs max_epochs or max_steps")
        return None

    def check_trainer(self, trainer: Trainer) -> None:
        check_precision(trainer, type(self).__name__.lower(), scales=True)
        if trainer.max_epochs == -1 and trainer.max_steps == -1 and (error := self.endless()) is not None:
            raise error
        mixed = str(trainer.precision).endswith("-mixed")
        self.fused = not (mixed and trainer.gradient_clip_val)  # Lightning clips no gradient of a fused optimizer there
        if self.optimizer == "lbfgs" and trainer.precision == "16-mixed":
            raise BadSetting("optimizer", "lbfgs cannot scale its loss; set trainer.precision to 32-true or bf16-mixed")
        if self.optimizer == "lbfgs" and trainer.accumulate_grad_batches > 1:
            raise BadSetting("optimizer", "lbfgs evaluates a batch several times; leave accumulate_grad_batches at 1")

    def setup(self, stage: str) -> None:
        if stage != "fit":
            return
        trainer: Any = self.trainer
        self.check_trainer(trainer)  # whoever trains it: a recipe was asked before
        if trainer.ckpt_path is None:
            self.pretrain()

    def pretrain(self) -> None:
        """Takes pretrained weights by `network.load_pretrained()`, once, where a subclass set `pretrained_wanted`.

        What `start_from` copies comes later.
        """
        if self.pretrained_wanted:
            network: Any = self.network
            network.load_pretrained()
            self.pretrained_wanted = False

    def compile(self, *args: object, **kwargs: object) -> None:
        network: Any = self.network
        network.compile(*args, **kwargs)  # and not `forward`: training may need more than that gives

    def configure_optimizers(self) -> torch.optim.Optimizer:
        self.penalized = decayed_parameters(self, self.decay_norm_and_bias) if self.l1 else []
        return make_optimizer(
            self.optimizer, self, self.lr, self.weight_decay, self.decay_norm_and_bias, self.optimizer_args, self.fused
        )

    def on_train_start(self) -> None:
        self.total_steps = self.trainer.estimated_stepping_batches
        if math.isinf(self.total_steps) and (error := self.endless()) is not None:  # of epochs without an end
            raise error

    def training_step(self, batch: Any) -> Tensor:
        trainer: Any = self.trainer
        step = trainer.global_step
        rate = self.lr * self.lr_factor(step, self.total_steps)
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = rate
        found = self.training_loss(batch, min(step / self.total_steps, 1.0))
        loss, lazy = found if isinstance(found, tuple) else (found, dict)
        penalty = self.l1 * torch.stack([weights.abs().sum() for weights in self.penalized]).sum() if self.l1 else None
        every = trainer.log_every_n_steps
        if every and (step + 1) % every == 0:  # `log` itself takes as long as a small network
            values = {"train/loss": loss, "lr": rate, **lazy()}
            self.log_dict(values if penalty is None else {**values, "train/l1": penalty})
        if self.rests_with_others:  # each process waits for the gradient of every parameter
            loss = loss + 0 * sum(weights.sum() for weights in self.parameters() if weights.requires_grad)
        return loss if penalty is None else loss + penalty

    def on_after_backward(self) -> None:
        if self.rests_with_others:  # an optimizer leaves alone what has no gradient, and would decay what has a zero
            for weights in self.parameters():
                if weights.grad is not None and not weights.grad.any():
                    weights.grad = None

    @property
    def rests_with_others(self) -> bool:
        """Whether some parameters may rest while several processes average their gradients."""
        distributed = torch.distributed
        return self.trains_in_phases and distributed.is_available() and distributed.is_initialized()
