"""Recurrent networks over sequences of features: Elman's RNN, LSTM and GRU; stacked, and in both directions."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lab.errors import BadInput, BadSetting, unknown_name

Cell = Literal["rnn", "lstm", "gru"]
CELLS: dict[Cell, type[nn.RNN] | type[nn.LSTM] | type[nn.GRU]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
State = Tensor | tuple[Tensor, Tensor]  # (layers * directions, B, hidden), of an LSTM both its output and its cell


class RecurrentOutput(NamedTuple):
    """Of a recurrent network, with D the hidden size times the number of directions.

    >>> Recurrent(3, 16)(torch.zeros(2, 5, 3)).last.shape
    torch.Size([2, 16])

    Args:
        outputs: (B, T, D) of the last layer, at every step; 0 behind the end of a sequence.
        last: (B, D), the last layer after the whole sequence: forwards at its end, backwards at its beginning.
        state: of all layers after the last step, with which the next piece of the sequence begins.
    """

    outputs: Tensor
    last: Tensor
    state: State


class Recurrent(nn.Module):
    """Sequences (B, T, in_features) -> `RecurrentOutput`.

    >>> network = Recurrent(3, 16, cell="gru", bidirectional=True)
    >>> outputs, last, _ = network(torch.zeros(2, 5, 3), lengths=torch.tensor([5, 2]))
    >>> outputs.shape, last.shape
    (torch.Size([2, 5, 32]), torch.Size([2, 32]))

    A long sequence can be read in pieces, each of which begins with the state that the one before left behind:

    >>> network = Recurrent(3, 16)
    >>> whole, (first, second) = torch.randn(2, 6, 3), (slice(0, 4), slice(4, 6))
    >>> _, _, state = network(whole[:, first])
    >>> torch.allclose(network(whole[:, second], state=state).last, network(whole).last, atol=1e-6)
    True

    Args:
        in_features: size of the input at each step.
        hidden: size of the state, in each direction.
        cell: `rnn` (tanh), `lstm` or `gru`.
        depth: layers, from 1, each of which reads the outputs of the one below.
        bidirectional: read from both ends.
        dropout: share of a layer's outputs, from 0 to 1, that are dropped in training before the next layer reads them.
        tbptt_steps: truncated backpropagation through time: the state is passed on after every so many steps, but no
            gradient goes back through it there.
        chrono_steps: chrono initialisation (Tallec and Ollivier, Can recurrent neural networks warp time?, ICLR 2018):
            the units of an LSTM or a GRU begin by keeping their state for 1 to so many steps, from 3; by default
            torch's own, with which they forget half of it in every step.

    Raises:
        BadSetting: there is no such cell, a plain RNN has no gate that keeps its state, or a network that reads from
            both ends is to be truncated.
    """

    def __init__(
        self,
        in_features: int,
        hidden: int,
        cell: Cell = "lstm",
        depth: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        tbptt_steps: int | None = None,
        chrono_steps: int | None = None,
    ) -> None:
        super().__init__()
        if cell not in CELLS:
            raise unknown_name("cell", cell, CELLS, {"elman": "rnn", "simple_rnn": "rnn"})
        if tbptt_steps is not None and bidirectional:
            raise BadSetting("tbptt_steps", "a network that reads from both ends has no state to pass on")
        settings: dict[str, Any] = {"batch_first": True, "bidirectional": bidirectional}
        between = dropout if depth > 1 else 0.0  # torch warns of one with nothing to come after
        self.layers = CELLS[cell](in_features, hidden, depth, dropout=between, **settings)
        self.directions = 2 if bidirectional else 1
        self.out_features = hidden * self.directions
        self.tbptt_steps = tbptt_steps
        if chrono_steps is not None:
            self._keep_state(cell, hidden, chrono_steps)

    def forward(self, x: Tensor, lengths: Tensor | None = None, state: State | None = None) -> RecurrentOutput:
        """Reads sequences from `state`, or from zeros.

        Args:
            x: (B, T, in_features), each sequence from its first step on.
            lengths: (B,) from 1 to T, by default all T; what lies behind the end of a sequence changes nothing.
            state: of a network that reads in one direction, as it was left after the piece before.
        """
        if self.tbptt_steps is not None:
            outputs, state = self._truncated(x, lengths, state, self.tbptt_steps)
        elif lengths is None:
            outputs, state = self._read(x, state)
        else:
            packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
            packed_outputs, state = self._read(packed, state)
            outputs, _ = pad_packed_sequence(packed_outputs, batch_first=True, total_length=x.shape[1])
        hidden = state[0] if isinstance(state, tuple) else state
        assert hidden is not None
        last = torch.cat(hidden[-self.directions :].unbind(), -1)
        return RecurrentOutput(outputs, last, state)

    def _read(self, x: Any, state: State | None) -> tuple[Any, State]:
        """On a CPU always in single precision, as torch computes a GRU: not every CPU has an LSTM in half precision."""
        found: tuple[Any, State]
        if torch.is_autocast_enabled("cpu") and self.layers.weight_ih_l0.device.type == "cpu":
            with torch.autocast("cpu", enabled=False):
                found = self.layers(x.float(), state)
        else:
            found = self.layers(x, state)
        return found

    @torch.no_grad()
    def _keep_state(self, cell: Cell, hidden: int, steps: int) -> None:
        if cell == "rnn":
            raise BadSetting("chrono_steps", "rnn has no gate that keeps its state; lstm and gru have one")
        for name, bias in self.layers.named_parameters():
            if name.startswith("bias_hh"):
                bias[: 2 * hidden] = 0
            if name.startswith("bias_ih"):
                kept = torch.empty(hidden).uniform_(1, steps - 1).log()
                bias[hidden : 2 * hidden] = kept  # the forget gate of an LSTM, the update gate of a GRU
                if cell == "lstm":
                    bias[:hidden] = -kept  # the input gate

    def _truncated(self, x: Tensor, lengths: Tensor | None, state: State | None, steps: int) -> tuple[Tensor, State]:
        if lengths is not None:
            raise BadInput("with tbptt_steps all sequences have the same length; leave `lengths` out")
        found = []
        for piece in x.split(steps, 1):
            if state is not None:
                state = (state[0].detach(), state[1].detach()) if isinstance(state, tuple) else state.detach()
            outputs, state = self._read(piece, state)
            found.append(outputs)
        assert state is not None
        return torch.cat(found, 1), state
