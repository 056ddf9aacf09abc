"""TD3+BC and IQL by `lab run` and by d3rlpy, which has an environment of its own: `D3RLPY_PYTHON`."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.measure import process, ratios, say, spread, table
from benchmarks.sides import run
from lab import stats
from lab.rl.data.loaders import TEST_SEEDS

PYTHON = "D3RLPY_PYTHON"
DATASET, EPISODES, SEEDS = "pendulum_replay", 100, 5
THEIRS, OURS = "d3rlpy", "`lab run`"
LR, GAMMA, REWARD_SCALE = 1e-3, 0.98, 0.1


@dataclass(frozen=True)
class Job:
    """What both sides are asked to do.

    Args:
        task: the algorithm, as `lab` calls it.
        hidden: width of both hidden layers.
        batch: transitions per update.
        updates: how many.
        seed: of the training.
    """

    task: str
    hidden: int
    batch: int
    updates: int
    seed: int = 0

    @property
    def title(self) -> str:
        return f"`{self.task}`, ({self.hidden}, {self.hidden}), batch {self.batch}, {self.updates:,} updates"


JOBS = (
    Job("td3_bc", 64, 128, 10_000),
    Job("iql", 64, 128, 10_000),
    Job("td3_bc", 256, 256, 2_000),
    Job("iql", 256, 256, 2_000),
)
CLASSES = {"td3_bc": "TD3PlusBC", "iql": "IQL"}
SCRIPT = """
import json, sys, time
import d3rlpy, gymnasium, numpy, torch
from d3rlpy.models.encoders import VectorEncoderFactory
torch.set_num_threads(1)
given = json.loads(sys.argv[1])
d3rlpy.seed(given["seed"])
layers = VectorEncoderFactory([given["hidden"]] * 2)
settings = {} if given["algorithm"] == "TD3PlusBC" else {"value_encoder_factory": layers}
algorithm = getattr(d3rlpy.algos, given["algorithm"] + "Config")(
    batch_size=given["batch"], gamma=given["gamma"], actor_learning_rate=given["lr"], critic_learning_rate=given["lr"],
    actor_encoder_factory=layers, critic_encoder_factory=layers,
    observation_scaler=d3rlpy.preprocessing.StandardObservationScaler(),
    action_scaler=d3rlpy.preprocessing.MinMaxActionScaler(minimum=[-2.0], maximum=[2.0]),
    reward_scaler=d3rlpy.preprocessing.MultiplyRewardScaler(given["reward_scale"]), **settings,
).create(device="cpu:0")
columns = dict(numpy.load(given["data"]))
dataset = d3rlpy.dataset.MDPDataset(**columns)
start = time.perf_counter()
algorithm.fit(dataset, n_steps=given["updates"], n_steps_per_epoch=given["updates"], show_progress=False,
              logger_adapter=d3rlpy.logging.NoopAdapterFactory(), save_interval=1_000_000)
seconds = time.perf_counter() - start
env, returns = gymnasium.make("Pendulum-v1"), []
for first in range(given["first"], given["first"] + given["episodes"]):
    observation, over, total = env.reset(seed=first)[0], False, 0.0
    while not over:
        observation, reward, terminated, truncated, _ = env.step(algorithm.predict(observation[None])[0])
        total, over = total + float(reward), terminated or truncated
    returns.append(total)
print(json.dumps([seconds, sum(returns) / len(returns)]))
"""


def theirs(job: Job) -> tuple[float, float]:
    """Seconds of `fit` and the mean return of the last policy, in the interpreter that has `d3rlpy`."""
    given = {
        "algorithm": CLASSES[job.task], "hidden": job.hidden, "batch": job.batch, "updates": job.updates,
        "seed": job.seed, "lr": LR, "gamma": GAMMA, "reward_scale": REWARD_SCALE, "data": str(_recorded()),
        "first": TEST_SEEDS, "episodes": EPISODES,
    }  # fmt: skip
    done = subprocess.run(
        [os.environ[PYTHON], "-c", SCRIPT, json.dumps(given)], capture_output=True, text=True, check=True
    )
    seconds, score = json.loads(done.stdout.splitlines()[-1])
    return seconds, score


def _recorded() -> Path:
    """The data set as d3rlpy takes it: one step after the other."""
    import numpy as np
    import torch

    from lab.data import find_dataset
    from lab.rl.offline.episode_dataset import EpisodeDataset

    file = Path("recorded.npz")
    if not file.exists():
        episodes = find_dataset(DATASET, EpisodeDataset).load("train")
        length, ended = episodes["length"], episodes["terminated"]
        last = torch.zeros(int(length.sum()))
        last[length.cumsum(0) - 1] = 1
        keep = torch.ones(len(episodes["observation"].values), dtype=torch.bool)
        keep[(length + 1).cumsum(0) - 1] = False  # d3rlpy takes no observation behind the last step
        ends = last * ended.repeat_interleave(length)
        columns = {
            "observations": episodes["observation"].values[keep],
            "actions": episodes["action"].values,
            "rewards": episodes["reward"].values,
            "terminals": ends,
            "timeouts": last - ends,
        }
        np.savez(file, **{name: column.numpy() for name, column in columns.items()})
    return file


def ours(job: Job) -> tuple[float, float]:
    """All of `lab run`: the seconds of its training, and the mean return of the last policy."""
    from lab.recipe import load
    from lab.registry import find_recipe
    from lab.runner.evaluate import evaluate

    settings: dict[str, Any] = {
        "seed": job.seed,
        "model.lr": LR,
        "model.final_lr": 1.0,
        "model.gamma": GAMMA,
        "model.reward_scale": REWARD_SCALE,
        "model.hidden": [job.hidden, job.hidden],
        "data.name": DATASET,
        "data.batch_size": job.batch,
        "data.total_updates": job.updates,
        "trainer.limit_val_batches": 0,
        "trainer.limit_test_batches": 0,
    }
    recipe = load(find_recipe(f"{job.task}_pendulum"), [f"{key}={value}" for key, value in settings.items()])
    seconds, run_id = run(recipe, job.updates)
    return seconds, evaluate(run_id, EPISODES, "last", ["trainer.limit_test_batches=1.0"])["test/return"]


SIDES: dict[str, Callable[[Job], tuple[float, float]]] = {THEIRS: theirs, OURS: ours}


def measure(quick: bool) -> dict[str, Any]:
    """Seconds and scores of both sides for every job, seed by seed."""
    if PYTHON not in os.environ:
        say(f"skipped: {PYTHON} names no interpreter with d3rlpy")
        return {}
    found = []
    with tempfile.TemporaryDirectory() as folder, process(Path(folder)) as worker:
        for given in JOBS:
            job = replace(given, updates=200) if quick else given
            for side in SIDES.values():
                worker(side, replace(job, updates=100))
            turns: dict[str, list[tuple[float, float]]] = {name: [] for name in SIDES}
            for seed in range(2 if quick else SEEDS):
                for name, side in SIDES.items():
                    turns[name].append(worker(side, replace(job, seed=seed)))
                    seconds, score = turns[name][-1]
                    say(f"{name}, {job.title}, seed {seed}: {seconds:.1f} s, return {score:.1f}")
            found.append({"title": job.title, "updates": job.updates, "turns": turns})
    return {"jobs": found}


def speeds(found: dict[str, Any]) -> dict[str, list[float]]:
    """How many times as fast as d3rlpy."""
    return {
        job["title"]: ratios(*([turn[0] for turn in job["turns"][name]] for name in (THEIRS, OURS)))
        for job in found.get("jobs", [])  # none where it was skipped
    }


def report(found: dict[str, Any]) -> str:
    rows = []
    for job in found["jobs"]:
        cells = [job["title"]]
        for name in SIDES:
            scores = [score for _, score in job["turns"][name]]
            interval = stats.interval(scores)
            per_second = job["updates"] / statistics.median(seconds for seconds, _ in job["turns"][name])
            assert interval is not None
            cells += [f"{stats.iqm(scores):.1f} ({interval.low:.1f} to {interval.high:.1f})", f"{per_second:,.0f}"]
        rows.append([*cells, spread(speeds(found)[job["title"]], 2, "x")])
    titles = ["work", "d3rlpy: return", "updates/s", "`lab run`: return", "updates/s", "speed"]
    return "\n\n".join(
        [
            "## Offline agents against d3rlpy",
            f"The same recorded episodes (`{DATASET}`), networks, batches, learning rate, discount and number of "
            "updates; observations are standardised and actions scaled on both sides. *return* is the interquartile "
            f"mean over {SEEDS} seeds of the last policy, {EPISODES} episodes from the same starts, with its 95 % "
            "bootstrap interval. Updates a second are those of `fit` and of the whole training of `lab run`, one "
            f"thread a side; the interpreter of d3rlpy is that of `{PYTHON}`.",
            table(titles, rows),
        ]
    )
