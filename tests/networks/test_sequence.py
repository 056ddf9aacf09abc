"""Networks over sequences by name: what a step sees, padding, equal weights, and truncated backpropagation."""

import pytest
import torch

from lab.errors import BadInput, BadSetting
from lab.networks import SEQUENCE_NETWORKS, Recurrent, SequenceNetwork, TemporalConvolution

RECURRENT = ("rnn", "lstm", "gru")


def seen_by(network, x, position):
    """The steps of the output (T,) that notice another input at one position."""
    other = x.clone()
    other[:, position] += 1
    with torch.inference_mode():
        return ((network(x).outputs - network(other).outputs).abs().amax((0, 2)) > 1e-7).tolist()


@pytest.mark.parametrize("name", SEQUENCE_NETWORKS)
def test_a_step_sees_the_past_or_everything(name):
    torch.manual_seed(0)
    x = torch.randn(2, 6, 3)
    causal = SequenceNetwork(name, 3, hidden=8, depth=2).eval()
    assert seen_by(causal, x, 3) == [t >= 3 for t in range(6)]
    assert causal(x).last.shape == (2, causal.out_features)
    torch.testing.assert_close(causal(x).last, causal(x).outputs[:, -1])
    both = SequenceNetwork(name, 3, hidden=8, depth=2, bidirectional=True).eval()
    assert all(seen_by(both, x, 3))
    assert both(x).outputs.shape == (2, 6, both.out_features)


@pytest.mark.parametrize("name", SEQUENCE_NETWORKS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_what_lies_behind_a_sequence_changes_nothing(name, bidirectional):
    torch.manual_seed(0)
    network = SequenceNetwork(name, 3, hidden=8, depth=2, bidirectional=bidirectional).eval()
    x, lengths = torch.randn(3, 6, 3), torch.tensor([6, 4, 1])
    with torch.inference_mode():
        outputs, last = network(x, lengths)
        for i, length in enumerate(lengths.tolist()):
            alone = network(x[i : i + 1, :length])
            torch.testing.assert_close(outputs[i, :length], alone.outputs[0])
            torch.testing.assert_close(last[i], alone.last[0])


@pytest.mark.parametrize("name", SEQUENCE_NETWORKS)
@pytest.mark.parametrize("depth", [1, 3])
def test_equal_weights_are_as_many_as_fit(name, depth):
    before = torch.random.get_rng_state()
    torch.manual_seed(0)
    start = torch.random.get_rng_state()
    network = SequenceNetwork(name, 3, num_weights=30_000, depth=depth)

    def count(network):
        return sum(weights.numel() for weights in network.parameters())

    assert count(network) <= 30_000 < count(SequenceNetwork(name, 3, network.hidden + network.step, depth=depth))
    torch.random.set_rng_state(start)
    direct = SequenceNetwork(name, 3, network.hidden, depth=depth)
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), direct.parameters(), strict=True))
    torch.random.set_rng_state(before)


def test_a_convolution_sees_its_receptive_field():
    torch.manual_seed(0)
    network = TemporalConvolution(1, 4, depth=2).eval()
    assert network.receptive_field == 13
    x = torch.zeros(1, 20, 1, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(x)[0, -1].sum(), x)
    assert int((gradient != 0).sum()) <= 13
    assert not gradient[0, : 20 - 13].any()


@pytest.mark.parametrize("cell", RECURRENT)
def test_a_truncated_gradient_ends_where_it_is_told_to(cell):
    torch.manual_seed(0)
    whole = Recurrent(2, 4, cell)
    truncated = Recurrent(2, 4, cell, tbptt_steps=3)
    truncated.load_state_dict(whole.state_dict())
    x = torch.randn(2, 8, 2, requires_grad=True)
    torch.testing.assert_close(truncated(x).outputs, whole(x).outputs)
    torch.testing.assert_close(truncated(x).last, whole(x).last)

    def reaches(network):
        (gradient,) = torch.autograd.grad(network(x).last.sum(), x)
        return (gradient.abs().amax((0, 2)) > 0).tolist()

    assert reaches(whole) == [True] * 8
    assert reaches(truncated) == [False] * 6 + [True] * 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "lsmt", "hidden": 8}, "network: there is no 'lsmt'; did you mean 'lstm'?"),
        ({"name": "lstm"}, "hidden: give either `hidden` or `num_weights`"),
        ({"name": "lstm", "hidden": 8, "num_weights": 99}, "hidden: give either `hidden` or `num_weights`"),
        ({"name": "lstm", "num_weights": 5}, "num_weights: expected at least 24, which the narrowest network has"),
        ({"name": "transformer", "hidden": 6}, "hidden: expected a multiple of 4 for a transformer, found 6"),
        ({"name": "tcn", "hidden": 8, "tbptt_steps": 5}, "tbptt_steps: only rnn, lstm and gru"),
        ({"name": "rnn", "hidden": 8, "chrono_steps": 9}, "chrono_steps: rnn has no gate that keeps its state"),
        ({"name": "gru", "hidden": 8, "bidirectional": True, "tbptt_steps": 5}, "tbptt_steps: only rnn, lstm and gru"),
    ],
)
def test_what_cannot_be_is_one_line(settings, message):
    with pytest.raises(BadSetting) as error:
        SequenceNetwork(in_features=3, **settings)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_state_is_kept_for_the_steps_of_the_chrono_initialisation(cell):
    torch.manual_seed(0)
    network = Recurrent(2, 400, cell, depth=2, chrono_steps=100)
    for layer in (0, 1):
        bias = getattr(network.layers, f"bias_ih_l{layer}") + getattr(network.layers, f"bias_hh_l{layer}")
        bias = bias.detach()
        kept = bias[400:800].sigmoid()  # input, forget, cell, output of an LSTM; reset, update, new of a GRU
        steps = 1 / (1 - kept)
        assert 2 <= float(steps.min()) < 5
        assert 95 < float(steps.max()) <= 100
        if cell == "lstm":
            torch.testing.assert_close(bias[:400].sigmoid(), 1 - kept)
    with torch.inference_mode():
        state = network(torch.zeros(1, 20, 2), state=network(torch.randn(1, 5, 2)).state).state
    assert all(part.isfinite().all() for part in state)


def test_a_sequence_longer_than_the_context_is_one_line():
    network = SequenceNetwork("transformer", 3, hidden=8, max_length=5)
    with pytest.raises(BadInput, match=r"^this network takes sequences of at most 5 steps, found 6$"):
        network(torch.zeros(1, 6, 3))


def test_lengths_and_truncation_are_refused_together():
    with pytest.raises(BadInput, match="all sequences have the same length"):
        Recurrent(2, 4, tbptt_steps=3)(torch.zeros(1, 6, 2), torch.tensor([4]))
