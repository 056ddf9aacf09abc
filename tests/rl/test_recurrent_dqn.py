"""DQN with a memory: the sequences it learns from, its loss beside a loop, and what it can do that DQN cannot."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning import Trainer
from tensordict import TensorDict
from torch.nn import functional as F

from lab.errors import BadSetting
from lab.recipe import load
from lab.registry import find_recipe
from lab.rl.data.buffers.sequence_buffer import SequenceBuffer
from lab.rl.recurrent_dqn import RecurrentDQN, SequenceReplayData
from lab.runner.fit import fit

ACTIONS, GAMMA = 3, 0.9


def make(**settings):
    torch.manual_seed(0)
    settings = {"hidden": [8], "memory_size": 5, "gamma": GAMMA, "burn_in": 2} | settings
    agent = RecurrentDQN("Stub-v0", 2, {"count": ACTIONS}, **settings)
    with torch.no_grad():
        for weight in agent.target.parameters():
            weight.add_(0.1 * torch.randn_like(weight))
    return agent


def stream(lengths, num_envs, seed):
    """Steps (T,) of environments that take turns, whose observation says which episode and step of it they are."""
    generator = torch.Generator().manual_seed(seed)
    rows, place, episode = [], [0] * num_envs, list(range(num_envs))
    for number in range(sum(lengths) * num_envs):
        env = number % num_envs
        length = lengths[episode[env] // num_envs % len(lengths)]
        terminated = place[env] == length - 1
        rows.append((episode[env], place[env], terminated))
        place[env] = 0 if terminated else place[env] + 1
        episode[env] += num_envs if terminated else 0
    ids, places, ends = (torch.tensor(column) for column in zip(*rows, strict=True))
    return TensorDict(
        {
            "observation": torch.stack([ids, places], -1).float(),
            "action": torch.randint(ACTIONS, (len(rows),), generator=generator),
            "memory": torch.stack([ids, places], -1).float(),
            "next": {
                "observation": torch.stack([ids, places + 1], -1).float(),
                "reward": torch.rand(len(rows), generator=generator),
                "terminated": ends,
            },
            "collector": {"traj_ids": ids},
        },
        [len(rows)],
    )


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=2, max_size=6),
    num_envs=st.integers(1, 3),
    capacity=st.integers(4, 40),
    sequence_length=st.integers(1, 7),
)
def test_sequences_are_steps_of_one_episode_in_their_order(lengths, num_envs, capacity, sequence_length):
    steps = stream(lengths, num_envs, seed=0)
    buffer = SequenceBuffer(capacity * num_envs, "memory", sequence_length, num_envs)
    half = len(steps) // 2 // num_envs * num_envs
    for part in (steps[:half], steps[half:]):
        if len(part):
            buffer.extend(part)
    torch.manual_seed(1)
    batch = buffer.sample(updates=2, size=30, progress=0.0)
    assert batch.shape == (2, 30)
    flat = batch.reshape(60)
    newest = {int(episode): int(place) for episode, place in steps["observation"]}  # the last step of each episode
    assert torch.equal(flat["memory"], flat["observation"][:, 0])  # that of the first step
    for seen, ahead, valid, begins in zip(
        flat["observation"], flat["next", "observation"], flat["valid"], flat["begins"], strict=True
    ):
        count = int(valid.sum())
        assert valid.tolist() == [True] * count + [False] * (sequence_length - count)
        episode, first = seen[0].tolist()
        assert seen[:count].tolist() == [[episode, first + step] for step in range(count)]
        assert ahead[:count].tolist() == [[episode, first + step + 1] for step in range(count)]
        assert count == min(sequence_length, newest[int(episode)] - int(first) + 1)
        assert not begins or first == 0
        if first == 0 and len(steps) < capacity * num_envs:  # nothing was overwritten
            assert begins


def batch(agent, size=4, length=6):
    generator = torch.Generator().manual_seed(1)
    valid = torch.arange(length) < torch.tensor([[6], [4], [6], [1]])
    terminated = torch.zeros(size, length, 1, dtype=torch.bool)
    terminated[1, 3] = terminated[2, 5] = True  # the others are cut off
    return {
        "observation": torch.randn(size, length, 2, generator=generator),
        "action": torch.randint(ACTIONS, (size, length), generator=generator),
        "reward": torch.randn(size, length, 1, generator=generator),
        "next_observation": torch.randn(size, length, 2, generator=generator),
        "terminated": terminated,
        "valid": valid,
        "begins": torch.tensor([False, True, True, False]),
        "memory": torch.randn(size, agent.network.memory.state_size, generator=generator),
    }


def by_loop(agent, observation, action, reward, next_observation, terminated, valid, begins, memory):
    """The loss of one sequence after the other, one step after the other, and how many steps are in it."""
    total, count = 0.0, 0
    for row in range(len(action)):
        seen = [observation[row, 0], *next_observation[row]]
        values, ahead = [], []
        states = [memory[row : row + 1]] * 2
        for each in seen:
            value, states[0] = agent.network(each[None, None], states[0])
            other, states[1] = agent.target(each[None, None], states[1])
            values.append(value[0, 0])
            ahead.append(other[0, 0])
        for step in range(action.shape[1]):
            if not valid[row, step] or (step < agent.burn_in and not begins[row]):
                continue
            last = min(step + agent.n_step, int(valid[row].sum())) - 1
            future = ahead[last + 1][values[last + 1].argmax()] * ~terminated[row, last, 0]
            for place in range(last, step - 1, -1):
                future = agent.reward_scale * reward[row, place, 0] + GAMMA * future
            goal = future.detach()
            total, count = total + F.smooth_l1_loss(values[step][action[row, step]], goal), count + 1
    return total / count, count


@pytest.mark.parametrize(("cell", "n_step"), [("lstm", 1), ("gru", 1), ("gru", 3), ("gru", 9)])
def test_the_loss_is_that_of_a_loop(cell, n_step):
    agent = make(cell=cell, reward_scale=0.5)
    agent.n_step = n_step
    data = batch(agent)
    wanted, count = by_loop(agent, **data)
    assert count == 4 + 4 + 6  # what is late in the first, the second and third whole, nothing of the last one
    found, _ = agent.loss(**data)
    torch.testing.assert_close(found, wanted)
    parameters = list(agent.network.parameters())
    for mine, other in zip(
        torch.autograd.grad(found, parameters), torch.autograd.grad(wanted, parameters), strict=True
    ):
        torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-6)


def test_an_update_without_any_step_in_its_loss_changes_nothing():
    agent = make(burn_in=5)
    data = batch(agent)
    data["begins"][:], data["valid"][:, 5:] = False, False
    loss, value = agent.loss(**data)
    assert (loss.item(), value.item()) == (0.0, 0.0)


def test_acting_remembers_an_episode_and_forgets_it_at_its_end():
    agent = make()
    agent.explorer.state = torch.zeros(2, agent.explorer.state.shape[1])
    act, seen = agent.explorer.actor(), torch.randn(3, 2, 2)
    greedy = -torch.ones(2, dtype=torch.int64)
    for step, is_init in enumerate([[True, True], [False, False], [False, True]]):
        action, _ = act(seen[step], greedy, torch.tensor(is_init))
    whole = agent(seen[:, 0][None])  # the first environment's episode, as a sequence
    assert int(action[0]) == int(whole[0, -1])
    assert int(action[1]) == int(agent(seen[2:, 1][None])[0, -1])


@pytest.mark.parametrize(
    ("key", "settings"),
    [
        ("vectorization", {"vectorization": "vector", "num_envs": 2}),
        ("prioritized", {"prioritized": True}),
        ("burn_in", {}),
    ],
)
def test_what_sequences_cannot_do_is_refused(key, settings):
    def train():
        data = SequenceReplayData("CartPole-v1", total_steps=200, sequence_length=5, **settings)
        agent = RecurrentDQN(**data.facts(), burn_in=5 if key == "burn_in" else 2)
        Trainer(**data.trainer_defaults(), accelerator="cpu", logger=False, enable_checkpointing=False).fit(agent, data)

    with pytest.raises(BadSetting) as error:
        train()
    assert error.value.key == key


def test_it_is_not_compiled():
    with pytest.raises(BadSetting, match="compile: recurrent_dqn cannot be compiled"):
        make().compile()


@pytest.mark.long
def test_it_balances_a_pole_whose_velocities_are_hidden():
    recipe = load(find_recipe("recurrent_dqn_cartpole_hidden"), ["data.total_steps=10000", "seed=3"])
    assert fit(recipe).score > 300  # without a memory 44
