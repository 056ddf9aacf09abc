"""Ways of stepping: the same episodes to the last bit, errors in one line, and no process that outlives its run."""

import os
import signal
import subprocess
import sys
import time

import gymnasium as gym
import numpy as np
import psutil
import pytest
from gymnasium.envs.registration import EnvSpec

from lab.errors import BadSetting, LabError
from lab.rl.envs import async_stepper
from lab.rl.envs.async_stepper import check_vectorization, make_stepper
from lab.rl.envs.factory import EnvFactory

MODES = ("sync", "async")
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr(async_stepper, "cores", lambda: 2)


@pytest.fixture
def start():
    """Environments that are closed after the test."""
    started = []

    def begin(mode, env, envs=3, episode_steps=None):
        started.append(make_stepper(mode, EnvFactory(env, episode_steps=episode_steps), envs))
        started[-1].reset([5 * number for number in range(envs)])
        return started[-1]

    yield begin
    for world in started:
        world.close()


class Fragile(gym.Env):
    """Counts, keeps the actions it is told, and fails in its fourth step."""

    observation_space = gym.spaces.Box(0, 9, (1,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def reset(self, *, seed=None, **_):
        super().reset(seed=seed)
        self.actions = []
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.actions.append(action)
        if len(self.actions) == 4:
            raise RuntimeError("the motor burns\nand more")
        return np.full(1, self.actions[0][0], np.float32), 1.0, False, False, {}


@pytest.fixture
def fragile(monkeypatch):
    monkeypatch.setitem(gym.registry, "Fragile-v0", EnvSpec("Fragile-v0", entry_point=Fragile))
    return "Fragile-v0"


def actions(world, steps, seed=0):
    generator = np.random.default_rng(seed)
    shape = (steps, *world.buffers.action.shape)
    whole = world.buffers.action.dtype.kind == "i"
    return generator.integers(0, 2, shape) if whole else generator.uniform(-1, 1, shape).astype(np.float32)


def take(world, commands):
    """What the board shows after each step."""
    shown = []
    for command in commands:
        world.buffers.action[:] = command
        world.step()
        shown.append([column.copy() for column in world.buffers])
    return shown


def equal(one, other):
    pairs = zip(one, other, strict=True)
    return all(np.array_equal(a, b) for first, second in pairs for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("env", ["CartPole-v1", "Pendulum-v1"])
def test_both_modes_play_the_same_episodes(env, start):
    one, other = (start(mode, env, episode_steps=17) for mode in MODES)
    assert np.array_equal(one.buffers.observation, other.buffers.observation)
    commands = actions(one, 60)
    found = take(one, commands)
    assert equal(found, take(other, commands))
    assert sum(board[5].sum() for board in found) >= 9  # every environment began anew three times
    for world in (one, other):
        world.reset([None] * 3)
    assert np.array_equal(one.buffers.observation, other.buffers.observation)


def test_a_board_shows_where_an_episode_ended_and_where_the_next_begins(start):
    world = start("sync", "CartPole-v1")
    alone = gym.make("CartPole-v1")
    alone.reset(seed=5)
    for command in actions(world, 60):
        world.buffers.action[:] = command
        world.step()
        found, reward, terminated, truncated, _ = alone.step(int(command[1]))
        assert np.array_equal(world.buffers.next_observation[1], found)
        assert world.buffers.reward[1] == reward
        assert (world.buffers.terminated[1], world.buffers.done[1]) == (terminated, terminated or truncated)
        if world.buffers.done[1]:
            found, _ = alone.reset()
        assert np.array_equal(world.buffers.observation[1], found)


@pytest.mark.parametrize(("saved", "restored"), [MODES, MODES[::-1]])
def test_either_mode_goes_on_where_the_other_stood(saved, restored, start):
    one, other = start(saved, "CartPole-v1"), start(restored, "CartPole-v1")
    take(one, actions(one, 13))
    other.buffers.observation[:] = one.buffers.observation
    assert other.restore(one.snapshot(), 13) == [None] * 3
    commands = actions(one, 60, seed=1)
    assert equal(take(one, commands), take(other, commands))


def test_an_episode_that_cannot_be_kept_begins_anew_with_the_same_numbers(start):
    ends = []
    for mode in MODES:
        world = start(mode, "Pendulum-v1", envs=2)
        take(world, actions(world, 5))
        first, second = world.snapshot()
        assert world.restore([first | {"env": None}, second], 5) == ["parts of it cannot be kept", None]
        ends.append(take(world, actions(world, 5)))
    assert equal(*ends)


@pytest.mark.parametrize("mode", MODES)
def test_an_environment_that_fails_is_one_line(mode, start, fragile):
    world = start(mode, fragile)
    found = take(world, actions(world, 3))
    assert np.array_equal(found[2][2], found[0][0])  # its first action is still what it was
    with pytest.raises(LabError) as error:
        take(world, actions(world, 1))
    place = "at env step 4, step 4 of episode 1 (start seed 0)"
    assert str(error.value) == f"environment Fragile-v0 failed {place}: RuntimeError: the motor burns"
    assert len(world.snapshot()) == 3  # it can still be asked


def test_a_process_that_dies_is_one_line(start):
    world = start("async", "CartPole-v1")
    world.processes[1].kill()
    with pytest.raises(LabError, match=r"^environment CartPole-v1 failed: its process ended with code -9$"):
        take(world, actions(world, 3))


def test_signals_are_for_the_run(start):
    world = start("async", "CartPole-v1")
    for process in world.processes:
        for signum in (signal.SIGINT, signal.SIGTERM):
            os.kill(process.pid, signum)
    take(world, actions(world, 3))


def test_processes_end_with_their_environments(start):
    world = start("async", "CartPole-v1")
    assert [share.stop - share.start for share in world.shares] == [1, 2]
    world.close()
    assert [process.exitcode for process in world.processes] == [0, 0]


SCRIPT = """
import os, sys, time
from lab.rl.envs import async_stepper
from lab.rl.envs.factory import EnvFactory
if __name__ == "__main__":
    async_stepper.cores = lambda: 2
    world = async_stepper.make_stepper("async", EnvFactory("CartPole-v1"), 2)
    world.reset([0, 1])
    print(*(process.pid for process in world.processes), flush=True)
    if sys.argv[1] == "sleep":
        time.sleep(60)
    raise RuntimeError
"""


@pytest.mark.long
@pytest.mark.parametrize("end", ["sleep", "fail"])
def test_no_process_outlives_the_run(end, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    run = subprocess.Popen(
        [sys.executable, "script.py", end], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    processes = [psutil.Process(int(pid)) for pid in run.stdout.readline().split()]
    assert len(processes) == 2
    if end == "sleep":
        run.kill()
    run.wait(10)
    until = time.monotonic() + 10
    while any(process.is_running() for process in processes) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(process.is_running() for process in processes)
    assert run.returncode == {"sleep": -9, "fail": 1}[end]


def test_processes_without_sense_are_refused(monkeypatch):
    check_vectorization("async", 2)
    check_vectorization("sync", 1)
    with pytest.raises(BadSetting, match=r"^vectorization: async needs .* and data\.num_envs is 1; use sync$"):
        check_vectorization("async", 1)
    monkeypatch.setattr(async_stepper, "cores", lambda: 1)
    with pytest.raises(BadSetting, match=r"^vectorization: async needs .* and this machine has one core; use sync$"):
        check_vectorization("async", 8)


@pytest.mark.parametrize(
    ("place", "message"),
    [(0, "column 1 of the observation of environment 2 is nan"), (1, "the reward of environment 2 is nan")],
)
def test_a_batch_that_is_not_finite_is_refused(place, message):
    world = make_stepper("vector", EnvFactory("CartPole-v1"), 3)
    world.reset(range(3))
    step = world.made.step

    def spoilt(action):
        found = [np.array(each, float) for each in step(action)[:4]]
        found[place][2, ...] = np.where(np.arange(found[place][2].size) == (1 - place), np.nan, 0.0)
        return (*found[:2], *(each > 0 for each in found[2:]), {})

    world.made.step = spoilt
    with pytest.raises(LabError, match=f"^environment CartPole-v1 failed at step 1: {message}$"):
        world.step()
