"""Shared by all agents that learn while they act: one step of the optimiser makes all updates of a collected batch.

A subclass says which parameters its Adam steps (`groups`), how it learns from a batch of its data module
(`update_on_batch`), and what a single update does (`_update`). An update is one function of its arguments, nothing
random in it, so that it can run eager or compiled and give the same numbers.
"""

from __future__ import annotations

import os
import shutil
import sysconfig
from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
from annotated_types import Gt, MinLen
from lightning import Trainer
from torch import Tensor, nn

from lab.errors import BadSetting
from lab.learning import check_precision
from lab.rl.common import adam
from lab.rl.common.agent import Agent, mean_or_nothing
from lab.rl.recording.compiled_update import CompiledUpdate
from lab.rl.recording.recorder import RECORD_FROM, Recorder

HiddenSizes = Annotated[list[Annotated[int, Gt(0)]], MinLen(1)]


class Learner(Agent):
    """An agent whose `training_step` makes all the updates of one batch: a `Block`, a `Rollout` or several ones.

    Args:
        lr: learning rate of all parameter groups.
        final_lr: learning rate at the end of the run, reached linearly, as a fraction of `lr`.
    """

    # Updates from which on a compiled one, which saves up to 0.1 ms of a recorded one, earns back the 10 to 20 s of
    # compiling where nothing was compiled before
    compile_from = 200_000
    uncompiled_because: str | None = None  # the message where `compile` is asked of an agent that cannot be
    updates: Tensor

    def __init__(self, env: str, lr: float, final_lr: float) -> None:
        super().__init__(env)
        self.lr, self.final_lr = lr, final_lr
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.update: Callable[..., dict[str, Tensor]] = self._update
        self.uncompiled_update = self.update  # where a compiled one does not pay: recorded, once `setup` has run
        self.compiled = False

    @abstractmethod
    def groups(self) -> Sequence[Sequence[nn.Parameter]]:
        """The parameters that Adam steps, in the order in which `_update` finds their state."""

    @abstractmethod
    def update_on_batch(self, batch: Any, state: Sequence[Any]) -> dict[str, Tensor]:
        """All updates of one batch, `state` being Adam's, one entry per group; returns scalars to log."""

    @abstractmethod
    def _update(self, state: Sequence[Any], *batch: Any, **flags: Any) -> dict[str, Tensor]:
        """One update; runs eager or compiled. Returns scalars to log, detached."""

    def schedule_position(self, batch: Any) -> int:
        """Environment steps that the schedule of the learning rate counts as done."""
        steps: int = batch.env_steps
        return steps

    def compile(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002 - torch's own signature
        """Makes one update, all gradients and Adam steps, a single compiled graph.

        Raises:
            BadSetting: it cannot be.
        """
        if self.uncompiled_because is not None:
            raise BadSetting("compile", self.uncompiled_because)
        torch._dynamo.config.trace_autograd_ops = True  # lets the compiler see `torch.autograd.grad`
        # many agents may live in one process, and each has a graph of its own
        compiler: Any = torch.compile  # its type stubs do not know the last keyword
        options = {"guard_filter_fn": _guards, "size_asserts": False}
        compiled = compiler(self._update, fullgraph=True, dynamic=False, isolate_recompiles=True, options=options)
        self.update = CompiledUpdate(self, self._update, compiled)
        self.compiled = True

    @abstractmethod
    def num_updates(self, data: Any) -> int:
        """Updates of a whole training on this data."""

    def compile_pays(self, data: Any) -> bool:
        """Whether there are `compile_from` updates or more, and a compiler to make them faster."""
        if self.uncompiled_because is not None:
            return False
        return self.num_updates(data) >= self.compile_from and _has_compiler()

    def check_trainer(self, trainer: Trainer) -> None:
        super().check_trainer(trainer)
        check_precision(trainer, type(self).__name__.lower(), scales=False)

    def setup(self, stage: str) -> None:
        if stage != "fit":
            return
        self.check_trainer(self.trainer)  # whoever trains it: a recipe was asked before
        if self.compiled and self.trainer.world_size > 1:
            name = type(self).__name__.lower()
            raise BadSetting("compile", f"{name} cannot be compiled with several processes, which average gradients")
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        can_record = self.trainer.world_size == 1 and self.trainer.strategy.root_device.type in ("cpu", "cuda")
        if can_record and self.num_updates(data) >= RECORD_FROM:
            self.uncompiled_update = Recorder(self, self._update)
        if not self.compiled:
            self.update = self.uncompiled_update

    def configure_optimizers(self) -> adam.Adam:
        return adam.Adam([{"params": list(group), "lr": self.lr} for group in self.groups()])

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:  # noqa: ARG002 - Lightning's signature
        optimizer: Any = self.optimizers()
        measured = optimizer.step(lambda: self._learn(batch, optimizer))
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every and self.trainer.global_step % every == 0:  # logging takes as long as a small block's updates
            self._log(measured)
        losses = [value.float() for name, value in measured.items() if name.startswith("loss/")]
        return torch.stack(losses).sum()  # for callbacks, which find in it whether one became NaN

    def _learn(self, batch: Any, optimizer: Any) -> dict[str, Tensor]:
        """All updates of a batch, part by part; returns what the last one measured."""
        total = self.trainer.datamodule.progress()[1]  # type: ignore[attr-defined]
        state, measured = optimizer.tensors(), {}
        for part in batch.parts():
            part, self.env_steps = part.as_type(self.dtype), part.env_steps
            position = min(1.0, self.schedule_position(part) / total)  # the last block may go beyond the budget
            optimizer.set_lr(self.lr * (1 - (1 - self.final_lr) * position))
            measured = self.update_on_batch(part, state)
            self.recent_returns += part.returns
        return measured

    def _log(self, measured: dict[str, Tensor]) -> None:
        """Logs the values of a block, and the mean return of the training episodes that ended since the last time."""
        # as one tensor, so that the device is waited for once
        values = torch.stack([value.float() for value in measured.values()]).tolist()
        metrics = dict(zip(measured, values, strict=True)) | mean_or_nothing(self.recent_returns, "train/return")
        self.recent_returns = []
        self.log_dict(metrics | self.counters() | {"updates": float(self.updates)})


def _guards(entries: Sequence[Any]) -> list[bool]:
    """Which of its assumptions a compiled update checks in every call: numbers, and the shapes of the batch.

    Left out are the shapes of weights and Adam's state, modules, their hooks and functions, none of which changes in a
    training: 300 checks, a sixth of the time of SAC's update.
    """
    numbers = ("CONSTANT_MATCH", "EQUALS_MATCH", "SEQUENCE_LENGTH")
    return [
        entry.guard_type in numbers
        or (entry.guard_type == "TENSOR_MATCH" and not entry.name.startswith(("self", "state")))
        for entry in entries
    ]


def _has_compiler() -> bool:
    """Whether this machine has what `torch.compile` needs: a C++ compiler, and the headers of Python."""
    compiler = next(filter(shutil.which, (os.environ.get("CXX", "g++"), "clang++")), None)
    return compiler is not None and (Path(sysconfig.get_path("include")) / "Python.h").exists()


@torch.no_grad()
def clip_(gradient: Sequence[Tensor], max_norm: float) -> Tensor:
    """Shortens a gradient to `max_norm`, in place, if it is longer; returns its norm before that."""
    norm = gradient_norm(gradient)
    torch._foreach_mul_(list(gradient), (max_norm / (norm + 1e-6)).clamp(max=1.0))
    return norm


def gradient_norm(gradient: Sequence[Tensor]) -> Tensor:
    """The norm of a gradient that lies in many tensors."""
    # compiled, single norms become part of the kernels around them, and `_foreach_norm` stays a call of its own
    compiling = torch.compiler.is_compiling()
    norms = map(torch.linalg.vector_norm, gradient) if compiling else torch._foreach_norm(list(gradient))
    total: Tensor = torch.stack(list(norms)).norm()
    return total
