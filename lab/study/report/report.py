"""Logs the table, the plots and the metrics of a study to its own run in MLflow."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from lab.runner.results import BEST
from lab.sentences import note
from lab.stages import number
from lab.study.report import render
from lab.study.report.summary import best
from lab.study.report.table import StudyTable, table
from lab.study.work.naming import FOLD
from lab.study.work.record import StudyRecord
from lab.tracking.redaction import mask_secrets

if TYPE_CHECKING:
    from lab.study.work.parent_run import ParentRun


def publish(record: StudyRecord, parent: ParentRun, seconds: float | None) -> None:
    """Logs the results so far. If that fails, one line on standard error says so and the study goes on.

    Args:
        record: the study.
        parent: its run in MLflow.
        seconds: wall time that was spent on it now; None if there was nothing to do.
    """
    try:
        found = table(record)
        parent.metrics(study_metrics(record, seconds))
        with tempfile.TemporaryDirectory() as folder:
            parent.files(write(found, Path(folder)))
            _draw(record, found, parent, Path(folder))
    except Exception as error:  # MLflow's, matplotlib's
        reason = mask_secrets(str(error).strip().partition("\n")[0])
        note(f"the table of {record.name} is not in MLflow: {type(error).__name__}: {reason}")


def study_metrics(record: StudyRecord, seconds: float | None) -> dict[str, float]:
    """The metrics of the study's run: the best values, how many trials ended how, and the time of all trainings."""
    count = Counter(trial.state for trial in record.trials)
    found = {f"trials/{state}": float(count[state]) for state in ("complete", "pruned", "failed")}
    leader = best(record.modes[0], record.trials)
    if leader is not None:
        pairs = zip(record.metrics, leader.values, strict=True)  # `best/val/return` is said to be the best already
        found |= {name if name.startswith(BEST) else f"{BEST}{name}": value for name, value in pairs}
    found["seconds/fit"] = sum(result.seconds for trial in record.trials for result in trial.results.values())
    if seconds is not None:
        found["seconds/wall"] = seconds
    return {name: value for name, value in found.items() if math.isfinite(value)}


def write(found: StudyTable, folder: Path) -> list[Path]:
    """The table as `table.csv` and `table.md`."""
    texts = {"table.csv": render.as_csv(found), "table.md": render.as_markdown(found)}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def _draw(record: StudyRecord, found: StudyTable, parent: ParentRun, folder: Path) -> None:
    from lab.study.report.plots import draw

    files, left_out = draw(record, found, folder)
    settings = {each.key for each in record.dimensions} - {FOLD}
    missed = record.sampler != "none" and len(settings) > 1  # one setting has no importance and no pairs to draw
    for reason, names in left_out.items() if missed else ():
        note(f"no {', '.join(names)}: {reason}")
    parent.files(files, "plots")
    leader = best(record.modes[0], record.trials)
    values = zip(record.metrics, leader.values, strict=True) if leader else ()
    scores = ", ".join(f"{metric} {number(value)}" for metric, value in values)
    picture = "history.png" if len(record.metrics) == 1 else "table.png"  # of several metrics it is the Pareto front
    shown = f"plots/{picture}" if any(file.name == picture for file in files) else None
    parent.describe([f"**Best trial: {scores}**" if scores else "", record.description], shown)
