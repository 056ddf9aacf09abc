"""Runs started with the `lab` command in processes of their own, and what each left behind."""

from __future__ import annotations

import atexit
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measure import say

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from torch import Tensor

LAB = str(Path(sys.executable).with_name("lab"))
TASKS = Path(__file__).parent / "tasks"
LIMIT = 300  # seconds for any one process


@dataclass(frozen=True)
class Work:
    """A recipe to run.

    Args:
        name: what the report calls it.
        words: the recipe and its overrides, as `lab run` takes them.
    """

    name: str
    words: tuple[str, ...]


SHORT = (
    "data.total_steps=2000", "data.learning_starts=400", "data.eval_every=500", "data.eval_episodes=2",
    "trainer.limit_test_batches=0", "checkpoint.seconds=null", "checkpoint.steps=50",
)  # fmt: skip
DDPG = Work("ddpg_pendulum", ("ddpg_pendulum", *SHORT))
DRIFTING = Work("ddpg_pendulum, Ornstein-Uhlenbeck", ("ddpg_pendulum", *SHORT, "model.noise=ornstein_uhlenbeck"))
MOONS = Work("two_moons", ("two_moons", "trainer.max_epochs=12", "checkpoint.seconds=null", "checkpoint.steps=10"))
ROWS = Work("a data set with two workers", (str(TASKS / "rows.yaml"),))


@dataclass(frozen=True)
class End:
    """What a run is in the end.

    Args:
        weights: of `last.ckpt`.
        metrics: every value of every metric with its step, but those that tell time.
    """

    weights: dict[str, Tensor]
    metrics: Counter[tuple[str, int, float]]


@dataclass
class Story:
    """All lives of one run.

    Args:
        uri: the database or server where the run is tracked.
        run_id: the run.
        codes: exit code of each process, as a shell has it.
        statuses: what the tracking server said after each.
        said: standard error of each.
        result: the JSON that the last one printed; empty if it printed none.
        problems: what was not as it should be.
    """

    uri: str
    run_id: str = ""
    codes: list[int] = field(default_factory=list)
    statuses: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def expect(self, kept: object, sentence: str) -> None:
        if not kept:
            self.problems.append(f"{sentence} (run {self.run_id[:8]}, exit codes {self.codes}; it said: {self.heard})")

    @property
    def heard(self) -> str:
        """The last lines of the last process."""
        return " | ".join(self.said[-1].strip().splitlines()[-3:]) if self.said else ""

    def last(self) -> Path:
        """Where a run tracked on this machine goes on."""
        return Path(client(self.uri).get_run(self.run_id).data.tags["mlflow.lab.checkpoints"]) / "last.ckpt"


class Life:
    """One process of a run.

    Args:
        shop: where it works.
        words: the command's.
        name: the run's.
        lives: how many processes the run had before.
        environment: further variables.
    """

    def __init__(self, shop: Shop, words: Sequence[str], name: str, lives: int, **environment: str) -> None:
        self.shop, self.name, self.lives = shop, name, lives
        self.output, self.errors = (shop.logs / f"{name}-{lives}.{end}" for end in ("json", "txt"))
        with self.output.open("w") as output, self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [LAB, *words], cwd=shop.folder, env=shop.environment | environment, stdout=output, stderr=errors
            )
        self.journal: Path | None = None
        atexit.register(self.process.kill)  # should a fault surprise those who made it

    def begun(self) -> bool:
        """Waits until the run has written something down in this process; False if the process ended before."""
        deadline = time.monotonic() + LIMIT
        while self.process.poll() is None and time.monotonic() < deadline:
            self.journal = self.journal or self.shop.journal(self.name)
            text = self.journal.read_text() if self.journal is not None and self.journal.exists() else ""
            if text.count('"op": "resume"') == self.lives and '"op": "artifact"' in text:
                return True
            time.sleep(0.01)
        return False

    def send(self, *signals: int) -> None:
        """Sends them all before the process can act on the first."""
        if len(signals) > 1:
            self.process.send_signal(signal.SIGSTOP)
        for signum in signals:
            self.process.send_signal(signum)
        if len(signals) > 1:
            self.process.send_signal(signal.SIGCONT)

    def end(self, story: Story) -> int:
        """Waits for the end, and writes it down in the story."""
        try:
            code = self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
            story.problems.append(f"`lab` did not end within {LIMIT} s: {story.run_id[:8]}")
        code = 128 - code if code < 0 else code
        story.codes.append(code)
        story.said.append(self.errors.read_text())
        output = self.output.read_text()
        story.result = json.loads(output) if code == 0 and output else {}
        story.run_id = story.run_id or (self.journal.parent.name if self.journal else story.result.get("run_id", ""))
        return code


class Shop:
    """The folder where everything happens, with one database.

    Args:
        folder: where commands are given.
        logs: where what they print is kept.
        points: random points for each fault that has one.
        quick: leave out what takes long.
        seed: of the random points.
    """

    def __init__(self, folder: Path, logs: Path, points: int, quick: bool, seed: int) -> None:
        self.folder, self.logs, self.points, self.quick, self.random = folder, logs, points, quick, random.Random(seed)
        for made in (folder, logs):
            made.mkdir(parents=True, exist_ok=True)
        self.environment = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"} | {
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(TASKS),
        }
        self.uri = f"sqlite:///{folder}/mlflow.db"
        self._ends: dict[Work, End] = {}
        self._times: dict[Work, tuple[float, float]] = {}
        self._making = threading.Lock()
        self._numbers = itertools.count(1)

    def beside(self, folder: Path) -> Shop:
        """Another folder with a copy of the database, where nobody else works."""
        other = Shop(folder, self.logs / folder.name, self.points, self.quick, 0)
        shutil.copyfile(self.folder / "mlflow.db", folder / "mlflow.db")
        return other

    def start(self, work: Work, *more: str, **environment: str) -> Life:
        """A new run of this recipe."""
        name = f"run{next(self._numbers)}"
        return Life(self, ["run", *work.words, *more, "--name", name, "--json"], name, 0, **environment)

    def resume(self, life: Life, run_id: str, *more: str) -> Life:
        """The run's next process."""
        return Life(self, ["resume", run_id, "--json", *more], life.name, life.lives + 1)

    def lab(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Any other command, to its end."""
        return subprocess.run(
            [LAB, *words], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=LIMIT
        )

    def journal(self, name: str) -> Path | None:
        """The journal of the run with this name."""
        for path in self.folder.glob("mlruns/outbox/*/journal.jsonl"):
            try:
                with path.open() as file:
                    if json.loads(file.readline())["name"] == name:
                        return path
            except (ValueError, OSError):  # just made, or just removed
                pass
        return None

    def whole(self, work: Work) -> End:
        """The end of a run that was left alone; made once for each recipe."""
        with self._making:  # also for the timing
            if work not in self._ends:
                self._ends[work] = self._make_whole(work)
        return self._ends[work]

    def times(self, work: Work) -> tuple[float, float]:
        """Seconds from the first word of a run's record to the end of training, and to the end of its process."""
        self.whole(work)
        return self._times[work]

    def status(self, run_id: str) -> str:
        return str(client(self.uri).get_run(run_id).info.status)

    def _make_whole(self, work: Work) -> End:
        say(f"{work.name}: a run that is left alone")
        story, life = Story(self.uri), self.start(work)
        life.begun()
        start = time.time()
        if life.end(story):
            raise RuntimeError(f"{work.name} fails without any fault: {story.heard}")
        last = Path(story.result["last"])
        self._times[work] = last.stat().st_mtime - start, time.time() - start
        return End(weights(last), metrics(self.uri, story.run_id))


@cache
def client(uri: str) -> MlflowClient:
    from lab.tracking.server import client as connect

    return connect(uri)


def weights(checkpoint: Path) -> dict[str, Tensor]:
    from lab import files

    kept: dict[str, Tensor] = files.load(checkpoint)["state_dict"]
    return kept


def metrics(uri: str, run_id: str) -> Counter[tuple[str, int, float]]:
    """Every value of every metric, but those that tell time.

    Nor `epoch`: Lightning logs it beside both the training's and the validation's metrics of a step, and MLflow takes
    the two for one if they come in the same millisecond.
    """
    server = client(uri)
    telling = [name for name in server.get_run(run_id).data.metrics if not name.startswith(("seconds/", "system/"))]
    history = [value for name in telling if name != "epoch" for value in server.get_metric_history(run_id, name)]
    return Counter((value.key, value.step, value.value) for value in history)
