"""Environments whose episodes without a seed come from the operating system get a seed for each in training."""

import warnings

import numpy as np
import pytest
from gymnasium.envs.classic_control import CartPoleEnv

from lab.rl.envs.async_stepper import make_stepper
from lab.rl.envs.factory import EnvFactory

FRESH = f"{__name__}:Fresh"


class Fresh(CartPoleEnv):
    """Makes a generator in every reset, whether there is a seed or not."""

    def reset(self, *, seed=None, **options):
        seen, info = super().reset(seed=0, **options)
        return seen + np.random.default_rng(seed).uniform(-0.01, 0.01, 4).astype(np.float32), info


class Global(CartPoleEnv):
    """Asks NumPy's generator of the whole process."""

    def reset(self, *, seed=None, **options):
        seen, info = super().reset(seed=seed, **options)
        return seen + np.random.uniform(-0.01, 0.01, 4).astype(np.float32), info


class Kept(CartPoleEnv):
    """The seed draws a world that later episodes keep."""

    def reset(self, *, seed=None, **options):
        if seed is not None:
            self.world, _ = super().reset(seed=seed, **options)
        return super().reset(**options)[0] + self.world, {}


def starts(env, episodes=4, vectorization="sync"):
    """The first observations of a training's episodes."""
    stepper = make_stepper(vectorization, EnvFactory(env), num_envs=1)
    stepper.reset([5])
    found = [stepper.buffers.observation[0].tolist()]
    while len(found) < episodes:
        stepper.step()
        if stepper.buffers.done[0]:
            found.append(stepper.buffers.observation[0].tolist())
    stepper.close()
    return found


def test_a_training_has_the_same_episodes_again_and_each_is_another():
    found = starts(FRESH)
    assert found == starts(FRESH)
    assert len(set(map(tuple, found))) == len(found)


@pytest.mark.parametrize("env", ["CartPole-v1", f"{__name__}:Kept"])
def test_an_environment_that_keeps_its_generator_is_left_alone(env):
    assert not EnvFactory(env).seeds_resets
    assert starts(env) == starts(env)


def test_a_copy_in_another_process_need_not_ask_again(monkeypatch):
    factory = EnvFactory(FRESH)
    assert factory.seeds_resets
    kind, arguments = factory.__reduce__()
    monkeypatch.setattr("lab.rl.envs.factory.needs_seeds", lambda *_: 1 / 0)
    assert kind(*arguments).seeds_resets


def test_a_copy_is_made_without_the_environment():
    kind, arguments = EnvFactory("nowhere:Nothing-v0").__reduce__()
    assert kind(*arguments).env == "nowhere:Nothing-v0"


def test_processes_have_the_episodes_of_one():
    assert starts(FRESH, vectorization="async") == starts(FRESH)


def test_gymnasiums_own_are_not_asked(monkeypatch):
    monkeypatch.setattr(CartPoleEnv, "reset", lambda *_, **__: 1 / 0)
    assert not EnvFactory("CartPole-v1").seeds_resets


def test_an_environment_that_ignores_its_seed_is_said_to():
    with pytest.warns(UserWarning, match=r"test_seeded_resets:Global begins differently with the same seed"):
        assert not EnvFactory(f"{__name__}:Global").seeds_resets


def test_one_that_follows_it_is_not():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert EnvFactory(FRESH).seeds_resets
