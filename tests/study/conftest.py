"""Studies whose trainings return at once: the worker processes import what they do from this folder."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lab.stages import Progress
from lab.study.plan import schema
from lab.study.plan.plan import Plan, make_plan
from lab.study.study import Study, tune
from lab.study.work.job import Job, JobFunction
from lab.study.work.launcher import Crashed, Ended, Event, Progressed, Started, Validated

RECIPE = """\
task: ddpg
model: {hidden: [8], lr: 0.001}
data:
  {env: Pendulum-v1, total_steps: 400, learning_starts: 200, batch_size: 8, eval_every: 100, eval_episodes: 1,
   test_episodes: 1}
trainer: {devices: 1, accelerator: cpu}
track: {experiment: studies, system_metrics: false}
"""


@pytest.fixture
def home(tracked: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with little more than `recipe.yaml`, in which workers find the functions in `works.py`."""
    monkeypatch.chdir(tracked)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]))
    Path("recipe.yaml").write_text(RECIPE)
    Path("done").mkdir()
    return tracked


@pytest.fixture
def planned(home: Path) -> Callable[..., Plan]:
    """Plans a study of that recipe: `planned("sampler: grid", "space: {model.lr: [0.1, 0.2]}")`."""

    def call(*lines: str, name: str = "study") -> Plan:
        path = home / f"{name}.yaml"
        path.write_text("\n".join(["recipe: recipe.yaml", *lines]))
        return make_plan(schema.load_study(path))

    return call


class Inline:
    """Does jobs in threads of this process, one after another: what a study does with the answers is the same."""

    def __init__(self, count: int, work: JobFunction) -> None:
        self.count, self.work = count, work
        self.lines: dict[tuple[int, int], Wire] = {}
        self.said: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.begun: list[Job] = []

    @property
    def idle(self) -> int:
        return self.count - len(self.lines)

    def start(self, job: Job) -> None:
        self.begun.append(job)
        wire = self.lines[job.key] = Wire(job, self.said)
        threading.Thread(target=self._do, args=(job, wire), daemon=True).start()

    def _do(self, job: Job, wire: Wire) -> None:
        try:
            self.said.put(Ended(job.key, self.work(job, wire)))
        except Exception as error:
            self.said.put(Crashed(job.key, str(error)))

    def events(self, timeout: float) -> list[Event]:
        try:
            event = self.said.get(timeout=timeout)
        except queue.Empty:
            return []
        if isinstance(event, Ended | Crashed):
            del self.lines[event.key]
        return [event]

    def answer(self, key: tuple[int, int], prune: bool) -> None:
        self.lines[key].answers.put(prune)

    def stop(self) -> list[Event]:
        return []

    def close(self) -> None: ...


class Wire:
    """The job's end of it."""

    def __init__(self, job: Job, said: queue.SimpleQueue[Event]) -> None:
        self.job, self.said = job, said
        self.answers: queue.SimpleQueue[bool] = queue.SimpleQueue()

    def started(self, run_id: str) -> None:
        self.said.put(Started(self.job.key, run_id))

    def progressed(self, now: str | Progress) -> None:
        self.said.put(Progressed(self.job.key, now))

    def validated(self, position: int, metrics: Mapping[str, float]) -> bool:
        self.said.put(Validated(self.job.key, position, metrics))
        return self.answers.get()


@pytest.fixture
def threaded(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Inline]:
    """Studies from now on do this in threads of this process: `threaded(train)`."""

    def call(work: JobFunction, workers: int = 1) -> Inline:
        launcher = Inline(workers, work)
        monkeypatch.setattr("lab.study.study._launcher", lambda *_: launcher)
        return launcher

    return call


@pytest.fixture
def inline(threaded: Callable[..., Inline], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Inline]:
    """The same for what returns at once: `inline(works.instant)`; MLflow is left out."""
    monkeypatch.setattr("lab.study.study.ParentRun", Nobody)
    monkeypatch.setattr("lab.study.report.report.publish", lambda *_: None)
    return threaded


@pytest.fixture
def tuned(inline: Callable[..., Inline]) -> Callable[..., tuple[Study, list[Job]]]:
    """Works a study off that way: `study, jobs = tuned(plan, works.instant)`."""

    def call(plan: Plan, work: JobFunction, workers: int = 1, **more: Any) -> tuple[Study, list[Job]]:
        launcher = inline(work, workers)
        return tune(plan, workers=workers, **more), launcher.begun

    return call


class Nobody:
    """Stands for the study's run in MLflow."""

    run_id = "parent"

    def __init__(self, *_: Any) -> None: ...

    def tags(self, plan: Plan, trial: int) -> dict[str, str]:
        return {"study": plan.name, "trial": str(trial)}

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None
