"""A compiled update with wrong gradients is found out in its first call, and a right one is used as it is."""

import warnings

import pytest
import torch
from torch import nn

from lab.rl.common.adam import Adam, adam_
from lab.rl.recording.compiled_update import CompiledUpdate


def same(name, gradient):
    return gradient


class Toy(nn.Module):
    """A square layer, as it is in a network, and a weight whose gradient is next to nothing."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.tiny = nn.Linear(4, 4), nn.Parameter(torch.ones(()))
        self.optimizer = Adam([{"params": list(self.parameters()), "lr": 0.01}])
        self.calls = []

    def update(self, state, batch, change=same, who="eager", **flags):
        loss = (self.layer(batch).square().sum() + 1e-6 * self.tiny) * (2 if flags.get("twice") else 1)
        parameters, first, second, steps, rate, betas = state[0]
        names = dict(self.named_parameters())
        gradients = dict(zip(names, torch.autograd.grad(loss, list(names.values())), strict=True))
        adam_([change(name, gradients[name]) for name in names], parameters, first, second, steps, rate, betas)
        self.calls.append(who)
        return {"loss": loss.detach()}


def train(change, updates=3, checked=True, **flags):
    toy = Toy()
    compiled = lambda state, batch, **given: toy.update(state, batch, change, "compiled", **given)  # noqa: E731
    update = CompiledUpdate(toy, toy.update, compiled) if checked else compiled
    state, generator = toy.optimizer.tensors(), torch.Generator().manual_seed(1)
    toy.results = [update(state, torch.randn(8, 4, generator=generator), **flags) for _ in range(updates)]
    return toy


def transposed(name, gradient):
    """Of the right norm, and wrong."""
    return gradient.T.contiguous() if name == "layer.weight" else gradient


def rounded(name, gradient):
    return gradient * (1.02 if name == "layer.weight" else 1.0 if name == "layer.bias" else -3.0)


def test_a_right_update_is_used_from_its_first_call():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        toy, alone = train(same), train(same, checked=False)
    assert toy.calls == ["eager", "compiled", "compiled", "compiled"]
    assert all(torch.equal(one, other) for one, other in zip(toy.parameters(), alone.parameters(), strict=True))
    assert toy.results == alone.results


def test_an_update_with_a_transposed_gradient_stays_eager():
    with pytest.warns(
        UserWarning, match=r"torch.compile gives Toy a wrong gradient of layer.weight: its update stays ea"
    ):
        toy = train(transposed)
    alone = train(same, checked=False)
    assert toy.calls == ["eager", "compiled", "eager", "eager", "eager"]
    assert all(torch.equal(one, other) for one, other in zip(toy.parameters(), alone.parameters(), strict=True))


def test_a_gradient_that_is_no_number_is_found_out():
    with pytest.warns(UserWarning, match="a wrong gradient of layer.bias"):
        train(lambda name, gradient: gradient * (float("nan") if name == "layer.bias" else 1))


def test_rounding_is_no_mistake():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert train(rounded).calls[-1] == "compiled"


def test_each_combination_of_flags_and_shapes_is_checked():
    toy = Toy()
    update = CompiledUpdate(toy, toy.update, lambda *given, **flags: toy.update(*given, who="compiled", **flags))
    for rows, twice in [(8, False), (8, True), (8, True), (4, False), (8, False)]:
        update(toy.optimizer.tensors(), torch.ones(rows, 4), twice=twice)
    assert toy.calls == ["eager", "compiled"] * 2 + ["compiled"] + ["eager", "compiled"] + ["compiled"]
