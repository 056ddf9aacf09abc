"""Playing whole episodes from given start seeds, many at a time."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lab.rl.common import pendulum
from lab.rl.common.observers import MeanCost, Observer, Step
from lab.rl.constrained.pid import PID
from lab.rl.envs.checked import CheckedEnv
from lab.rl.envs.factory import NO_LIMIT, EnvFactory, draw
from lab.rl.multi_agent import rendezvous

# environments whose optimum can be computed: name -> (start seeds -> best possible returns)
OPTIMA: dict[str, Callable[[Sequence[int]], np.ndarray]] = {
    "Pendulum-v1": lambda seeds: pendulum.optimal_returns(pendulum.start_states(seeds)),
    "lab.rl.multi_agent.rendezvous:Rendezvous": rendezvous.optimal_returns,
}
# environments with a controller that is evaluated beside every agent: name -> short name, and what makes one
CONTROLLERS: dict[str, tuple[str, Callable[[], Callable[[Tensor], Tensor]]]] = {
    "lab.rl.constrained.cooling:Cooling-v0": ("pid", PID),
}


def controller_metrics(env: str, env_kwargs: dict[str, Any], starts: Sequence[int], num_envs: int) -> dict[str, float]:
    """Mean return and cost of the environment's own controller from the same starts; nothing where there is none."""
    if env not in CONTROLLERS:
        return {}
    name, make = CONTROLLERS[env]
    cost, factory = MeanCost(), EnvFactory(env, env_kwargs)
    returns = play(make(), factory, starts, torch.device("cpu"), num_envs, [cost])
    factory.close()
    costs = {f"{metric}_{name}": value for metric, value in cost.metrics("test").items()}
    return {f"test/return_{name}": float(returns.mean())} | costs


@torch.inference_mode()
def play(
    policy: Callable[[Tensor], Tensor],
    factory: EnvFactory,
    seeds: Sequence[int],
    device: torch.device,
    num_envs: int = 1,
    observers: Sequence[Observer] = (),
) -> np.ndarray:
    """Undiscounted returns (len(seeds),) of one episode from each start seed.

    The episodes go in lock-step, so that the policy sees a batch of observations; an environment whose episode ends
    takes the next seed. An episode depends on its seed, and on `num_envs` only as far as a network rounds a batch
    differently than a single observation.

    >>> def left(observation):
    ...     return torch.zeros(len(observation), dtype=torch.int64)
    >>> play(left, EnvFactory("CartPole-v1"), seeds=[0, 1], device=torch.device("cpu"))
    array([11., 10.])

    Args:
        policy: observations (B, O) -> actions (B, A) or action indices (B,). One with a memory has a method `follow`,
            which is told before each batch which episodes its rows are of, as numbers.
        factory: makes the environments.
        seeds: start seeds, one per episode, whole numbers from 0.
        device: where `policy` lives.
        num_envs: how many episodes are played side by side at most, from 1.
        observers: are told of all episodes.

    Raises:
        LabError: the environment itself failed; the message names the start seed.
    """
    envs, limit = factory.for_evaluation(min(num_envs, len(seeds))), factory.time_limit()
    follow = getattr(policy, "follow", None)
    returns = np.zeros(len(seeds))
    waiting = iter(range(len(seeds)))
    playing: list[tuple[int, CheckedEnv]] = []
    observations: list[np.ndarray] = []

    def start(lane: CheckedEnv) -> None:
        for episode in waiting:
            playing.append((episode, lane))
            observations.append(lane.reset(seed=int(seeds[episode]))[0])
            for observer in observers:
                observer.begin(episode, observations[-1])
            return

    for lane in envs:
        start(lane)
    while playing:
        if follow is not None:
            follow([episode for episode, _ in playing])
        actions = policy(torch.from_numpy(np.stack(observations)).to(device)).cpu().numpy()
        ended = []
        for i, (episode, lane) in enumerate(playing):
            observations[i], reward, terminated, truncated, info = lane.step(actions[i])
            returns[episode] += reward
            if not (terminated or truncated) and lane.episode_steps == limit:
                truncated = True
                if factory.episode_steps is None:
                    warnings.warn(_unlimited(factory.env), stacklevel=3)
            step = Step(observations[i], float(reward), terminated, truncated, info)
            for observer in observers:
                observer.observe(episode, step)
            if terminated or truncated:
                ended.append(i)
        for i in reversed(ended):
            _, lane = playing.pop(i)
            observations.pop(i)
            start(lane)
    return returns


def _unlimited(env: str) -> str:
    return f"{env} has no time limit: evaluation ends an episode after {NO_LIMIT:,} steps; set data.episode_steps"


@torch.inference_mode()
def record_video(
    policy: Callable[[Tensor], Tensor],
    factory: EnvFactory,
    seed: int,
    device: torch.device,
    video: Path,
    observe: Callable[[np.ndarray, float], None] | None = None,
) -> float:
    """Plays one episode, writes it to `video` (MP4, H.264) and returns its undiscounted return.

    Args:
        policy: as that of `play`, for a single episode.
        factory: makes the environment.
        seed: start seed of the episode, from 0.
        device: where `policy` lives.
        video: the file, which is overwritten.
        observe: told the action and the reward of every step, for a policy that remembers them.

    Raises:
        LabError: the environment failed, or does not draw.
    """
    import imageio_ffmpeg

    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # frames are drawn in memory: no screen is needed
    os.environ.setdefault("MUJOCO_GL", "egl")
    follow = getattr(policy, "follow", None)
    with factory.for_video() as env:
        limit, (observation, _) = factory.time_limit(), env.reset(seed=seed)
        frame = draw(env)
        height, width = frame.shape[:2]
        rate = env.metadata.get("render_fps", 30)
        # half the time of the default, in a file of the same size; more threads would only wait for frames
        quick = ["-preset", "veryfast", "-threads", "1"]
        writer = imageio_ffmpeg.write_frames(
            str(video), (width, height), fps=rate, macro_block_size=2, quality=7, output_params=quick
        )
        writer.send(None)
        total, over = 0.0, False
        while not over:
            writer.send(np.ascontiguousarray(frame))
            if follow is not None:
                follow([0])
            action = policy(torch.from_numpy(np.stack([observation])).to(device))[0].cpu().numpy()
            observation, reward, terminated, truncated, _ = env.step(action)
            if observe is not None:
                observe(action, reward)
            over = terminated or truncated or env.episode_steps == limit
            total, frame = total + reward, draw(env)
        writer.close()
    return total
