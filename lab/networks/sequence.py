"""Networks over sequences by name: recurrent ones, the temporal convolution and the Transformer in one place.

All of them are used in the same way, so that they can be compared: also with the same number of weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from lab.errors import BadSetting, unknown_name
from lab.networks.attention import padding_mask
from lab.networks.positions import SinusoidalPositions
from lab.networks.recurrent import CELLS, Recurrent
from lab.networks.temporal_convolution import TemporalConvolution
from lab.networks.transformer import TransformerEncoder

SequenceNetworkName = Literal["rnn", "lstm", "gru", "tcn", "transformer"]
SEQUENCE_NETWORKS: tuple[SequenceNetworkName, ...] = ("rnn", "lstm", "gru", "tcn", "transformer")
SYNONYMS = {"elman": "rnn", "simple_rnn": "rnn", "temporal_convolution": "tcn", "attention": "transformer"}
HEADS = 4  # of the Transformer's attention
WIDEST = 4096  # hidden units that are tried for a number of weights


class SequenceOutput(NamedTuple):
    """Of a network over sequences, with D its `out_features`.

    >>> SequenceNetwork("lstm", 3, hidden=16, bidirectional=True)(torch.zeros(2, 5, 3)).last.shape
    torch.Size([2, 32])

    Args:
        outputs: (B, T, D), of every step.
        last: (B, D), of the whole sequence: its last step, or, from both directions, the two last states of a recurrent
            network and the mean over the steps of any other.
    """

    outputs: Tensor
    last: Tensor


class SequenceNetwork(nn.Module):
    """Sequences (B, T, in_features) -> `SequenceOutput`, by a network of any name.

    >>> network = SequenceNetwork("gru", 3, hidden=16)
    >>> outputs, last = network(torch.zeros(2, 50, 3))
    >>> outputs.shape, last.shape
    (torch.Size([2, 50, 16]), torch.Size([2, 16]))

    Networks are compared at equal weights by `num_weights` in the place of `hidden`:

    >>> for name in ("rnn", "lstm", "transformer"):
    ...     network = SequenceNetwork(name, 3, num_weights=10_000, max_length=50)
    ...     name, network.hidden, sum(weights.numel() for weights in network.parameters())
    ('rnn', 97, 9894)
    ('lstm', 47, 9776)
    ('transformer', 32, 8736)

    Args:
        name: rnn, lstm, gru, tcn (temporal convolution) or transformer.
        in_features: size of the input at each step.
        hidden: size of a recurrent state in each direction, channels of a convolution, width of a Transformer; the
            last one is a multiple of 4, the number of its heads.
        num_weights: instead of `hidden`, about how many weights there are: as many as fit in.
        depth: layers, from 1; blocks of a convolution, which has to be deep to see far.
        bidirectional: every step sees the whole sequence; otherwise itself and those before it.
        dropout: share of a layer's outputs, from 0 to 1, that are dropped in training.
        max_length: steps of the longest sequence, which a Transformer has to know.
        tbptt_steps: truncated backpropagation through time: the gradient of a recurrent state goes back to the last
            step whose number divides by it, and no further.
        chrono_steps: chrono initialisation of an lstm or a gru, for dependencies of up to so many steps.

    Raises:
        BadSetting: there is no such network, or it has no such setting.
    """

    def __init__(
        self,
        name: SequenceNetworkName,
        in_features: int,
        hidden: int | None = None,
        num_weights: int | None = None,
        depth: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        max_length: int = 1024,
        tbptt_steps: int | None = None,
        chrono_steps: int | None = None,
    ) -> None:
        super().__init__()
        if name not in SEQUENCE_NETWORKS:
            raise unknown_name("network", name, SEQUENCE_NETWORKS, SYNONYMS)
        if (hidden is None) == (num_weights is None):
            raise BadSetting("hidden", "give either `hidden` or `num_weights`, and set the other one to null")
        if tbptt_steps is not None and (name not in CELLS or bidirectional):
            raise BadSetting("tbptt_steps", "only rnn, lstm and gru that read in one direction carry a state along")
        if chrono_steps is not None and name not in ("lstm", "gru"):
            raise BadSetting("chrono_steps", f"{name} has no gate that keeps its state; lstm and gru have one")
        self.step = HEADS if name == "transformer" else 1

        def make(width: int) -> nn.Module:
            if name in CELLS:
                return Recurrent(in_features, width, name, depth, bidirectional, dropout, tbptt_steps, chrono_steps)
            if name == "tcn":
                return _Convolution(in_features, width, depth, bidirectional, dropout)
            return _Transformer(in_features, width, depth, bidirectional, dropout, max_length)

        self.hidden = hidden if hidden is not None else width_for(num_weights or 0, make, self.step)
        if self.hidden % self.step:
            raise BadSetting("hidden", f"expected a multiple of {self.step} for a {name}, found {self.hidden}")
        self.network = make(self.hidden)
        self.out_features = self.hidden * (2 if bidirectional and name in CELLS else 1)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> SequenceOutput:
        """
        Args:
            x: (B, T, in_features), each sequence from its first step on.
            lengths: (B,) from 1 to T, by default all T. What lies behind the end of a sequence changes nothing, and
                what `outputs` holds there means nothing.
        """
        outputs, last, *_ = self.network(x, lengths)
        return SequenceOutput(outputs, last)


def width_for(num_weights: int, make: Callable[[int], nn.Module], step: int = 1) -> int:
    """The largest width with which a network has at most so many weights; nothing is allocated.

    >>> width_for(10_000, lambda width: nn.Linear(100, width))
    99

    Args:
        num_weights: at most so many.
        make: the network of a width.
        step: widths are multiples of it.

    Raises:
        BadSetting: the narrowest one has more.
    """

    def count(width: int) -> int:
        with torch.device("meta"):  # neither memory nor random numbers
            return sum(weights.numel() for weights in make(width).parameters())

    low, high = 0, WIDEST // step
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if count(middle * step) <= num_weights else (low, middle - 1)
    if low == 0:
        raise BadSetting("num_weights", f"expected at least {count(step)}, which the narrowest network has")
    return low * step


class _Convolution(nn.Module):
    def __init__(self, in_features: int, width: int, depth: int, bidirectional: bool, dropout: float) -> None:
        super().__init__()
        self.bidirectional = bidirectional
        self.layers = TemporalConvolution(in_features, width, depth, causal=not bidirectional, dropout=dropout)

    def forward(self, x: Tensor, lengths: Tensor | None) -> SequenceOutput:
        outputs = self.layers(x, None if lengths is None else padding_mask(lengths, x.shape[1]))
        return SequenceOutput(outputs, _summary(outputs, lengths, self.bidirectional))


class _Transformer(nn.Module):
    def __init__(
        self, in_features: int, width: int, depth: int, bidirectional: bool, dropout: float, max_length: int
    ) -> None:
        super().__init__()
        self.bidirectional = bidirectional
        self.embedding = nn.Linear(in_features, width)
        self.positions = SinusoidalPositions(max_length, width)
        self.layers = TransformerEncoder(width, depth, HEADS, dropout=dropout)

    def forward(self, x: Tensor, lengths: Tensor | None) -> SequenceOutput:
        padding = None if lengths is None else padding_mask(lengths, x.shape[1])
        outputs = self.layers(self.positions(self.embedding(x)), padding, causal=not self.bidirectional)
        return SequenceOutput(outputs, _summary(outputs, lengths, self.bidirectional))


def _summary(outputs: Tensor, lengths: Tensor | None, mean: bool) -> Tensor:
    """The mean over the steps of each sequence, or its last step: (B, T, D) -> (B, D)."""
    if lengths is None:
        return outputs.mean(1) if mean else outputs[:, -1]
    if not mean:
        rows = torch.arange(outputs.shape[0], device=outputs.device)
        return outputs[rows, lengths.to(outputs.device) - 1]
    padding = padding_mask(lengths, outputs.shape[1]).unsqueeze(2)
    return outputs.masked_fill(padding, 0).sum(1) / lengths.unsqueeze(1)
