"""What it costs to be resumable: the time that checkpoints take, and writing and reading a large replay buffer."""

from __future__ import annotations

import statistics
import tempfile
import time
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.measure import WARM_STEPS, process, ratios, say, spread, table

SCHEDULES = {  # what the recipe says, and its overrides
    "at the end only": ("checkpoint.seconds=null",),
    "every 10 s, the default": (),
    "every second": ("checkpoint.seconds=1",),
}
GOAL = 3  # percent
ENVIRONMENTS = {"Pendulum-v1": "3 observations, 1 action", "HalfCheetah-v5": "17 observations, 6 actions"}
LATER = 10_000  # rows that come after a buffer has been written


def measure(quick: bool) -> dict[str, Any]:
    """Seconds of training and of saving by schedule, in turns; seconds and megabytes of full buffers."""
    steps, turns = (2 * WARM_STEPS, 1) if quick else (12_000, 2)
    rows, repetitions = (50_000, 1) if quick else (1_000_000, 2)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in SCHEDULES}
    with ExitStack() as stack:
        workers = {}
        for name, words in SCHEDULES.items():
            workers[name] = stack.enter_context(process(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
            workers[name](_train, (WARM_STEPS, words))
            say(f"{name}: ready")
        for _ in range(turns):
            for name, words in SCHEDULES.items():
                found[name].append(workers[name](_train, (steps, words)))
                say(f"{name}: {found[name][-1]}")
    buffers = {}
    for env in ENVIRONMENTS:
        if "Cheetah" in env and find_spec("mujoco") is None:
            say(f"{env}: left out, it needs pip install 'torch-lab[mujoco]'")
            continue
        with tempfile.TemporaryDirectory() as folder, process(Path(folder)) as worker:
            buffers[env] = [worker(_buffer, (env, rows)) for _ in range(repetitions)]
        say(f"{env}: {buffers[env][-1]}")
    return {"steps": steps, "schedules": found, "rows": rows, "buffers": buffers}


def _train(work: tuple[int, tuple[str, ...]]) -> dict[str, float]:
    """The recipe that `lab` ships, so many steps long: seconds of its training, and of the saving in it."""
    from lab.engine.saver import Saver
    from lab.recipe import load
    from lab.registry import find_recipe
    from lab.runner.fit import fit

    steps, words = work
    spent: list[float] = []
    save = Saver.save

    def timed(*arguments: Any, **keywords: Any) -> None:
        start = time.perf_counter()
        save(*arguments, **keywords)
        spent.append(time.perf_counter() - start)

    Saver.save = timed  # type: ignore[method-assign]
    try:
        settings = (f"data.total_steps={steps}", "trainer.limit_test_batches=0", *words)
        result = fit(load(find_recipe("ddpg_pendulum"), settings))
    finally:
        Saver.save = save  # type: ignore[method-assign]
    return {"seconds": result.seconds, "saves": len(spent), "saving": sum(spent)}


def _buffer(work: tuple[str, int]) -> dict[str, float]:
    """A full replay buffer of this environment: written, written again with some rows more, and read."""
    env, rows = work
    data = _data(env, rows)
    _extend(data, rows)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        found = {"write": _seconds(lambda: data.write_buffers(folder))}
        found["mb"] = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
        _extend(data, LATER)
        found["later"] = _seconds(lambda: data.write_buffers(folder))
        files, state = data.write_buffers(folder), data.state_dict()
        again = _data(env, rows)

        def read() -> None:
            again.load_state_dict(state)
            again.read_buffers(folder, files)

        found["read"] = _seconds(read)
    last = slice(rows - LATER, rows)
    if len(again.replay) != rows or not (again.replay[last] == data.replay[last]).all():
        raise RuntimeError(f"{env}: another buffer was read than was written")
    return found


def _data(env: str, rows: int) -> Any:
    """The data module that collects in this environment, with a buffer for so many rows."""
    import torch

    from lab.recipe import load
    from lab.registry import find_recipe
    from lab.runner.assemble import assemble

    settings = (f"data.env={env}", f"data.total_steps={2 * rows}", f"data.buffer_size={rows}")
    run = assemble(load(find_recipe("ddpg_pendulum"), settings))
    data: Any = run.data
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    data.trainer = SimpleNamespace(global_rank=0, world_size=1, lightning_module=run.module, strategy=strategy)
    data.setup("fit")
    return data


def _extend(data: Any, rows: int) -> None:
    """Rows as the collector brings them, but for their values, which no file system could compress."""
    import torch

    from lab.rl.data.memory import STORED

    row = data.collector.next().reshape(-1).select(*STORED)[:1]
    many = row.expand(rows).apply(lambda tensor: torch.rand(tensor.shape).to(tensor.dtype))
    data.replay.extend(many)


def _seconds(do: Any) -> float:
    start = time.perf_counter()
    do()
    return time.perf_counter() - start


def report(found: dict[str, Any]) -> str:
    schedules = found["schedules"]
    without = [run["seconds"] for run in schedules["at the end only"]]
    rows, shares = [], {}
    for name, runs in schedules.items():
        seconds = [run["seconds"] for run in runs]
        saves = statistics.median(run["saves"] for run in runs)
        shares[name] = [100 * run["saving"] / run["seconds"] for run in runs]
        longer = [100 * (ratio - 1) for ratio in ratios(seconds, without)]
        rows.append([name, spread(seconds), f"{saves:.0f}", spread(shares[name], 2), spread(longer, 1)])
    worst = max(shares["every 10 s, the default"])
    one = 1000 * statistics.median(run["saving"] / run["saves"] for run in schedules["every second"])
    return "\n\n".join(
        [
            "## Saving",
            f"The recipe `ddpg_pendulum` with {found['steps']:,} environment steps, without its test. Seconds are "
            "those of training, medians (least to most). *Saving* is the time inside the callback that writes "
            "checkpoints, as a share of them; *longer* compares the whole with that of saving once, turn by turn.",
            table(["checkpoints", "seconds", "written", "saving, %", "longer, %"], rows),
            f"By default saving takes {worst:.2f} % of the training at most (goal: under {GOAL} %, "
            f"{'met' if worst < GOAL else 'missed'}); one checkpoint takes {one:.0f} ms. *Longer* includes "
            "the noise of the machine.",
            f"A full replay buffer of {found['rows']:,} transitions: writing all of it, writing only the new rows "
            "later, and reading it when a run is resumed.",
            table(
                ["buffer", "MB", "write, s", f"write {LATER:,} rows more, s", "read, s"],
                [_row(env, runs) for env, runs in found["buffers"].items()],
            ),
        ]
    )


def _row(env: str, runs: list[dict[str, float]]) -> list[str]:
    columns = [spread([run[name] for run in runs]) for name in ("write", "later", "read")]
    return [f"{env}: {ENVIRONMENTS[env]}", f"{runs[0]['mb']:,.0f}", *columns]
