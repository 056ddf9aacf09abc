"""DDPG by `lab run`, by Stable-Baselines3, and by a loop with nothing around the update."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import sides
from benchmarks.measure import (
    BLOCK,
    RANDOM_STEPS,
    WARM_STEPS,
    Side,
    Work,
    alternate,
    process,
    ratios,
    say,
    spread,
    table,
)

SHAPES = ((64, 64), (256, 64), (256, 256))  # width of the hidden layers, batch size
THEIRS, EAGER, COMPILED = "Stable-Baselines3", "`lab run`", "`lab run`, compiled"


def measure(quick: bool) -> dict[str, Any]:
    """Seconds of every side for every shape, and of compiling with a full and with an empty cache."""
    shapes, steps, repetitions = (SHAPES[:1], WARM_STEPS, 1) if quick else (SHAPES, 3_000, 3)
    found: list[dict[str, Any]] = []
    for hidden, batch in shapes:
        say(f"hidden ({hidden}, {hidden}), batch {batch}")
        work, compiled = Work(hidden, batch, steps), Work(hidden, batch, steps, compile=True)
        contest: dict[str, Side] = {
            THEIRS: (sides.sb3, work),
            EAGER: (sides.walk, work),
            COMPILED: (sides.walk, compiled),
            "floor": (sides.floor, work),
            "floor, compiled": (sides.floor, compiled),
        }
        found.append({"hidden": hidden, "batch": batch, "sides": alternate(contest, repetitions)})
    return {"steps": steps, "shapes": found, "compile": _compiling(repetitions)}


def _compiling(repetitions: int) -> dict[str, list[float]]:
    """The first compiled run of a process, with an empty and with a full cache on disk."""
    work = Work(*SHAPES[0], WARM_STEPS, compile=True)
    seconds: dict[str, list[float]] = {"empty": [], "full": []}
    for _ in range(repetitions):
        with tempfile.TemporaryDirectory() as folder:
            for cache, found in seconds.items():
                with process(Path(folder)) as worker:
                    found.append(worker(sides.walk, work))
                say(f"compiling, {cache} cache: {found[-1]:.2f} s")
    return seconds


def speeds(found: dict[str, Any]) -> dict[str, list[float]]:
    """How many times as fast as Stable-Baselines3."""
    return {
        f"{name}, ({shape['hidden']}, {shape['hidden']}), batch {shape['batch']}": ratios(
            shape["sides"][THEIRS]["seconds"], shape["sides"][name]["seconds"]
        )
        for shape in found["shapes"]
        for name in (EAGER, COMPILED)
    }


def report(found: dict[str, Any]) -> str:
    parts = [
        "## DDPG against Stable-Baselines3",
        f"Pendulum-v1, {found['steps']:,} environment steps of which the first {RANDOM_STEPS:,} are random, one update "
        f"per step after them ({found['steps'] - RANDOM_STEPS:,} updates), gamma {sides.GAMMA}, lr {sides.LR}, tau "
        f"{sides.TAU}, the same noise and buffer. `lab run` is the whole command's training: Trainer, tracking, system "
        "metrics, progress and checkpoints, without validation, which Stable-Baselines3 does not do either. `lab` "
        f"and the floor collect {BLOCK} steps with one policy and then make {BLOCK} updates, and flush denormal "
        "numbers; Stable-Baselines3 updates after every step. The floor "
        "is a plain loop over gymnasium and NumPy that only calls the same update. Seconds are "
        "medians (least to most); *speed* is Stable-Baselines3's time over the row's, compared turn by turn.",
    ]
    for shape in found["shapes"]:
        parts += [_table(shape), _verdict(shape)]
    return "\n\n".join([*parts, _about_compiling(found)])


def _table(shape: dict[str, Any]) -> str:
    theirs = shape["sides"][THEIRS]["seconds"]
    rows = []
    for name, side in shape["sides"].items():
        per_update = 1e6 * statistics.median(side["seconds"]) / side["updates"]
        rows.append(
            [name, spread(side["seconds"]), f"{per_update:,.0f}", spread(ratios(theirs, side["seconds"]), 2, "x")]
        )
    title = f"hidden ({shape['hidden']}, {shape['hidden']}), batch {shape['batch']}"
    return table([title, "seconds", "µs per update, all included", "speed"], rows)


def _verdict(shape: dict[str, Any]) -> str:
    times = {name: side["seconds"] for name, side in shape["sides"].items()}
    speed = {name: statistics.median(ratios(times[THEIRS], times[name])) for name in (EAGER, COMPILED)}
    above = {name: 100 * (statistics.median(ratios(times[name], times[floor])) - 1) for name, floor in FLOORS.items()}
    return (
        f"`lab run` is {speed[EAGER]:.1f} times as fast as Stable-Baselines3, compiled {speed[COMPILED]:.1f} times; "
        f"it is {above[EAGER]:.0f} % above its floor, compiled {above[COMPILED]:.0f} %."
    )


FLOORS = {EAGER: "floor", COMPILED: "floor, compiled"}


def _about_compiling(found: dict[str, Any]) -> str:
    rows = [[f"{cache} cache on disk", spread(seconds, 1)] for cache, seconds in found["compile"].items()]
    first = found["shapes"][0]["sides"]
    saved = statistics.median(first[EAGER]["seconds"]) - statistics.median(first[COMPILED]["seconds"])
    per_update = saved / first[EAGER]["updates"]
    text = "Compiled rows are measured warm. A process's first compiled run pays for compiling:"
    lines = [text, table([f"first compiled run of a process, {WARM_STEPS:,} steps", "seconds"], rows)]
    if per_update > 0:
        cold = statistics.median(found["compile"]["empty"])
        lines.append(
            f"At {1e6 * per_update:,.0f} µs saved per update, a cold compile pays off after about "
            f"{cold / per_update:,.0f} updates: use eager mode for shorter runs."
        )
    return "\n\n".join(lines)
