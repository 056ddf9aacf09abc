"""Recurrent networks: against the written-out equations, with padding, in pieces."""

import pytest
import torch
from torch import nn

from lab.errors import BadSetting
from lab.networks import Recurrent


def step(cell, x, h, c, w, u, b, d):
    """One step of the equations, with w x + b of the input and u h + d of the state."""
    gates, states = x @ w.T + b, h @ u.T + d
    if cell == "rnn":
        return torch.tanh(gates + states), c
    if cell == "lstm":
        i, f, g, o = (gates + states).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c
    (r, z, n), (hr, hz, hn) = gates.chunk(3, 1), states.chunk(3, 1)
    reset, update = (r + hr).sigmoid(), (z + hz).sigmoid()
    return (1 - update) * (n + reset * hn).tanh() + update * h, c


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_cell_is_its_equations(cell):
    torch.manual_seed(0)
    network, x = Recurrent(3, 4, cell), torch.randn(2, 6, 3)
    w, u, b, d = network.layers.parameters()
    h = c = torch.zeros(2, 4)
    expected = []
    for t in range(6):
        h, c = step(cell, x[:, t], h, c, w, u, b, d)
        expected.append(h)
    outputs, last, _ = network(x)
    torch.testing.assert_close(outputs, torch.stack(expected, 1))
    torch.testing.assert_close(last, expected[-1])


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_changes_nothing(cell, bidirectional):
    torch.manual_seed(0)
    network = Recurrent(3, 4, cell, depth=2, bidirectional=bidirectional)
    x, lengths = torch.randn(3, 6, 3), torch.tensor([2, 5, 4])
    outputs, last, _ = network(x, lengths)
    assert outputs.shape == (3, 6, network.out_features) == (3, 6, 8 if bidirectional else 4)
    for i, length in enumerate(lengths.tolist()):
        alone, last_alone, _ = network(x[i : i + 1, :length])
        torch.testing.assert_close(outputs[i, :length], alone[0])
        torch.testing.assert_close(last[i], last_alone[0])
        assert not outputs[i, length:].any()


def test_the_last_state_of_both_directions_has_seen_everything():
    torch.manual_seed(0)
    network = Recurrent(3, 4, "gru", bidirectional=True)
    outputs, last, _ = network(torch.randn(2, 6, 3))
    torch.testing.assert_close(last, torch.cat([outputs[:, -1, :4], outputs[:, 0, 4:]], 1))


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_a_sequence_in_pieces_is_the_whole_one(cell):
    torch.manual_seed(0)
    network, x, state, pieces = Recurrent(3, 4, cell, depth=2), torch.randn(2, 6, 3), None, []
    for t in range(6):
        outputs, last, state = network(x[:, t : t + 1], state=state)
        pieces.append(outputs)
    whole = network(x)
    torch.testing.assert_close(torch.cat(pieces, 1), whole.outputs)
    torch.testing.assert_close(last, whole.last)


def test_a_gradient_reaches_every_weight():
    torch.manual_seed(0)
    network = Recurrent(3, 4, depth=2, bidirectional=True, dropout=0.2)
    network(torch.randn(4, 5, 3)).last.square().sum().backward()
    assert [key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_dropout_stands_between_layers_alone(recwarn):
    assert Recurrent(3, 4, depth=1, dropout=0.5).layers.dropout == 0
    assert Recurrent(3, 4, depth=2, dropout=0.5).layers.dropout == 0.5
    assert not [warning for warning in recwarn if "dropout" in str(warning.message)]


def test_a_gru_has_three_quarters_of_the_weights_of_an_lstm():
    counts = {cell: sum(p.numel() for p in Recurrent(8, 16, cell).parameters()) for cell in ("rnn", "gru", "lstm")}
    assert counts["gru"] * 4 == counts["lstm"] * 3
    assert counts["rnn"] * 4 == counts["lstm"]


def test_an_unknown_cell_is_one_line():
    with pytest.raises(BadSetting, match=r"^cell: there is no 'lsmt'; did you mean 'lstm'\?$"):
        Recurrent(3, 4, "lsmt")
    assert isinstance(Recurrent(3, 4).layers, nn.LSTM)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_mixed_precision_on_a_cpu_computes_states_in_single_precision(cell):
    network, x, lengths = Recurrent(3, 4, cell, depth=2), torch.randn(2, 5, 3), torch.tensor([5, 2])
    with torch.autocast("cpu", torch.bfloat16):
        mixed = [network(nn.functional.relu(x).bfloat16(), given).outputs for given in (None, lengths)]
    plain = [network(nn.functional.relu(x).bfloat16().float(), given).outputs for given in (None, lengths)]
    assert mixed[0].dtype == torch.float32
    torch.testing.assert_close(mixed, plain, rtol=0, atol=0)
    mixed[1].sum().backward()
