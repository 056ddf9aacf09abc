"""Bandits that are drawn anew for every episode: an agent with a memory learns how to explore one it has never seen.

Source: the first experiment of Duan et al. 2016, "RL^2: Fast reinforcement learning via slow reinforcement learning".
Name it `lab.rl.meta.drawn_bandits:DrawnBandit`; `lab.rl.envs.layers.previous_step:PreviousStep` around it shows what
the pulls brought.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Discrete

WIDTH, HEIGHT = 48, 160  # of an arm in a picture, in pixels
WHITE, GREY, BLUE, ORANGE = ((255, 255, 255), (190, 190, 190), (0, 114, 178), (230, 159, 0))


class DrawnBandit(gym.Env[int, int]):
    """An episode is a bandit whose arms pay 1 with a probability of their own, and else 0.

    The probabilities are uniform from 0 to 1 and drawn at every reset. An observation says nothing. With `arms` arms an
    episode of n pulls is worth at most n arms / (arms + 1) on average, if the best arm is known from the beginning.

    >>> env = DrawnBandit(arms=3, pulls=2)
    >>> env.reset(seed=0)
    (0, {})
    >>> env.probabilities.round(2)
    array([0.64, 0.27, 0.04])
    >>> env.step(0)[:4], env.step(0)[:4]
    ((0, 1.0, False, False), (0, 0.0, True, False))

    Args:
        arms: how many, from 2.
        pulls: of an episode, from 1.
        render_mode: `rgb_array` draws the probabilities of the arms, with the one pulled last in a colour: blue if it
            paid 1, orange if 0.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 2}  # noqa: RUF012 - as Gymnasium has it

    def __init__(self, arms: int = 5, pulls: int = 10, render_mode: str | None = None) -> None:
        if arms < 2 or pulls < 1:
            raise ValueError(f"expected at least 2 arms and 1 pull, found {arms} and {pulls}")
        self.arms, self.pulls, self.render_mode = arms, pulls, render_mode
        self.observation_space: Any = Discrete(1)
        self.action_space: Any = Discrete(arms)
        self.pulled, self.latest = 0, (-1, 0.0)  # pulls so far; the arm of the latest one and its reward

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.probabilities = self.np_random.random(self.arms)
        self.pulled, self.latest = 0, (-1, 0.0)
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        reward = float(self.np_random.random() < self.probabilities[action])
        self.pulled, self.latest = self.pulled + 1, (int(action), reward)
        return 0, reward, self.pulled == self.pulls, False, {}

    def render(self) -> Any:
        picture = np.full((HEIGHT, WIDTH * self.arms, 3), WHITE, np.uint8)
        for arm, probability in enumerate(self.probabilities):
            colour = GREY if arm != self.latest[0] else BLUE if self.latest[1] else ORANGE
            top = round((1 - probability) * (HEIGHT - 4))
            picture[top:, arm * WIDTH + 4 : (arm + 1) * WIDTH - 4] = colour
        return picture
