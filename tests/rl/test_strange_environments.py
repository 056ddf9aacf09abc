"""Environments as people write them: shared arrays, strict spaces, no end, NaN, old interfaces; what agents log."""

import csv
import itertools
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from lightning import Callback, seed_everything
from lightning.pytorch.loggers import CSVLogger

from lab.errors import BadSetting, LabError
from lab.rl.common import evaluation
from lab.rl.data.replay import ReplayData
from lab.rl.data.rollout import RolloutData
from lab.rl.ddpg import DDPG
from lab.rl.dqn import DQN
from lab.rl.envs import async_stepper, environment
from lab.rl.envs.factory import EnvFactory
from lab.rl.ppo import PPO
from tests.rl import points
from tests.rl.points import Double, Lookup, Point, Shared, Strict, Whole, equal, fit

CPU = torch.device("cpu")


@pytest.fixture
def register(monkeypatch):
    return lambda kind, **settings: points.register(monkeypatch, kind, **settings)


def replay(env, agent=DDPG, **settings):
    seed_everything(0, verbose=False)
    short = {"total_steps": 120, "learning_starts": 40, "batch_size": 8, "train_freq": 10, "eval_every": 60}
    data = ReplayData(env, **(short | {"eval_episodes": 2} | settings))
    model = agent(**data.facts(), hidden=[8])
    return model, data, fit(model, data)


def rollouts(env, **settings):
    seed_everything(0, verbose=False)
    data = RolloutData(env, **({"total_steps": 96, "num_envs": 2, "num_steps": 16, "eval_every": 48} | settings))
    model = PPO(**data.facts(), hidden=[8], batch_size=32, update_epochs=1)
    return model, data, fit(model, data)


@pytest.mark.slow
def test_shared_arrays_are_copied(register):
    (one, rows, _), (other, same, _) = replay(register(Point)), replay(register(Shared))
    assert (rows.replay[:] == same.replay[:]).all()
    assert not torch.equal(same.replay[:]["observation"], same.replay[:]["next", "observation"])
    assert equal(one, other)
    assert equal(rollouts("Point-v0")[0], rollouts("Shared-v0")[0])


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Strict, Double, Whole])
def test_actions_lie_in_their_space(kind, register):
    env = environment.make(register(kind))
    env.reset(seed=0)
    for action in (-9.0, 2.7000003, 9.0, 1.4):
        env.step(np.array([action], np.float32))
    replay(env.name)
    rollouts(env.name)


@pytest.mark.slow
def test_a_discrete_action_is_a_number_everywhere(register, tmp_path):
    name = register(Lookup)
    model, _, _ = replay(name, DQN)
    rollouts(name)
    assert np.isfinite(evaluation.play(model, EnvFactory(name), [1, 2, 3], CPU, num_envs=2)).all()
    assert -60 < evaluation.record_video(model, EnvFactory(name), 1, CPU, tmp_path / "a.mp4") <= 0


def changed(**methods):
    return type("Changed", (Point,), methods)


FAULTS = {
    "column 1 of the observation is nan": lambda *_: (np.array([1, np.nan]), 0.0, False, False, {}),
    "column 0 of the observation is -inf": lambda *_: (np.array([-np.inf, 1]), 0.0, False, False, {}),
    "the reward is inf": lambda *_: (np.ones(2), np.inf, False, False, {}),
    "must be a float, int, np.integer or np.floating, actual type: NoneType": lambda *_: (
        np.ones(2), None, False, False, {},
    ),
    "actual type: ndarray of float64 (1,)": lambda *_: (np.ones(2), np.ones(1), False, False, {}),
    "expected shape: (2,), actual shape: (3,)": lambda *_: (np.ones(3), 0.0, False, False, {}),
    "is written in old step API": lambda *_: (np.ones(2), 0.0, False, {}),
}  # fmt: skip


@pytest.mark.parametrize(("message", "step"), FAULTS.items(), ids=list(FAULTS))
def test_a_fault_names_environment_step_and_episode(message, step, register):
    env = environment.make(register(changed(step=step)))
    env.reset(seed=7)
    with pytest.raises(LabError) as error:
        env.step(np.zeros(1, np.float32))
    where = "environment Changed-v0 failed at env step 1, step 1 of episode 1 (start seed 7): "
    assert str(error.value).startswith(f"env: {where}")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_old_reset_is_named(register):
    env = environment.make(register(changed(reset=lambda *_, **__: np.zeros(2, np.float32))))
    with pytest.raises(LabError, match=r"Changed-v0 failed in the reset .*was not a tuple of the form `\(obs, info\)`"):
        env.reset(seed=1)


@pytest.mark.parametrize("error", [RuntimeError("no licence"), gym.error.Error("no display")])
def test_a_constructor_that_fails_is_one_line(error, register):
    def fail(self):
        raise error

    with pytest.raises(BadSetting) as found:
        environment.describe(register(changed(__init__=fail)))
    assert str(found.value) == f"env: 'Changed-v0' could not be created: {type(error).__name__}: {error}"


@pytest.mark.slow
def test_an_evaluation_without_end_is_cut_off(register):
    class Endless(Point):
        def move(self, action):  # noqa: ARG002
            return 0.0

    model, _, _ = replay(register(Endless), eval_every=200, eval_episodes=1, episode_steps=30)
    name = register(Endless, limit=None)
    with pytest.warns(UserWarning, match="Endless-v0 has no time limit: evaluation ends an episode after 1,000 steps"):
        evaluation.play(model, EnvFactory(name), [1], CPU)
    assert -30 <= evaluation.play(model, EnvFactory(name, episode_steps=30), [1], CPU)[0] <= 0
    replay(name, episode_steps=30)


@pytest.mark.parametrize(("rate", "freq"), [(0.25, 10), (0.3, 10), (1.5, 3), (1.0, 10)])
def test_updates_per_step_is_exact_over_the_run(rate, freq, register):
    model, data, _ = replay(register(Point), updates_per_step=rate, train_freq=freq, learning_starts=30)
    assert int(model.updates) == int((data.env_steps - 30) * rate + 1e-6)


@pytest.mark.slow
def test_no_schedule_goes_beyond_its_end(register):
    rates = []

    class Watched(DDPG):
        def update_on_batch(self, block, state):
            *_, rate, _ = state[0]  # and betas
            rates.append(float(rate))
            return super().update_on_batch(block, state)

    seed_everything(0, verbose=False)
    short = {"total_steps": 105, "learning_starts": 40, "train_freq": 10, "batch_size": 8, "eval_episodes": 1}
    data = ReplayData(register(Point), **short)
    fit(Watched(**data.facts(), hidden=[8], final_lr=0.0), data)
    assert data.env_steps == 110
    assert min(rates) == rates[-1] == 0.0
    seed_everything(0, verbose=False)
    _, data, _ = replay("Point-v0", DQN, num_action_bins=3, prioritized=True, total_steps=105)
    assert data.replay.sampler.beta == 1.0


def test_an_environment_of_a_module_in_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "my_envs.py").write_text(
        "import gymnasium as gym\nfrom gymnasium.envs.classic_control.cartpole import CartPoleEnv\n"
        "gym.register('Mine-v0', entry_point=CartPoleEnv, max_episode_steps=20)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(async_stepper, "cores", lambda: 2)
    assert environment.describe("my_envs:Mine-v0")["observation_size"] == 4
    stepper = async_stepper.make_stepper("async", EnvFactory("my_envs:Mine-v0"), 2)
    stepper.reset([0, 1])
    stepper.step()
    stepper.close()


def test_losses_are_logged_like_everybody_s(register, tmp_path):
    class Seen(Callback):
        def __init__(self):
            self.values = []

        def on_train_batch_end(self, trainer, module, outputs, batch, index):  # noqa: ARG002
            self.values.append(dict(trainer.callback_metrics))

    seed_everything(0, verbose=False)
    short = {"total_steps": 120, "learning_starts": 40, "batch_size": 8, "train_freq": 10, "eval_every": 60}
    data = ReplayData(register(Point), **short, eval_episodes=1)
    seen, logger = Seen(), CSVLogger(tmp_path)
    fit(DDPG(**data.facts(), hidden=[8]), data, [seen], logger)
    assert all({"loss/critic", "loss/actor", "env_steps", "updates"} <= set(values) for values in seen.values)
    with Path(logger.log_dir, "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    losses = [(int(row["step"]), float(row["loss/critic"])) for row in rows if row["loss/critic"]]
    assert losses == [
        (steps, float(values["loss/critic"]))
        for steps, values in zip(itertools.count(50, 10), seen.values, strict=False)
    ]


@pytest.mark.parametrize("leave", [SystemExit(3), SystemExit("no licence")])
def test_an_environment_that_leaves_the_process_is_a_failure_of_it(leave, register):
    def stop(*_, **__):
        raise leave

    env = environment.make(register(changed(step=stop)))
    env.reset(seed=7)
    with pytest.raises(LabError, match=rf"Changed-v0 failed at env step 1, .*: SystemExit: {leave}$"):
        env.step(np.zeros(1, np.float32))
    with pytest.raises(LabError, match=r"Changed-v0 failed in the reset .*: SystemExit"):
        environment.make(register(changed(reset=stop))).reset(seed=7)


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (np.ones(2, np.complex64) * 1j, "holds complex64, expected real numbers"),
        (["1", "2"], "holds <U1, expected real numbers"),
        (np.ma.array([1.0, 2.0], mask=[False, True]), "is an array with masked values"),
        (None, "expected shape: (2,), actual shape: ()"),
        ([1.0, [2.0, 3.0]], "was expecting a numpy array, actual type: list"),
    ],
)
def test_observations_that_numpy_would_make_numbers_of_are_refused(seen, words, register):
    env = environment.make(register(changed(shown=lambda _: seen)))
    with pytest.raises(LabError) as error:
        env.reset(seed=7)
    assert "Changed-v0 failed in the reset" in str(error.value)
    assert words in str(error.value)


@pytest.mark.parametrize("kind", [float, np.int64, bool, list])
def test_other_kinds_of_numbers_are_taken(kind, register):
    shown = (lambda self: self.state.tolist()) if kind is list else lambda self: self.state.astype(kind)
    env = environment.make(register(changed(shown=shown)))
    assert env.reset(seed=7)[0].dtype == np.float32


def test_a_reward_beyond_all_floats_is_named(register):
    env = environment.make(register(changed(step=lambda *_: (np.ones(2), 10**400, False, False, {}))))
    env.reset(seed=7)
    with pytest.raises(LabError, match="the reward is inf"):
        env.step(np.zeros(1, np.float32))


@pytest.mark.parametrize("bounds", [(0, 2**63 - 1), (-(2**63), 2**63 - 1), (0, 2**24 + 1)])
def test_the_largest_whole_numbers_lie_in_their_space(bounds, register):
    class Large(Strict):
        low, high, kind = *bounds, np.int64

    env = environment.make(register(Large))
    env.reset(seed=0)
    for action in (*env.action_space.low, *env.action_space.high, 7.4, 1e30, -1e30):
        env.step(np.array([action], np.float32))


class Mute(Point):
    """Shows nothing."""

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.observation_space = gym.spaces.Box(-1, 1, (0,))


class Idle(Point):
    """Needs no action."""

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.action_space = gym.spaces.Box(-1, 1, (0,))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Mute, "observes nothing (a Box without numbers) as 'observation'"),
        (Idle, "(0,), float32) as action space; a Discrete, MultiDiscrete"),
    ],
)
def test_spaces_without_numbers_are_refused(kind, words, register):
    with pytest.raises(BadSetting) as error:
        environment.describe(register(kind))
    assert words in str(error.value)
