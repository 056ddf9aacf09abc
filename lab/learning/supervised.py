"""What every task with one loss shares: AdamW, a rate that falls over the whole run, and a log of some of the steps."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Literal

import torch
from lightning import LightningModule
from torch import Tensor

from lab.errors import BadSetting

Schedule = Literal["cosine", "linear"]
Figures = Callable[[], dict[str, Any]]  # what is said about a step, worked out only if it is


class Descent(LightningModule):
    """A module that makes one loss smaller; what the loss is, `learn` says.

    Args:
        lr: learning rate of AdamW at the beginning.
        final_lr: learning rate at the end of the run, as a fraction of `lr`.
        schedule: how it gets there, along half a cosine or a line.
        weight_decay: decoupled weight decay of AdamW.
        pretrained: begin with the weights that `self.network.load_pretrained` takes.
    """

    def __init__(
        self, lr: float, final_lr: float, schedule: Schedule, weight_decay: float, pretrained: bool = False
    ) -> None:
        super().__init__()
        self.pretrained = pretrained
        self.lr, self.final_lr, self.schedule, self.weight_decay = lr, final_lr, schedule, weight_decay

    @abstractmethod
    def learn(self, batch: Any, done: float) -> tuple[Tensor, Figures]:
        """The loss of a batch, and what to log beside it by full name; `done` is the share of the run, from 0 to 1."""

    def setup(self, stage: str) -> None:
        if stage == "fit" and self.trainer.ckpt_path is None:
            self.pretrain()

    def pretrain(self) -> None:
        """Takes weights that others have trained, once, if they are wanted; what `start_from` copies comes after."""
        if self.pretrained:
            network: Any = self.network
            network.load_pretrained()
            self.pretrained = False

    def compile(self, *words: object, **settings: object) -> None:
        network: Any = self.network
        network.compile(*words, **settings)  # and not `forward`: training may need more than that gives

    def configure_optimizers(self) -> torch.optim.Optimizer:
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return torch.optim.AdamW(trained, self.lr, weight_decay=self.weight_decay, fused=True)

    def on_train_start(self) -> None:
        self.steps = self.trainer.estimated_stepping_batches
        if math.isinf(self.steps):
            raise BadSetting("trainer", "rates fall over the whole run: say how long it is, by max_epochs or max_steps")

    def training_step(self, batch: Any) -> Tensor:
        trainer: Any = self.trainer
        step = trainer.global_step
        done = step / self.steps
        left = 1 - done if self.schedule == "linear" else (1 + math.cos(math.pi * done)) / 2
        rate = self.lr * (self.final_lr + (1 - self.final_lr) * left)
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = rate
        loss, figures = self.learn(batch, done)
        every = trainer.log_every_n_steps
        if every and (step + 1) % every == 0:  # `log` itself takes as long as a small network
            self.log_dict({"train/loss": loss, "lr": rate, **figures()})
        return loss
