"""How much faster two processes train than one, with a core each: a classifier, and PPO in a slow simulator."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from gymnasium.envs.classic_control import PendulumEnv

from benchmarks.measure import ratios, say, spread, table

LAB = str(Path(sys.executable).with_name("lab"))
PROCESSES = {
    1: ["trainer.devices=1"],
    2: ["trainer.devices=2", "trainer.strategy=ddp"],
}
AT_ALL_TIMES = ["trainer.accelerator=cpu", "threads=1"]
EVALUATION = ["data.eval_every=1000000", "data.eval_episodes=1", "data.test_episodes=1"]  # is not divided
WORKS = {
    "`classify`, CNN, 60,000 letters, batch 256": [
        "classify_letters",
        "model.network=cnn",
        "data.batch_size=256",
        "data.max_images=60606",
        "data.val_fraction=0.01",
        "trainer.max_epochs=1",
        "trainer.limit_val_batches=0",
        "trainer.limit_test_batches=0",
    ],
    "PPO, a simulator of about 1 ms a step": [
        "ppo_pendulum",
        "data.env=benchmarks.scaling:SlowPendulum",
        "data.total_steps=40960",
        *EVALUATION,
    ],
}
QUICK = {
    "`classify`, CNN, 60,000 letters, batch 256": ["data.max_images=5120"],
    "PPO, a simulator of about 1 ms a step": ["data.total_steps=4096"],
}


class SlowPendulum(PendulumEnv):
    """Pendulum-v1 whose step takes about a millisecond of one core."""

    def step(self, action: Any) -> Any:
        sum(range(100_000))
        return super().step(action)


def measure(quick: bool) -> dict[str, Any]:
    """Seconds of training with one process and with two, in turns, after a short run of each."""
    found: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, work in WORKS.items():
            seconds = found[name] = {str(count): [] for count in PROCESSES}
            for turn in range(1 if quick else 4):
                for count, devices in PROCESSES.items():
                    short = QUICK[name] if quick or not turn else []
                    taken = _train([*work, *AT_ALL_TIMES, *devices, *short], folder)
                    say(f"{name}, {count}: {taken:.1f} s")
                    if quick or turn:
                        seconds[str(count)].append(taken)
    return {"seconds": found}


def _train(settings: list[str], folder: str) -> float:
    """The seconds of one training."""
    root = str(Path(__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": root, "OMP_NUM_THREADS": "1", "LAB_DATA": folder}
    command = [LAB, "run", *settings, "--json"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    seconds: float = json.loads(done.stdout)["seconds"]
    return seconds


def speeds(found: dict[str, Any]) -> dict[str, list[float]]:
    """How many times as fast two processes are as one."""
    return {name: ratios(seconds["1"], seconds["2"]) for name, seconds in found["seconds"].items()}


def report(found: dict[str, Any]) -> str:
    rows = [
        [name, spread(seconds["1"]), spread(seconds["2"]), f"{statistics.median(speeds(found)[name]):.2f}"]
        for name, seconds in found["seconds"].items()
    ]
    return "\n\n".join(
        [
            "## Two processes",
            "Seconds of training with one thread a process, medians (least to most), by the medians of turns. Each "
            "process has the settings of the recipe and half of the images or steps, so two make half as many updates, "
            "each of twice as much. Validation is not divided, and left out.",
            table(["training", "one process", "two processes", "times as fast"], rows),
        ]
    )
