"""The error of a model that is rolled out with recorded actions."""

import numpy as np
import pytest
import torch

from lab.rl.data.episodes import Episode
from lab.rl.models.dynamics import DynamicsModel
from lab.rl.models.open_loop import open_loop_errors, plot


class Drifting(DynamicsModel):
    """Adds the action to the observation, as the environment does, and an error to each step."""

    def __init__(self, drifts):
        super().__init__(2, 2, [4], num_members=len(drifts))
        self.drifts = torch.tensor(drifts)[:, None, None]

    def step(self, observation, action, noise):  # noqa: ARG002 - the mean
        return observation + action + self.drifts, action, action


def walk(steps, seed):
    actions = np.random.default_rng(seed).normal(size=(steps, 2)).astype(np.float32)
    places = np.concatenate([np.zeros((1, 2), np.float32), actions.cumsum(0)])
    return Episode(places, actions, np.zeros(steps), False)


def test_a_true_model_has_no_error_and_a_drift_adds_up():
    episodes = [walk(30, 0), walk(12, 1)]
    deviation = np.concatenate([each.observations for each in episodes]).std(0, ddof=1)
    errors = open_loop_errors(Drifting([0.0]), episodes, most_steps=20)
    assert errors.shape == (20, 2)
    assert errors[:, 0].max() < 1e-5
    errors = open_loop_errors(Drifting([0.1, 0.3]), episodes, most_steps=20)  # 0.2 on average
    expected = 0.2 * np.arange(1, 21) * np.sqrt((deviation**-2.0).mean())
    assert errors[:, 0].numpy() == pytest.approx(expected, rel=1e-4)


def test_the_other_column_is_the_change_since_the_steps_began():
    episodes = [walk(30, 0), walk(12, 1)]
    deviation = np.concatenate([each.observations for each in episodes]).std(0, ddof=1)
    errors = open_loop_errors(Drifting([0.0]), episodes)
    assert len(errors) == 30
    for steps in (1, 7, 20):
        changes = [each.observations[steps:] - each.observations[:-steps] for each in episodes]
        changes = np.concatenate([each for each in changes if len(each)]) / deviation
        assert errors[steps - 1, 1] == pytest.approx(np.sqrt((changes**2).mean()), rel=1e-4)


def test_the_plot_has_both():
    (axes,) = plot(open_loop_errors(Drifting([0.1]), [walk(30, 0)])).axes
    assert [line.get_label() for line in axes.lines] == ["model", "no change"]
    assert axes.lines[0].get_ydata()[0] == pytest.approx(axes.lines[0].get_ydata()[9] / 10, rel=1e-3)
