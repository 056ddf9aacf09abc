"""Dropout from 16 random bits for each value: its share, its mean, its gradient, and when it does nothing."""

import pytest
import torch

from lab.networks import Dropout


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_share_is_dropped_and_the_mean_stays(share):
    torch.manual_seed(0)
    x = torch.ones(300, 333, requires_grad=True)
    dropped = Dropout(share)(x)
    assert float((dropped == 0).float().mean()) == pytest.approx(share, abs=0.01)
    assert float(dropped.mean()) == pytest.approx(1, abs=0.03)
    dropped.sum().backward()
    assert torch.equal(x.grad, dropped)


def test_neighbours_are_independent():
    torch.manual_seed(0)
    kept = Dropout(0.5)(torch.ones(100_000)) > 0
    for distance in (1, 2, 3, 4):
        assert float((kept[distance:] & kept[:-distance]).float().mean()) == pytest.approx(0.25, abs=0.01)


def test_a_seed_repeats_it_and_evaluation_leaves_it_out():
    layer, x = Dropout(0.3), torch.randn(5, 7, dtype=torch.bfloat16)
    first, other = (layer(x) for _ in range(2) if torch.manual_seed(0))
    assert torch.equal(first, other)
    assert first.dtype == x.dtype
    assert torch.equal(layer.eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)
