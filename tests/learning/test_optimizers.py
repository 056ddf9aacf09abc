"""Optimizers by name: each is torch's own, step by step, and what it refuses is one line."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lab.errors import BadSetting
from lab.learning.optimizers import OPTIMIZERS, check_optimizer, decayed_parameters, make_optimizer

ARGS: dict[str, dict[str, Any]] = {
    "sgd": {"momentum": 0.9, "nesterov": True},
    "adagrad": {"lr_decay": 0.1},
    "adadelta": {"rho": 0.8},
    "rmsprop": {"alpha": 0.9, "momentum": 0.5, "centered": True},
    "adam": {"betas": (0.8, 0.99), "amsgrad": True},
    "adamw": {"betas": (0.8, 0.99)},
    "adamax": {"betas": (0.8, 0.99)},
    "nadam": {"momentum_decay": 0.01},
    "lbfgs": {"max_iter": 4, "line_search_fn": "strong_wolfe"},
}


def stepped(optimizer: torch.optim.Optimizer, network: nn.Module, x: Tensor, y: Tensor, steps: int) -> float:
    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.mse_loss(network(x), y)
        loss.backward()
        return loss

    loss = closure()
    for _ in range(steps):
        loss = optimizer.step(closure)  # type: ignore[assignment]
    return float(loss)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_equals_torchs_own_step_by_step_and_learns(name: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(32, 3)
    y = x @ torch.tensor([[1.0], [-2.0], [0.5]]) + 0.3
    ours = nn.Linear(3, 1)
    theirs = deepcopy(ours)
    decay = 0.0 if name == "lbfgs" else 0.01
    lr = {"adadelta": 10.0, "lbfgs": 1.0, "adagrad": 0.5}.get(name, 0.05)
    mine = make_optimizer(name, ours, lr, decay, arguments=check_optimizer(name, lr, decay, ARGS[name]))
    assert type(mine) is OPTIMIZERS[name]
    more = {} if name == "lbfgs" else {"weight_decay": decay}
    more |= {"fused": True} if name in ("sgd", "adam", "adamw") else {}
    own = OPTIMIZERS[name](theirs.parameters(), lr=lr, **ARGS[name], **more)  # type: ignore[call-arg]
    first = float(F.mse_loss(ours(x), y))
    for _ in range(15):
        stepped(mine, ours, x, y, 2)
        stepped(own, theirs, x, y, 2)
        assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    for _ in range(20):
        last = stepped(mine, ours, x, y, 10)
    assert last < first / 10


def test_a_state_goes_on_where_it_was() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(16, 3), torch.randn(16, 1)
    for name in OPTIMIZERS:
        whole, half = nn.Linear(3, 1), nn.Linear(3, 1)
        half.load_state_dict(whole.state_dict())
        a, b = (make_optimizer(name, network, 0.05, 0.0, arguments=ARGS[name]) for network in (whole, half))
        stepped(a, whole, x, y, 6)
        stepped(b, half, x, y, 3)
        again = deepcopy(half)
        c = make_optimizer(name, again, 0.05, 0.0, arguments=ARGS[name])
        c.load_state_dict(deepcopy(b.state_dict()))
        stepped(c, again, x, y, 3)
        assert all(torch.equal(p, q) for p, q in zip(whole.parameters(), again.parameters(), strict=True)), name


def test_weight_decay_can_spare_biases_and_norms() -> None:
    norms = nn.BatchNorm2d(2), nn.LayerNorm([2, 4, 4])
    network = nn.Sequential(nn.Conv2d(1, 2, 3), *norms, nn.Flatten(), nn.Linear(32, 2))
    frozen = network[4].weight.requires_grad_(False)
    assert [tuple(p.shape) for p in decayed_parameters(network, False)] == [(2, 1, 3, 3)]
    assert len(decayed_parameters(network, True)) == 7
    optimizer = make_optimizer("adamw", network, 0.1, 0.5, decay_norm_and_bias=False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"0.weight"}
    torch.testing.assert_close(network[0].weight, before["0.weight"] * 0.95)  # lr times decay is gone
    assert frozen.grad is not None
    assert len(make_optimizer("adamw", network, 0.1, 0.5).param_groups) == 1


@pytest.mark.parametrize(
    ("name", "decay", "arguments", "message"),
    [
        ("sgd", 0, {"momentun": 0.9}, "optimizer_args: sgd has no argument 'momentun'; did you mean 'momentum'?"),
        ("sgd", 0, {"lr": 0.9}, "optimizer_args: sgd has no argument 'lr'"),
        ("sgd", 0, {"maximize": True}, "optimizer_args: sgd has no argument 'maximize'"),
        ("sgd", 0, {"momentum": 1.5}, "optimizer_args: momentum: expected a number from 0 to 1, found 1.5"),
        ("sgd", 0, {"momentum": "0.9"}, "optimizer_args: momentum: expected a finite number, found '0.9'"),
        ("sgd", 0, {"nesterov": 1}, "optimizer_args: nesterov: expected true or false, found 1"),
        ("sgd", 0, {"nesterov": True}, "optimizer_args: sgd: Nesterov momentum requires a momentum and zero dampening"),
        ("adam", 0, {"betas": [0.9]}, "optimizer_args: betas: expected a list of 2 numbers, found [0.9]"),
        ("adam", 0, {"betas": [0.9, 1.5]}, "optimizer_args: adam: Invalid beta parameter at index 1: 1.5"),
        ("adadelta", 0, {"eps": -1.0}, "optimizer_args: adadelta: Invalid epsilon value: -1.0"),
        ("lbfgs", 0, {"max_iter": 0}, "optimizer_args: max_iter: expected a number at least 1, found 0"),
        ("lbfgs", 0, {"max_iter": 2.5}, "optimizer_args: max_iter: expected a whole number, found 2.5"),
        (
            "lbfgs",
            0,
            {"line_search_fn": "wolfe"},
            "optimizer_args: line_search_fn: expected strong_wolfe or null",
        ),
        ("lbfgs", 0.1, {}, "weight_decay: lbfgs has no weight decay; set it to 0"),
    ],
)
def test_what_an_optimizer_refuses(name: str, decay: float, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(BadSetting) as error:
        check_optimizer(name, 0.1, decay, arguments)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_lists_become_tuples_of_floats() -> None:
    assert check_optimizer("adamw", 0.1, 0.0, {"betas": [0, 0.5]}) == {"betas": (0.0, 0.5)}
    assert check_optimizer("lbfgs", 0.1, 0.0, {"max_eval": None}) == {"max_eval": None}
