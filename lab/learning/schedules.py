"""Learning-rate schedules by name: factors of the learning rate, in each step of a run whose length is known.

A schedule goes by the share of the run that is done, from 0 to 1; warm-up comes first, and the
schedule has what is left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

from lab.errors import BadSetting
from lab.learning.arguments import check_arguments

ScheduleName = Literal["constant", "linear", "cosine", "step", "exponential", "one_cycle"]
Factor = Callable[[int, float], float]  # (step, steps of the run) -> factor of the learning rate


def constant(progress: float, final_lr: float) -> float:  # noqa: ARG001 - every schedule takes both
    """Stays at 1; needs no length of the run."""
    return 1.0


def linear(progress: float, final_lr: float) -> float:
    """Falls to `final_lr` along a line."""
    return final_lr + (1 - final_lr) * (1 - progress)


def cosine(progress: float, final_lr: float) -> float:
    """Falls to `final_lr` along half a cosine (Loshchilov and Hutter, SGDR, ICLR 2017, without restarts)."""
    return final_lr + (1 - final_lr) * ((1 + math.cos(math.pi * progress)) / 2)


def step(progress: float, final_lr: float, step_size: float = 1 / 3, gamma: float = 0.1) -> float:
    """Is multiplied by `gamma` after every `step_size`, a share of the run; never below `final_lr`."""
    return max(gamma ** math.floor(progress / step_size + 1e-9), final_lr)


def exponential(progress: float, final_lr: float) -> float:
    """Is multiplied by the same number in every step, to end at `final_lr`."""
    return float(final_lr**progress)


def one_cycle(progress: float, final_lr: float, pct_start: float = 0.3, div_factor: float = 25.0) -> float:
    """Rises from 1 / `div_factor` for the share `pct_start` of the run, and falls to `final_lr`, along half cosines.

    Source: Smith and Topin, Super-convergence, 2018, as torch's OneCycleLR with `cycle_momentum=False`.
    """
    low = 1 / div_factor
    if progress < pct_start:
        return low + (1 - low) * (1 - math.cos(math.pi * progress / pct_start)) / 2
    return cosine((progress - pct_start) / (1 - pct_start), final_lr) if pct_start < 1 else 1.0


SCHEDULES: dict[str, Callable[..., float]] = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
    "step": step,
    "exponential": exponential,
    "one_cycle": one_cycle,
}


def make_schedule(
    name: str, final_lr: float = 0.0, warmup: float = 0.0, arguments: Mapping[str, Any] | None = None
) -> Factor:
    """A function of (step, steps of the run), both counted from 0, that gives the factor of the learning rate.

    >>> factor = make_schedule("linear", final_lr=0.2)
    >>> [round(factor(step, 10), 2) for step in (0, 5, 10)]
    [1.0, 0.6, 0.2]

    Args:
        name: one of `SCHEDULES`.
        final_lr: the factor at the end of the run, from 0 to 1.
        warmup: share of the run, or number of steps if it is 1 or more, in which the factor rises to 1 along a line.
        arguments: further arguments of the schedule, such as `gamma`.

    Raises:
        BadSetting: the schedule refuses one of them.
    """
    chosen = SCHEDULES[name]
    further = check_arguments("schedule_args", name, chosen, arguments or {}, ("progress", "final_lr"))
    if name == "exponential" and not final_lr:
        raise BadSetting("final_lr", "the exponential schedule never reaches 0; give a value above it, such as 0.01")
    if name == "step" and not further.get("step_size", 1):
        raise BadSetting("schedule_args", "step_size: expected a number above 0, found 0")
    if name == "one_cycle" and warmup:
        raise BadSetting("warmup", "one_cycle warms up by itself; set schedule_args.pct_start instead")
    if warmup >= 1 and warmup % 1:
        raise BadSetting("warmup", f"expected a fraction of the run below 1 or a whole number of steps, found {warmup}")

    def factor(step: int, steps: float) -> float:
        first = 0
        if warmup:
            first = round(warmup * steps) if warmup < 1 else int(warmup)
            if step < first:
                return (step + 1) / first
        progress = min((step - first) / max(steps - first, 1), 1.0)
        return chosen(progress, final_lr, **further)

    return factor


def needs_length(name: str, warmup: float) -> bool:
    """Whether the schedule asks how many steps a run has."""
    return name != "constant" or 0 < warmup < 1
