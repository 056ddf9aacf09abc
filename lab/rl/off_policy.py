"""What agents share that learn from replayed transitions: a block of updates as one step of the optimiser.

A subclass says what one update reads (`columns`), which parameters its Adam steps (`groups`), in which variant an
update runs (`variant`), and what an update does (`_update`). Everything random in an update is drawn as a column,
outside of it, so that the eager and the compiled update are one function of the same numbers.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Le, MinLen
from tensordict import TensorDictBase
from tensordict.nn import TensorDictModuleBase
from torch import Tensor, nn

from lab.errors import BadSetting
from lab.rl import adam
from lab.rl.agent import Agent, mean_or_nothing
from lab.rl.replay import Block

Unit = Annotated[float, Ge(0), Le(1)]
Widths = Annotated[list[Annotated[int, Gt(0)]], MinLen(1)]


class OffPolicy(Agent):
    """An agent whose `training_step` makes all the updates of one `Block`.

    Args:
        env: name of the Gymnasium environment, in which the agent is evaluated.
        lr: learning rate of all parameter groups.
        final_lr: learning rate at the end of the run, reached linearly, as a fraction of `lr`.
    """

    updates: Tensor

    def __init__(self, env: str, lr: float, final_lr: float) -> None:
        super().__init__(env)
        self.lr, self.final_lr = lr, final_lr
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))
        self.update: Callable[..., dict[str, Tensor]] = self._update
        self.compiled = False

    @abstractmethod
    def exploration_policy(self) -> TensorDictModuleBase:
        """The policy that collects: reads `observation`, writes `action`."""

    @abstractmethod
    def groups(self) -> Sequence[Sequence[nn.Parameter]]:
        """The parameters that are trained, in the order in which `_update` finds their optimiser state."""

    def columns(self, batches: TensorDictBase) -> tuple[Tensor, ...]:
        """What the updates of a block read, each (updates, B, ...); noise that they need is drawn here."""
        return (
            batches["observation"],
            batches["action"],
            batches["next", "reward"],
            batches["next", "observation"],
            batches["next", "terminated"],
        )

    def variant(self, number: int) -> dict[str, bool]:  # noqa: ARG002 - for subclasses
        """Keywords of the update that is the run's `number`-th, from 0; a compiled update has one graph for each."""
        return {}

    @abstractmethod
    def _update(self, state: Sequence[Any], *batch: Tensor, measure: bool) -> dict[str, Tensor]:
        """One update on one batch; runs eager or compiled.

        `state` is the optimiser's, one entry per group. Returns scalars to log, detached, if it is to `measure`. Under
        `errors` it may return how wrong it was about every sample (B,), which the data module makes their priority.
        """

    def compile(self, *args: Any, **kwargs: Any) -> None:  # noqa: ARG002 - torch's own signature
        """Makes one update, all gradients and Adam steps, a single compiled graph."""
        torch._dynamo.config.trace_autograd_ops = True  # lets the compiler see `torch.autograd.grad`
        # many agents may live in one process, and each has a graph of its own
        compiler: Any = torch.compile  # its type stubs do not know the last keyword
        self.update = compiler(self._update, fullgraph=True, dynamic=False, isolate_recompiles=True)
        self.compiled = True

    def setup(self, stage: str) -> None:
        name = type(self).__name__.lower()
        if stage == "fit" and self.trainer.precision == "16-mixed":
            raise BadSetting("trainer.precision", f"{name} has no loss scaler; use bf16-mixed or 32-true")
        if stage == "fit" and self.compiled and self.trainer.world_size > 1:
            raise BadSetting("compile", f"{name} averages gradients between processes, which its graph cannot hold")

    def configure_optimizers(self) -> adam.Adam:
        return adam.Adam([{"params": list(group), "lr": self.lr} for group in self.groups()])

    def training_step(self, block: Block, batch_idx: int) -> None:  # noqa: ARG002 - Lightning's signature
        self.env_steps = block.env_steps
        done, total, _ = self.trainer.datamodule.progress()  # type: ignore[attr-defined]
        optimizer: Any = self.optimizers()
        for group in optimizer.param_groups:
            group["lr"] = self.lr * (1 - (1 - self.final_lr) * done / total)
        measured = optimizer.step(lambda: self._block(block.batches, optimizer.tensors()))
        if self.logger is not None:
            values = torch.stack(
                [value.float() for value in measured.values()]
            ).tolist()  # the device is waited for once
            metrics = dict(zip(measured, values, strict=True)) | mean_or_nothing(block.returns, "train/return")
            metrics |= {"env_steps": block.env_steps, "updates": int(self.updates)}
            self.logger.log_metrics(metrics, step=block.env_steps)

    def _block(self, batches: TensorDictBase, state: Sequence[Any]) -> dict[str, Tensor]:
        """All updates of one block; returns what the last one measured."""
        first, last = int(self.updates), len(batches) - 1
        rows = zip(*(column.unbind(0) for column in self.columns(batches)), strict=True)
        found = [
            # compiled, all are measured, because one graph is enough
            self.update(state, *row, measure=self.compiled or index == last, **self.variant(first + index))
            for index, row in enumerate(rows)
        ]
        self.updates += len(batches)
        if "errors" in found[-1]:
            errors = torch.stack([update.pop("errors") for update in found])  # (updates, B)
            self.trainer.datamodule.set_priorities(batches["index"], errors)  # type: ignore[attr-defined]
        return found[-1]

    def _step(self, state: Sequence[Any], gradients: Sequence[Sequence[Tensor]]) -> None:
        """One Adam step per group, on gradients averaged over all processes."""
        if torch.distributed.is_initialized():
            average(gradients)
        for tensors, gradient in zip(state, gradients, strict=True):
            adam.adam_(gradient, *tensors)


def norm(gradient: Sequence[Tensor]) -> Tensor:
    """The length of a gradient that lies in many tensors."""
    length: Tensor = torch.stack(torch._foreach_norm(list(gradient))).norm()
    return length


def average(gradients: Sequence[Sequence[Tensor]]) -> None:
    """Averages gradients over all processes, in place, as one message."""
    flat = torch.cat([gradient.flatten() for group in gradients for gradient in group])
    torch.distributed.all_reduce(flat)
    flat /= torch.distributed.get_world_size()
    for gradient in (gradient for group in gradients for gradient in group):
        gradient.copy_(flat[: gradient.numel()].view_as(gradient))
        flat = flat[gradient.numel() :]
