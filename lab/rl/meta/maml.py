"""Model-agnostic meta-learning: first weights from which a few gradient steps on a few points solve a new task.

Source: Finn, Abbeel & Levine 2017, "Model-agnostic meta-learning for fast adaptation of deep networks". The first-order
switch is the paper's FOMAML, which takes the gradient of the adapted weights for that of the first ones.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F
from torchmetrics import CatMetric

from lab import plots
from lab.data import Batch
from lab.errors import BadSetting
from lab.learning import LazyMetrics, Stage, SupervisedModule
from lab.networks import MLP, Activation, upcast
from lab.rl.meta import plots as draw
from lab.rl.meta.sine_tasks import SineTasks
from lab.task import Task

BASELINE_RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)  # of which a baseline takes the best one, on the test itself

Weights = dict[str, Tensor]


class MAML(SupervisedModule):
    """Learns first weights of a network, which adapts to a task by gradient steps on its support points.

    `loss` of validation and test is the mean squared error on the query points after `adapt_steps` steps;
    `mse_after_k` is that after k steps. Beside it the test measures, under `joint/` and `scratch/`, the same network
    trained on the points of all tasks together, in the same updates, and the one that nobody trained. Both adapt with
    the learning rate of `BASELINE_RATES` that is best on the test itself, which is in their favour.

    Args:
        shots: points of a task to adapt to; a fact of the data.
        hidden: widths of the hidden layers.
        activation: activation function of the hidden layers.
        inner_lr: learning rate of the steps that adapt.
        inner_steps: steps that adapt in training.
        adapt_steps: steps that adapt in validation and test.
        first_order: leave out second derivatives (FOMAML): cheaper, and often as good.
        lr: learning rate of the optimizer of the first weights.
        weight_decay: decoupled weight decay for adamw, an L2 penalty for the others.
    """

    num_first_examples = 1

    def __init__(
        self,
        shots: int,
        hidden: list[Annotated[int, Gt(0)]] = [40, 40],  # noqa: B006 - never changed
        activation: Activation = "relu",
        inner_lr: Annotated[float, Gt(0)] = 0.01,
        inner_steps: Annotated[int, Gt(0)] = 1,
        adapt_steps: Annotated[int, Ge(1)] = 5,
        first_order: bool = False,
        lr: Annotated[float, Gt(0)] = 1e-3,
        weight_decay: Annotated[float, Ge(0)] = 0.0,
        **training: Any,
    ) -> None:
        super().__init__(lr, weight_decay=weight_decay, **training)
        self.shots, self.inner_lr, self.inner_steps = shots, inner_lr, inner_steps
        self.adapt_steps, self.first_order = adapt_steps, first_order
        self.network = MLP(1, hidden, 1, activation)
        self.joint = copy.deepcopy(self.network)
        self.scratch = copy.deepcopy(self.network).requires_grad_(False)
        self.errors: Any = nn.ModuleDict({name: CatMetric() for name in ("maml", "joint", "scratch")})
        self.example_input_array = torch.zeros(1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Predictions (B, 1) before any adaptation."""
        y: Tensor = self.network(x)
        return y

    def compile(self, *args: object, **kwargs: object) -> None:  # noqa: ARG002
        raise BadSetting("compile", "maml differentiates through its updates, which is not compiled; leave it out")

    def training_loss(self, batch: Batch, progress: float) -> tuple[Tensor, LazyMetrics]:  # noqa: ARG002
        """The sum of two losses that share no weights: the one after adaptation, and that of joint training."""
        rate = batch["query_x"].new_tensor(self.inner_lr)
        adapted = self.query_errors(self.network, batch, rate, self.inner_steps)[:, -1].mean()
        joint = F.mse_loss(self.joint(batch["query_x"]), batch["query_y"])
        return adapted + joint, lambda: {"train/mse": adapted, "train/joint_mse": joint}

    def query_errors(self, network: nn.Module, batch: Batch, lr: Tensor, steps: int) -> Tensor:
        """Squared error (B, steps + 1) on the query points of each task, before the first step and after each one."""

        def of_task(support_x: Tensor, support_y: Tensor, query_x: Tensor, query_y: Tensor) -> Tensor:
            path = adaptation(network, support_x, support_y, lr, steps, self.first_order)
            return torch.stack([F.mse_loss(functional_call(network, weights, query_x), query_y) for weights in path])

        columns = (batch[name] for name in ("support_x", "support_y", "query_x", "query_y"))
        errors: Tensor = vmap(of_task)(*columns)
        return errors

    def evaluate_batch(self, batch: Batch) -> dict[str, Tensor]:
        x = batch["query_x"]
        errors = upcast(self.query_errors(self.network, batch, x.new_tensor(self.inner_lr), self.adapt_steps))
        self.errors["maml"].update(errors)
        if self.trainer.testing:
            for name, network in (("joint", self.joint), ("scratch", self.scratch)):
                rates = x.new_tensor(BASELINE_RATES)
                each = [self.query_errors(network, batch, rate, self.adapt_steps) for rate in rates]
                self.errors[name].update(upcast(torch.stack(each, 1)).nan_to_num(torch.inf))  # (B, rates, steps + 1)
        return {"loss": errors[:, -1], **batch}

    def compute_metrics(self, stage: Stage) -> Mapping[str, Any]:
        curves = {"": self.errors["maml"].compute()}
        if stage == "test":
            curves |= {f"{name}/": best_rate(self.errors[name].compute()) for name in ("joint", "scratch")}
        self.curves = curves
        steps = sorted({0, 1, self.adapt_steps})
        return {f"{name}mse_after_{k}": errors.mean(0)[k] for name, errors in curves.items() for k in steps}

    def report(self) -> None:
        named = dict(zip(("MAML", "joint training", "from scratch"), self.curves.values(), strict=True))
        plots.log_figure(self, "adaptation.png", draw.adaptation(named, self.shots))
        task = {name: rows[0] for name, rows in self.examples.first.items() if name != "loss"}
        x = torch.linspace(-5, 5, 200)[:, None].to(task["support_x"])
        rate = x.new_tensor(self.inner_lr)
        path = adaptation(self.network, task["support_x"], task["support_y"], rate, self.adapt_steps, True)
        predicted = {k: functional_call(self.network, path[k], x) for k in sorted({0, 1, self.adapt_steps})}
        plots.log_figure(self, "task.png", draw.task(task, x, predicted))


def adaptation(network: nn.Module, x: Tensor, y: Tensor, lr: Tensor, steps: int, first_order: bool) -> list[Weights]:
    """The weights of a network before gradient steps on the points (K, 1) of a task, and after each of them.

    Args:
        network: from whose weights the steps begin; they stay as they are.
        x: inputs.
        y: targets.
        lr: learning rate, ().
        steps: how many.
        first_order: whether the gradients count as constants.
    """

    def loss(weights: Weights) -> Tensor:
        return F.mse_loss(functional_call(network, weights, x), y)

    path: list[Weights] = [dict(network.named_parameters())]
    for _ in range(steps):
        gradient = grad(loss)(path[-1])
        if first_order:
            gradient = {name: each.detach() for name, each in gradient.items()}
        path.append({name: weight - lr * gradient[name] for name, weight in path[-1].items()})
    return path


def best_rate(errors: Tensor) -> Tensor:
    """Errors (N, steps + 1) with the learning rate that is best in the end, of those (N, rates, steps + 1) with each.

    >>> best_rate(torch.tensor([[[4.0, 2.0], [4.0, 1.0], [4.0, torch.inf]]]))
    tensor([[4., 1.]])
    """
    return errors[:, errors[:, :, -1].mean(0).argmin()]


TASK = Task(module=MAML, data=SineTasks, monitor="val/loss", mode="min")
