"""Environments that cannot be read: an episode goes on after its actions were played again, or says why it does not."""

import random
import re
import threading
import time

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec

from lab.rl.envs import async_stepper
from lab.rl.envs.async_stepper import make_stepper
from lab.rl.envs.environment import make
from lab.rl.envs.factory import EnvFactory
from lab.rl.envs.state import episode, recording
from lab.rl.envs.state.plain import alike
from lab.rl.envs.state.values import MOST_PARTS
from tests.rl.envs.test_snapshot import through_a_file
from tests.rl.points import Point

WRAPPERS = ["NormalizeReward", {"class_path": "StickyAction", "init_args": {"repeat_action_probability": 0.3}}]


class Locked(Point):
    """Draws in each step, remembers how many episodes there were, and holds something that cannot be read."""

    def __init__(self):
        super().__init__()
        self.lock, self.episodes, self.levels, self.hidden = threading.Lock(), 0, list(range(MOST_PARTS + 1)), [0.0]

    def reset(self, *, seed=None, options=None):
        self.episodes += 1
        seen = super().reset(seed=seed, options=options)
        self.state[1] /= self.episodes
        return seen[0] * [1, 1 / self.episodes], seen[1]

    def step(self, action):
        return super().step(action * self.np_random.uniform())


class ByChance(Locked):
    """A generator of the process decides what is seen."""

    def step(self, action):
        return super().step(action * random.random())


class ByTime(Locked):
    """The time decides what is seen in the end."""

    def step(self, action):
        return super().step(action * (time.perf_counter() % 1))


class PaidByChance(Locked):
    def step(self, action):
        seen, _, *rest = super().step(action)
        return seen, random.random(), *rest


class HiddenChance(Locked):
    """What is not yet seen is different."""

    def step(self, action):
        self.wind = random.random()
        return super().step(action)


class Broken(Locked):
    """Fails from some moment on."""

    fails = False

    def step(self, action):
        if self.fails:
            raise RuntimeError("the licence is used up")
        return super().step(action)


@pytest.fixture
def start(monkeypatch):
    """Environments that are closed after the test."""
    monkeypatch.setattr(async_stepper, "cores", lambda: 2)
    started = []

    def begin(env, first_seed=0, mode="sync", **settings):
        if isinstance(env, type):
            monkeypatch.setitem(gym.registry, f"{env.__name__}-v0", EnvSpec(f"{env.__name__}-v0", entry_point=env))
            env = f"{env.__name__}-v0"
        started.append(make_stepper(mode, EnvFactory(env, **settings), 2))
        started[-1].reset([first_seed, first_seed + 1])
        return started[-1]

    yield begin
    for world in started:
        world.close()


def play(world, steps, seed=0):
    """What random actions lead to."""
    generator, spec, found = np.random.default_rng(seed), world.action, []
    for _ in range(steps):
        if "count" in spec:
            world.buffers.action[:] = generator.integers(spec["count"], size=2)
        else:
            world.buffers.action[:] = generator.uniform(spec["low"], spec["high"], (2, len(spec["low"])))
        world.step()
        found.append([column.copy() for column in world.buffers])
    return found


def goes_on(start, env, steps, more=60, mode="sync", **settings):
    """Whether other environments go on where these are; returns why not."""
    one, other = (start(env, seed, mode, **settings) for seed in (0, 99))
    play(one, steps)
    state = through_a_file(one.snapshot())
    other.buffers.observation[:] = one.buffers.observation
    reasons = other.restore(state, steps)
    if not any(reasons):
        for wanted, found in zip(play(one, more, 1), play(other, more, 1), strict=True):
            assert all(map(np.array_equal, wanted, found))
    return state, reasons


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env", "steps", "settings"),
    [
        pytest.param("LunarLander-v3", 30, {}, id="the first episode"),
        pytest.param("LunarLander-v3", 250, {}, id="a later episode"),
        pytest.param("LunarLander-v3", 250, {"wrappers": WRAPPERS, "frame_stack": 3}, id="wrappers that draw"),
        pytest.param("LunarLanderContinuous-v3", 250, {"mode": "async"}, id="several processes"),
        pytest.param("LunarLander-v3", 30, {"mode": "async"}, id="several new ones", marks=pytest.mark.long),
        pytest.param("BipedalWalker-v3", 300, {"episode_steps": 80}, id="a walker"),
        pytest.param("CarRacing-v3", 60, {"episode_steps": 50, "more": 5}, id="a car", marks=pytest.mark.long),
        pytest.param("BipedalWalkerHardcore-v3", 1_000, {"more": 600}, id="obstacles", marks=pytest.mark.long),
    ],
)
def test_box2d_goes_on_in_the_middle_of_an_episode(start, env, steps, settings):
    pytest.importorskip("Box2D", reason="needs the extra: pip install 'torch-lab[box2d]'")
    state, reasons = goes_on(start, env, steps, **settings)
    assert reasons == [None, None]
    assert all("actions" in each["env"] for each in state)


@pytest.mark.slow
@pytest.mark.parametrize("steps", [20, pytest.param(400, marks=pytest.mark.long)])
@pytest.mark.parametrize("game", ["Breakout", pytest.param("Pong", marks=pytest.mark.long)])
def test_a_game_that_repeats_actions_by_chance_goes_on(start, game, steps):
    """Also after some lives: an episode of training is one of them, and what is played again is the whole game."""
    pytest.importorskip("ale_py", reason="needs the extra: pip install 'torch-lab[atari]'")
    pytest.importorskip("cv2", reason="needs the extra: pip install 'torch-lab[atari]'")
    state, reasons = goes_on(start, f"ALE/{game}-v5", steps)
    assert reasons == [None, None]
    assert all("actions" in each["env"] for each in state)


@pytest.mark.parametrize("steps", [7, 40])
def test_what_matters_for_longer_than_an_episode_is_as_it_was(start, steps):
    assert goes_on(start, Locked, steps, episode_steps=15)[1] == [None, None]


def test_it_is_played_again_after_it_was_played_again(start):
    one, other, third = start(Locked), start(Locked, 99), start(Locked, 7)
    play(one, 9)
    other.restore(through_a_file(one.snapshot()), 9)
    assert alike(one.snapshot(), other.snapshot())
    assert third.restore(through_a_file(other.snapshot()), 9) == [None, None]
    assert np.array_equal(play(one, 5)[-1][1], play(third, 5)[-1][1])


@pytest.mark.parametrize(
    ("env", "reason"),
    [
        (ByChance, "playing it again gave other observations"),
        (ByTime, "playing it again gave other observations"),
        (PaidByChance, "playing it again gave other rewards"),
        (HiddenChance, "playing it again gave other random numbers or attributes"),
        (Broken, "playing it again failed: LabError: .* the licence is used up"),
    ],
)
def test_what_decides_besides_is_noticed(start, env, reason, monkeypatch):
    one, other = start(env), start(env, 99)
    play(one, 9)
    monkeypatch.setattr(Broken, "fails", True)
    for found in other.restore(through_a_file(one.snapshot()), 9):
        assert re.fullmatch(f"parts of it cannot be kept, and {reason}", found)
    monkeypatch.undo()
    play(other, 9)  # new episodes


def test_an_episode_without_end_is_not_played_again(start, monkeypatch):
    monkeypatch.setattr(recording, "MOST_STEPS", 5)
    monkeypatch.setattr(episode, "MOST_STEPS", 5)
    assert goes_on(start, Locked, 5)[1] == [None, None]
    reason = "parts of it cannot be kept, and more than 5 steps are not played again"
    assert goes_on(start, Locked, 6)[1] == [reason] * 2


def test_nothing_is_recorded_where_everything_can_be_read(start):
    world = start("CartPole-v1")
    assert [env.recording for env in world.checked] == [None, None]
    reason = "the recording is not of CartPole-v1, which can be read"
    assert world.restore(start(Locked).snapshot(), 0) == [reason] * 2


@pytest.mark.slow
def test_the_same_seed_is_the_same_episode_of_a_walker_whatever_was_before():
    """In Gymnasium's own one the third of these goes another way the second time."""
    pytest.importorskip("Box2D", reason="needs the extra: pip install 'torch-lab[box2d]'")
    env, found = make("BipedalWalker-v3"), {}
    actions = np.random.default_rng(0).uniform(-1, 1, (120, 4)).astype(np.float32)
    for seed in [*range(8), *range(8)]:
        seen, ended = [env.reset(seed=seed)[0]], False
        while not ended and len(seen) <= len(actions):
            observation, _, ended, _, _ = env.step(actions[len(seen) - 1])
            seen.append(observation)
        assert np.array_equal(found.setdefault(seed, seen), seen)


def test_alike_means_to_the_last_bit():
    assert alike({"a": [1, (0.5, float("nan"))]}, {"a": [1, (0.5, float("nan"))]})
    assert not alike(0.0, -0.0)
    assert not alike(1, True)
    assert not alike([1, 2], [1])
    assert not alike({"a": 1}, {"b": 1})
