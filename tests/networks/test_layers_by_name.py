"""Activations, normalisations and initialisations by name, against their formulas."""

import math
from typing import get_args

import pytest
import torch
from torch import nn

from lab.errors import BadSetting
from lab.networks import ACTIVATIONS, INITS, MLP, NORMS, Activation, Init, Norm, initialize, make_activation, make_norm

X = torch.linspace(-3, 3, 13)
FORMULAS = {
    "relu": X.clamp(min=0),
    "leaky_relu": torch.where(X > 0, X, 0.01 * X),
    "prelu": torch.where(X > 0, X, 0.25 * X),
    "elu": torch.where(X > 0, X, X.exp() - 1),
    "selu": 1.0507009873554805 * torch.where(X > 0, X, 1.6732632423543772 * (X.exp() - 1)),
    "gelu": X * 0.5 * (1 + torch.erf(X / math.sqrt(2))),
    "silu": X / (1 + (-X).exp()),
    "softplus": (1 + X.exp()).log(),
    "tanh": (X.exp() - (-X).exp()) / (X.exp() + (-X).exp()),
    "sigmoid": 1 / (1 + (-X).exp()),
    "identity": X,
}


@pytest.mark.parametrize("name", get_args(Activation))
def test_an_activation_is_its_formula(name):
    torch.testing.assert_close(make_activation(name)(X), FORMULAS[name])


def test_signatures_and_tables_name_the_same():
    for literal, table in ((Activation, ACTIVATIONS), (Norm, NORMS), (Init, INITS)):
        assert get_args(literal) == tuple(table)


def test_a_normalisation_is_its_formula():
    torch.manual_seed(0)
    x = 3 * torch.randn(50, 4) + 1
    expected = {
        "none": x,
        "batch": (x - x.mean(0)) / x.std(0, correction=0),
        "layer": (x - x.mean(1, keepdim=True)) / x.std(1, correction=0, keepdim=True),
        "rms": x / x.square().mean(1, keepdim=True).sqrt(),
    }
    for name, values in expected.items():
        torch.testing.assert_close(make_norm(name, 4)(x), values, atol=1e-4, rtol=1e-4)


STD = {  # of weights (400 out, 100 in)
    "xavier_uniform": math.sqrt(2 / 500),
    "xavier_normal": math.sqrt(2 / 500),
    "kaiming_uniform": math.sqrt(2 / 100),
    "kaiming_normal": math.sqrt(2 / 100),
    "orthogonal": math.sqrt(1 / 400),  # each of the 100 columns has length 1
    "normal": 0.02,
    "zeros": 0.0,
    "default": 1 / math.sqrt(3 * 100),  # uniform to 1 / sqrt(in)
}


@pytest.mark.parametrize("name", get_args(Init))
def test_first_weights_have_the_spread_of_their_formula(name):
    torch.manual_seed(0)
    layer = nn.Linear(100, 400)
    initialize(layer, name, gain=3.0)
    assert float(layer.weight.detach().std()) == pytest.approx(3 * STD[name], rel=0.02)
    assert bool(layer.bias.any()) is (name == "default")


def test_each_matrix_of_a_layer_is_initialised_by_itself():
    torch.manual_seed(0)
    recurrent = [nn.LSTM(6, 6), nn.GRU(6, 6, bidirectional=True)]
    attention = [nn.MultiheadAttention(6, 2), nn.MultiheadAttention(6, 2, kdim=6, vdim=5)]
    network = nn.ModuleList([*recurrent, *attention, nn.Conv1d(6, 6, 1)])
    initialize(network, "orthogonal")
    weights = {key: p for key, p in network.named_parameters() if "weight" in key}
    assert len(weights) == 2 + 4 + 2 + 4 + 1
    for weight in weights.values():
        for matrix in weight.squeeze(-1).split(6):
            product = matrix.T @ matrix  # the columns stand at right angles, also of the matrix of 6 x 5
            torch.testing.assert_close(product, torch.eye(len(product)), atol=1e-5, rtol=0)
    assert not any(p.any() for key, p in network.named_parameters() if "bias" in key)


def test_normalisation_and_embeddings_keep_their_first_weights():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Embedding(5, 4), nn.LayerNorm(4), nn.Linear(4, 4))
    before = [p.clone() for p in network[:2].parameters()]
    initialize(network, "zeros")
    assert all(torch.equal(*pair) for pair in zip(before, network[:2].parameters(), strict=True))
    assert not any(p.any() for p in network[2].parameters())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_activation("reluu"), "activation: there is no 'reluu'; did you mean 'relu'?"),
        (lambda: make_activation("swish"), "activation: there is no 'swish'; did you mean 'silu'?"),
        (lambda: make_activation("xyz"), "activation: there is no 'xyz'; known are relu, leaky_relu, "),
        (lambda: make_norm("batch_norm", 3), "norm: there is no 'batch_norm'; did you mean 'batch'?"),
        (lambda: initialize(nn.Linear(1, 1), "he_normal"), "init: there is no 'he_normal'; did you mean 'kaiming_"),
        (lambda: MLP(2, [3], 1, activation="thanh"), "activation: there is no 'thanh'; did you mean 'tanh'?"),
        (lambda: MLP(2, [3], 1, norm="btch"), "norm: there is no 'btch'; did you mean 'batch'?"),
        (lambda: MLP(2, [3], 1, init="xavier"), "init: there is no 'xavier'; did you mean 'xavier_"),
    ],
)
def test_an_unknown_name_is_one_line(make, message):
    with pytest.raises(BadSetting) as error:
        make()
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
