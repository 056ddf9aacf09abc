"""The best return any policy can reach on Gymnasium's Pendulum-v1, start by start.

A single episode's return depends far more on its start than on the agent, so an evaluation says little until it is
compared with the optimum of the very starts it used. That optimum is computed here, from the environment's own
equations (Gymnasium Pendulum-v1, g = 10, 200 steps, undiscounted):

    reward = -(angle² + 0.1 · speed² + 0.001 · torque²)    angle normalised to [-pi, pi), 0 is upright
    speed' = clip(speed + (15 · sin(angle) + 3 · torque) · 0.05, -8, 8)
    angle' = angle + 0.05 · speed'

1. *Plan*: dynamic programming on two grids of angle and speed. Every decision holds a torque for a few steps, so the
   grid is interpolated, and its values blurred, less often.
2. *Follow* each plan from every start. Some starts lie at a cliff, where one swing less just suffices (worth 50) and a
   blurred plan misjudges it; so each plan is also followed after a short full push either way.
3. *Refine* the torques by differential dynamic programming in the exact dynamics, limits included.

The result is the return of an explicit torque sequence, so a true lower bound of the optimum. Against searches many
times as long, over 1,000 random starts, it is 0.002 short on average, more than 0.1 on one start in 200, 1.2 at most.
The mean over all starts is -136.9 (three quasi-random sets of 2,048: -137.0, -136.8, -136.9), the standard deviation
of one start 73. 100 starts take 1.3 s of one CPU, of which 0.7 s are the plans, made once per process; the optima of
the first hundred test starts lie in a file, which `python -m lab.rl.common.pendulum` writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import grid_sample

Array = NDArray[np.float64]

KNOWN = Path(__file__).with_suffix(".json")  # rows of angle, angular velocity, optimum
STEPS, DT, MAX_SPEED, MAX_TORQUE = 200, 0.05, 8.0, 2.0
PLANS = ((361, 321, 3), (701, 601, 4))  # angles, speeds, steps that a torque is held: two blurs, seldom wrong together
LEVELS = np.linspace(-MAX_TORQUE, MAX_TORQUE, 5)  # torques a plan chooses from
CHOICES = np.linspace(-MAX_TORQUE, MAX_TORQUE, 11)  # torques tried at every step when a plan is followed
PUSHES, PUSH_STEPS = (None, MAX_TORQUE, -MAX_TORQUE), 3  # what a plan's follower may begin with
STRIDES = np.array([1.0, 0.5, 0.2, 0.05])[:, None]  # fractions of a refinement step tried side by side


def optimal_returns(starts: Array) -> Array:
    """The best return from each start, as reached by `optimal_torques`.

    Args:
        starts: (N, 2) angles [rad] and angular velocities [rad/s].
    """
    known = _known()
    found = np.array([known.get((angle, speed), np.nan) for angle, speed in starts.tolist()])
    unknown = np.isnan(found)
    if unknown.any():
        found[unknown] = play(starts[unknown], optimal_torques(starts[unknown]))
    return found


def optimal_torques(starts: Array) -> Array:
    """Torque sequences (N, 200) that reach `optimal_returns`.

    They balance an unstable pendulum without looking at it: in the environment they must be played in float64, which
    repeats the arithmetic exactly; rounded to float32 it falls over again.

    Args:
        starts: (N, 2) angles [rad] and angular velocities [rad/s].
    """
    candidates = np.stack([_follow(_plan(*plan), starts, push) for plan in PLANS for push in PUSHES])
    rough = _refine(np.tile(starts, (len(candidates), 1)), np.concatenate(candidates), iterations=2)
    returns = play(np.tile(starts, (len(candidates), 1)), rough).reshape(len(candidates), len(starts))
    best = rough.reshape(candidates.shape)[returns.argmax(0), np.arange(len(starts))]
    return _refine(starts, best, iterations=12)


def start_states(seeds: Iterable[int]) -> Array:
    """The starts that `reset(seed=...)` of Pendulum-v1 gives, (N, 2) angles and angular velocities.

    Args:
        seeds: one seed per start.
    """
    env = gymnasium.make("Pendulum-v1").unwrapped
    starts = []
    for seed in seeds:
        env.reset(seed=int(seed))  # NumPy's integers are refused
        starts.append(env.state)  # type: ignore[attr-defined]  # the observation is its cosine and sine in float32
    return np.array(starts, dtype=np.float64)


def step(angle: Array, speed: Array, torque: Array) -> tuple[Array, Array, Array]:
    """One environment step: next angle, next speed, cost (the negative reward)."""
    cost = _wrap(angle) ** 2 + 0.1 * speed**2 + 0.001 * torque**2
    speed = np.clip(speed + (15 * np.sin(angle) + 3 * torque) * DT, -MAX_SPEED, MAX_SPEED)
    return angle + speed * DT, speed, cost


def play(starts: Array, torques: Array) -> Array:
    """Returns of given torque sequences.

    Args:
        starts: (N, 2) angles [rad] and angular velocities [rad/s].
        torques: (N, T) torques within [-2, 2].
    """
    (angle, speed), total = starts.T, np.zeros(len(starts))
    for torque in torques.T:
        angle, speed, cost = step(angle, speed, torque)
        total -= cost
    return total


@cache
def _known() -> dict[tuple[float, float], float]:
    """The optima in the file, by their starts."""
    return {(angle, speed): optimum for angle, speed, optimum in json.loads(KNOWN.read_text())}


def _wrap(angle: Array) -> Array:
    return (angle + np.pi) % (2 * np.pi) - np.pi


def _where(angle: Array, speed: Array) -> torch.Tensor:
    """Grid coordinates as `grid_sample` wants them: (speed, angle), both in [-1, 1]."""
    speed, angle = np.broadcast_arrays(speed / MAX_SPEED, _wrap(angle) / np.pi)
    return torch.from_numpy(np.stack([speed, angle], -1, dtype=np.float32)).reshape(1, -1, speed.shape[-1], 2)


def _look_up(costs: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    return grid_sample(costs[None, None], where, mode="bilinear", padding_mode="border", align_corners=True)[0, 0]


@cache  # it depends on no start: the first call pays for all
def _plan(angles: int, speeds: int, hold: int) -> torch.Tensor:
    """Cost to go on a grid over [-pi, pi] x [-8, 8], long before the end; a torque is held for `hold` steps."""
    # The mirrored state has the same cost, so only angles from 0 to pi are worked out.
    angle, speed = np.linspace(0, np.pi, angles // 2 + 1)[:, None], np.linspace(-MAX_SPEED, MAX_SPEED, speeds)
    cost = np.zeros((len(LEVELS), len(angle), speeds))
    for _ in range(hold):
        angle, speed, paid = step(angle, speed, LEVELS[:, None, None])
        cost += paid
    where, paid_now = _where(angle, speed), torch.from_numpy(cost.astype(np.float32))
    costs = torch.zeros(angles, speeds, dtype=torch.float32)
    for _ in range(STEPS // hold):
        half = (paid_now + _look_up(costs, where).reshape(paid_now.shape)).amin(0)
        costs = torch.cat([half.flip(0, 1)[:-1], half])
    return costs


def _follow(costs: torch.Tensor, starts: Array, push: float | None) -> Array:
    """Torques (N, 200) that look one step ahead into a plan, after a few steps of `push` if there is one."""
    (angle, speed), torques = starts.T, np.empty((STEPS, len(starts)))
    for t in range(STEPS):
        if push is not None and t < PUSH_STEPS:
            torques[t] = push
        else:
            next_angle, next_speed, cost = step(angle[:, None], speed[:, None], CHOICES)
            torques[t] = CHOICES[(cost + _look_up(costs, _where(next_angle, next_speed)).numpy()).argmin(1)]
        angle, speed, _ = step(angle, speed, torques[t])
    return torques.T


def _refine(starts: Array, torques: Array, iterations: int) -> Array:
    """Differential dynamic programming, all starts at once; a sequence changes only where its return improves."""
    count = len(starts)
    path = np.zeros((3, STEPS, count))  # angles, speeds, torques
    path[2], gains, least = torques.T, np.zeros((3, STEPS, count)), np.full(count, np.inf)
    for iteration in range(iterations + 1):  # the first pass, without gains, plays the given torques
        tried = np.empty((3, STEPS, len(STRIDES), count))
        angle, speed = (np.broadcast_to(part, (len(STRIDES), count)) for part in starts.T)
        total = np.zeros(angle.shape)
        for t in range(STEPS):
            (old_angle, old_speed, torque), (change, per_angle, per_speed) = path[:, t], gains[:, t]
            torque = torque + STRIDES * change + per_angle * (angle - old_angle) + per_speed * (speed - old_speed)
            torque = np.clip(torque, -MAX_TORQUE, MAX_TORQUE)
            tried[:, t] = angle, speed, torque
            angle, speed, cost = step(angle, speed, torque)
            total += cost
        best = total.argmin(0), np.arange(count)
        np.copyto(path, tried[:, :, *best], where=total[best] < least)
        least = np.minimum(total[best], least)
        if iteration < iterations:
            gains = _gains(*path)
    refined: Array = path[2].T
    return refined


def _gains(angles: Array, speeds: Array, torques: Array) -> Array:
    """Torque changes (3, T, N): a constant, one per unit of angle off the path and one per unit of speed off it.

    Backwards in time along the path, `v_*` is a quadratic model of the cost to go and `q_*` the same with this step's
    torque still free: a is the angle, s the speed, u the torque. (x, y) = (d cost, d² cost) along a change of the next
    speed, which moves the next angle by DT as well.
    """
    gains = np.empty((3, *torques.shape))
    bend, pull = 15 * DT * np.sin(angles), 15 * DT * np.cos(angles)
    free = (np.abs(speeds + bend + 3 * DT * torques) < MAX_SPEED).astype(np.float64)  # 0 where the speed is clipped
    push, pull, wrapped = 3 * DT * free, pull * free, _wrap(angles)
    v_a = v_s = v_aa = v_as = v_ss = np.zeros(torques.shape[1])
    for t in range(STEPS - 1, -1, -1):
        x, y = DT * v_a + v_s, DT**2 * v_aa + 2 * DT * v_as + v_ss
        turn = DT * v_aa + v_as
        q_a = 2 * wrapped[t] + v_a + pull[t] * x
        q_s = 0.2 * speeds[t] + free[t] * x
        q_u = 0.002 * torques[t] + push[t] * x
        q_aa = 2 + v_aa + 2 * pull[t] * turn + pull[t] ** 2 * y - free[t] * bend[t] * x
        q_as = free[t] * (turn + pull[t] * y)
        q_ss = 0.2 + free[t] * y
        q_ua, q_us = push[t] * (turn + pull[t] * y), push[t] * y
        q_uu = np.maximum(0.002 + push[t] ** 2 * y, 0.002)
        wish = -q_u / q_uu
        change = np.clip(wish, -MAX_TORQUE - torques[t], MAX_TORQUE - torques[t])
        inside = (change == wish) / q_uu  # a torque at its limit stays there whatever the state
        per_angle, per_speed = -inside * q_ua, -inside * q_us
        gains[:, t] = change, per_angle, per_speed
        slope = q_u + q_uu * change
        v_a, v_s = q_a + q_ua * change + per_angle * slope, q_s + q_us * change + per_speed * slope
        v_aa, v_as = q_aa + q_ua * per_angle, q_as + q_ua * per_speed
        v_ss = q_ss + q_us * per_speed
    return gains


if __name__ == "__main__":
    from lab.rl.data.loaders import TEST_SEEDS

    test_starts = start_states(range(TEST_SEEDS, TEST_SEEDS + 100))
    rows = np.column_stack([test_starts, play(test_starts, optimal_torques(test_starts))]).tolist()
    KNOWN.write_text("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n")
