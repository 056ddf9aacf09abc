"""SAC by `lab run` and by SBX (Stable-Baselines3 in JAX), which has an environment of its own: `SBX_PYTHON`."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import process, say, table
from benchmarks.sides import trained

PYTHON = "SBX_PYTHON"
SHAPES = (("Pendulum-v1", 64, 64), ("Hopper-v5", 256, 256))
SHORT, LONG, RANDOM_STEPS = 2_500, 4_500, 1_000
SIDES: dict[str, dict[str, str]] = {
    "`lab run`": {},
    "`lab run`, compiled": {"compile": "true"},
    "`lab run`, bf16-mixed, compiled": {"compile": "true", "trainer.precision": "bf16-mixed"},
}
SCRIPT = """
import sys, time
from sbx import SAC
env, hidden, batch, steps = sys.argv[1], *map(int, sys.argv[2:])
model = SAC("MlpPolicy", env, policy_kwargs={"net_arch": [hidden, hidden]}, batch_size=batch, seed=0,
            buffer_size=10_000, learning_starts=1_000, train_freq=1, gradient_steps=1)
start = time.perf_counter()
model.learn(steps)
print(time.perf_counter() - start)
"""
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false"


def keep_to_one_core() -> None:
    """For both sides: JAX starts threads for all cores that it may use."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def theirs(env: str, hidden: int, batch: int, steps: int) -> float:
    """Seconds of `learn`, in the interpreter that has `sbx-rl`."""
    arguments = [os.environ[PYTHON], "-c", SCRIPT, env, *map(str, (hidden, batch, steps))]
    done = subprocess.run(
        arguments, env=os.environ | {"XLA_FLAGS": ONE_THREAD}, capture_output=True, text=True, check=True,
        preexec_fn=keep_to_one_core,
    )  # fmt: skip
    return float(done.stdout.split()[-1])


def ours(work: tuple[str, int, int, int, dict[str, str]]) -> float:
    """Seconds of the training of `lab run`."""
    from lab.recipe import load
    from lab.registry import find_recipe

    keep_to_one_core()
    env, hidden, batch, steps, further = work
    settings: dict[str, Any] = {
        "model.hidden": [hidden, hidden],
        "data.env": env,
        "data.episode_steps": "null",
        "data.batch_size": batch,
        "data.learning_starts": RANDOM_STEPS,
        "data.train_freq": 50,
        "data.updates_per_step": 1.0,
        "data.total_steps": steps,
        "compile": "false",
        "trainer.limit_val_batches": 0,
        "trainer.limit_test_batches": 0,
        **further,
    }
    recipe = load(find_recipe("sac_pendulum"), [f"{key}={value}" for key, value in settings.items()])
    return trained(recipe, steps - RANDOM_STEPS)


def measure(quick: bool) -> dict[str, Any]:
    """Milliseconds a step: two runs of different length, so that starting and compiling drop out."""
    if PYTHON not in os.environ:
        say(f"skipped: {PYTHON} names no interpreter with sbx-rl")
        return {}
    found = []
    for env, hidden, batch in SHAPES[:1] if quick else SHAPES:
        turns: dict[str, list[float]] = {"SBX": [], **{name: [] for name in SIDES}}
        with tempfile.TemporaryDirectory() as folder, process(Path(folder)) as worker:
            for settings in SIDES.values():  # compile once
                worker(ours, (env, hidden, batch, RANDOM_STEPS + 500, settings))
            for _ in range(1 if quick else 3):
                for name in turns:
                    short, long = (
                        theirs(env, hidden, batch, steps)
                        if name == "SBX"
                        else worker(ours, (env, hidden, batch, steps, SIDES[name]))
                        for steps in (SHORT, LONG)
                    )
                    turns[name].append(1e3 * (long - short) / (LONG - SHORT))
                    say(f"{env}, {name}: {turns[name][-1]:.2f} ms a step")
        found.append({"title": f"{env}, ({hidden}, {hidden}), batch {batch}", "turns": turns})
    return {"shapes": found}


def report(found: dict[str, Any]) -> str:
    rows = []
    for shape in found["shapes"]:
        other = statistics.median(shape["turns"]["SBX"])
        for name, turns in shape["turns"].items():
            mine = statistics.median(turns)
            rows.append([shape["title"], name, f"{mine:.2f}", f"{other / mine:.2f}x"])
    return "\n\n".join(
        [
            "## SAC against SBX",
            "SBX is Stable-Baselines3 in JAX; it compiles its updates. One update for each environment step, on one "
            f"core. Milliseconds a step are the difference of runs of {LONG:,} and {SHORT:,} steps, medians of turns; "
            f"the interpreter of SBX is that of `{PYTHON}`.",
            table(["work", "", "ms a step", "speed"], rows),
        ]
    )
