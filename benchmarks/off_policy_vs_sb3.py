"""TD3 and SAC by `lab run` and by Stable-Baselines3."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks import sides
from benchmarks.measure import BLOCK, RANDOM_STEPS, WARM_STEPS, Side, Work, alternate, ratios, say, spread, table

TASKS = ("td3", "sac")
SHAPES = ((64, 64), (256, 256))  # width of the hidden layers, batch size
THEIRS, OURS = "Stable-Baselines3", "`lab run`"


def measure(quick: bool) -> dict[str, Any]:
    """Seconds of both sides for every algorithm and shape."""
    shapes, steps, repetitions = (SHAPES[:1], WARM_STEPS, 1) if quick else (SHAPES, 3_000, 3)
    found: list[dict[str, Any]] = []
    for task in TASKS:
        for hidden, batch in shapes:
            say(f"{task}, hidden ({hidden}, {hidden}), batch {batch}")
            work = Work(hidden, batch, steps, task=task)
            contest: dict[str, Side] = {THEIRS: (sides.sb3, work), OURS: (sides.walk, work)}
            shape = {"task": task, "hidden": hidden, "batch": batch}
            found.append(shape | {"sides": alternate(contest, repetitions)})
    return {"steps": steps, "shapes": found}


def report(found: dict[str, Any]) -> str:
    rows = []
    for shape in found["shapes"]:
        theirs, ours = (shape["sides"][name]["seconds"] for name in (THEIRS, OURS))
        what = f"{shape['task'].upper()}, ({shape['hidden']}, {shape['hidden']}), batch {shape['batch']}"
        rows.append([what, spread(theirs), spread(ours), spread(ratios(theirs, ours), 2, "x")])
    speeds = [
        statistics.median(ratios(*(shape["sides"][name]["seconds"] for name in (THEIRS, OURS))))
        for shape in found["shapes"]
    ]
    return "\n\n".join(
        [
            "## TD3 and SAC against Stable-Baselines3",
            f"The same work as for DDPG: Pendulum-v1, {found['steps']:,} environment steps of which the first "
            f"{RANDOM_STEPS:,} are random, then one update per step; `lab run` is eager, in blocks of {BLOCK} steps. "
            "Seconds are medians (least to most); *speed* is compared turn by turn.",
            table(["work", THEIRS, OURS, "speed"], rows),
            f"`lab run` is {min(speeds):.1f} to {max(speeds):.1f} times as fast.",
        ]
    )
