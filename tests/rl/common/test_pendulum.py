"""The optimum is one: really reached in gymnasium's Pendulum, beaten by nobody, and the same on both sides."""

import gymnasium
import numpy as np
import pytest

from lab.rl.common import pendulum
from lab.rl.common.pendulum import optimal_returns, optimal_torques, play, start_states, step
from lab.rl.data.loaders import TEST_SEEDS

HUNDRED = np.random.default_rng(12345).uniform([-np.pi, -1], [np.pi, 1], (100, 2))


@pytest.fixture(scope="module")
def solved():
    torques = optimal_torques(HUNDRED)
    return torques, play(HUNDRED, torques)


def real_return(start, torques):
    env = gymnasium.make("Pendulum-v1").unwrapped
    env.reset(seed=0)
    env.state = np.array(start)
    return sum(float(env.step(np.array([torque]))[1]) for torque in torques)


@pytest.mark.long
def test_the_return_is_reached_in_the_real_environment(solved):
    torques, returns = solved
    assert torques.shape == (100, gymnasium.spec("Pendulum-v1").max_episode_steps)
    assert np.abs(torques).max() <= 2
    assert [real_return(*pair) for pair in zip(HUNDRED, torques, strict=True)] == pytest.approx(returns, abs=1e-6)


def test_play_agrees_with_the_real_environment_at_the_limits():
    """A fast start in the second turn: the speed is clipped, the angle wraps."""
    starts, torques = np.array([[9.0, 7.5], [-40.0, -8.0]]), np.full((2, 200), [[2.0], [-2.0]])
    expected = [real_return(*pair) for pair in zip(starts, torques, strict=True)]
    assert play(starts, torques) == pytest.approx(expected, abs=1e-6)


def test_starts_are_those_of_reset():
    env = gymnasium.make("Pendulum-v1")
    starts = start_states([3, 0, 3])
    for start, seed in zip(starts, [3, 0, 3], strict=True):
        angle, speed = start
        assert env.reset(seed=seed)[0] == pytest.approx([np.cos(angle), np.sin(angle), speed], abs=1e-6)
    assert start_states(np.arange(5)).shape == (5, 2)


@pytest.mark.slow
def test_mean_of_a_hundred_starts(solved):
    assert solved[1].mean() == pytest.approx(-136.02, abs=0.05)


@pytest.mark.slow
def test_known_starts():
    known = {
        (0, 0): 0,  # upright at rest
        (2 * np.pi, 0): 0,
        (1, 0): -120.25,
        (np.pi, 0): -295.30,  # hanging at rest
        # At the cliff, where a slightly worse plan needs another swing: values of a grid of 1441 x 1281.
        (-3.118, -0.865): -285.36,
        (3.113, 0.839): -286.12,
        (-3.081, -0.58): -293.43,
        (2.181, -0.09): -219.28,
        (-2.198, -0.564): -216.15,
        (3.072, 0.521): -295.05,  # even that grid takes a swing too many here: -302.36
    }
    assert optimal_returns(np.array([*known])) == pytest.approx([*known.values()], abs=0.02)


@pytest.mark.slow
def test_the_mirrored_start_is_worth_the_same(solved):
    assert optimal_returns(-HUNDRED) == pytest.approx(solved[1], abs=1e-3)


@pytest.mark.slow
def test_the_order_and_number_of_starts_do_not_matter(solved):
    assert optimal_returns(HUNDRED[41:37:-1]) == pytest.approx(solved[1][41:37:-1], abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("reach", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("gain", [5.0, 20.0])
def test_no_energy_pumping_controller_beats_it(solved, reach, gain):
    """Pump energy until it suffices to stand, and balance linearly near the top."""
    (angle, speed), total = HUNDRED.T, np.zeros(100)
    for _ in range(200):
        off = (angle + np.pi) % (2 * np.pi) - np.pi
        missing = 15 * (1 - np.cos(angle)) - speed**2 / 2
        torque = np.where(np.abs(off) < reach, -8 * off - 2.5 * speed, gain * missing * np.sign(speed))
        angle, speed, cost = step(angle, speed, np.clip(torque, -2, 2))
        total -= cost
    assert total.mean() > -250  # a controller worth comparing with: it does swing up and stay
    assert (total <= solved[1]).all()


@pytest.mark.parametrize("size", [0.01, 0.1, 0.5])
def test_no_disturbed_sequence_beats_it(solved, size):
    """Disturb the torques for two seconds, steering back to the path so that the pendulum does not simply fall."""
    torques, returns = solved
    rng, path = np.random.default_rng(0), np.empty((2, 200, 100))
    angle, speed = HUNDRED.T
    for t in range(200):
        path[:, t] = angle, speed
        angle, speed, _ = step(angle, speed, torques[:, t])
    _, per_angle, per_speed = pendulum._gains(*path, torques.T)

    angle, speed = (np.tile(part, (50, 1)) for part in HUNDRED.T)
    total = np.zeros((50, 100))
    for t in range(200):
        torque = torques[:, t] + per_angle[t] * (angle - path[0, t]) + per_speed[t] * (speed - path[1, t])
        if t < 40:
            torque = torque + size * rng.standard_normal(angle.shape)
        angle, speed, cost = step(angle, speed, np.clip(torque, -2, 2))
        total -= cost
    assert np.median(returns - total) < 100 * size  # most disturbances are steered out, so they are fair rivals
    assert (total - returns).max() < 1e-3


@pytest.mark.slow
def test_the_file_holds_the_optima_of_the_test_starts_as_they_are_worked_out(monkeypatch):
    starts = start_states([TEST_SEEDS, TEST_SEEDS + 99])
    kept = optimal_returns(starts)
    assert len(pendulum._known()) == 100
    assert np.array_equal(kept, [pendulum._known()[angle, speed] for angle, speed in starts.tolist()])
    monkeypatch.setattr(pendulum, "_known", dict)
    assert optimal_returns(starts) == pytest.approx(kept, abs=1e-3)


@pytest.mark.slow
def test_starts_within_and_without_the_file_may_be_asked_for_together():
    (known,) = start_states([TEST_SEEDS + 7])
    assert optimal_returns(np.array([[0.0, 0.0], known])) == pytest.approx(
        [0, pendulum._known()[tuple(known)]], abs=1e-3
    )
