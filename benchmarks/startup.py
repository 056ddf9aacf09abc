"""How long a command takes to answer, as a user's clock sees it."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import ratios, say, spread, table

PYTHON = sys.executable
LAB = str(Path(PYTHON).with_name("lab"))
YARDSTICK = "`import torch`"
SHORT = ["data.total_steps=1000"]  # a training of about a second
COMMANDS = {  # what is timed, and the exit status it must end with
    "`python -c pass`, the limit": ([PYTHON, "-c", "pass"], 0),
    "`import lab`": ([PYTHON, "-c", "import lab"], 0),
    "`lab --help`": ([LAB, "--help"], 0),
    "`lab ls`": ([LAB, "ls"], 0),
    "`lab run nosuch`, refused": ([LAB, "run", "nosuch"], 2),
    YARDSTICK: ([PYTHON, "-c", "import torch"], 0),
    "`import lightning`": ([PYTHON, "-c", "import lightning"], 0),
    "import of the DDPG task": ([PYTHON, "-c", "import lab.rl.ddpg"], 0),
    "`lab check ddpg_pendulum`": ([LAB, "check", "ddpg_pendulum"], 0),
    "`lab runs`": ([LAB, "runs"], 0),
    "`lab compare ddpg_pendulum`": ([LAB, "compare", "ddpg_pendulum"], 0),
    "`lab eval last`": ([LAB, "eval", "last"], 0),
}


def measure(quick: bool) -> dict[str, Any]:
    """Seconds of whole processes, and of the default run from an empty folder."""
    found: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        _clock([LAB, "run", "ddpg_pendulum", *SHORT], folder, 0)  # what `runs`, `compare` and `eval` look at
        for name, (command, status) in COMMANDS.items():
            _clock(command, folder, status)  # the first reads files from disk and may write bytecode
            say(f"{name}: ready")
        for _ in range(1 if quick else 7):
            for name, (command, status) in COMMANDS.items():
                found[name].append(_clock(command, folder, status)[0])
    runs = [_default_run(quick) for _ in range(1 if quick else 3)]
    return {"commands": found, "runs": runs, "short": [_short_run() for _ in range(1 if quick else 3)]}


def _short_run() -> float:
    """CPU seconds of a whole command that trains for about one, with those of the processes that it starts."""
    with tempfile.TemporaryDirectory() as folder:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        _clock([LAB, "run", "ddpg_pendulum", "threads=1", *SHORT], folder, 0)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    say(f"lab run ddpg_pendulum {' '.join(SHORT)}: {seconds:.1f} CPU seconds")
    return seconds


def _default_run(quick: bool) -> dict[str, float]:
    """One `lab run ddpg_pendulum` in an empty folder: seconds of the command, and of the training in it."""
    command = [LAB, "run", "ddpg_pendulum", "--json", *(["data.total_steps=1100"] if quick else [])]
    with tempfile.TemporaryDirectory() as folder:
        seconds, output = _clock(command, folder, 0)
    result = json.loads(output)
    say(f"lab run ddpg_pendulum: {seconds:.1f} s, of which training {result['seconds']:.1f} s")
    return {"command": seconds, "training": result["seconds"], "score": result["score"]}


def _clock(command: list[str], folder: str, status: int) -> tuple[float, str]:
    # as in a user's shell: bytecode is kept, and runs are tracked in the folder
    unusual = ("PYTHONDONTWRITEBYTECODE", "MLFLOW_TRACKING_URI")
    environment = {name: value for name, value in os.environ.items() if name not in unusual}
    start = time.perf_counter()
    ended = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if ended.returncode != status:
        raise RuntimeError(f"{' '.join(command)} ended with {ended.returncode}, not {status}:\n{ended.stderr}")
    return seconds, ended.stdout


def speeds(found: dict[str, Any]) -> dict[str, list[float]]:
    """How many times as fast as importing torch."""
    commands = found["commands"]
    return {name: ratios(commands[YARDSTICK], seconds) for name, seconds in commands.items() if name.startswith("`lab")}


def report(found: dict[str, Any]) -> str:
    commands, runs = found["commands"], found["runs"]
    rows = [[name, spread(seconds)] for name, seconds in commands.items()]
    whole, training = [run["command"] for run in runs], [run["training"] for run in runs]
    rest = [total - part for total, part in zip(whole, training, strict=True)]
    shown = [
        ["whole command", spread(whole, 1)],
        ["of it training, validations included", spread(training, 1)],
        ["of it imports, records, test, video, model", spread(rest, 1)],
    ]
    quickest = statistics.median(commands["`lab --help`"])
    task, torch = (statistics.median(commands[name]) for name in ("import of the DDPG task", YARDSTICK))
    return "\n\n".join(
        [
            "## Start-up",
            "Whole processes, seconds, medians (least to most).",
            table(["command", "seconds"], rows),
            f"Help answers in {quickest:.2f} s because no command imports torch before it needs it; a task costs "
            f"{task:.1f} s of imports, {torch:.1f} s of them torch's own.",
            table(["`lab run ddpg_pendulum` in an empty folder", "seconds"], shown),
            f"A run that trains for a second (`{' '.join(SHORT)}`) takes {spread(found['short'], 1)} CPU seconds.",
            f"The default run takes {statistics.median(whole):.0f} s; training "
            f"is {100 * statistics.median(training) / statistics.median(whole):.0f} % of it.",
        ]
    )
