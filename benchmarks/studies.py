"""What a study costs on top of its trainings, and what a second worker saves."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measure import ratios, say, spread, table
from lab.study.work.job import Job, JobResult, Reporter

LAB = str(Path(sys.executable).with_name("lab"))
TRIALS = 100
GOAL_MS, GOAL_SPEED = 30, 1.7
RECIPE = "task: ddpg\ndata: {env: Pendulum-v1, total_steps: 2000}\ntrainer: {max_epochs: 1, accelerator: cpu}\n"
STUDY = "recipe: recipe.yaml\nsampler: random\ntrials: %d\nspace: {model.lr: {float: [0.001, 1], log: true}}\n"


def instant(job: Job, reporter: Reporter) -> JobResult:  # noqa: ARG001 - the signature of what workers do
    """A training that returns at once."""
    return JobResult("finished", {"best/val/return": float(job.trial)}, f"run-{job.trial}")


def measure(quick: bool) -> dict[str, Any]:
    """Milliseconds of a trial that returns at once, and seconds of the tuning table with one and with two workers."""
    repetitions, trials = (1, 10) if quick else (5, TRIALS)
    found: dict[str, Any] = {"trials": trials, "optuna": [], "one": [], "two": [], "table": {"one": [], "two": []}}
    for turn in range(repetitions):
        found["optuna"].append(_optuna(trials))
        found["one"].append(_ours(trials, 1))
        found["two"].append(_ours(trials, 2))
        say(
            f"a trial: {[round(found[name][-1], 1) for name in ('optuna', 'one', 'two')]} ms ({turn + 1}/{repetitions})"
        )
    small = ["set={data.total_steps: 1100, data.test_episodes: 2, data.eval_episodes: 2}", "seeds=[0]"]
    for name, workers in (("one", 1), ("two", 2)):  # minutes each; once will do
        found["table"][name].append(_table(workers, small if quick else ["seeds=[0, 1]"]))
        say(f"table, {name}: {found['table'][name][-1]:.0f} s")
    return found


def report(found: dict[str, Any]) -> str:
    optuna, ours = statistics.median(found["optuna"]), statistics.median(found["one"])
    fits = "met" if ours - optuna < GOAL_MS else "missed"
    speed = [1 / ratio for ratio in ratios(found["table"]["two"], found["table"]["one"])]
    quick = "met" if statistics.median(speed) >= GOAL_SPEED else "missed"
    rows = [
        ["Optuna's own loop, `study.optimize`, journal file", spread(found["optuna"], 1)],
        ["`lab tune`, one worker process", spread(found["one"], 1)],
        ["`lab tune`, two worker processes", spread(found["two"], 1)],
    ]
    walls = [[number, f"{found['table'][name][0]:.0f}"] for number, name in (("1", "one"), ("2", "two"))]
    return "\n\n".join(
        [
            "## Studies",
            f"{found['trials']} trials of a training function that returns immediately, one seed each, after "
            "the start of the workers: sampling, sending, receiving and writing the synced journal file.",
            table(["milliseconds a trial", "median (least to most)"], rows),
            f"A trial costs {ours - optuna:.1f} ms more than Optuna's own loop (goal: under {GOAL_MS} ms, {fits}).",
            "The whole command `lab tune pendulum_table 'seeds=[0, 1]'`, including imports, database and plots:",
            table(["workers", "seconds"], walls),
            f"Two workers are {speed[0]:.2f} times as fast as one (goal: at least {GOAL_SPEED}, {quick}).",
        ]
    )


def _optuna(trials: int) -> float:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        sampler = optuna.samplers.RandomSampler(seed=0)
        storage = JournalStorage(JournalFileBackend(f"{folder}/journal"))
        study = optuna.create_study(storage=storage, sampler=sampler)
        start = time.perf_counter()
        study.optimize(lambda trial: trial.suggest_float("model.lr", 0.001, 1, log=True), n_trials=trials)
        return 1000 * (time.perf_counter() - start) / trials


def _ours(trials: int, workers: int) -> float:
    """The loop of a study, with workers that have done something before."""
    from lab.study import study as studies
    from lab.study.plan import schema
    from lab.study.plan.plan import make_plan
    from lab.study.work import storage
    from lab.study.work.display import Display
    from lab.study.work.launcher import LocalLauncher
    from lab.study.work.scheduler import Scheduler
    from lab.study.work.trial_queue import TrialQueue

    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        launcher = LocalLauncher(workers, Path(folder), "benchmarks.studies:instant")
        try:
            os.chdir(folder)
            Path("recipe.yaml").write_text(RECIPE)

            def work_off(name: str, count: int) -> float:
                Path(f"{name}.yaml").write_text(STUDY % count)
                made = make_plan(schema.load_study(f"{name}.yaml"))
                uri = f"sqlite:///{folder}/mlflow.db"
                study, _ = studies.open_study(made, storage.open_storage(None, name, uri))
                queue = TrialQueue(study, made.file, made.entries)

                def job(trial: int, settings: Any, seed: int, run_id: str | None, watched: bool) -> Job:
                    return studies.make_job(made, {"trial": str(trial)}, uri, settings, seed, run_id, watched)

                start = time.perf_counter()
                queue.fill()
                with Display(made, queue, name) as display:
                    Scheduler(made, queue, launcher, job, display).run(lambda: False)
                return time.perf_counter() - start

            work_off("warm", 2 * workers)
            return 1000 * work_off("measured", trials) / trials
        finally:
            os.chdir(here)
            launcher.close()


def _table(workers: int, more: list[str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [LAB, "tune", "pendulum_table", *more, "--workers", str(workers), "--json"]
        start = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        return time.perf_counter() - start
