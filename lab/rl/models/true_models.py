"""The equations of environments that are simple enough to be planned with as they are.

They are Gymnasium's own, of Pendulum-v1 and CartPole-v1 (Barto, Sutton & Anderson 1983), for many states at once:
what planning with a learned model can be held against.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

# observations (..., O) and actions (..., A) -> next observations (..., O), rewards (..., 1), terminations (..., 1)
StepFunction = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


def pendulum(observation: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cosine and sine of the angle and its speed [rad/s], under a torque within [-2, 2].

    >>> [round(float(each), 3) for each in pendulum(torch.tensor([-1.0, 0.0, 0.0]), torch.tensor([2.0]))[0]]
    [-1.0, -0.015, 0.3]
    """
    cosine, sine, speed = observation.unbind(-1)
    angle, torque = torch.atan2(sine, cosine), action[..., 0]
    reward = -(angle.square() + 0.1 * speed.square() + 0.001 * torque.square())
    speed = torch.clamp(speed + (15 * sine + 3 * torque) * 0.05, -8, 8)
    angle = angle + 0.05 * speed
    following = torch.stack([angle.cos(), angle.sin(), speed], -1)
    return following, reward[..., None], torch.zeros_like(reward[..., None])


def cartpole(observation: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Position [m], speed [m/s], angle [rad] and angular speed [rad/s] under a push to the left or right, one-hot.

    >>> cartpole(torch.zeros(4), torch.tensor([0.0, 1.0]))[0].round(decimals=3)
    tensor([ 0.0000,  0.1950,  0.0000, -0.2930])
    """
    x, x_speed, angle, angular_speed = observation.unbind(-1)
    force = 10 * (action[..., 1] - action[..., 0])
    gravity, total_mass, half_length, mass_length, seconds = 9.8, 1.1, 0.5, 0.05, 0.02
    push = (force + mass_length * angular_speed.square() * angle.sin()) / total_mass
    inertia = half_length * (4 / 3 - 0.1 * angle.cos().square() / total_mass)
    turn = (gravity * angle.sin() - angle.cos() * push) / inertia
    acceleration = push - mass_length * turn * angle.cos() / total_mass
    following = torch.stack(
        [
            x + seconds * x_speed,
            x_speed + seconds * acceleration,
            angle + seconds * angular_speed,
            angular_speed + seconds * turn,
        ],
        -1,
    )
    ended = (following[..., 0].abs() > 2.4) | (following[..., 2].abs() > 12 * math.pi / 180)
    return following, torch.ones_like(x[..., None]), ended[..., None].to(x.dtype)


TRUE_MODELS: dict[str, StepFunction] = {"Pendulum-v1": pendulum, "CartPole-v1": cartpole}
