"""Recurrent PPO: sequences and their states against the rollout they are cut from, memory in evaluation, learning."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from lightning import Callback, seed_everything

from lab.errors import BadSetting
from lab.rl.data.rollout import RolloutData
from lab.rl.data.sequences import sequences
from lab.rl.envs.environment import make
from lab.rl.ppo import PPO
from lab.rl.recurrent_ppo import RecurrentPPO
from tests.rl import points

HIDDEN_CARTPOLE = [{"class_path": "lab.rl.envs.layers.columns:KeepColumns", "init_args": {"columns": [0, 2]}}]
SMALL = {"memory_size": 8, "hidden": [8], "batch_size": 24, "update_epochs": 2, "sequence_length": 5}


@settings(max_examples=25, deadline=None)
@given(some.integers(1, 12), some.integers(1, 3), some.integers(1, 6), some.integers(0, 2**31))
def test_sequences_are_all_steps_once_and_of_one_episode(steps, envs, length, seed):
    is_init = torch.rand(steps, envs, generator=torch.Generator().manual_seed(seed)) < 0.3
    first, places, mask = sequences(is_init, length)
    assert sorted(places[mask].tolist()) == list(range(steps * envs))
    assert torch.equal(places[:, 0], first)
    flat = is_init.T.flatten()
    for row, there in zip(places, mask, strict=True):
        inside = row[there]
        assert not flat[inside[1:]].any()
        assert len({int(place) // steps for place in inside}) == 1, "of one environment"


class Watch(Callback):
    """Keeps what is computed of a rollout before the first update on it."""

    def __init__(self):
        self.pairs = []

    def on_train_batch_start(self, trainer, agent, batch, index):  # noqa: ARG002
        state = agent.critic_state.clone()
        steps, cuts = agent.remembered(batch.steps)
        self.pairs.append((steps, cuts, *(found.detach() for found in agent._say(steps, cuts))))
        agent.critic_state.copy_(state)


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "env"), [("lstm", "CartPole-v1"), ("gru", "Pendulum-v1")])
def test_sequences_give_what_the_rollout_gave(cell, env):
    """With the weights that acted; so that states, masks and ends of episodes are right."""
    seed_everything(0, verbose=False)
    data = RolloutData(env, total_steps=144, num_envs=3, num_steps=16, episode_steps=11, eval_every=144)
    agent, watch = RecurrentPPO(**data.facts(), **SMALL, cell=cell), Watch()
    points.fit(agent, data, [watch], limit_val_batches=0)
    assert len(watch.pairs) == 3
    for steps, cuts, parameters, value in watch.pairs:
        where = cuts.places[cuts.mask]
        torch.testing.assert_close(parameters, steps["old"][where], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(value, (steps["target"] - steps["advantage"])[where], atol=1e-5, rtol=1e-4)
    first, second = (pair[0]["actor_state"].unflatten(0, (3, 16)) for pair in watch.pairs[:2])
    assert (first[:, 0] == 0).all()
    assert (second[:, 0] != 0).any(), "an episode goes on in the next rollout"


@pytest.mark.slow
def test_a_sequence_of_a_single_step_is_a_batch_of_numbers():
    """Of seven steps, in episodes of three, the last one is a sequence of its own, and a batch."""
    seed_everything(0, verbose=False)
    data = RolloutData("CartPole-v1", total_steps=28, num_envs=2, num_steps=7, episode_steps=3, eval_every=28)
    agent = RecurrentPPO(**data.facts(), **SMALL | {"batch_size": 2, "update_epochs": 1})
    points.fit(agent, data, limit_val_batches=0)
    assert all(weight.isfinite().all() for weight in agent.parameters())


def test_an_evaluated_episode_is_remembered():
    torch.manual_seed(0)
    agent = RecurrentPPO("Pendulum-v1", 3, {"low": [-2.0], "high": [2.0]}, num_envs=2, num_steps=24, **SMALL)
    for weight in agent.actor_memory.parameters():
        torch.nn.init.normal_(weight)
    seen = torch.randn(2, 6, 3)
    policy = agent.evaluation_policy()
    found = []
    for step in range(6):  # the second episode begins two steps later
        playing = [7] if step < 2 else [7, 9]
        policy.follow(playing)
        found.append(policy(seen[: len(playing), step]))
    whole = agent(seen[:1])
    torch.testing.assert_close(torch.stack([action[0] for action in found]), whole[0])
    torch.testing.assert_close(torch.stack([action[1] for action in found[2:]]), agent(seen[1:, 2:])[0])


def test_what_it_cannot_do_is_refused():
    facts = {"action": {"count": 2}, "num_envs": 2, "num_steps": 24, **SMALL}
    with pytest.raises(BadSetting, match="compile: recurrent_ppo cannot be compiled"):
        RecurrentPPO("CartPole-v1", 4, **facts).compile()
    with pytest.raises(BadSetting, match="action_masks: a policy with memory cannot use them"):
        RecurrentPPO("mine", {"place": {"size": 2}, "action_mask": {"mask": 2}}, **facts)


def test_columns_of_an_observation():
    env, plain = make("CartPole-v1", None, HIDDEN_CARTPOLE), make("CartPole-v1")
    assert np.array_equal(env.reset(seed=0)[0], plain.reset(seed=0)[0][[0, 2]])
    with pytest.raises(BadSetting, match=r"columns are \[0, 9\], expected some of 0 to 3"):
        make("CartPole-v1", None, [HIDDEN_CARTPOLE[0] | {"init_args": {"columns": [0, 9]}}])


@pytest.mark.long
def test_it_balances_a_pole_whose_velocity_is_hidden():
    scores = {}
    for kind in (RecurrentPPO, PPO):
        seed_everything(100, verbose=False)
        own = {"num_envs": 16, "num_steps": 64, "eval_every": 40_960, "eval_envs": 20}
        data = RolloutData("CartPole-v1", 40_960, wrappers=HIDDEN_CARTPOLE, **own)
        settings = {"lr": 1e-3, "final_lr": 0.0, "gamma": 0.98, "gae_lambda": 0.9, "batch_size": 256}
        settings |= {"normalize_observations": True, "normalize_rewards": True}
        if kind is RecurrentPPO:
            settings |= {"cell": "gru", "memory_size": 64, "sequence_length": 64, "hidden": [64]}
        agent = kind(**data.facts(), **settings)
        scores[kind] = float(points.fit(agent, data).callback_metrics["val/return"])
    assert scores[RecurrentPPO] > 400 > 200 > scores[PPO], scores
