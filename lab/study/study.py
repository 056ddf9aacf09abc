"""`lab tune`: runs a study, or continues it."""

from __future__ import annotations

import difflib
import json
import os
import signal
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lab.errors import BadInput
from lab.sentences import note
from lab.stages import stage
from lab.study.plan.plan import Plan
from lab.study.work import storage
from lab.study.work.launcher import TRAIN
from lab.study.work.parent_run import ABOUT, ParentRun, wait_for
from lab.tracking.server import tracking_uri

if TYPE_CHECKING:
    import optuna

    from lab.study.report.summary import TrialSummary
    from lab.study.work.job import Job
    from lab.study.work.launcher import Launcher
    from lab.study.work.record import StudyRecord

DEFINITION = "definition"  # attribute of Optuna's study: what its trials depend on

LauncherName = Literal["local", "ray"]


@dataclass(frozen=True)
class Study:
    """A study after `tune`, or as it stands in its storage.

    Args:
        plan: the plan of the study.
        status: `FINISHED`, or `KILLED` if it was stopped before everything was done.
        run_id: its own run in MLflow, the parent of its trainings.
        uri: the tracking server.
        record: its trials, as the storage has them.
        seconds: wall time of this call.
    """

    plan: Plan
    status: Literal["FINISHED", "KILLED"]
    run_id: str
    uri: str
    record: StudyRecord
    seconds: float

    @property
    def trials(self) -> Sequence[TrialSummary]:
        """In the order of the plan."""
        return self.record.trials

    @property
    def failure(self) -> str:
        """The reason for which there is nothing to show, if every trial failed; else empty."""
        trials = self.trials
        if not trials or any(trial.state != "failed" for trial in trials):
            return ""
        count = f"all {len(trials)} trials" if len(trials) > 1 else "the trial"
        return f"{count} failed; the first: {trials[0].reason or 'its process ended'}"


def tune(
    plan: Plan,
    *,
    workers: int | None = None,
    address: str | None = None,
    launcher: LauncherName = "local",
    uri: str | None = None,
    work: str = TRAIN,
    title: str | None = None,
    rename: str | None = None,
) -> Study:
    """Trains the trials of a study that are not finished yet.

    Args:
        plan: the study.
        workers: jobs at a time; by default one for each core, of this machine or of the cluster.
        address: the storage's database; a journal file on this machine by default.
        launcher: `local` processes, or tasks on a `ray` cluster.
        uri: the tracking server; the recipe's own by default.
        work: the function that does a job, as `package.module:name`.
        title: what messages call the study; its name by default.
        rename: how to start it under another name, if one of its name has another definition; `--name` by default.

    Raises:
        BadInput: a study of this name is another one, or the storage cannot be used.
        LabError: the tracking server or the storage cannot be reached, or no trial can have a value.
        KeyboardInterrupt: the user interrupted; the same call again continues.
        SystemExit: with 143, the same after SIGTERM.
    """
    from lab.engine.signals import EXIT_CODES, SignalHandler, Stopped
    from lab.study.report.report import publish
    from lab.study.work.display import Display
    from lab.study.work.record import read, save_plan
    from lab.study.work.scheduler import Scheduler
    from lab.study.work.trial_queue import TrialQueue

    began = time.monotonic()
    stage("opening the study and the tracking database")
    server = tracking_uri(uri or plan.recipe.track.uri)
    store = storage.open_storage(address, plan.name, server)
    study, new = open_study(plan, store, rename)
    save_plan(plan, study)
    queue = TrialQueue(study, plan.file, plan.entries)
    if queue.begun() > len(plan.entries):
        raise BadInput(f"study {plan.name!r} has {queue.begun()} trials already; `trials` can only be increased")
    parent = ParentRun(plan, study, server, new)
    queue.fail_stale()
    queue.fill()
    signals, status, something = SignalHandler(), "FAILED", queue.open()
    signals.deferred = True

    def job(trial: int, settings: Mapping[str, Any], seed: int, run_id: str | None, watched: bool) -> Job:
        return make_job(plan, parent.tags(plan, trial), server, settings, seed, run_id, watched)

    try:
        with signals.installed(on_second=lambda: None):
            if something:
                launched = _launcher(launcher, workers, storage.logs(plan.name, server), work)
                try:
                    with Display(plan, queue, title or plan.name) as display:
                        Scheduler(plan, queue, launched, job, display).run(lambda: signals.received is not None)
                finally:
                    launched.close()
        stage("recording the study")
        status = "FINISHED" if signals.received is None else "KILLED"
        record = read(study)
        publish(record, parent, time.monotonic() - began if something else None)
    except Stopped:  # the second interrupt in a notebook: its trainings are gone on with from their last checkpoints
        status = "KILLED"
        raise KeyboardInterrupt from None
    finally:
        parent.end(status)
    if signals.received is not None:
        note(f"stopped: study {plan.name} keeps its trials; run the same command again to continue")
        if signals.received == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(EXIT_CODES[signal.Signals(signals.received)])
    return Study(plan, "FINISHED", parent.run_id, server, record, time.monotonic() - began)


def open_study(plan: Plan, store: optuna.storages.BaseStorage, rename: str | None = None) -> tuple[optuna.Study, bool]:
    """The study in its storage, made if missing, and whether it was.

    Raises:
        BadInput: there is one of that name that is not the same; `rename` says how to start it under another name.
    """
    import optuna

    from lab.study.plan import sampling

    directions: Any = ["minimize" if mode == "min" else "maximize" for mode in plan.modes]
    made: dict[str, Any] = {
        "sampler": sampling.sampler(plan.file, 0),
        "pruner": sampling.pruner(plan.file, plan.length),
    }
    try:
        study = optuna.create_study(storage=store, study_name=plan.name, directions=directions, **made)
        new = True
    except optuna.exceptions.DuplicatedStudyError:
        study = optuna.load_study(storage=store, study_name=plan.name, **made)
        new = False
        wait_for(study, DEFINITION)
    known = study.user_attrs.get(DEFINITION)
    if known is None:
        _describe(study, plan)
        study.set_user_attr(DEFINITION, plan.definition())
    elif known != plan.definition():
        raise BadInput(f"{_changed(plan, known)}; {rename or f'start one with --name {plan.name}-2'}")
    return study, new


def _describe(study: optuna.Study, plan: Plan) -> None:
    """Names the study's values and says what it is about, for Optuna's dashboard."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it calls this experimental
        study.set_metric_names(list(plan.metrics))
    if plan.file.description:
        study.set_user_attr(ABOUT, plan.file.description)


def _changed(plan: Plan, known: Mapping[str, Any]) -> str:
    """Differences from the definition that a study was started with."""
    before, now = (json.dumps(each, indent=1, sort_keys=True).splitlines() for each in (known, plan.definition()))
    lines = list(difflib.unified_diff(before, now, lineterm="", n=0))[2:]
    changed = " ".join(f"{line[0]} {line[1:].strip().rstrip(',')}" for line in lines if line[0] in "+-")
    short = f"{changed:.600}"
    return f"study {plan.name!r} was started with another definition ({short})"


def _launcher(name: LauncherName, workers: int | None, logs: Path, work: str) -> Launcher:
    if name == "ray":
        from lab.study.work.ray_launcher import RayLauncher

        return RayLauncher(workers, work)
    import torch

    from lab.study.work.launcher import LocalLauncher

    return LocalLauncher(workers or len(os.sched_getaffinity(0)), logs, work, torch.cuda.device_count())


def make_job(
    plan: Plan,
    tags: Mapping[str, str],
    uri: str,
    settings: Mapping[str, Any],
    seed: int,
    run_id: str | None,
    watched: bool,
) -> Job:
    """One training of a trial.

    Args:
        plan: the study.
        tags: of the run; `trial` is the trial's number.
        uri: the tracking server.
        settings: of the recipe, chosen for this trial.
        seed: the recipe's.
        run_id: a run to go on with.
        watched: whether its validations are reported.
    """
    from lab.study.work.job import Job
    from lab.study.work.naming import Naming
    from lab.study.work.parent_run import trial_recipe

    recipe = trial_recipe(plan, settings, seed)
    name = Naming(plan).run(int(tags["trial"]), settings, seed)
    track = replace(
        recipe.track,
        experiment=recipe.track.experiment or plan.task,
        name=name,
        uri=uri,
        tags={**recipe.track.tags, **tags},
    )
    threads = recipe.threads or 1  # a core each: a small network gains nothing from a second one
    yaml = replace(recipe, track=track, threads=threads).to_yaml()
    return Job(int(tags["trial"]), seed, name, yaml, uri, run_id, watched)
