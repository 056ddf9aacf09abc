"""Runs of environments that cannot be read, stopped in the middle of an episode: resumed, they have the same bits."""

import threading

import gymnasium as gym
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.envs.toy_text.frozen_lake import FrozenLakeEnv

from lab.recipe import load
from lab.registry import find_recipe
from lab.testing.interruption import check_kills
from lab.testing.resuming import check_resume, whole
from lab.testing.runs import train
from lab.testing.short import RESUMED, overrides

SETTINGS = {
    "ppo_lunarlander": ("data.num_envs=2", "data.num_steps=48", "model.batch_size=24", "data.eval_every=400"),
    "dqn_cartpole": ("data.env=LunarLander-v3", "model.observation_scale=null", "data.train_freq=70"),
}
PONG = ("data.env=ALE/Pong-v5", "data.num_steps=24", "data.episode_steps=100", "data.eval_every=96")


@pytest.mark.slow
@pytest.mark.filterwarnings("error:the current episode")
@pytest.mark.parametrize(
    ("recipe", "settings"),
    [
        pytest.param("ppo_lunarlander", (), id="ppo"),
        pytest.param("dqn_cartpole", (), id="dqn"),
        pytest.param("ppo_lunarlander", PONG, id="sticky actions", marks=pytest.mark.long),
    ],
)
def test_a_resumed_run_has_the_same_bits(recipe, settings, tmp_path):
    pytest.importorskip(
        "ale_py" if settings else "Box2D", reason="needs an extra: pip install 'torch-lab[atari,box2d]'"
    )
    file = find_recipe(recipe)
    short = load(file, [*overrides(file, 0, RESUMED, tmp_path), *SETTINGS[recipe], *settings])
    check_resume(short, tmp_path, whole(short, tmp_path / "whole"), (0.3, 0.7))


class Locked(FrozenLakeEnv):
    """Holds something that cannot be read."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.lock = threading.Lock()


@pytest.mark.slow
@pytest.mark.filterwarnings("error:the current episode")
def test_a_resumed_run_with_a_table_has_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setitem(gym.registry, "Locked-v0", EnvSpec("Locked-v0", entry_point=Locked, max_episode_steps=100))
    file = find_recipe("q_learning_frozenlake")
    short = load(file, [*overrides(file, 0, RESUMED, tmp_path), "data.env=Locked-v0", "data.train_freq=37"])
    check_resume(short, tmp_path, whole(short, tmp_path / "whole"), (0.3, 0.7))


@pytest.mark.long
@pytest.mark.parametrize("recipe", SETTINGS)
def test_a_killed_run_has_the_same_bits(recipe, tmp_path):
    pytest.importorskip("Box2D", reason="needs the extra: pip install 'torch-lab[box2d]'")
    file, size = find_recipe(recipe), (*RESUMED, *SETTINGS[recipe])
    check_kills(file, tmp_path, train(file, tmp_path, 0, size), (0.4, 0.8), size)
