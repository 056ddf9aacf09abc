"""In a training with mixed precision hidden layers take half of it, and values the precision of their weights."""

import pytest
import torch
from torch import nn

from lab.networks import MLP, OutputLinear
from lab.rl.networks.actor_critic import Critics
from lab.rl.networks.batch_renorm import RenormCritics, RenormMLP
from lab.rl.networks.q_network import QNetwork
from lab.rl.networks.recurrent_q import RecurrentQNetwork
from lab.rl.networks.simba import SimbaCritics

SEEN, DONE = torch.randn(8, 3), torch.randn(8, 2)
VALUES = {
    "mlp": lambda: MLP(3, [16], 1)(SEEN),
    "critics": lambda: Critics(3, 2, [16], 2)(SEEN, DONE),
    "quantiles": lambda: Critics(3, 2, [16], 2, outputs=5)(SEEN, DONE),
    "renorm mlp": lambda: RenormMLP(3, [16], 2)(SEEN),
    "renorm": lambda: RenormCritics(3, 2, [16], 2)(SEEN, DONE),
    "renorm on batch": lambda: RenormCritics(3, 2, [16], 2).on_batch(SEEN, DONE),
    "simba": lambda: SimbaCritics(3, 2, [16], 2)(SEEN, DONE),
    "q": lambda: QNetwork(3, 2, [16])(SEEN),
    "dueling": lambda: QNetwork(3, 2, [16, 16], dueling=True)(SEEN),
    "noisy": lambda: (network := QNetwork(3, 2, [16], sigma=0.5))(SEEN, torch.randn(network.noise_size)),
    "recurrent": lambda: RecurrentQNetwork(3, 2, "gru", 16, [16])(SEEN[None], torch.zeros(1, 16))[0],
}


@pytest.mark.parametrize("name", VALUES)
def test_values_are_in_single_precision(name):
    """Whole numbers of bfloat16 above 256 are even, and returns are often larger."""
    with torch.autocast("cpu", torch.bfloat16):
        values = VALUES[name]()
    assert values.dtype == torch.float32
    assert (values.bfloat16() != values).any()


def test_hidden_layers_are_not():
    net = MLP(3, [16], 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert net[0](SEEN).dtype == torch.bfloat16


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float64])
def test_without_mixed_precision_outputs_are_those_of_a_linear_layer(kind):
    layer = OutputLinear(3, 2).to(kind)
    assert torch.equal(layer(SEEN.to(kind)), nn.functional.linear(SEEN.to(kind), layer.weight, layer.bias))
