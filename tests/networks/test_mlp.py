"""The multilayer perceptron: layers, first weights, gradients."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lab.networks import MLP, OutputLinear


def kinds(network):
    return [type(layer) for layer in network]


def test_it_computes_what_its_formula_says():
    torch.manual_seed(0)
    network, x = MLP(3, [5, 4], 2, activation="tanh"), torch.randn(7, 3)
    (w1, b1, w2, b2, w3, b3), values = network.parameters(), x
    for w, b in ((w1, b1), (w2, b2)):
        values = torch.tanh(values @ w.T + b)
    torch.testing.assert_close(network(x), values @ w3.T + b3)
    torch.testing.assert_close(network(x.view(7, 1, 3)), network(x).view(7, 1, 2))


def test_its_first_weights_are_those_of_the_layers_one_after_the_other():
    torch.manual_seed(0)
    network = MLP(3, [5, 4], 2)
    torch.manual_seed(0)
    by_hand = nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2))
    assert list(network.state_dict()) == list(by_hand.state_dict())
    assert all(torch.equal(*pair) for pair in zip(network.parameters(), by_hand.parameters(), strict=True))


def test_layers_stand_in_the_order_that_is_documented():
    hidden = [nn.Linear, nn.BatchNorm1d, nn.GELU, nn.Dropout]
    network = MLP(3, [5, 5], 2, activation="gelu", norm="batch", dropout=0.5)
    assert kinds(network) == [*hidden, *hidden, OutputLinear]
    assert kinds(MLP(3, [5], None)) == [nn.Linear, nn.ReLU]
    assert kinds(MLP(3, [], 2)) == [OutputLinear]
    assert network[3].p == 0.5


def test_sizes_are_known():
    assert (MLP(3, [5, 4], 2).in_features, MLP(3, [5, 4], 2).out_features) == (3, 2)
    assert MLP(3, [5, 4], None).out_features == 4
    assert MLP(3, [], None).out_features == 3


def test_a_slice_is_a_sequence_of_its_layers():
    network, x = MLP(3, [5, 4], 2, activation="tanh"), torch.randn(7, 3)
    assert torch.equal(network[-1](network[:-1](x)), network(x))
    assert isinstance(network[0], nn.Linear)


@pytest.mark.parametrize("norm", ["none", "batch", "layer", "rms"])
def test_a_gradient_reaches_every_weight(norm):
    torch.manual_seed(0)
    network = MLP(3, [8, 8], 2, activation="silu", norm=norm)
    F.mse_loss(network(torch.randn(16, 3)), torch.randn(16, 2)).backward()
    assert [key for key, p in network.named_parameters() if p.grad is None] == []
    assert all(p.grad.any() for key, p in network.named_parameters() if "weight" in key)


def test_dropout_drops_in_training_alone():
    torch.manual_seed(0)
    network, x = MLP(3, [1000], 1, dropout=0.3), torch.ones(1, 3)
    positive = network[:2](x) > 0
    dropped = (network[:-1](x) == 0) & positive
    assert float(dropped.sum() / positive.sum()) == pytest.approx(0.3, abs=0.06)
    network.eval()
    assert torch.equal(network[:-1](x), network[:2](x))


def test_a_gain_makes_first_weights_larger():
    torch.manual_seed(0)
    small = MLP(30, [50], 10, init="xavier_normal")
    torch.manual_seed(0)
    large = MLP(30, [50], 10, init="xavier_normal", gain=4.0)
    torch.testing.assert_close(large[0].weight, 4 * small[0].weight)


@pytest.mark.parametrize("norm", ["none", "layer"])
def test_as_a_function_it_gives_the_same_numbers(norm):
    net, features = MLP(3, [8, 8], 2, activation="tanh", norm=norm), torch.randn(5, 3)
    assert torch.equal(net.as_function()(features), net(features))
