"""Environments and wrappers of Gym's old interface are refused by their source, in one line, before they are called."""

import gymnasium as gym
import numpy as np
import pytest

from lab.errors import BadSetting
from lab.rl.envs import environment
from lab.rl.envs.factory import EnvFactory
from tests.rl import points
from tests.rl.points import Point


class FourValues(Point):
    def step(self, action):
        self.move(action)
        if self.state[0] > 9:
            return self.shown(), 0.0, True, {}
        return self.shown(), 0.0, False, {}


class Annotated(Point):
    def step(self, action) -> tuple[np.ndarray, float, bool, dict]:
        result = [self.shown(), float(action[0]), False, {}]
        return tuple(result)


class ByAMethod(Point):
    def step(self, action):
        return self.result(action)

    def result(self, action):
        return self.shown(), self.move(action), False, {}


class NoSeed(Point):
    def reset(self):
        return self.shown(), {}


class NoOptions(Point):
    def reset(self, seed=None):
        super().reset(seed=seed)
        return self.shown(), {}


class ObservationAlone(Point):
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed, options=options)
        return np.zeros(2, np.float32)


class ObservationByAMethod(Point):
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed, options=options)
        return self.look()

    def look(self):
        return self.state.astype(np.float32)


OLD = {
    FourValues: "FourValues.step .* returns 4 values",
    Annotated: "Annotated.step .* returns 4 values",
    ByAMethod: "ByAMethod.step .* returns 4 values",
    NoSeed: "NoSeed.reset .* does not take seed and options",
    NoOptions: "NoOptions.reset .* does not take options",
    ObservationAlone: "ObservationAlone.reset .* returns one value",
    ObservationByAMethod: "ObservationByAMethod.reset .* returns one value",
}


@pytest.mark.parametrize("kind", OLD, ids=lambda kind: kind.__name__)
def test_old_interfaces_are_refused_where_they_are_written(kind, monkeypatch):
    with pytest.raises(BadSetting, match=OLD[kind]) as error:
        EnvFactory(points.register(monkeypatch, kind)).facts()
    assert error.value.key == "env"
    assert "test_interface.py:" in error.value.message
    assert "Gym's old interface; in Gymnasium it returns (observation, " in error.value.message


class Either(Point):
    """Returns four values only to who asks for them."""

    def step(self, action):
        result = super().step(action)
        if self.render_mode == "old":
            return result[0], result[1], result[2], result[4]
        return result[0], result[1], result[2], result[3], result[4]


class Helped(Point):
    def step(self, action):
        def parts():
            return 1, 2, 3, 4

        assert len(parts()) == 4
        return super().step(action)


class Adapted(gym.Wrapper):
    """Makes the new result of an old one."""

    def reset(self, *, seed=None, options=None):
        return self.env.reset(seed=seed, options=options)

    def step(self, action):
        observation, reward, done, info = self.env.step(action)
        return observation, reward, done, False, info


class Outdated(gym.Wrapper):
    def step(self, action):
        observation, reward, terminated, _, info = self.env.step(action)
        return observation, reward, terminated, info


@pytest.mark.parametrize("kind", [Point, Either, Helped])
def test_others_are_taken(kind, monkeypatch):
    assert EnvFactory(points.register(monkeypatch, kind)).facts()["observation_size"] == 2


def test_wrappers_are_refused_by_their_place_and_may_adapt_what_is_inside():
    with pytest.raises(BadSetting, match=r"Outdated.step .* returns 4 values") as error:
        EnvFactory("Pendulum-v1", wrappers=[f"{__name__}:Outdated"]).facts()
    assert error.value.key == "wrappers.0"
    assert EnvFactory(f"{__name__}:FourValues", wrappers=[f"{__name__}:Adapted"]).facts()["action"]


class Hidden(Point):
    """Shows its interface only when it is called."""

    def step(self, action):
        parts = [self.shown(), self.move(action), False, {}]
        return tuple(parts)


def test_the_first_step_is_bad_input_and_a_later_one_a_failure(monkeypatch):
    env = environment.make(points.register(monkeypatch, Hidden))
    env.reset(seed=0)
    with pytest.raises(BadSetting, match=r"env: environment Hidden-v0 failed at env step 1, .* old step API"):
        env.step(np.zeros(1, np.float32))
    with pytest.raises(Exception, match=r"^environment Hidden-v0 failed at env step 2") as error:
        env.step(np.zeros(1, np.float32))
    assert not isinstance(error.value, BadSetting)
