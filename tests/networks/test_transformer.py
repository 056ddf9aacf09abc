"""Transformers: against the written-out equations; masks that leak nothing; attention that can be drawn."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lab.errors import BadInput
from lab.networks import (
    LearnedPositions,
    SinusoidalPositions,
    TextEncoder,
    TransformerDecoder,
    TransformerEncoder,
    causal_mask,
    padding_mask,
    record_attention,
)


def attend(layer, queries, keys, blocked):
    """Multi-head attention by hand: outputs (B, T, W), weights (B, H, T, S); `blocked` fits (B, H, T, S)."""
    width, heads = layer.embed_dim, layer.num_heads
    weights, biases = layer.in_proj_weight.chunk(3), layer.in_proj_bias.chunk(3)
    q, k, v = (
        F.linear(x, w, b).unflatten(-1, (heads, width // heads)).transpose(1, 2)
        for x, w, b in zip((queries, keys, keys), weights, biases, strict=True)
    )
    scores = (q @ k.mT / math.sqrt(width // heads)).masked_fill(blocked, -torch.inf)
    shares = scores.softmax(-1)
    return layer.out_proj((shares @ v).transpose(1, 2).flatten(2)), shares


def perceptron(layer, x):
    return layer.linear2(F.gelu(layer.linear1(x)))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("norm_first", [False, True])
def test_an_encoder_is_its_equations(norm_first, causal):
    torch.manual_seed(0)
    encoder, x = TransformerEncoder(8, 2, heads=2, norm_first=norm_first).eval(), torch.randn(3, 5, 8)
    padding = padding_mask(torch.tensor([5, 3, 1]), 5)
    blocked = padding[:, None, None] | (causal_mask(5) if causal else torch.zeros(5, 5, dtype=torch.bool))
    expected = x
    for layer in encoder.layers:
        if norm_first:
            normed = layer.norm1(expected)
            expected = expected + attend(layer.self_attn, normed, normed, blocked)[0]
            expected = expected + perceptron(layer, layer.norm2(expected))
        else:
            expected = layer.norm1(expected + attend(layer.self_attn, expected, expected, blocked)[0])
            expected = layer.norm2(expected + perceptron(layer, expected))
    if norm_first:
        expected = F.layer_norm(expected, (8,))
    for context in (torch.enable_grad(), torch.inference_mode()):  # the second one takes torch's fused path
        with context:
            torch.testing.assert_close(encoder(x, padding, causal)[~padding], expected[~padding], atol=1e-5, rtol=1e-4)


def test_a_decoder_is_its_equations():
    torch.manual_seed(0)
    decoder = TransformerDecoder(8, 2, heads=2).eval()
    x, memory = torch.randn(3, 5, 8), torch.randn(3, 4, 8)
    memory_padding = padding_mask(torch.tensor([4, 2, 1]), 4)
    expected = x
    for layer in decoder.layers:
        normed = layer.norm1(expected)
        expected = expected + attend(layer.self_attn, normed, normed, causal_mask(5))[0]
        normed = layer.norm2(expected)
        expected = expected + attend(layer.multihead_attn, normed, memory, memory_padding[:, None, None])[0]
        expected = expected + perceptron(layer, layer.norm3(expected))
    found = decoder(x, memory, memory_padding=memory_padding)
    torch.testing.assert_close(found, F.layer_norm(expected, (8,)), atol=1e-5, rtol=1e-4)


def changed(network, x, position):
    """The positions of the output (T,) that notice another input at one position."""
    other = x.clone()
    other[:, position] = torch.randn_like(other[:, position])
    with torch.inference_mode():
        return ((network(x) - network(other)).abs().amax((0, 2)) > 1e-5).tolist()


@pytest.mark.parametrize("position", range(5))
def test_a_causal_mask_leaks_nothing(position):
    torch.manual_seed(0)
    x, memory = torch.randn(2, 5, 8), torch.randn(2, 3, 8)
    encoder, decoder = TransformerEncoder(8, 2, heads=2).eval(), TransformerDecoder(8, 2, heads=2).eval()
    later = [t >= position for t in range(5)]
    assert changed(lambda x: encoder(x, causal=True), x, position) == later
    assert changed(lambda x: decoder(x, memory), x, position) == later
    assert all(changed(encoder, x, position)), "without a mask every position sees it"


def test_padded_positions_change_nothing():
    torch.manual_seed(0)
    x, memory = torch.randn(2, 5, 8), torch.randn(2, 4, 8)
    encoder, decoder = TransformerEncoder(8, 2, heads=2).eval(), TransformerDecoder(8, 2, heads=2).eval()
    padding, memory_padding = padding_mask(torch.tensor([3, 5]), 5), padding_mask(torch.tensor([4, 2]), 4)
    noisy = x.masked_fill(padding.unsqueeze(2), 100.0)
    noisy_memory = memory.masked_fill(memory_padding.unsqueeze(2), 100.0)
    torch.testing.assert_close(encoder(noisy, padding)[~padding], encoder(x, padding)[~padding])
    torch.testing.assert_close(encoder(x, padding)[0, :3], encoder(x[:1, :3])[0])
    found = decoder(noisy, noisy_memory, memory_padding)
    torch.testing.assert_close(found[~padding], decoder(x, memory, memory_padding)[~padding])


def test_layers_begin_with_weights_of_their_own():
    first, second = TransformerEncoder(8, 2, heads=2).layers
    assert not torch.equal(first.linear1.weight, second.linear1.weight)


def test_a_gradient_reaches_every_weight():
    torch.manual_seed(0)
    encoder, decoder = TransformerEncoder(8, 2, heads=2), TransformerDecoder(8, 2, heads=2)
    target = torch.randn(4, 5, 8)
    F.mse_loss(decoder(torch.randn(4, 5, 8), encoder(torch.randn(4, 3, 8))), target).backward()
    for network in (encoder, decoder):
        assert [key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_an_encoder_layer_is_torchs_own():
    torch.manual_seed(0)
    ours, x = TransformerEncoder(8, 1, heads=2, dropout=0.0), torch.randn(2, 5, 8)
    torch.manual_seed(0)
    theirs = nn.TransformerEncoderLayer(8, 2, 16, 0.0, F.gelu, batch_first=True, norm_first=True)
    assert torch.equal(ours(x), F.layer_norm(theirs(x), (8,), torch.ones(8), torch.zeros(8)))


# ---- attention that can be drawn -------------------------------------------------------------------------------------


def test_recorded_attention_is_what_the_layers_computed():
    torch.manual_seed(0)
    encoder, x = TransformerEncoder(8, 2, heads=2).eval(), torch.randn(3, 5, 8)
    padding = padding_mask(torch.tensor([5, 3, 1]), 5)
    with torch.inference_mode():
        before = encoder(x, padding)
        with record_attention(encoder) as weights:
            during = encoder(x, padding)
        normed = encoder.layers[0].norm1(x)
        expected = attend(encoder.layers[0].self_attn, normed, normed, padding[:, None, None])[1]
    assert list(weights) == ["layers.0.self_attn", "layers.1.self_attn"]
    torch.testing.assert_close(weights["layers.0.self_attn"], expected)
    torch.testing.assert_close(during[~padding], before[~padding], atol=1e-5, rtol=1e-5)
    assert not weights["layers.1.self_attn"][1, ..., 3:].any(), "nothing looks at padding"


def test_recording_leaves_the_network_as_it_was():
    torch.manual_seed(0)
    decoder, x, memory = TransformerDecoder(8, 1, heads=2).eval(), torch.randn(2, 5, 8), torch.randn(2, 3, 8)
    before = decoder(x, memory)
    with record_attention(decoder) as weights:
        decoder(x, memory)
    shapes = {name: tuple(each.shape) for name, each in weights.items()}
    assert shapes == {"layers.0.self_attn": (2, 2, 5, 5), "layers.0.multihead_attn": (2, 2, 5, 3)}
    assert not weights["layers.0.self_attn"].triu(1).any()
    kept = dict(weights)
    assert torch.equal(decoder(x + 1, memory), decoder(x + 1, memory))
    assert all(kept[name] is weights[name] for name in kept), "nothing is recorded any more"
    assert torch.equal(decoder(x, memory), before)


# ---- positions, texts ------------------------------------------------------------------------------------------------


def test_sinusoidal_positions_are_those_of_the_paper():
    found = SinusoidalPositions(40, 6)(torch.zeros(1, 40, 6))[0]
    for position in (0, 1, 7, 39):
        for i in range(3):
            angle = position / 10_000 ** (2 * i / 6)
            assert float(found[position, 2 * i]) == pytest.approx(math.sin(angle), abs=1e-5)
            assert float(found[position, 2 * i + 1]) == pytest.approx(math.cos(angle), abs=1e-5)


@pytest.mark.parametrize("kind", [LearnedPositions, SinusoidalPositions])
def test_a_sequence_that_is_too_long_is_one_line(kind):
    positions = kind(4, 6)
    assert positions(torch.zeros(2, 4, 6)).shape == (2, 4, 6)
    with pytest.raises(BadInput, match=r"^this network takes sequences of at most 4 steps, found 5$"):
        positions(torch.zeros(2, 5, 6))


def test_learned_positions_are_weights_of_the_spread_that_is_asked_for():
    torch.manual_seed(0)
    positions = LearnedPositions(100, 100, std=0.02)
    assert [tuple(p.shape) for p in positions.parameters()] == [(100, 100)]
    assert float(positions.weight.detach().std()) == pytest.approx(0.02, rel=0.05)


def test_a_text_is_the_mean_of_its_tokens_and_padding_changes_nothing():
    torch.manual_seed(0)
    encoder = TextEncoder(20, width=8, depth=1, max_length=6, heads=2).eval()
    short, long = torch.tensor([[3, 7]]), torch.tensor([[3, 7, 0, 0, 0]])
    torch.testing.assert_close(encoder(short), encoder(long))
    states = encoder.transformer(encoder.embedding(short) + encoder.positions.weight[:2])
    torch.testing.assert_close(encoder(short), states.mean(1))
    assert not torch.allclose(encoder(short), encoder(short.flip(1)), atol=1e-4), "it reads words in their order"


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_decoder_goes_on_from_what_it_has_seen(norm_first):
    torch.manual_seed(0)
    decoder = TransformerDecoder(8, 2, heads=2, norm_first=norm_first).eval()
    x, memory, padding = torch.randn(3, 5, 8), torch.randn(3, 4, 8), padding_mask(torch.tensor([4, 2, 1]), 4)
    seen = []
    for place in range(5):
        found, seen = decoder.step(x[:, place : place + 1], memory, padding, seen)
        torch.testing.assert_close(found[:, 0], decoder(x, memory, padding)[:, place])
