"""What workers do in these tests instead of training. Each leaves a file for every time it worked, in `done`."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import yaml

from lab.study.work.job import Job, JobResult, Reporter


def value(job: Job) -> float:
    """A smooth function of the learning rate, with a different offset for each seed; the best rate is 0.01."""
    from math import log10

    return -((log10(yaml.safe_load(job.recipe)["model"]["lr"]) + 2) ** 2) - job.seed / 100


def instant(job: Job, reporter: Reporter) -> JobResult:
    """Returns at once."""
    return JobResult(
        "finished", {"test/return": value(job), "best/val/return": value(job)}, f"run-{job.trial}-{job.seed}"
    )


def classified(job: Job, reporter: Reporter) -> JobResult:
    """Returns what a classifier logs."""
    return JobResult("finished", {"best/val/accuracy": 0.875, "best/val/loss": 0.4}, f"run-{job.trial}-{job.seed}")


def slow(job: Job, reporter: Reporter) -> JobResult:
    """Takes a while, says that it began, and leaves a file; a second one would be a training done twice."""
    reporter.started(f"run-{job.trial}-{job.seed}")
    time.sleep(0.3)
    file = Path("done", f"{_settings(job)}-{job.seed}")
    if not (job.run_id and file.exists()):  # else its run was finished when the one who gave the job died
        file.open("x").close()
    return instant(job, reporter)


def suicidal(job: Job, reporter: Reporter) -> JobResult:
    """Kills its own process the first time it is asked for seed 1."""
    reporter.started(f"run-{job.trial}-{job.seed}")
    mark = Path("done", f"died-{_settings(job)}")
    if job.seed == 1 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return instant(job, reporter)


def mortal(job: Job, reporter: Reporter) -> JobResult:
    """Always dies with the largest learning rate."""
    if yaml.safe_load(job.recipe)["model"]["lr"] == 1.0:
        os._exit(3)
    return instant(job, reporter)


def curve(job: Job, reporter: Reporter) -> JobResult:
    """Reports ten validations that approach its value, and ends when it is told to."""
    for i in range(1, 11):
        if job.watched and reporter.validated(i * 40, {"val/return": value(job) - (10 - i)}):
            return JobResult("pruned", run_id=f"run-{job.trial}-{job.seed}")
    return instant(job, reporter)


def falling(job: Job, reporter: Reporter) -> JobResult:
    """Reports ten validations, each worse than the one before."""
    for i in range(1, 11):
        if job.watched and reporter.validated(i * 40, {"val/return": value(job) - i}):
            return JobResult("pruned", run_id=f"run-{job.trial}-{job.seed}")
    return instant(job, reporter)


def failing(job: Job, reporter: Reporter) -> JobResult:
    """Fails for one learning rate and one seed."""
    if yaml.safe_load(job.recipe)["model"]["lr"] == 1.0 and job.seed == 1:
        return JobResult("failed", reason="the loss is not a number at step 3")
    return instant(job, reporter)


def failing_with_seed_1(job: Job, reporter: Reporter) -> JobResult:
    """Fails for one seed."""
    return JobResult("failed", reason="the loss is not a number") if job.seed == 1 else instant(job, reporter)


def failing_always(job: Job, reporter: Reporter) -> JobResult:
    """Fails."""
    return JobResult("failed", reason=f"no memory for seed {job.seed}")


def failing_with_fold_1(job: Job, reporter: Reporter) -> JobResult:
    """Fails for one fold."""
    if yaml.safe_load(job.recipe)["data"]["fold"] == 1:
        return JobResult("failed", reason="no memory")
    return JobResult("finished", {"best/val/accuracy": 1.0}, f"run-{job.trial}")


def nameless(job: Job, reporter: Reporter) -> JobResult:
    """Logs something else than the study wants."""
    return JobResult("finished", {"test/returns": 1.0}, "run")


def _settings(job: Job) -> str:
    return str(yaml.safe_load(job.recipe)["model"]["lr"])
