"""Environment steps per second by the ways of stepping several environments, ours and Gymnasium's, without a policy."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.measure import process, ratios, say, spread, table

# environment -> the package that it needs beyond ours, steps of each of the environments
ENVIRONMENTS = {
    "CartPole-v1": ("gymnasium", 4_000),
    "Pendulum-v1": ("gymnasium", 4_000),
    "LunarLander-v3": ("Box2D", 1_500),
    "HalfCheetah-v5": ("mujoco", 1_000),
}
ENVS = 8


def measure(quick: bool) -> dict[str, Any]:
    """Steps per second of every way in every environment that is installed, in turns."""
    found: dict[str, dict[str, list[float]]] = {}
    for env, (package, steps) in ENVIRONMENTS.items():
        if find_spec(package) is None:
            say(f"{env}: left out, {package} is not installed")
            continue
        rates: dict[str, list[float]] = {}
        for _ in range(1 if quick else 3):
            for name, way in WAYS.items():
                with tempfile.TemporaryDirectory() as folder, process(Path(folder)) as worker:
                    rate = worker(partial(_rate, way), (env, steps // 10 if quick else steps))
                if rate is not None:
                    rates.setdefault(name, []).append(rate)
                    say(f"{env}, {name}: {rate:,.0f}")
        found[env] = rates
    return {"envs": ENVS, "environments": found}


def _rate(way: Callable[[str], Any], work: tuple[str, int]) -> float | None:
    """Steps per second over all environments; the first ones are not counted."""
    env, steps = work
    begun = way(env)
    if begun is None:
        return None
    envs, shape, step, close = begun
    import numpy as np

    generator = np.random.default_rng(0)
    many = (steps + 20, *shape)
    actions = generator.integers(0, 2, many) if len(shape) == 1 else generator.uniform(-1, 1, many).astype("f4")
    for action in actions[:20]:
        step(action)
    start = time.perf_counter()
    for action in actions[20:]:
        step(action)
    seconds = time.perf_counter() - start
    close()
    return float(envs * steps / seconds)


def _ours(way: Any, envs: int, env: str) -> Any:
    from lab.rl.envs.async_stepper import make_stepper
    from lab.rl.envs.factory import EnvFactory

    world = make_stepper(way, EnvFactory(env), envs)
    world.reset(list(range(envs)))

    def step(action: Any) -> None:
        world.buffers.action[:] = action
        world.step()

    return envs, world.buffers.action.shape, step, world.close


def _theirs(mode: str, env: str) -> Any:
    import gymnasium as gym

    settings: dict[str, Any] = {}
    if mode == "vector_entry_point":
        if gym.spec(env).vector_entry_point is None:
            return None
    else:
        settings = {"vector_kwargs": {"autoreset_mode": "SameStep"}}
    made = gym.make_vec(env, ENVS, mode, **settings)
    made.reset(seed=0)
    return ENVS, made.action_space.shape, made.step, made.close


WAYS: dict[str, Callable[[str], Any]] = {
    "one": partial(_ours, "sync", 1),
    "`sync`": partial(_ours, "sync", ENVS),
    "`async`": partial(_ours, "async", ENVS),
    "SyncVectorEnv": partial(_theirs, "sync"),
    "AsyncVectorEnv": partial(_theirs, "async"),
    "batched": partial(_theirs, "vector_entry_point"),
}


def speeds(found: dict[str, Any]) -> dict[str, list[float]]:
    """How many times as fast as the vector environment of Gymnasium that steps in the same way."""
    pairs = {"`sync`": "SyncVectorEnv", "`async`": "AsyncVectorEnv"}
    return {
        f"{env}, {mine}": ratios(rates[mine], rates[theirs])
        for env, rates in found["environments"].items()
        for mine, theirs in pairs.items()
    }


def report(found: dict[str, Any]) -> str:
    rows = [
        [env, *(spread(rates[name], 0) if name in rates else "" for name in WAYS)]
        for env, rates in found["environments"].items()
    ]
    gains = {
        env: statistics.median(rates["`async`"]) / statistics.median(rates["`sync`"])
        for env, rates in found["environments"].items()
    }
    faster = ", ".join(f"{env} {gain:.2f}" for env, gain in gains.items())
    return "\n\n".join(
        [
            "## Stepping",
            "Environment steps per second with random actions and no policy, for a single environment and for "
            f"{found['envs']} with both values of `data.vectorization` and with Gymnasium's vector environments, and "
            "the vectorised implementation, where there is one. Medians (least to most), more is better.",
            table(["environment", *WAYS], rows),
            f"`async` over `sync`: {faster}.",
        ]
    )
