"""Hindsight: which goals replace others, what they are worth, who is refused, and that it learns."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict
from lightning import seed_everything

from lab.errors import BadSetting
from lab.rl.data.buffers.buffer import ReplayBuffer
from lab.rl.data.buffers.hindsight import Hindsight
from lab.rl.data.collector import ArrayCollector, seeds
from lab.rl.data.replay import ReplayData
from lab.rl.dqn import DQN
from lab.rl.envs.async_stepper import make_stepper
from lab.rl.envs.factory import EnvFactory
from lab.rl.envs.goals import BitFlipping, Reach
from tests.rl import points

BITS = "lab.rl.envs.goals:BitFlipping"
REACH = "lab.rl.envs.goals:Reach"


def collect(env, strategy="future"):
    """A replay buffer of 100 of the 120 random steps of two environments."""
    seed_everything(0, verbose=False)
    factory = EnvFactory(env, {"bits": 5} if env == BITS else None)
    stepper = make_stepper("sync", factory, 2)
    stepper.reset(seeds(2, 0))
    collector = ArrayCollector(stepper, None, frames_per_batch=20)
    buffer = ReplayBuffer(100, "memory", num_envs=2, hindsight=Hindsight(factory, strategy, 4, 2))
    for _ in range(6):
        steps = collector.collect()
        buffer.extend(steps[steps["collector", "mask"]])
    return buffer


@pytest.mark.parametrize("strategy", ["future", "final"])
@pytest.mark.parametrize("env", [BITS, REACH])
def test_new_goals_were_reached_later_in_the_episode(env, strategy):
    buffer = collect(env, strategy)
    hindsight, rows = buffer.hindsight, buffer.replay.storage[:]
    batch = buffer.sample(1, 1_000, 0.0)[0]
    wanted, old = batch["observation"][:, hindsight.desired], rows["observation"][batch["index"]][:, hindsight.desired]
    assert torch.equal(wanted, batch["next", "observation"][:, hindsight.desired])
    replaced = (wanted != old).any(-1)
    assert 0.6 < replaced.float().mean() < 0.85, "four of five, but for those that are what they were"
    age = (torch.arange(100) - buffer.replay.writer.state_dict()["_cursor"]) % 100  # 0 is the oldest
    episode, reached = rows["episode"][:, 0], rows["next", "observation"][:, hindsight.achieved]
    for index, goal in zip(batch["index"][replaced], wanted[replaced], strict=True):
        later = (episode == episode[index]) & (age >= age[index])
        if strategy == "final":
            later &= age == age[episode == episode[index]].max()
        assert (reached[later] == goal).all(-1).any()
    kind = BitFlipping(5) if env == BITS else Reach()
    rewards = kind.compute_reward(reached[batch["index"]].numpy(), wanted.numpy(), {})
    np.testing.assert_array_equal(batch["next", "reward"][:, 0].numpy(), rewards)
    if env == BITS:
        np.testing.assert_array_equal(batch["next", "terminated"][:, 0].numpy(), rewards == 0)


def test_a_buffer_that_was_read_goes_on_counting():
    buffer = collect(BITS)
    before = buffer.hindsight.lengths.clone()
    buffer.hindsight.restore(buffer.replay.storage[:])
    here = buffer.replay.storage[:]["episode"].unique()
    assert torch.equal(buffer.hindsight.lengths[here], before[here])
    assert buffer.hindsight.number(torch.tensor([here[-1], len(before), here[-1]])).tolist() == [
        before[here[-1]], 0, before[here[-1]] + 1
    ]  # fmt: skip


class Single(Reach):
    """Takes one goal, not a batch of them."""

    def compute_reward(self, achieved_goal, desired_goal, info):
        return super().compute_reward(achieved_goal, desired_goal, info) if info["key"] else -1.0


class Bare(gym.Env):
    observation_space = Dict(achieved_goal=Box(-1, 1, (2,)), desired_goal=Box(-1, 1, (2,)))
    action_space = Box(-1, 1, (1,))


@pytest.mark.parametrize(
    ("env", "settings", "words"),
    [
        ("CartPole-v1", {}, r"hindsight: 'CartPole-v1' observes no achieved_goal and no desired_goal; hindsight needs"),
        (REACH, {"frame_stack": 2}, "observes goals beside images or stacked frames"),
        (f"{__name__}:Bare", {}, r"has no method compute_reward\(\); leave it out"),
        (f"{__name__}:Single", {}, r"failed in compute_reward\(\): IndexError.*has to take a batch of achieved"),
        (REACH, {"n_step": 3}, "n_step: hindsight needs single steps, sampled uniformly"),
        (REACH, {"prioritized": True}, "prioritized: hindsight needs"),
    ],
)
def test_what_cannot_have_it_is_refused(env, settings, words):
    with pytest.raises(BadSetting, match=words):
        ReplayData(env, 200, hindsight=True, **settings).facts()


@pytest.mark.long
def test_it_finds_goals_that_chance_does_not():
    """Of 4,096 goals a random policy reaches one in 12 steps hardly ever; the shortest way is 6 on average."""
    scores = {}
    for hindsight in (True, False):
        seed_everything(100, verbose=False)
        own = {"batch_size": 128, "learning_starts": 1_000, "eval_every": 12_000, "eval_envs": 20}
        data = ReplayData(BITS, 12_000, {"bits": 12}, hindsight=hindsight, **own)
        settings = {"hidden": [256], "lr": 1e-3, "gamma": 0.95, "tau": 0.05, "target_update_interval": 1}
        agent = DQN(**data.facts(), **settings, final_epsilon=0.1)
        scores[hindsight] = float(points.fit(agent, data).callback_metrics["val/return"])
    assert scores[True] > -8 > -11 > scores[False], scores
