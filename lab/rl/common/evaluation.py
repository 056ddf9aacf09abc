"""Playing whole episodes from given start seeds, many at a time."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lab.rl.envs import atari, environment, pendulum
from lab.rl.envs.checked import CheckedEnv

# environments whose optimum can be computed: name -> (start seeds -> best possible returns)
OPTIMA: dict[str, Callable[[Sequence[int]], np.ndarray]] = {
    "Pendulum-v1": lambda seeds: pendulum.optimal_returns(pendulum.start_states(seeds)),
}
NO_LIMIT = 1_000  # steps of an evaluation episode, where neither the environment nor the recipe has a time limit


@torch.inference_mode()
def play(
    policy: Callable[[Tensor], Tensor],
    env: str,
    seeds: Sequence[int],
    device: torch.device,
    num_envs: int = 1,
    episode_steps: int | None = None,
) -> np.ndarray:
    """Undiscounted returns (len(seeds),) of one episode from each start seed.

    The episodes go in lock-step, so that the policy sees a batch of observations; an environment whose episode ends
    takes the next seed. An episode depends on its seed, and on `num_envs` only as far as a network rounds a batch
    differently than a single observation.

    Args:
        policy: observations (B, O) -> actions (B, A) or action indices (B,).
        env: name of the environment.
        seeds: start seeds, one per episode.
        device: where `policy` lives.
        num_envs: how many episodes are played side by side at most.
        episode_steps: time limit of an episode, for an environment that has none of its own.

    Raises:
        LabError: the environment itself failed; the message names the start seed.
    """
    envs = [environment.make(env) for _ in range(min(num_envs, len(seeds)))]
    limit = _time_limit(envs[0], episode_steps)
    returns = np.zeros(len(seeds))
    waiting = iter(range(len(seeds)))
    playing: list[tuple[int, CheckedEnv]] = []
    observations: list[np.ndarray] = []

    def start(lane: CheckedEnv) -> None:
        for episode in waiting:
            playing.append((episode, lane))
            observations.append(lane.reset(seed=int(seeds[episode]))[0])
            return

    for lane in envs:
        start(lane)
    while playing:
        actions = policy(torch.from_numpy(np.stack(observations)).to(device)).cpu().numpy()
        ended = []
        for i, (episode, lane) in enumerate(playing):
            observations[i], reward, terminated, truncated, _ = lane.step(actions[i])
            returns[episode] += reward
            if terminated or truncated or lane.episode_steps == limit:
                if not (terminated or truncated) and episode_steps is None:
                    warnings.warn(_unlimited(env), stacklevel=2)
                ended.append(i)
        for i in reversed(ended):
            _, lane = playing.pop(i)
            observations.pop(i)
            start(lane)
    for lane in envs:
        lane.close()
    return returns


def _time_limit(env: CheckedEnv, episode_steps: int | None) -> int | None:
    """Steps after which an episode is cut off here, or None where the environment does that itself."""
    if atari.is_game(env.name) or (env.spec is not None and env.spec.max_episode_steps is not None):
        return None
    return episode_steps or NO_LIMIT


def _unlimited(env: str) -> str:
    return f"{env} has no time limit: evaluation ends an episode after {NO_LIMIT:,} steps; set data.episode_steps"


@torch.inference_mode()
def record_video(
    policy: Callable[[Tensor], Tensor],
    env: str,
    seed: int,
    device: torch.device,
    video: Path,
    episode_steps: int | None = None,
) -> float:
    """Plays one episode, writes it to `video` (MP4, H.264) and returns its undiscounted return."""
    import imageio_ffmpeg

    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # frames are drawn in memory: no screen is needed
    os.environ.setdefault("MUJOCO_GL", "egl")
    made = environment.make(env, render_mode="rgb_array")
    limit = _time_limit(made, episode_steps)
    observation, _ = made.reset(seed=seed)
    frame = np.asarray(made.render())
    height, width = frame.shape[:2]
    writer = imageio_ffmpeg.write_frames(
        str(video), (width, height), fps=made.metadata.get("render_fps", 30), macro_block_size=2, quality=7
    )
    writer.send(None)
    total, over = 0.0, False
    while not over:
        writer.send(np.ascontiguousarray(frame))
        action = policy(torch.from_numpy(observation).to(device)[None])[0]
        observation, reward, terminated, truncated, _ = made.step(action.cpu().numpy())
        over = terminated or truncated or made.episode_steps == limit
        total, frame = total + reward, np.asarray(made.render())
    writer.close()
    made.close()
    return total
