"""A trace is the list of a function's operations, and a recording gives with it what the function gives."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from lab.rl.recording.recording import Recording
from lab.rl.recording.tracing import Trace


def targets(function, *inputs) -> list[str]:
    """The operations of a recording."""
    graph = Recording(function, *inputs).forward.func.__self__.graph
    return [getattr(node.target, "__name__", str(node.target)) for node in graph.nodes if node.op == "call_function"]


def test_gradients_are_operations_like_all_others():
    weight = torch.ones(3, requires_grad=True)

    def slope(x):
        return {"slope": torch.autograd.grad((weight * x).sum(), weight)[0]}

    graph = Trace(slope, torch.ones(3)).graph
    names = [str(node.target) for node in graph.nodes if node.op == "call_function"]
    assert "aten.mul.Tensor" in names
    assert "aten.ones_like.default" in names, "where the gradient begins"


def test_a_number_taken_out_of_a_tensor_is_refused():
    with pytest.raises(ValueError, match="takes a number out of a tensor"):
        Trace(lambda x: {"twice": x * x.sum().item()}, torch.ones(2))


def test_what_shapes_alone_decide_is_computed_once():
    weight = torch.ones(4, 2, requires_grad=True)

    def slope(x):
        return {"slope": torch.autograd.grad(F.mse_loss(x @ weight.T, torch.zeros(3, 4)), weight)[0]}

    found = targets(slope, torch.rand(3, 2))
    assert not {"ones_like.default", "zeros.default"} & set(found)
    x = torch.rand(3, 2)
    assert torch.equal(Recording(slope, torch.rand(3, 2))(x)["slope"], slope(x)["slope"])


def test_a_filled_tensor_that_is_written_is_filled_again_in_every_call():
    def count(x):
        total = torch.zeros(2)
        total.view(2).add_(x)  # written through a view
        return {"total": total}

    record = Recording(count, torch.ones(2))
    for _ in range(2):
        assert record(torch.ones(2))["total"].tolist() == [1.0, 1.0]


def test_random_numbers_are_drawn_anew_in_every_call():
    def drop(x):
        return {"kept": F.dropout(torch.ones(64), 0.5, training=True) * x}

    record = Recording(drop, torch.ones(64))
    first, second = (record(torch.ones(64))["kept"] for _ in range(2))
    assert not torch.equal(first, second)


def test_the_gradient_of_a_bias_is_one_sum():
    layer = torch.nn.Linear(3, 5)

    def slope(x):
        gradient = torch.autograd.grad(layer(x).square().sum(), layer.bias)[0]
        return {"slope": gradient}

    x = torch.rand(7, 3)
    record = Recording(slope, torch.rand(7, 3))
    assert "view" not in targets(slope, x)
    assert record(x)["slope"].shape == (5,)
    assert torch.equal(record(x)["slope"], slope(x)["slope"])
