"""Returns over several steps against a loop over episodes, through ends, truncations and the edge of the ring."""

import pytest
import torch
from tensordict import TensorDict

from lab.rl.data.buffers.n_step import look_ahead

GAMMA = 0.9


def transitions(lengths, seed=0):
    """Rows of episodes of these lengths, observations counted through; the last episode is still going on."""
    generator = torch.Generator().manual_seed(seed)
    rows = [
        (episode, float(torch.randn((), generator=generator)), step == length - 1 and episode % 2 == 0)
        for episode, length in enumerate(lengths)
        for step in range(length)
    ]
    count = len(rows)
    episode, reward, terminated = (torch.tensor(column)[:, None] for column in zip(*rows, strict=True))
    number = torch.arange(count)[:, None].float()
    following = {"observation": number + 0.5, "reward": reward, "terminated": terminated}
    return TensorDict({"observation": number, "episode": episode, "next": following}, [count])


def by_loop(rows, first, n):
    """As in the textbook: add up until n rewards, the end of the episode, or the newest row."""
    total, at = 0.0, first
    for k in range(n):
        at = first + k
        total += GAMMA**k * float(rows["next", "reward"][at])
        if at + 1 == len(rows) or rows["episode"][at + 1] != rows["episode"][first]:
            break
    return at, total, at - first + 1


@pytest.mark.parametrize("n", [1, 2, 3, 5, 50])
@pytest.mark.parametrize("turn", [0, 1, 7, 15])
def test_sums_are_those_of_a_loop(n, turn):
    rows = transitions([4, 1, 6, 3, 2])
    ring = torch.cat([rows[turn:], rows[:turn]])  # the newest row lies anywhere
    newest = (len(rows) - 1 - turn) % len(rows)
    first = torch.arange(len(rows))
    last, reward, steps = look_ahead(ring, (first - turn) % len(rows), newest, n, GAMMA)
    wanted = [by_loop(rows, int(row), n) for row in first]
    assert ring["observation"][last, 0].tolist() == [at for at, _, _ in wanted]
    torch.testing.assert_close(reward[:, 0], torch.tensor([total for _, total, _ in wanted]))
    assert steps[:, 0].tolist() == [count for _, _, count in wanted]


def test_one_long_episode_may_fill_the_whole_ring():
    rows = transitions([10])
    last, _, steps = look_ahead(rows, torch.tensor([3, 4, 5]), 4, 4, GAMMA)  # row 5 is the oldest
    assert last.tolist() == [4, 4, 8]
    assert steps[:, 0].tolist() == [2, 1, 4]
