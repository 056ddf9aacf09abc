"""EnvPool's environments: no lost action, the same episodes after a resume, whole games in evaluation."""

import importlib.util
import sys

import gymnasium as gym
import numpy as np
import pytest

from lab.errors import BadSetting, LabError
from lab.registry import find_task
from lab.rl.data import RolloutData
from lab.rl.envs.async_stepper import check_around, make_stepper
from lab.rl.envs.factory import EnvFactory
from lab.rl.envs.pool import pool_env, pool_stepper
from tests.rl import points

if importlib.util.find_spec("envpool") is None:
    from tests.rl.envs import envpool_stand_in

    @pytest.fixture(autouse=True)
    def envpool(monkeypatch):
        monkeypatch.setitem(sys.modules, "envpool", envpool_stand_in)


def stepper(env, count=3, **settings):
    made = make_stepper("sync", EnvFactory(env, **settings), count)
    made.reset(range(count))
    return made


def played(world, steps, generator):
    """All buffers after each step with random actions."""
    most = world.action.get("count", 0)
    shown = []
    for _ in range(steps):
        action = world.buffers.action
        action[:] = generator.integers(0, most, action.shape) if most else generator.uniform(-3, 3, action.shape)
        world.step()
        shown.append([column.copy() for column in world.buffers])
    return shown


def test_rewards_that_are_not_finite_are_refused():
    world = stepper("envpool:CartPole-v1")
    step = world.pool.step

    def spoilt(action):
        seen, reward, *rest = step(action)
        return (seen, np.where(rest[-1]["env_id"] == 1, np.inf, reward), *rest)

    world.pool.step = spoilt
    with pytest.raises(LabError, match=r"CartPole-v1 failed at step 1: the reward of environment 1 is inf$"):
        world.step()


def test_no_action_is_lost_at_the_end_of_an_episode():
    world, physics = stepper("envpool:CartPole-v1"), gym.make("CartPole-v1").unwrapped
    generator, ends = np.random.default_rng(0), 0
    physics.reset(seed=0)
    for _ in range(120):
        before = world.buffers.observation.copy()
        action, observation, following, reward, terminated, done = played(world, 1, generator)[0]
        for number in range(3):
            physics.state, physics.steps_beyond_terminated = before[number].astype(float), None
            seen, _, is_over, _, _ = physics.step(int(action[number]))
            assert np.allclose(seen, following[number], atol=1e-4)
            assert (is_over, 1.0) == (terminated[number], reward[number])
        assert np.array_equal(observation[~done], following[~done])
        assert (abs(observation[done]) <= 0.05).all()
        ends += done.sum()
    assert ends > 5


@pytest.mark.parametrize("env", ["envpool:CartPole-v1", "envpool:Pendulum-v1", "envpool:FrozenLake-v1"])
def test_a_snapshot_leads_back_to_the_same_episodes(env):
    world, generator = stepper(env), np.random.default_rng(0)
    played(world, 150, generator)
    saved, seen, state = world.snapshot(), world.buffers.observation.copy(), generator.bit_generator.state
    expected = played(world, 150, generator)
    other = make_stepper("sync", EnvFactory(env), 3)
    other.reset([7, 8, 9])
    other.buffers.observation[:] = seen
    assert other.restore(saved, 150) == [None] * 3
    generator.bit_generator.state = state
    assert all(
        np.array_equal(one, two)
        for each in zip(expected, played(other, 150, generator), strict=True)
        for one, two in zip(*each, strict=True)
    )
    assert other.steps == world.steps == 300


def test_too_many_steps_are_not_played_again(monkeypatch):
    monkeypatch.setattr(pool_stepper, "MOST_STEPS", 30)
    world = stepper("envpool:CartPole-v1")
    played(world, 11, np.random.default_rng(0))
    saved = world.snapshot()
    begun = []
    for _ in range(2):
        other = make_stepper("sync", EnvFactory("envpool:CartPole-v1"), 3)
        (reason, *_) = other.restore(saved, 11)
        begun.append(other.buffers.observation.copy())
    assert reason == "parts of it cannot be kept, and more than 30 steps are not played again"
    assert np.array_equal(*begun)
    assert not np.array_equal(begun[0], stepper("envpool:CartPole-v1").buffers.observation)


def test_a_game_ends_with_a_life_in_training_alone(monkeypatch):
    made, make = [], pool_env.make_pool

    def noted(*place, **settings):
        made.append(settings)
        return make(*place, **settings)

    for module in (pool_env, pool_stepper):
        monkeypatch.setattr(module, "make_pool", noted)
    stepper("envpool:Breakout-v5")
    EnvFactory("envpool:Breakout-v5").for_evaluation(1)[0].reset(seed=0)
    training, evaluation = made
    assert {"episodic_life": True, "reward_clip": True}.items() <= training.items()
    assert not {"episodic_life", "reward_clip"} & evaluation.keys()


def test_evaluation_starts_where_its_seed_says_and_ends_in_time():
    env = EnvFactory("envpool:Pendulum-v1").for_evaluation(1)[0]
    first, _ = env.reset(seed=3)
    steps = next(step for step in range(1, 300) if env.step(np.zeros(1))[3])
    again, _ = env.reset(seed=3)
    other, _ = env.reset()
    assert steps == 200
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_time_limit_is_the_recipes():
    done = [each[5] for each in played(stepper("envpool:Pendulum-v1", episode_steps=7), 14, np.random.default_rng(0))]
    assert [number for number, each in enumerate(done, 1) if each.all()] == [7, 14]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"env": "envpool:CartPole-v2"}, "no environment 'envpool:CartPole-v2'; did you mean 'envpool:CartPole-v1'?"),
        ({"env": "envpool:KuhnPoker-v1"}, "several players"),
        ({"env_kwargs": {"seed": 3}}, "unknown keyword 'seed' of 'envpool:CartPole-v1'"),
        ({"env": "envpool:Breakout-v5", "env_kwargs": {"episodic_life": True}}, "is set in training"),
        ({"env": "envpool:Breakout-v5", "env_kwargs": {"stack_num": "two"}}, "expected a whole number, found 'two'"),
        ({"wrappers": ["TimeAwareObservation"]}, "use Gymnasium's"),
        ({"frame_stack": 4}, "set env_kwargs.stack_num"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(setting, message):
    data = RolloutData(**{"env": "envpool:CartPole-v1", "total_steps": 10_000} | setting)
    with pytest.raises(BadSetting) as caught:
        data.facts()
    assert message in caught.value.message
    assert "\n" not in caught.value.message


def test_other_ways_of_stepping_are_refused():
    with pytest.raises(BadSetting, match="leave it out"):
        check_around("async", EnvFactory("envpool:CartPole-v1"))


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "envpool", None)
    with pytest.raises(BadSetting, match=r"pip install 'torch-lab\[envpool\]'"):
        EnvFactory("envpool:CartPole-v1").facts()


@pytest.mark.slow
def test_agents_learn_in_a_pool():
    ppo = {"batch_size": 256, "update_epochs": 20, "lr": 1e-3, "hidden": [64]}
    settings = {"total_steps": 30_000, "num_envs": 8, "num_steps": 32, "eval_every": 30_000, "eval_episodes": 10}
    _, _, trainer = points.train(find_task("ppo"), "envpool:CartPole-v1", model=ppo, **settings)
    assert float(trainer.callback_metrics["val/return"]) > 150  # random actions: 22
    points.train(find_task("dqn"), "envpool:CartPole-v1", discrete=True, num_envs=2, n_step=3)
    points.train(find_task("sac"), "envpool:Pendulum-v1")
