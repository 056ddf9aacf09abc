"""The best trial of a study as an ordinary recipe."""

from __future__ import annotations

import tempfile
from pathlib import Path

from lab.errors import BadInput, LabError
from lab.recipe.load import read
from lab.recipe.schema import to_yaml
from lab.stages import number
from lab.study.plan.checks import overrides
from lab.study.report.render import NAMES
from lab.study.report.summary import TrialSummary, best
from lab.study.report.table import estimate
from lab.study.work.record import StudyRecord


def recipe(record: StudyRecord, number: int | None = None) -> str:
    """A recipe file: the study's base recipe with the settings of a trial, and a header about their origin.

    Args:
        record: the study.
        number: of the trial; by default the one with the best first metric.

    Raises:
        BadInput: there is no such trial.
        LabError: no trial is complete.
    """
    trial = _trial(record, number)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "base.yaml")
        file.write_text(to_yaml(record.recipe), encoding="utf-8")
        data = read(file, overrides(trial.settings))[0]
    said = {key: value for key, value in data.items() if value is not None}
    return f"{_header(record, trial, chosen=number is None)}{to_yaml(said)}"


def _trial(record: StudyRecord, number: int | None) -> TrialSummary:
    if number is None:
        found = best(record.modes[0], record.trials)
        if found is None:
            raise LabError(f"study {record.name} has no complete trial yet: lab studies")
        return found
    known = {trial.number: trial for trial in record.trials if trial.state == "complete"}
    if number not in known:
        numbers = ", ".join(map(str, sorted(known))) or "none"
        raise BadInput(f"study {record.name} has no complete trial {number}; complete are {numbers}")
    return known[number]


def _header(record: StudyRecord, trial: TrialSummary, chosen: bool) -> str:
    """Comments that say where the recipe is from; the first line is the command that runs it."""
    seeds = [seed for seed in trial.results if seed in record.seeds]
    scores = []
    for metric in record.metrics:
        found = estimate({seed: trial.results[seed].metrics[metric] for seed in seeds}, record.statistic)
        sure = (
            f" [{number(found.statistic_interval.low)}, {number(found.statistic_interval.high)}]"
            if found.statistic_interval
            else ""
        )
        scores.append(f"{metric} {number(found.statistic_value)}{sure}")
    several = len(seeds) > 1
    over = (
        f", the {NAMES[record.statistic]} of seeds {', '.join(map(str, seeds))}"
        if several
        else f" with seed {seeds[0]}"
    )
    sure = " with its 95 % interval" if several else ""
    complete = sum(each.state == "complete" for each in record.trials)
    which = "the best" if chosen else "one"
    caution = "; as the best of them, expect worse with other seeds" if chosen and complete > 1 else ""
    return (
        "# lab run best.yaml\n"
        f"# Trial {trial.number} of study {record.name}: {', '.join(scores)}{over}{sure}\n"
        f"# It is {which} of {complete} complete trials{caution}\n"
    )
