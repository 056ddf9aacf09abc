"""PID control of the data centre, the yardstick that agents are evaluated beside.

Source: Åström & Murray 2008, "Feedback systems", chapter 10; the integral stops where the fan is at a bound.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lab.rl.constrained.cooling import FANS, LIMIT, PEAKS

RACKS = len(PEAKS)
# Of 72 combinations that with the least energy on 32 days (start seeds 0 to 31) whose cost is at most 0.01 K
SETPOINT, SUPPLY = 31.25, 19.0  # degrees Celsius
PROPORTIONAL, INTEGRAL, DERIVATIVE = 0.1, 0.02, 0.0  # per K, per K and step, per K a step


class PID:
    """A controller for each rack sets its fan by the rack's temperature; the air has a constant temperature.

    It remembers the integral of each episode that it is told of by `follow`.

    >>> from lab.rl.common.evaluation import play
    >>> from lab.rl.envs.factory import EnvFactory
    >>> cooling = EnvFactory("lab.rl.constrained.cooling:Cooling-v0")
    >>> bool(-250 < play(PID(), cooling, seeds=[0], device=torch.device("cpu"))[0] < -100)
    True

    Args:
        setpoint: temperature of the racks in degrees Celsius.
        supply: temperature of the air in degrees Celsius.
        gains: proportional, integral and derivative, in shares of the full speed per kelvin.
    """

    def __init__(
        self,
        setpoint: float = SETPOINT,
        supply: float = SUPPLY,
        gains: tuple[float, float, float] = (PROPORTIONAL, INTEGRAL, DERIVATIVE),
    ) -> None:
        self.setpoint, self.supply, self.gains = setpoint, supply, gains
        self.memory: dict[int, tuple[Tensor, Tensor]] = {}  # episode -> integral and previous error, (R,) each
        self.episodes: list[int] = [0]

    def follow(self, episodes: list[int]) -> None:
        """Says which episodes the rows of the next batch are of."""
        self.episodes = episodes

    def __call__(self, observation: Tensor) -> Tensor:
        """Fan speeds and the temperature of the air (B, R + 1) for observations (B, O)."""
        return torch.stack([self._act(episode, row) for episode, row in zip(self.episodes, observation, strict=True)])

    def _act(self, episode: int, observation: Tensor) -> Tensor:
        error = 10 * observation[:RACKS] + LIMIT - self.setpoint
        integral, previous = self.memory.get(episode, (torch.full_like(error, 0.3), error))
        proportional, integrating, derivative = self.gains
        grown = integral + integrating * error
        speed = proportional * error + grown + derivative * (error - previous)
        inside = speed.clamp(*FANS)
        self.memory[episode] = torch.where(speed == inside, grown, integral), error
        return torch.cat([inside, inside.new_tensor([self.supply])])
