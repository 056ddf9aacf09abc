"""The base of the tasks on sequences: a network by name, an output for each sequence or step, and the gradient in time.

Source of the gradient over time: Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks,
ICML 2013.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor, nn

from lab.data import Batch
from lab.learning import SupervisedModule
from lab.networks import SequenceNetwork, SequenceNetworkName, upcast


class SequenceModule(SupervisedModule):
    """Sequences (B, T, features) -> outputs (B, K), or (B, T, K) where every step has one.

    A subclass says its `losses` and what is measured.

    Args:
        features: size of the input at each step.
        length: steps of a sequence.
        per_step: whether outputs come at every step.
        class_names: of classes, an output for each; where there are none, one number comes out.
        network: rnn, lstm, gru, tcn (temporal convolution) or transformer.
        hidden: size of a recurrent state in each direction, channels of a convolution, width of a Transformer.
        num_weights: instead of `hidden` (null): about how many weights the network has, to compare networks.
        depth: layers, stacked; blocks of a temporal convolution, which sees 4 * 2**depth - 3 steps.
        bidirectional: every step sees the whole sequence; otherwise itself and those before it.
        dropout: dropout of the outputs of layers.
        tbptt_steps: truncated backpropagation through time: no gradient goes back over a step whose number divides by
            this; by default it goes back over all.
        chrono_steps: chrono initialisation of an lstm or a gru: its units begin by keeping their state for 1 to so many
            steps, so that long sequences are learnt from; by default they forget half of it in every step.
        lr: learning rate of the optimizer.
        weight_decay: decoupled weight decay for adamw, an L2 penalty for the others.
    """

    num_first_examples = 64

    def __init__(
        self,
        features: int,
        length: int,
        per_step: bool,
        class_names: list[str],
        network: SequenceNetworkName = "lstm",
        hidden: Annotated[int, Gt(0)] | None = 32,
        num_weights: Annotated[int, Gt(0)] | None = None,
        depth: Annotated[int, Gt(0)] = 1,
        bidirectional: bool = False,
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
        tbptt_steps: Annotated[int, Gt(0)] | None = None,
        chrono_steps: Annotated[int, Ge(3)] | None = None,
        lr: Annotated[float, Gt(0)] = 3e-3,
        weight_decay: Annotated[float, Ge(0)] = 0.0,
        **training: Any,
    ) -> None:
        super().__init__(lr, weight_decay=weight_decay, **training)
        self.network = SequenceNetwork(
            network, features, hidden, num_weights, depth, bidirectional, dropout, length, tbptt_steps, chrono_steps
        )
        self.head = nn.Linear(self.network.out_features, len(class_names) or 1)
        self.per_step = per_step
        self.example_input_array = torch.zeros(1, length, features)

    @abstractmethod
    def losses(self, outputs: Tensor, y: Tensor) -> Tensor:
        """The loss of each sequence, (B,), of outputs in single precision and of what was asked for."""

    def forward(self, x: Tensor) -> Tensor:
        outputs, last = self.network(x)
        values: Tensor = self.head(outputs if self.per_step else last)
        return values

    def training_loss(self, batch: Batch, progress: float) -> Tensor:  # noqa: ARG002
        return self.losses(upcast(self(batch["x"])), batch["y"]).mean()

    def gradient_over_time(self) -> Tensor:
        """The size of the loss's gradient at each step of the input, (T,): the mean over examples of the test."""
        first = self.examples.first
        return input_gradient(lambda x, y: self.losses(self(x), y), first["x"], first["y"])


def input_gradient(losses: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """The mean norm over B sequences of the gradient of their losses (B,) with respect to each step, (T,).

    >>> x = torch.zeros(5, 3, 2)
    >>> input_gradient(lambda x, y: 0.5 * (x[:, :2].sum((1, 2)) - y).square(), x, torch.ones(5)).tolist()
    [1.4142135381698608, 1.4142135381698608, 0.0]

    Args:
        losses: of inputs and of what was asked for.
        x: (B, T, F), also from inference mode.
        y: (B, ...).
    """
    no_cudnn = torch.backends.cudnn.flags(enabled=False)  # whose recurrent layers have gradients in training alone
    with torch.inference_mode(False), torch.enable_grad(), no_cudnn:
        inputs = x.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(losses(inputs, y.clone()).sum(), inputs, materialize_grads=True)
    sizes: Tensor = gradient.norm(dim=2)
    return sizes.mean(0)


def gradient_ratio(gradient: Tensor) -> float:
    """The mean of a gradient over time (T,) in the first tenth of the steps, divided by that in the last tenth."""
    edge = max(1, len(gradient) // 10)
    return float(gradient[:edge].mean() / gradient[-edge:].mean().clamp(min=torch.finfo(gradient.dtype).tiny))
