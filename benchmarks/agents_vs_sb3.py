"""Six algorithms by `lab run` and by Stable-Baselines3: the same environment, networks, batches and updates."""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.measure import BLOCK, RANDOM_STEPS, WARM_STEPS, Side, alternate, ratios, say, spread, table
from benchmarks.sides import checked, trained

THEIRS, OURS, COMPILED = "Stable-Baselines3", "`lab run`", "`lab run`, compiled"
BF16, BOTH = "`lab run`, bf16-mixed", "`lab run`, bf16-mixed, compiled"
LR, GAMMA, TAU, SIGMA, MOVE_EVERY = 1e-3, 0.98, 0.005, 0.1, 100
ENVS, EPOCHS = 8, 10  # of rollouts
WIDE = 256  # layers from here on are measured in bfloat16 as well


@dataclass(frozen=True)
class Job:
    """What both sides are asked to do.

    Args:
        task: the algorithm, as `lab` calls it.
        hidden: width of both hidden layers.
        batch: transitions per update; with rollouts the steps of one environment in each, and for ppo both.
        steps: environment steps; agents with replay make one update for each after the first `RANDOM_STEPS`.
        compile: whether `lab` compiles the update.
        precision: in which `lab` trains.
    """

    task: str
    hidden: int
    batch: int
    steps: int
    compile: bool = False
    precision: str = "32-true"

    @property
    def env(self) -> str:
        return "Pendulum-v1" if self.task in ("ddpg", "td3", "sac") else "CartPole-v1"

    @property
    def replays(self) -> bool:
        return self.task not in ("a2c", "ppo")

    @property
    def updates(self) -> int:
        if self.replays:
            return self.steps - RANDOM_STEPS
        rollouts = math.ceil(self.steps / (ENVS * self.batch))
        return rollouts * (EPOCHS * ENVS if self.task == "ppo" else 1)

    @property
    def title(self) -> str:
        batch = f"rollouts of {ENVS} x {self.batch}" if not self.replays else f"batch {self.batch}"
        return f"{self.task.upper()}, {self.env}, ({self.hidden}, {self.hidden}), {batch}"


JOBS = (
    Job("dqn", 64, 64, 20_000),
    Job("dqn", 256, 128, 3_000),
    Job("ddpg", 64, 64, 20_000),
    Job("ddpg", 256, 256, 3_000),
    Job("td3", 64, 64, 20_000),
    Job("td3", 256, 256, 3_000),
    Job("sac", 64, 64, 20_000),
    Job("sac", 256, 256, 3_000),
    Job("a2c", 64, 5, 60_000),
    Job("ppo", 64, 128, 61_440),
)


def theirs(job: Job) -> float:
    """Stable-Baselines3 as its users call it, its settings given so that the work is the same; seconds of `learn`."""
    import numpy as np
    import stable_baselines3 as sb3
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.noise import NormalActionNoise

    settings: dict[str, Any] = {"learning_rate": LR, "gamma": GAMMA}
    if job.replays:
        env: Any = job.env
        settings |= {"batch_size": job.batch, "buffer_size": job.steps, "learning_starts": RANDOM_STEPS}
        settings |= {"train_freq": 1, "gradient_steps": 1}
        if job.task == "dqn":
            settings |= {"target_update_interval": MOVE_EVERY, "exploration_fraction": 0.2}
        else:
            settings["tau"] = TAU
        if job.task in ("ddpg", "td3"):  # SAC draws its actions
            settings["action_noise"] = NormalActionNoise(np.zeros(1), np.full(1, SIGMA))
    else:
        env = make_vec_env(job.env, ENVS, seed=0)
        settings["n_steps"] = job.batch
        settings |= {"n_epochs": EPOCHS, "batch_size": job.batch} if job.task == "ppo" else {"use_rms_prop": False}
    algorithm = getattr(sb3, job.task.upper())
    layers = {"net_arch": [job.hidden, job.hidden]}
    model = algorithm("MlpPolicy", env, policy_kwargs=layers, device="cpu", seed=0, **settings)
    start = time.perf_counter()
    model.learn(job.steps)
    seconds = time.perf_counter() - start
    return checked(seconds, model._n_updates * (ENVS if job.task == "ppo" else 1), job.updates)


def ours(job: Job) -> float:
    """All of `lab run`: recipe, Trainer, tracking, system metrics, progress, checkpoints; the seconds of its `fit`."""
    from lab.recipe import load
    from lab.registry import find_recipe

    settings: dict[str, Any] = {
        "model.lr": LR,
        "model.final_lr": 1.0,
        "model.gamma": GAMMA,
        "model.hidden": [job.hidden, job.hidden],
        "data.total_steps": job.steps,
        "compile": str(job.compile).lower(),
        "trainer.precision": job.precision,
        "trainer.limit_val_batches": 0,
        "trainer.limit_test_batches": 0,
    }
    if job.replays:
        settings |= {"data.batch_size": job.batch, "data.learning_starts": RANDOM_STEPS, "data.train_freq": BLOCK}
        settings |= {"data.updates_per_step": 1.0}
        if job.task == "dqn":
            settings |= {
                "model.target_update_interval": MOVE_EVERY,
                "model.tau": 1.0,
                "model.exploration_fraction": 0.2,
                "model.double": False,
                "model.observation_scale": None,
                "model.max_grad_norm": 10,
            }
        else:
            settings["model.tau"] = TAU
        if job.task in ("ddpg", "td3"):
            settings["model.sigma"] = SIGMA
    else:
        settings |= {"data.num_envs": ENVS, "data.num_steps": job.batch}
        settings |= {"model.normalize_observations": False, "model.normalize_rewards": False}
        if job.task == "ppo":
            settings |= {"model.update_epochs": EPOCHS, "model.batch_size": job.batch}
    place = "pendulum" if job.env == "Pendulum-v1" else "cartpole"
    recipe = load(
        find_recipe(f"{job.task}_{place}"),
        [f"{key}={'null' if value is None else value}" for key, value in settings.items()],
    )
    return trained(recipe, job.updates)


def measure(quick: bool) -> dict[str, Any]:
    """Seconds of both sides for every job."""
    found: list[dict[str, Any]] = []
    for job in JOBS:
        say(job.title)
        work = Job(job.task, job.hidden, job.batch, WARM_STEPS) if quick else job
        contest: dict[str, Side] = {THEIRS: (theirs, work), OURS: (ours, work)}
        if job.replays or job.task == "ppo":
            contest[COMPILED] = (ours, replace(work, compile=True))
        if job.hidden >= WIDE:
            contest[BF16] = (ours, replace(work, precision="bf16-mixed"))
            contest[BOTH] = (ours, replace(work, precision="bf16-mixed", compile=True))
        found.append({"title": work.title, "steps": work.steps, "sides": alternate(contest, 1 if quick else 3)})
    return {"jobs": found}


def speeds(found: dict[str, Any]) -> dict[str, list[float]]:
    """How many times as fast as Stable-Baselines3."""
    return {
        job["title"]: ratios(job["sides"][THEIRS]["seconds"], job["sides"][OURS]["seconds"]) for job in found["jobs"]
    }


def comparison(found: dict[str, Any]) -> str:
    """The table of all sides of all jobs."""
    rows = []
    for job in found["jobs"]:
        other = job["sides"][THEIRS]["seconds"]
        for name, side in job["sides"].items():
            per_second = f"{job['steps'] / statistics.median(side['seconds']):,.0f}"
            speed = spread(ratios(other, side["seconds"]), 2, "x")
            rows.append([job["title"], name, spread(side["seconds"]), per_second, speed])
    return table(["work", "", "seconds", "env steps/s", "speed"], rows)


def report(found: dict[str, Any]) -> str:
    medians = [statistics.median(speed) for speed in speeds(found).values()]
    least, most = (end(job["steps"] for job in found["jobs"]) for end in (min, max))
    return "\n\n".join(
        [
            "## Six algorithms against Stable-Baselines3",
            "The same environment, hidden layers, batches, learning rate and number of updates. With replay: the first "
            f"{RANDOM_STEPS:,} steps are random, then there is one update per step; `lab run` collects {BLOCK} steps "
            f"at a time. With rollouts: {ENVS} environments in one process; PPO makes {EPOCHS} passes in batches of as "
            "many steps as a rollout has. `lab run` is the whole command's training: Trainer, tracking, system "
            "metrics, progress and checkpoints; neither side evaluates. Compiled rows are measured warm. Seconds are "
            f"medians (least to most) of {least:,} to {most:,} environment steps; *speed* is compared turn by turn.",
            comparison(found),
            f"`lab run`, neither compiled nor in bfloat16, is {min(medians):.1f} to {max(medians):.1f} times as fast.",
        ]
    )
