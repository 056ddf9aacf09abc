"""The data centre against its own equations, and the controller that agents are held against."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from scipy.integrate import solve_ivp

from lab.rl.common import evaluation
from lab.rl.common.observers import MeanCost
from lab.rl.constrained import cooling
from lab.rl.constrained.cooling import Cooling
from lab.rl.constrained.pid import PID
from lab.rl.envs.factory import EnvFactory

NAME = "lab.rl.constrained.cooling:Cooling-v0"
FACTORY, CPU = EnvFactory(NAME), torch.device("cpu")


@pytest.mark.filterwarnings("ignore:.*(symmetric and normalized|infinity).*")
def test_gymnasium_accepts_it():
    check_env(Cooling(render_mode="rgb_array"), skip_render_check=True)


def test_temperatures_follow_the_differential_equation():
    env = Cooling()
    env.reset(seed=0)
    before, loads = env.temperatures, env.loads
    speeds, supply = np.array([0.2, 0.5, 1.0]), 18.0
    _, reward, _, _, info = env.step(np.array([*speeds, supply]))

    def slope(_, temperature):
        return (loads - cooling.CONDUCTANCE * speeds * (temperature - supply)) / cooling.CAPACITY

    found = solve_ivp(slope, (0, cooling.SECONDS), before, rtol=1e-9, atol=1e-9).y[:, -1]
    np.testing.assert_allclose(env.temperatures, found, rtol=1e-7)
    assert reward == pytest.approx(-info["power"] / 12)


def test_in_a_steady_state_the_chiller_moves_the_whole_load():
    env = Cooling()
    env.reset(seed=0)
    speeds, supply = np.full(3, 0.5), 20.0
    env.temperatures = supply + env.loads / (cooling.CONDUCTANCE * speeds)
    power = env.loads.sum() / env.performance(supply) + 3 * cooling.FULL_POWER * 0.5**3
    assert env.step(np.array([*speeds, supply]))[4]["power"] == pytest.approx(power)


def test_warm_air_is_cheap_and_a_warm_rack_has_a_cost():
    env = Cooling()
    env.reset(seed=0)
    env.minute = 15 * 60.0
    assert env.performance(27.0) > env.performance(15.0) > 1
    env.temperatures = np.full(3, 31.0)
    info = env.step(np.array([0.1, 0.1, 0.1, 27.0]))[4]
    assert info["cost"] == pytest.approx(env.temperatures.max() - cooling.LIMIT)
    assert info["cost"] > 0


def test_a_day_has_its_steps_and_a_seed_says_which_day_it_is():
    env = gym.make(NAME)
    days = []
    for _ in range(2):
        seen, over = [env.reset(seed=4)[0]], False
        while not over:
            observation, _, terminated, over, _ = env.step(np.array([0.5, 0.5, 0.5, 20.0], np.float32))
            assert not terminated
            seen.append(observation)
        days.append(np.stack(seen))
    assert len(days[0]) == 1 + cooling.DAY
    np.testing.assert_array_equal(*days)


def test_a_controller_has_a_memory_for_each_episode():
    starts = list(range(6))
    alone = evaluation.play(PID(), FACTORY, starts, CPU, 1)
    np.testing.assert_allclose(evaluation.play(PID(), FACTORY, starts, CPU, 4), alone, rtol=1e-5)


def test_control_takes_less_energy_than_full_cooling_and_keeps_the_limit():
    cost = MeanCost()
    controlled = evaluation.play(PID(), FACTORY, range(8), CPU, 8, [cost]).mean()
    full = evaluation.play(lambda seen: torch.tensor([[1.0, 1, 1, 15]] * len(seen)), FACTORY, range(8), CPU, 8).mean()
    assert cost.metrics("test")["test/cost"] < 0.02
    assert controlled > 0.5 * full
