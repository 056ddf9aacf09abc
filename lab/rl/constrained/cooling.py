"""A data centre that is cooled for a day: little energy, and no rack above its temperature limit.

The model is as small as it can be for fans and a chiller to be at odds; its numbers are of a plausible size, and none
was measured in a real room. Each of R racks turns its electrical load q into heat, and air of temperature T_s that its
fan blows through it carries the heat away. With fan speed f (a share of the full one),

    C dT/dt = q - k f (T - T_s)                temperature of a rack [K], solved exactly over a step
    P_fan = P_full f^3                         power of a fan [kW]: the affinity law
    P_chiller = heat / COP                     heat [kW] is what all racks gave to the air, on average over the step
    COP = e (T_s + 273) / (max(T_out - T_s, 0) + L)     a share e of Carnot's, L kelvin for the heat exchangers

Warm air is cheap to make and needs fast fans, whose power grows with the cube of their speed; what is best depends on
the load and on the weather. Heat of the fans, humidity, and air that goes round a rack twice are left out.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box

PEAKS = (12.0, 15.0, 18.0)  # kW, load of each rack in the afternoon on average
CAPACITY = 500.0  # C, kJ/K
CONDUCTANCE = 2.0  # k, kW/K at full speed: 1.7 m3/s of air
FULL_POWER = 3.0  # kW of a fan at full speed
EFFICIENCY, LIFT = 0.35, 10.0  # e, and L in K
LIMIT = 32.0  # temperature of a rack, in degrees Celsius
SECONDS, DAY = 300.0, 288  # of a step; steps
FANS, SUPPLY = (0.1, 1.0), (15.0, 27.0)  # shares of full speed; degrees Celsius
JITTER, PERSISTENCE = 0.05, 0.95  # of the loads: deviation of a change, as a share, and what is left of it per step


class Cooling(gym.Env[np.ndarray, np.ndarray]):
    """Fan speeds and supply temperature of a room with three racks, every five minutes of a day.

    The reward is minus the energy of fans and chiller [kWh]. `info["cost"]` is by how many kelvin the warmest rack is
    above 32 degrees Celsius, `info["power"]` the power [kW].

    | observation | | unit |
    |---|---|---|
    | 0 to 2 | temperature of each rack above the limit | 10 K |
    | 3 to 5 | load of each rack | 20 kW |
    | 6 | temperature outside above 20 degrees Celsius | 10 K |
    | 7, 8 | sine and cosine of the time of day | |

    | action | | range |
    |---|---|---|
    | 0 to 2 | speed of each rack's fan | 0.1 to 1 |
    | 3 | temperature of the supplied air | 15 to 27 degrees Celsius |

    The loads follow the day, from a third at three in the morning to their peaks at three in the afternoon, with a
    slow noise; the weather does, too, around a mean from 16 to 24 that is drawn for each day.

    >>> env = Cooling()
    >>> env.reset(seed=0)[0].shape
    (9,)
    >>> _, reward, _, _, info = env.step(np.array([0.5, 0.5, 0.5, 20.0], np.float32))
    >>> round(info["power"], 2), round(reward, 3), info["cost"]
    (2.62, -0.218, 0.0)

    Args:
        render_mode: `rgb_array` draws temperatures and fan speeds of the racks.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 24}  # noqa: RUF012 - as Gymnasium has it

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode, racks = render_mode, len(PEAKS)
        self.observation_space: Any = Box(-np.inf, np.inf, (2 * racks + 3,), np.float32)
        low, high = [*[FANS[0]] * racks, SUPPLY[0]], [*[FANS[1]] * racks, SUPPLY[1]]
        self.action_space: Any = Box(np.array(low, np.float32), np.array(high, np.float32))
        self.minute, self.mean_outside = 0.0, 20.0
        self.temperatures = self.noise = self.speeds = np.zeros(racks)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.minute, self.mean_outside = 0.0, float(self.np_random.uniform(16, 24))
        self.temperatures = self.np_random.uniform(24, 30, len(PEAKS))
        self.noise, self.speeds = np.zeros(len(PEAKS)), np.full(len(PEAKS), FANS[0])
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.speeds, supply = np.asarray(action[:-1], np.float64), float(action[-1])
        rate = CONDUCTANCE * self.speeds  # kW/K
        steady = supply + self.loads / rate
        after = steady + (self.temperatures - steady) * np.exp(-rate * SECONDS / CAPACITY)
        heat = float((self.loads - CAPACITY * (after - self.temperatures) / SECONDS).sum())
        power = FULL_POWER * float((self.speeds**3).sum()) + max(0.0, heat) / self.performance(supply)
        self.temperatures = after
        self.minute += SECONDS / 60
        self.noise = PERSISTENCE * self.noise + JITTER * self.np_random.standard_normal(len(PEAKS))
        cost = max(0.0, float(after.max()) - LIMIT)
        return self._observation(), -power * SECONDS / 3600, False, False, {"cost": cost, "power": power}

    @property
    def loads(self) -> np.ndarray:
        """Of each rack [kW]."""
        loads: np.ndarray = np.array(PEAKS) * (1 + 2 * self._warmth) / 3 * np.clip(1 + self.noise, 0.5, 1.5)
        return loads

    @property
    def outside(self) -> float:
        """Temperature outside in degrees Celsius."""
        return self.mean_outside + 6 * (2 * self._warmth - 1)

    def performance(self, supply: float) -> float:
        """Heat that the chiller moves per energy (COP) when it supplies air of `supply` degrees Celsius."""
        return EFFICIENCY * (supply + 273.15) / (max(self.outside - supply, 0.0) + LIFT)

    @property
    def _warmth(self) -> float:
        """From 0 at three in the morning to 1 at three in the afternoon."""
        return 0.5 - 0.5 * math.cos(2 * math.pi * (self.minute / 60 - 3) / 24)

    def _observation(self) -> np.ndarray:
        angle = 2 * math.pi * self.minute / (24 * 60)
        rest = [(self.outside - 20) / 10, math.sin(angle), math.cos(angle)]
        return np.concatenate([(self.temperatures - LIMIT) / 10, self.loads / 20, rest]).astype(np.float32)

    def render(self) -> Any:
        """A bar for each rack (H, W, 3): its temperature from 15 to 45 degrees, red above the limit; the fan below."""
        picture = np.full((160, 60 * len(PEAKS), 3), 255, np.uint8)
        for rack, (temperature, speed) in enumerate(zip(self.temperatures, self.speeds, strict=True)):
            left, right = 60 * rack + 8, 60 * rack + 52
            height = int(np.clip((temperature - 15) / 30, 0, 1) * 120)
            picture[120 - height : 120, left:right] = (213, 94, 0) if temperature > LIMIT else (0, 114, 178)
            picture[140:150, left : left + round(44 * speed)] = (0, 158, 115)
        picture[120 - round((LIMIT - 15) / 30 * 120)] = 120
        return picture


gym.register("Cooling-v0", entry_point="lab.rl.constrained.cooling:Cooling", max_episode_steps=DAY)
