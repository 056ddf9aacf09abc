"""What jobs on several machines do in these tests. Each leaves a file in `done` that says who did it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import works
import yaml

from lab.study.work.job import Job, JobResult, Reporter

RECIPE = """\
task: ddpg
model: {hidden: [8], lr: 0.001}
data: {env: Pendulum-v1, total_steps: 400, learning_starts: 200, batch_size: 8, eval_episodes: 1, test_episodes: 1}
trainer: {devices: 1, accelerator: cpu}
track: {experiment: studies, system_metrics: false}
"""


def once(job: Job, reporter: Reporter) -> JobResult:
    """Leaves the name of the process that gave the job, and waits until a second such process is there."""
    Path("begun").mkdir(exist_ok=True)
    Path("begun", str(os.getppid())).touch()
    while len(list(Path("begun").iterdir())) < 2:
        time.sleep(0.05)
    return _alone(job, reporter, str(os.getppid()))


def on_a_node(job: Job, reporter: Reporter) -> JobResult:
    """Leaves the name of the node that did the job."""
    import ray

    return _alone(job, reporter, ray.get_runtime_context().get_node_id())


def placed(job: Job, reporter: Reporter) -> JobResult:
    """Tells what Ray has given it."""
    import ray

    return JobResult("finished", ray.get_runtime_context().get_assigned_resources())


def patient(job: Job, reporter: Reporter) -> JobResult:
    """The same, but it does not end before it may."""
    found = once(job, reporter)
    while not Path("go").exists():
        time.sleep(0.05)
    return found


def shot(job: Job, reporter: Reporter) -> JobResult:
    """Is killed the first time, whatever it is asked for."""
    mark = Path("shot", _name(job))
    if not mark.exists():
        reporter.started("a-run")
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return on_a_node(job, reporter)


def watched(job: Job, reporter: Reporter) -> JobResult:
    """Takes its time between validations, until it is told to end."""
    reporter.started(f"run-{job.seed}")
    try:
        for i in range(1, 10_000):
            if reporter.validated(i, {"val/return": -float(i)}):
                return JobResult("pruned")
            time.sleep(0.02)
    except KeyboardInterrupt:
        Path("done", f"stopped-{_name(job)}").touch()
    return JobResult("stopped")


def _alone(job: Job, reporter: Reporter, who: str) -> JobResult:
    reporter.started(f"run-{job.trial}-{job.seed}")
    time.sleep(0.2)
    try:
        with Path("done", _name(job)).open("x") as file:
            file.write(who)
    except FileExistsError:
        Path("done", f"{_name(job)} again").write_text(who)
    return works.instant(job, reporter)


def _name(job: Job) -> str:
    return f"{yaml.safe_load(job.recipe)['model']['lr']} {job.seed}"
