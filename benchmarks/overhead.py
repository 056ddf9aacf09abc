"""What Lightning, tracking and the orchestrator cost on top of collecting, sampling and updating."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks import sides
from benchmarks.measure import RANDOM_STEPS, WARM_STEPS, Work, alternate, ratios, spread, table

LAYERS = {"bare": sides.bare, "trainer": sides.trainer, "walk": sides.walk}
NAMES = {
    "bare": "bare loop: collect, extend, sample, update",
    "trainer": "+ Trainer, progress, checkpoints",
    "walk": "+ tracking and system metrics (`lab run`)",
}
GOAL = 10  # percent


def measure(quick: bool) -> dict[str, Any]:
    """Seconds of the bare loop, of the Trainer around it, and of the whole walk."""
    steps, repetitions = (WARM_STEPS, 1) if quick else (6_000, 7)
    found = {}
    for mode in ("eager", "compiled"):
        work = Work(64, 64, steps, compile=mode == "compiled")
        found[mode] = alternate({name: (side, work) for name, side in LAYERS.items()}, repetitions)
    return {"steps": steps, "modes": found}


def speeds(found: dict[str, Any]) -> dict[str, list[float]]:
    """How many times as fast as the bare loop."""
    return {
        f"`lab run`, {mode}": ratios(layers["bare"]["seconds"], layers["walk"]["seconds"])
        for mode, layers in found["modes"].items()
    }


def report(found: dict[str, Any]) -> str:
    parts = [
        "## Overhead of Trainer and tracking",
        f"The same data module and module, hidden (64, 64), batch 64, {found['steps']:,} steps with "
        f"{found['steps'] - RANDOM_STEPS:,} updates, run by a bare loop, by the Trainer, and by `lab run`. Seconds "
        "are medians (least to most); what a layer adds is compared turn by turn.",
    ]
    for mode, layers in found["modes"].items():
        parts += [_table(mode, layers), _verdict(mode, layers)]
    return "\n\n".join(parts)


def _table(mode: str, layers: dict[str, Any]) -> str:
    rows, below, bare = [], None, layers["bare"]["seconds"]
    for name, layer in layers.items():
        added = "" if below is None else spread(_added(layer, below), 0)
        above = "" if below is None else spread(_percent(layer["seconds"], bare), 1)
        rows.append([NAMES[name], spread(layer["seconds"]), added, above])
        below = layer
    return table([mode, "seconds", "adds, µs per update", "above the bare loop, %"], rows)


def _verdict(mode: str, layers: dict[str, Any]) -> str:
    percents = _percent(layers["walk"]["seconds"], layers["bare"]["seconds"])
    middle, worst = statistics.median(percents), max(percents)
    verdict = (
        "met in every turn" if worst < GOAL else "met by the median, not in every turn" if middle < GOAL else "missed"
    )
    trainer = statistics.median(_added(layers["trainer"], layers["bare"]))
    tracker = statistics.median(_added(layers["walk"], layers["trainer"]))
    return (
        f"{mode.capitalize()}, `lab run` takes {spread(percents, 1)} % more than the bare loop (goal: under "
        f"{GOAL} %, {verdict}); by the medians the Trainer with its callbacks adds {trainer:,.0f} µs to an update, "
        f"tracking {tracker:,.0f} µs. Negative values are noise."
    )


def _added(layer: dict[str, Any], below: dict[str, Any]) -> list[float]:
    """Microseconds per update, turn by turn."""
    pairs = zip(layer["seconds"], below["seconds"], strict=True)
    return [1e6 * (mine - other) / layer["updates"] for mine, other in pairs]


def _percent(ours: list[float], theirs: list[float]) -> list[float]:
    return [100 * (ratio - 1) for ratio in ratios(ours, theirs)]
