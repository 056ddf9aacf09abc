"""n-step returns, computed when transitions are sampled.

Source: Sutton 1988; in Rainbow (Hessel et al. 2018): r_0 + gamma r_1 + ... + gamma^(n-1) r_(n-1), then the value of the
state n steps ahead times gamma^n. Where an episode ends sooner, or the newest transition is reached, the sum is shorter
and the exponent smaller; a truncated end bootstraps from the state in which it was truncated. Since the rows of the
buffer are single steps, there is nothing between two blocks that a checkpoint would have to keep, as torchrl's
`MultiStepTransform` would have with the last n steps.
"""

from __future__ import annotations

import torch
from tensordict import TensorDictBase
from torch import Tensor


def following(rows: TensorDictBase, first: Tensor, newest: int, n: int, num_envs: int = 1) -> tuple[Tensor, Tensor]:
    """The rows `first` and those after them in the same environment.

    Args:
        rows: the buffer, a ring of (R,) transitions in the order they were made; `episode` (R, 1) tells whose they are.
        first: rows (N,) to begin with.
        newest: the row that was written last.
        n: rows in all, from 1.
        num_envs: environments whose steps take turns.

    Returns:
        the rows (N, n), and which of them are of the same episode (N, n): ones, then zeros.
    """
    ahead = torch.arange(n, device=first.device) * num_envs
    places = (first[:, None] + ahead) % len(rows)
    known = ahead <= (newest - first)[:, None] % len(rows)  # what follows the newest row is the oldest one
    return places, known & (rows["episode"][places, 0] == rows["episode"][first])


def look_ahead(
    rows: TensorDictBase, first: Tensor, newest: int, n: int, gamma: float, num_envs: int = 1
) -> tuple[Tensor, Tensor, Tensor]:
    """The discounted sum of up to `n` rewards from each of the rows `first`, and where it ends.

    Args:
        rows: the buffer, a ring of (R,) transitions in the order they were made; `episode` (R, 1) tells whose they are.
        first: rows (N,) to begin with.
        newest: the row that was written last.
        n: most rewards of a sum.
        gamma: discount of the return per step.
        num_envs: environments whose steps take turns.

    Returns:
        the last row of each sum (N,), the sums (N, 1), and how many rewards are in them (N, 1).
    """
    places, together = following(rows, first, newest, n, num_envs)
    rewards = rows["next", "reward"][places, 0] * gamma ** torch.arange(n, device=first.device) * together
    steps = together.sum(-1, keepdim=True)
    last = places.gather(-1, steps - 1).squeeze(-1)
    return last, rewards.sum(-1, keepdim=True), steps
