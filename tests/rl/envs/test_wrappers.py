"""Wrappers around an environment: which are taken, what they change, and that a run with them resumes exactly."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.wrappers import TransformReward

from lab.errors import BadSetting
from lab.rl.common import evaluation
from lab.rl.envs.environment import describe, make
from lab.rl.envs.factory import EnvFactory
from lab.rl.envs.state import snapshot

CPU = torch.device("cpu")
TIMES_TEN = "tests.rl.envs.test_wrappers:TimesTen"


class TimesTen(TransformReward):
    def __init__(self, env):
        super().__init__(env, lambda reward: 10 * reward)


class Slowly(gym.Wrapper):
    """Acts several times and adds the rewards up."""

    def __init__(self, env, times: int):
        super().__init__(env)
        self.times = times

    def step(self, action):
        total = 0.0
        for _ in range(self.times):
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += reward
            if terminated or truncated:
                break
        return observation, 100 * total, terminated, truncated, info


class Opaque(gym.Wrapper):
    def __init__(self, env):
        super().__init__(env)
        self.handle = memoryview(b"x")


def test_they_are_gymnasium_s_by_name_or_anybody_s():
    wrappers = [
        {"class_path": "TimeLimit", "init_args": {"max_episode_steps": 5}},
        "TimeAwareObservation",
        TIMES_TEN,
    ]
    env = make("Pendulum-v1", None, wrappers)
    assert describe("Pendulum-v1", None, wrappers)["observation_size"] == 4
    plain = make("Pendulum-v1")
    env.reset(seed=0)
    plain.reset(seed=0)
    assert env.step(np.zeros(1))[1] == 10 * plain.step(np.zeros(1))[1]


@pytest.mark.parametrize(
    ("wrapper", "words"),
    [
        ("FrameStack", "wrappers.0: Gymnasium has no wrapper 'FrameStack'; did you mean 'FrameStackObservation'?"),
        ("xyz", "wrappers.0: Gymnasium has no wrapper 'xyz'; known are AddRenderObservation, "),
        ("TransformReward", "wrappers.0.init_args: 'TransformReward' needs func"),
        ("subprocess:Popen", "wrappers.0: 'subprocess:Popen' is in Python's standard library"),
        ("gymnasium:Env", "wrappers.0: 'gymnasium:Env' is the class Env; expected a subclass of gymnasium.Wrapper"),
        ("tests.rl.envs.test_wrappers:TimesTn", "has no 'TimesTn'; did you mean 'TimesTen'?"),
        ({"class_path": "TimeLimit", "init_arg": {}}, "wrappers.0.init_arg: unknown key 'init_arg'; did you mean"),
        ({"class_path": "TimeLimit"}, "'TimeLimit' needs max_episode_steps"),
        (
            {"class_path": "TimeLimit", "init_args": {"max_steps": 5}},
            "wrappers.0.init_args.max_steps: unknown keyword 'max_steps' of 'TimeLimit'",
        ),
        (
            {"class_path": "tests.rl.envs.test_wrappers:Slowly", "init_args": {"times": "2"}},
            "wrappers.0.init_args.times: expected a whole number, found '2'",
        ),
        ("FilterObservation", "'FilterObservation' needs filter_keys"),
        (
            "GrayscaleObservation",
            "wrappers.0: GrayscaleObservation cannot be put around 'Pendulum-v1': ValueError",
        ),
        ("NormalizeObservation", "statistics of its own, evaluation's too; set model.normalize_observations=true"),
        ("Autoreset", "wrappers.0: Autoreset: environments are reset by lab; leave it out"),
        ("tests.rl.envs.test_wrappers:Opaque", "the attribute 'handle' of tests.rl.envs.test_wrappers:Opaque cannot"),
    ],
    ids=str,
)
def test_others_are_refused_in_one_line(wrapper, words):
    with pytest.raises(BadSetting) as error:
        EnvFactory("Pendulum-v1", None, [wrapper]).facts()
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_scores_are_the_environment_s_own_rewards():
    slowly = {"class_path": "tests.rl.envs.test_wrappers:Slowly", "init_args": {"times": 5}}
    scores = [
        evaluation.play(lambda seen: torch.zeros(len(seen), 1), EnvFactory("Pendulum-v1", None, wrappers), [0], CPU)
        for wrappers in ([], [TIMES_TEN], [slowly, TIMES_TEN])
    ]
    assert scores[0][0] == scores[1][0] == pytest.approx(scores[2][0])


STATEFUL = [
    {"class_path": "FrameStackObservation", "init_args": {"stack_size": 3}},
    {"class_path": "TimeLimit", "init_args": {"max_episode_steps": 30}},
    {"class_path": "DelayObservation", "init_args": {"delay": 2}},
    {"class_path": "StickyAction", "init_args": {"repeat_action_probability": 0.3}},
    "NormalizeReward",
    "RecordEpisodeStatistics",
]


@pytest.mark.parametrize("wrapper", STATEFUL, ids=str)
def test_their_state_is_kept_in_the_middle_of_an_episode(wrapper):
    one, other = (make("Pendulum-v1", None, [wrapper, "FlattenObservation"]) for _ in range(2))
    one.reset(seed=1)
    for _ in range(25):
        one.step(one.action_space.low)
    snapshot.restore(other, snapshot.take(one))
    for _ in range(10):
        (seen, *rest), (again, *same) = one.step(one.action_space.high), other.step(one.action_space.high)
        np.testing.assert_array_equal(seen, again)
        assert rest[:3] == same[:3]


def test_a_time_limit_may_be_a_wrapper():
    five = {"class_path": "TimeLimit", "init_args": {"max_episode_steps": 5}}
    assert EnvFactory("tests.rl.points:Point").time_limit() == 1_000
    assert EnvFactory("tests.rl.points:Point", None, [five]).time_limit() is None
