"""Schedules by name, against torch's own schedulers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler as theirs

from lab.errors import BadSetting
from lab.learning.schedules import SCHEDULES, make_schedule

N, F = 60, 0.1
Make = Callable[[torch.optim.Optimizer], Any]


def rates(make: Make, steps: int) -> list[float]:
    """The learning rates of torch's scheduler, beginning with 1."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler, found = make(optimizer), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def cosine(optimizer: torch.optim.Optimizer, steps: int = N) -> theirs.CosineAnnealingLR:
    return theirs.CosineAnnealingLR(optimizer, steps, eta_min=F)


def warm(optimizer: torch.optim.Optimizer) -> theirs.SequentialLR:
    rise = theirs.LinearLR(optimizer, start_factor=1 / 12, end_factor=1.0, total_iters=11)
    return theirs.SequentialLR(optimizer, [rise, cosine(optimizer, N - 12)], [12])


CASES: dict[str, tuple[dict[str, Any], Make]] = {
    "constant": ({}, lambda o: theirs.ConstantLR(o, factor=1.0)),
    "linear": ({}, lambda o: theirs.LinearLR(o, 1.0, F, N)),
    "cosine": ({}, cosine),
    "step": (
        {"final_lr": 0.0, "arguments": {"step_size": 0.25, "gamma": 0.5}},
        lambda o: theirs.StepLR(o, N // 4, gamma=0.5),
    ),
    "exponential": ({}, lambda o: theirs.ExponentialLR(o, F ** (1 / N))),
    # torch's ends with its last step, and is highest one step before pct_start of them
    "one_cycle": (
        {"arguments": {"pct_start": 0.25, "div_factor": 10}},
        lambda o: theirs.OneCycleLR(
            o, 1.0, total_steps=N + 1, pct_start=(0.25 * N + 1) / (N + 1), div_factor=10,
            final_div_factor=0.1 / F, cycle_momentum=False,
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEDULES)
def test_it_is_torchs(name: str) -> None:
    settings, make = CASES[name]
    ours = make_schedule(name, **{"final_lr": F, **settings})
    assert [ours(step, N) for step in range(N)] == pytest.approx(rates(make, N), rel=1e-6)


@pytest.mark.parametrize("warmup", [12, 0.2])
def test_warm_up_comes_first_and_the_schedule_has_what_is_left(warmup: float) -> None:
    ours = make_schedule("cosine", F, warmup)
    assert [ours(step, N) for step in range(N)] == pytest.approx(rates(warm, N), rel=1e-6)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("warmup", [0.0, 0.5, 100])
def test_it_never_leaves_its_range(name: str, warmup: float) -> None:
    if name == "one_cycle" and warmup:
        return
    factors = [make_schedule(name, F, warmup)(step, N) for step in range(2 * N)]
    assert all(0 < factor <= 1 for factor in factors)
    if name != "constant" and warmup < N:
        assert factors[N:] == pytest.approx([0.1 if name != "step" else factors[N]] * N)


def test_a_constant_rate_needs_no_length() -> None:
    assert make_schedule("constant", 0.0)(10, math.inf) == 1
    assert make_schedule("constant", 0.0, 4)(1, math.inf) == 0.5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "exponential"}, "final_lr: the exponential schedule never reaches 0; give a value above it"),
        ({"name": "one_cycle", "warmup": 0.1}, "warmup: one_cycle warms up by itself; set schedule_args.pct_start"),
        (
            {"name": "cosine", "warmup": 1.5},
            "warmup: expected a fraction of the run below 1 or a whole number of steps",
        ),
        (
            {"name": "step", "arguments": {"gama": 1}},
            "schedule_args: step has no argument 'gama'; did you mean 'gamma'",
        ),
        (
            {"name": "step", "arguments": {"step_size": 0}},
            "schedule_args: step_size: expected a number above 0",
        ),
        ({"name": "step", "arguments": {"gamma": 2}}, "schedule_args: gamma: expected a number from 0 to 1, found 2"),
        ({"name": "cosine", "arguments": {"gamma": 1}}, "schedule_args: cosine has no argument 'gamma'; it has none"),
    ],
)
def test_what_a_schedule_refuses(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(BadSetting) as error:
        make_schedule(**settings)
    assert message in str(error.value)
