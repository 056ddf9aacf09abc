"""Atari games: what an agent sees, lives and scores, and an exact way back into the middle of a game."""

from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest
import torch

from lab.errors import BadSetting
from lab.rl.envs import environment
from lab.rl.envs.layers import atari
from lab.rl.envs.layers.atari_lives import FIRE, lives
from lab.rl.envs.state import snapshot
from lab.rl.envs.state.plain import Mismatch

pytest.importorskip("ale_py", reason="needs the extra: pip install 'torch-lab[atari]'")
pytest.importorskip("cv2", reason="needs the extra: pip install 'torch-lab[atari]'")
pytestmark = pytest.mark.slow


def play(env, steps, seed=0):
    """All that comes back from random actions."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(steps):
        found.append(env.step(int(generator.integers(env.action_space.n)))[:4])
        if found[-1][2] or found[-1][3]:
            found.append(env.reset()[0])
    return found


def same(one, other):
    return len(one) == len(other) and all(
        all(np.array_equal(x, y) for x, y in zip(a, b, strict=True)) for a, b in zip(one, other, strict=True)
    )


def test_an_agent_sees_the_last_four_screens_in_bytes():
    env = environment.make("PongNoFrameskip-v4", max_episode_steps=7)
    first, _ = env.reset(seed=0)
    assert (first.shape, first.dtype) == ((4, 84, 84), np.uint8)
    assert environment.describe("PongNoFrameskip-v4")["observation_size"] == [4, 84, 84]
    seen = [env.step(2) for _ in range(7)]
    for (before, *_), (after, *_) in pairwise(seen):
        assert np.array_equal(before[1:], after[:-1])
    assert [step[3] for step in seen] == [False] * 6 + [True]  # the limit counts what the agent sees, not frames
    assert env.unwrapped.ale.getEpisodeFrameNumber() >= 28


def test_the_preprocessing_has_keywords_beside_those_of_the_game():
    given = {"screen_size": 42, "frame_skip": 2, "noop_max": 0, "difficulty": 1}
    env = environment.make("PongNoFrameskip-v4", given)
    env.reset(seed=0)
    before = env.unwrapped.ale.getEpisodeFrameNumber()
    assert env.step(0)[0].shape == (4, 42, 42)
    assert env.unwrapped.ale.getEpisodeFrameNumber() - before == 2
    assert environment.make("PongNoFrameskip-v4", {"screen_size": [44, 42]}).observation_space.shape == (4, 42, 44)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"screensize": 42}, r"env_kwargs.screensize: unknown keyword .*; did you mean 'screen_size'\?"),
        ({"noop_max": "many"}, r"env_kwargs.noop_max: expected a whole number, found 'many'"),
        ({"screen_size": -1}, r"env_kwargs.screen_size: expected a whole number from 5 to 210, or two .*; found -1"),
        ({"screen_size": 100_000}, r"env_kwargs.screen_size: expected a whole number from 5 to 210"),
        ({"screen_size": True}, r"env_kwargs.screen_size: expected a whole number from 5 to 210"),
        ({"screen_size": "small"}, r"env_kwargs.screen_size: expected a whole number .*; found 'small'"),
        ({"screen_size": [84, 84, 3]}, r"env_kwargs.screen_size: expected a whole number .*; found \[84, 84, 3\]"),
        ({"frame_skip": 100_000}, r"env_kwargs.frame_skip: expected 1 to 60 frames, found 100000"),
        ({"noop_max": -1}, r"env_kwargs: .*Expect the `noop_max` to be non-negative"),
        ({"frameskip": 2}, r"env_kwargs.frameskip: cannot be set for Atari games: set env_kwargs.frame_skip"),
        ({"obs_type": "ram"}, r"env_kwargs.obs_type: cannot be set for Atari games: an agent sees grey screens"),
    ],
)
def test_a_keyword_that_fits_no_game_is_refused(given, words):
    with pytest.raises(BadSetting, match=words):
        environment.make("PongNoFrameskip-v4", given)


@pytest.mark.parametrize(("game", "fires"), [("Breakout", True), ("Freeway", False)])
def test_a_ball_is_served_in_every_life(game, fires):
    env = environment.make(f"{game}NoFrameskip-v4", frame_stack=1)
    assert env.observation_space.shape == (1, 84, 84)
    served = []
    emulator = env.unwrapped
    act = emulator.step
    emulator.step = lambda action: (served.append(action), act(action))[1]
    env.reset(seed=0)
    assert (FIRE in served) is fires
    served.clear()
    while fires and lives(env) == 5:  # nobody moves, so the ball is lost
        env.step(0)
    assert served.count(FIRE) == (4 if fires else 0), "for as long as an action holds"


def test_training_ends_with_a_life_and_goes_on_in_the_same_game():
    env = atari.for_training(environment.make("BreakoutNoFrameskip-v4"))
    whole = environment.make("BreakoutNoFrameskip-v4")
    env.reset(seed=3)
    whole.reset(seed=3)
    ends, games, generator = 0, 0, np.random.default_rng(0)
    while games < 2:
        action = int(generator.integers(4))
        found, reward, terminated, truncated, _ = env.step(action)
        wanted, score, over, _, _ = whole.step(action)
        assert np.array_equal(found, wanted)
        assert reward == np.sign(score)
        assert not truncated
        assert terminated or not over
        if over:
            games += 1
            assert np.array_equal(env.reset()[0], whole.reset()[0])
        elif terminated:
            assert np.array_equal(env.reset()[0], whole.step(0)[0])
        ends += terminated
    assert ends == 10  # five lives a game


@pytest.mark.parametrize("game", ["Pong", pytest.param("Breakout", marks=pytest.mark.long)])
def test_a_game_goes_on_in_another_emulator(game, tmp_path):
    one, other = (atari.for_training(environment.make(f"{game}NoFrameskip-v4")) for _ in range(2))
    one.reset(seed=0)
    play(one, 60)
    torch.save(snapshot.take(one), tmp_path / "game.pt")
    snapshot.restore(other, torch.load(tmp_path / "game.pt", weights_only=True))
    assert same(play(one, 400, seed=1), play(other, 400, seed=1))


def test_a_game_that_repeats_actions_by_chance_cannot_be_read():
    """It is played again: `test_episode.py`."""
    env = environment.make("ALE/Pong-v5")
    env.reset(seed=0)
    assert snapshot.take(env) is None


def test_a_snapshot_of_something_else_is_no_game():
    env = environment.make("PongNoFrameskip-v4")
    env.reset(seed=0)
    state = snapshot.take(env)
    other = gym.wrappers.TimeLimit(gym.make("CartPole-v1"), 9)
    with pytest.raises(Mismatch):
        snapshot.restore(other, state)
