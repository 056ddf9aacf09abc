"""One continuous action as a choice among values."""

import numpy as np
import pytest

from lab.errors import BadSetting
from lab.rl.data.replay import ReplayData
from lab.rl.ddpg import DDPG
from lab.rl.dqn import DQN
from lab.rl.envs import environment
from lab.rl.envs.discretize import DiscretizedAction, discretize

TORQUE = {"low": [-2.0], "high": [2.0]}


def test_values_are_evenly_spaced_and_reach_both_bounds():
    assert discretize("Pendulum-v1", TORQUE, 5) == {"count": 5, "values": [[-2.0], [-1.0], [0.0], [1.0], [2.0]]}


def test_an_index_does_what_its_value_does():
    action = discretize("Pendulum-v1", TORQUE, 5)
    binned, plain = DiscretizedAction(environment.make("Pendulum-v1"), action), environment.make("Pendulum-v1")
    assert binned.action_space.n == 5
    binned.reset(seed=0)
    plain.reset(seed=0)
    for index in (0, 3, 4, 2):
        np.testing.assert_array_equal(binned.step(index)[0], plain.step(np.array(action["values"][index]))[0])


@pytest.mark.parametrize(
    ("make", "key", "message"),
    [
        (
            lambda: DQN(**ReplayData("Pendulum-v1", 5000).facts()),
            "action",
            "set data.num_action_bins, such as data.num_action_bins=5, or ",
        ),
        (lambda: DDPG(**ReplayData("CartPole-v1", 5000).facts()), "action", "use a task for discrete actions"),
        (
            lambda: DDPG(**ReplayData("Pendulum-v1", 5000, num_action_bins=5).facts()),
            "action",
            "leave data.num_action_bins out",
        ),
        (
            lambda: ReplayData("CartPole-v1", 5000, num_action_bins=5).facts(),
            "num_action_bins",
            "2 discrete actions already; leave it out",
        ),
        (
            lambda: discretize("Two", {"low": [-1, -1], "high": [1, 1]}, 3),
            "num_action_bins",
            "use a task for continuous actions",
        ),
    ],
)
def test_the_wrong_kind_of_action_is_refused_with_a_way_out(make, key, message):
    with pytest.raises(BadSetting) as error:
        make()
    assert error.value.key == key
    assert message in str(error.value)
    assert "\n" not in str(error.value)
