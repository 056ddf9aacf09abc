"""Snapshots of environments: an episode goes on in another environment as it would have gone on in its own."""

import io
import threading
from collections import deque
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.wrappers import NormalizeObservation, RecordEpisodeStatistics, TimeLimit
from hypothesis import given, settings
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays

from lab.rl.envs.environment import make
from lab.rl.envs.state import snapshot
from lab.rl.envs.state.plain import Mismatch
from lab.rl.envs.state.values import GENERATORS, Reader, Writer
from tests.rl.points import Point

CLASSIC = ("Pendulum-v1", "CartPole-v1", "Acrobot-v1", "MountainCar-v0", "MountainCarContinuous-v0")
TOY = ("FrozenLake-v1", "Taxi-v4", "CliffWalking-v1", "Blackjack-v1")
MUJOCO = ("HalfCheetah-v5", "Hopper-v5", "Ant-v5", "Humanoid-v5")


def through_a_file(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def alike(one, other):
    """Equal to the last bit and of the same types, all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple | deque):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape) == (other.dtype, other.shape) and one.tobytes() == other.tobytes()
    return one == other or (one != one and other != other)


def go_on_together(one, other, actions):
    """Steps both, through the ends of episodes, and says that all they give back is the same."""
    for action in actions:
        wanted, found = one.step(action), other.step(action)
        assert alike(wanted[:4], found[:4])
        if wanted[2] or wanted[3]:
            assert alike(one.reset(), other.reset())
    assert alike(one.reset(), other.reset())


def in_mid_episode(make, steps=37):
    """An environment after some steps, and 200 more actions."""
    env = make()
    env.reset(seed=3)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(steps + 200)]
    for action in actions[:steps]:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
    return env, actions[steps:]


@pytest.mark.parametrize("name", [*CLASSIC, *TOY, *MUJOCO])
def test_an_episode_goes_on_in_a_fresh_environment(name, tmp_path, monkeypatch):
    if name in MUJOCO:
        pytest.importorskip("mujoco", reason="needs the extra: pip install 'torch-lab[mujoco]'")
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its log into the present folder

    def make():
        return gym.make(name, disable_env_checker=True)

    env, actions = in_mid_episode(make)
    state = through_a_file(snapshot.take(env))
    fresh = make()
    snapshot.restore(fresh, state)
    if name in MUJOCO:
        assert fresh.unwrapped.data.time == env.unwrapped.data.time > 0
    go_on_together(env, fresh, actions)


def test_taking_and_restoring_snapshots_leaves_the_original_alone():
    env, actions = in_mid_episode(lambda: gym.make("CartPole-v1"))
    twin, _ = in_mid_episode(lambda: gym.make("CartPole-v1"))
    fresh = gym.make("CartPole-v1")
    snapshot.restore(fresh, snapshot.take(env))
    fresh.step(1)
    go_on_together(env, twin, actions)


class Arm:
    """A part that an environment keeps some of its state in."""

    def __init__(self, owner):
        self.owner, self.angles = owner, np.zeros(2)


class Robot(gym.Env):
    """Plain attributes of many kinds, some of which are the same thing twice."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (2,), np.float64)
    action_space = gym.spaces.Discrete(3)

    def __init__(self):
        self.left, self.right, self.dynamics = Arm(self), Arm(self), self.swing
        self.active, self.history, self.counts, self.met = self.left, deque(maxlen=3), {(0, "a"): [1]}, set()

    def reset(self, *, seed=None, options=None):  # noqa: ARG002
        super().reset(seed=seed)
        self.goal = self.np_random.normal(size=2)
        self.targets = [self.goal, np.float32(self.np_random.random())]
        return self.goal.copy(), {}

    def swing(self, action):
        self.active.angles += self.np_random.normal(size=2) * action

    def step(self, action):
        self.dynamics(action)
        self.active = self.right if self.active is self.left else self.left
        self.goal *= 1.01  # the first target moves with it
        self.history.append(float(self.targets[0].sum()))
        self.counts[0, "a"][0] += 1
        self.met.add(int(action))
        seen = self.left.angles + self.right.angles + sum(self.history) + self.counts[0, "a"][0] + len(self.met)
        return seen, float(self.targets[1]), False, False, {}


def test_an_environment_of_plain_attributes_needs_nothing_more():
    def make():
        return TimeLimit(RecordEpisodeStatistics(NormalizeObservation(Robot())), 50)

    env, actions = in_mid_episode(make)
    fresh = make()
    snapshot.restore(fresh, through_a_file(snapshot.take(env)))
    go_on_together(env, fresh, actions)
    assert fresh.unwrapped.active in (fresh.unwrapped.left, fresh.unwrapped.right)
    assert fresh.unwrapped.left.owner is fresh.unwrapped


@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param(threading.Lock(), id="a lock"),
        pytest.param([threading.Lock()], id="a lock in a list"),
        pytest.param([SimpleNamespace()], id="an object in a list"),
        pytest.param(iter([1]), id="an iterator"),
        pytest.param(np.frombuffer(bytearray(8), np.int8), id="a view of foreign memory"),
        pytest.param(np.array([None]), id="an array of objects"),
        pytest.param(np.ma.array([1]), id="a special array"),
    ],
)
def test_what_cannot_be_kept_makes_no_snapshot(foreign):
    env = gym.make("CartPole-v1")
    env.reset(seed=0)
    env.unwrapped.foreign = foreign
    assert snapshot.take(env) is None


def test_two_views_of_one_array_make_no_snapshot():
    env = gym.make("CartPole-v1")
    env.reset(seed=0)
    env.unwrapped.position = env.unwrapped.state[:1]
    assert snapshot.take(env) is None


def test_the_generator_alone_makes_the_next_start_the_same():
    env, _ = in_mid_episode(lambda: gym.make("CartPole-v1"))
    fresh = gym.make("CartPole-v1")
    fresh.reset(seed=99)
    snapshot.set_generator(fresh, through_a_file(snapshot.generator(env)))
    assert alike(env.reset(), fresh.reset())


def test_a_snapshot_of_something_else_is_refused():
    env, _ = in_mid_episode(lambda: gym.make("CartPole-v1"))
    state = snapshot.take(env)
    with pytest.raises(Mismatch, match="the snapshot is not of"):
        snapshot.restore(gym.make("Pendulum-v1"), state)


def test_a_part_of_another_class_is_refused_and_nothing_is_changed():
    env, _ = in_mid_episode(Robot)
    state, other = snapshot.take(env), Robot()
    other.right = None
    with pytest.raises(Mismatch, match=r"expected a .*Arm, found a .*NoneType"):
        snapshot.restore(other, state)
    assert other.history == deque()


numbers = arrays.scalar_dtypes() | arrays.unicode_string_dtypes() | arrays.byte_string_dtypes()
plain = some.none() | some.booleans() | some.integers() | some.floats() | some.text() | some.binary()
values = some.recursive(
    plain | arrays.arrays(numbers, arrays.array_shapes(min_dims=0, min_side=0)) | numbers.map(lambda kind: kind.type()),
    lambda inner: (
        some.lists(inner)
        | some.tuples(inner, inner)
        | some.dictionaries(some.integers() | some.text() | some.tuples(some.integers()), inner)
    ),
    max_leaves=8,
)


@pytest.mark.slow
@given(values)
@settings(max_examples=50)
def test_values_come_back_as_they_were(value):
    assert alike(Reader().value(through_a_file(Writer([]).value(value))), value)


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_keep_their_order_in_memory(order):
    """Sums depend on it, in the last bit."""
    array = np.asarray(np.random.default_rng(0).normal(size=(50, 7)), order=order)
    copy = Reader().value(Writer([]).value(array))
    assert copy.flags.f_contiguous == array.flags.f_contiguous
    assert copy.sum() == array.sum()


@pytest.mark.parametrize("bits", GENERATORS.values())
def test_every_generator_goes_on_where_it_was(bits):
    generator = np.random.Generator(bits(5))
    generator.random(3, dtype=np.float32)  # leaves half a word behind
    copy = Reader().value(through_a_file(Writer([]).value(generator)))
    assert alike(generator.integers(1 << 20, size=5, dtype=np.int32), copy.integers(1 << 20, size=5, dtype=np.int32))
    assert alike(generator.normal(size=5), copy.normal(size=5))


@pytest.mark.parametrize("make_it", [lambda: make("FrozenLake-v1"), lambda: make("Taxi-v4", action_masks=True)])
def test_an_observation_in_parts_is_kept(make_it):
    one, other = make_it(), make_it()
    one.reset(seed=0)
    one.step(0)
    snapshot.restore(other, snapshot.take(one))
    for action in (1, 2, 1):
        assert np.array_equal(one.step(action)[0], other.step(action)[0])


def test_objects_in_a_list_are_kept_where_there_are_as_many():
    class Crowd(Point):
        def __init__(self, count=2):
            super().__init__()
            self.others = [SimpleObject(number) for number in range(count)]
            self.spaces = {"one": self.observation_space}

    env, same, fewer = Crowd(), Crowd(), Crowd(1)
    env.reset(seed=0)
    env.others[1].place = 7
    state = snapshot.take(env)
    snapshot.restore(same, state)
    assert [other.place for other in same.others] == [0, 7]
    assert same.spaces["one"] is same.observation_space
    with pytest.raises(Mismatch, match="found a builtins"):
        snapshot.restore(fewer, state)


class SimpleObject:
    def __init__(self, place):
        self.place = place
