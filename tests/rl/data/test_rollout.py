"""Rollouts: shapes, true last observations, advantages against a plain loop, spreads, refusals, exact resume."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from lightning import Callback, Trainer, seed_everything
from torchrl.objectives.value.functional import generalized_advantage_estimate

from lab.errors import BadSetting
from lab.rl.a2c import A2C
from lab.rl.common.advantage import gae
from lab.rl.data.rollout import RolloutData
from lab.rl.networks.normalization import ObservationNorm, RewardNorm
from lab.rl.networks.policies import CategoricalPolicy, GaussianPolicy
from lab.rl.ppo import PPO
from lab.rl.recurrent_ppo import RecurrentPPO
from lab.rl.reinforce import REINFORCE
from lab.rl.trpo import TRPO

QUIET = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)


class Watch(Callback):
    """Keeps the rollouts, and saves after some of them."""

    def __init__(self, folder=None, moments=(), state=None):
        self.folder, self.moments, self.state, self.rollouts = folder, moments, state, []

    def on_train_batch_end(self, trainer, module, outputs, batch, index):  # noqa: ARG002
        self.rollouts.append(batch)
        if batch.env_steps in self.moments:
            trainer.save_checkpoint(self.folder / f"{batch.env_steps}.ckpt")
            torch.save(torch.get_rng_state(), self.folder / f"{batch.env_steps}.rng")

    def on_train_start(self, trainer, module):  # noqa: ARG002
        if self.state is not None:
            torch.set_rng_state(torch.load(self.state))


def train(env="CartPole-v1", watch=None, seed=0, checkpoint=None, model=None, algorithm=PPO, **settings):
    seed_everything(seed, verbose=False)
    torch.set_num_threads(1)
    data = RolloutData(env, **({"total_steps": 480, "num_envs": 3, "num_steps": 16, "eval_every": 130} | settings))
    model = {"hidden": [8], "lr": 1e-2} | (model or {})
    facts = data.facts()
    if issubclass(algorithm, PPO):
        model = {"batch_size": 24, "update_epochs": 2} | model
    else:
        del facts["num_steps"]  # only PPO asks for it
    agent = algorithm(**facts, **model)
    watch = watch or Watch()
    trainer = Trainer(**data.trainer_defaults(), **QUIET, callbacks=[watch], accelerator="cpu", limit_val_batches=0)
    trainer.fit(agent, datamodule=data, ckpt_path=checkpoint, weights_only=True if checkpoint else None)
    return agent, data, watch


def loop(value, future, reward, terminated, done, gamma, decay):
    """The definition: a discounted sum of surprises up to the end of the episode."""
    steps, envs = value.shape
    found = torch.zeros(steps, envs)
    for env in range(envs):
        for first in range(steps):
            weight = 1.0
            for step in range(first, steps):
                alive = 0.0 if terminated[step, env] else 1.0
                surprise = reward[step, env] + gamma * alive * future[step, env] - value[step, env]
                found[first, env] += weight * surprise
                weight *= gamma * decay
                if done[step, env]:
                    break
    return found


@pytest.mark.parametrize("decay", [0.0, 0.9, 1.0])
def test_advantages_are_those_of_a_plain_loop_and_of_torchrl(decay):
    generator = torch.Generator().manual_seed(0)
    value, future, reward = torch.randn(3, 20, 4, generator=generator)
    done = torch.rand(20, 4, generator=generator) < 0.2
    terminated = done & (torch.rand(20, 4, generator=generator) < 0.5)
    found = gae(value, future, reward, terminated, done, 0.97, decay)
    torch.testing.assert_close(found, loop(value, future, reward, terminated, done, 0.97, decay))
    theirs, _ = generalized_advantage_estimate(0.97, decay, value, future, reward, done, terminated, time_dim=0)
    torch.testing.assert_close(found, theirs)


@pytest.mark.slow
def test_a_rollout_is_what_happened():
    _, data, watch = train(episode_steps=5)
    assert data.env_steps == 480
    assert [rollout.env_steps for rollout in watch.rollouts] == list(range(48, 481, 48))
    for before, after in zip(watch.rollouts, watch.rollouts[1:], strict=False):
        steps, following = before.steps, before.steps["next"]
        assert steps.shape == (16, 3)
        going_on = ~following["done"]
        assert torch.equal(following["observation"][:-1][going_on[:-1]], steps["observation"][1:][going_on[:-1]])
        assert torch.equal(following["observation"][-1][going_on[-1]], after.steps["observation"][0][going_on[-1]])
        ended = following["done"][:-1]
        assert (following["observation"][:-1][ended] != steps["observation"][1:][ended]).any(-1).all()
        assert (following["terminated"] <= following["done"]).all()
    assert all(length <= 5 for rollout in watch.rollouts for length in rollout.returns)
    assert any(
        rollout.steps["next", "done"].logical_xor(rollout.steps["next", "terminated"]).any()
        for rollout in watch.rollouts
    )
    returns = [value for rollout in watch.rollouts for value in rollout.returns]
    assert data.mean_return() == pytest.approx(np.mean(returns))


def test_the_simulator_repeats_what_the_rollout_says():
    """Each environment's first episode, played again from the same start with the same actions."""
    _, _, watch = train("Pendulum-v1", total_steps=48, eval_every=48)
    steps = watch.rollouts[0].steps
    env = gym.make("Pendulum-v1").unwrapped
    for number in range(3):
        env.reset()
        cosine, sine, speed = steps["observation"][0, number].tolist()
        env.state = np.array([np.arctan2(sine, cosine), speed])
        for step in range(16):
            action = 2 * steps["action"][step, number].clamp(-1, 1).numpy()
            observation, reward, *_ = env.step(action)
            np.testing.assert_allclose(steps["next", "observation"][step, number], observation, atol=1e-4)
            np.testing.assert_allclose(steps["next", "reward"][step, number], reward, atol=1e-3)


@pytest.mark.slow
def test_rollouts_may_start_anew():
    _, data, watch = train("Pendulum-v1", reset_each_rollout=True)
    first = [rollout.steps["observation"][0] for rollout in watch.rollouts]
    last = [rollout.steps["next", "observation"][-1] for rollout in watch.rollouts]
    assert not any(torch.equal(before, after) for before, after in zip(last, first[1:], strict=False))
    assert data.mean_return() is None


def test_observations_get_mean_0_and_variance_1_after_any_batches():
    torch.manual_seed(0)
    seen, norm = 3 + 5 * torch.randn(100, 2), ObservationNorm(2)
    for batch in seen.split([7, 50, 43]):
        norm.update(batch)
    torch.testing.assert_close(norm.mean, seen.mean(0))
    torch.testing.assert_close(norm.var, seen.var(0, correction=0))
    torch.testing.assert_close(norm(seen).mean(0), torch.zeros(2), atol=1e-5, rtol=0)


def test_rewards_are_divided_by_the_spread_of_the_running_return():
    torch.manual_seed(0)
    reward, done, scale = torch.randn(30, 2), torch.rand(30, 2) < 0.2, RewardNorm(2, gamma=0.9)
    found = torch.cat([scale(reward[:12], done[:12]), scale(reward[12:], done[12:])])
    running, returns = torch.zeros(2), []
    for step in range(30):
        running = 0.9 * running + reward[step]
        returns.append(running)
        running = running * ~done[step]
    torch.testing.assert_close(found[12:], reward[12:] / torch.stack(returns).flatten().std(correction=0))


@pytest.mark.parametrize(
    "policy",
    [GaussianPolicy(3, {"low": [-2.0, 0.0], "high": [2.0, 1.0]}, [8], 0.3), CategoricalPolicy(3, {"count": 4}, [8])],
)
def test_policies_are_torchs_distributions(policy):
    torch.manual_seed(0)
    old, new = (policy(torch.randn(5, 3)).detach() for _ in range(2))
    new = new + 0.1

    def distribution(parameters):
        if isinstance(policy, CategoricalPolicy):
            return torch.distributions.Categorical(logits=parameters)
        mean, log_std = parameters.chunk(2, -1)
        return torch.distributions.Independent(torch.distributions.Normal(mean, log_std.exp()), 1)

    if isinstance(policy, CategoricalPolicy):
        new = new.log_softmax(-1)
    action = policy.sample(old, policy.noise(5))
    torch.testing.assert_close(policy.log_prob(new, action), distribution(new).log_prob(action))
    torch.testing.assert_close(policy.entropy(old), distribution(old).entropy())
    expected = torch.distributions.kl_divergence(distribution(old), distribution(new))
    torch.testing.assert_close(policy.kl_divergence(old, new), expected)


def test_samples_have_the_chances_that_the_policy_says():
    torch.manual_seed(0)
    policy = CategoricalPolicy(3, {"count": 3}, [8])
    chances = torch.tensor([0.7, 0.2, 0.1])
    drawn = policy.sample(chances.log().expand(20_000, 3), policy.noise(20_000))
    torch.testing.assert_close(drawn.bincount() / 20_000, chances, atol=0.01, rtol=0)


def test_more_environments_than_sense_are_refused():
    with pytest.raises(BadSetting, match="envs: 100 environments times 256 steps are a rollout of 25600, more than"):
        RolloutData("CartPole-v1", total_steps=1000, num_envs=100)


@pytest.mark.slow
def test_how_environments_are_stepped_changes_nothing(monkeypatch):
    monkeypatch.setattr("lab.rl.envs.async_stepper.cores", lambda: 2)
    here, data, _ = train(episode_steps=17)
    there, other, _ = train(episode_steps=17, vectorization="async")
    assert all(torch.equal(value, there.state_dict()[name]) for name, value in here.state_dict().items())
    assert other.mean_return() == data.mean_return()


NORMALIZED = {"normalize_observations": True, "normalize_rewards": True}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("algorithm", "env", "model", "vectorization"),
    [
        (PPO, "CartPole-v1", {}, "sync"),
        (PPO, "Pendulum-v1", NORMALIZED | {"objective": "kl"}, "async"),
        pytest.param(A2C, "CartPole-v1", NORMALIZED, "sync", marks=pytest.mark.long),
        pytest.param(REINFORCE, "CartPole-v1", {"baseline": True}, "sync", marks=pytest.mark.long),
        (REINFORCE, "CartPole-v1", {"baseline": False}, "sync"),
        pytest.param(TRPO, "Pendulum-v1", NORMALIZED, "sync", marks=pytest.mark.long),
        (RecurrentPPO, "CartPole-v1", NORMALIZED | {"memory_size": 8, "sequence_length": 5}, "sync"),
    ],
)
def test_a_resumed_run_has_the_same_bits(tmp_path, algorithm, env, model, vectorization, monkeypatch):
    """Also in the middle of an epoch, and of every environment's episode."""
    monkeypatch.setattr("lab.rl.envs.async_stepper.cores", lambda: 2)
    same = {"env": env, "model": model, "algorithm": algorithm, "episode_steps": 37, "vectorization": vectorization}
    whole, data, watch = train(watch=Watch(tmp_path, (96, 240)), **same)
    for moment in (96, 240):
        again = Watch(state=tmp_path / f"{moment}.rng")
        resumed, rest, watched = train(watch=again, seed=7, checkpoint=tmp_path / f"{moment}.ckpt", **same)
        assert rest.mean_return() == data.mean_return()
        for one, other in zip(watch.rollouts[moment // 48 :], watched.rollouts, strict=True):
            assert (one.steps == other.steps).all()
            assert one.returns == other.returns
        assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in whole.state_dict().items())


@pytest.mark.slow
def test_an_episode_that_cannot_be_kept_starts_anew(tmp_path, monkeypatch):
    monkeypatch.setattr("lab.rl.envs.state.episode.take", lambda _: None)
    train(watch=Watch(tmp_path, (96,)))
    with pytest.warns(UserWarning, match="the current episode of CartPole-v1 starts again"):
        _, data, _ = train(watch=Watch(state=tmp_path / "96.rng"), checkpoint=tmp_path / "96.ckpt")
    assert data.env_steps == 480
