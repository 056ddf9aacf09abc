"""Playing whole episodes from given start seeds, many at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from lab.rl.envs import environment, pendulum

# environments whose optimum can be computed: name -> (start seeds -> best possible returns)
OPTIMA: dict[str, Callable[[Sequence[int]], np.ndarray]] = {
    "Pendulum-v1": lambda seeds: pendulum.optimal_returns(pendulum.start_states(seeds)),
}
MAX_PARALLEL = 32  # episodes played side by side; more save little, and a heavy simulator costs memory


@torch.inference_mode()
def play(policy: Callable[[Tensor], Tensor], env: str, seeds: Sequence[int], device: torch.device) -> np.ndarray:
    """Undiscounted returns (len(seeds),) of one episode from each start seed.

    The episodes go in lock-step, so that the policy sees a batch of observations; an environment whose episode ends
    takes the next seed. An episode depends on its seed alone.

    Args:
        policy: observations (B, O) -> actions (B, A) or action indices (B,).
        env: name of the environment.
        seeds: start seeds, one per episode.
        device: where `policy` lives.

    Raises:
        LabError: the environment itself failed; the message names the start seed.
    """
    lanes = [environment.make(env) for _ in range(min(MAX_PARALLEL, len(seeds)))]
    returns = np.zeros(len(seeds))
    waiting = iter(range(len(seeds)))
    playing: list[tuple[int, gym.Env[Any, Any]]] = []
    observations: list[np.ndarray] = []

    def start(lane: gym.Env[Any, Any]) -> None:
        for episode in waiting:
            playing.append((episode, lane))
            observations.append(_reset(lane, env, int(seeds[episode])))
            return

    for lane in lanes:
        start(lane)
    while playing:
        actions = policy(torch.from_numpy(np.stack(observations)).to(device)).cpu().numpy()
        ended = []
        for i, (episode, lane) in enumerate(playing):
            observations[i], reward, terminated, truncated = _step(lane, env, int(seeds[episode]), actions[i])
            returns[episode] += reward
            if terminated or truncated:
                ended.append(i)
        for i in reversed(ended):
            _, lane = playing.pop(i)
            observations.pop(i)
            start(lane)
    for lane in lanes:
        lane.close()
    return returns


@torch.inference_mode()
def record_video(policy: Callable[[Tensor], Tensor], env: str, seed: int, device: torch.device, video: Path) -> float:
    """Plays one episode, writes it to `video` (MP4, H.264) and returns its undiscounted return."""
    import imageio_ffmpeg

    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # frames are drawn in memory: no screen is needed
    os.environ.setdefault("MUJOCO_GL", "egl")
    made = environment.make(env, render_mode="rgb_array")
    observation = _reset(made, env, seed)
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
        observation, reward, terminated, truncated = _step(made, env, seed, action.cpu().numpy())
        total, over, frame = total + reward, terminated or truncated, np.asarray(made.render())
    writer.close()
    made.close()
    return total


def _reset(lane: gym.Env[Any, Any], env: str, seed: int) -> np.ndarray:
    try:
        observation, _ = lane.reset(seed=seed)
    except Exception as error:
        raise environment.failure(env, f"in the reset with start seed {seed}", error) from error
    return _as_declared(lane, observation)


def _step(lane: gym.Env[Any, Any], env: str, seed: int, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool]:
    try:
        observation, reward, terminated, truncated, _ = lane.step(action)
    except Exception as error:
        raise environment.failure(env, f"in the episode from start seed {seed}", error) from error
    return _as_declared(lane, observation), float(reward), terminated, truncated


def _as_declared(lane: gym.Env[Any, Any], observation: Any) -> np.ndarray:
    """An environment may say single precision or bytes and show something else."""
    return np.asarray(observation, lane.observation_space.dtype)
