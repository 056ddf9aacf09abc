"""A study as stored: its definition and its trials, readable without its file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import yaml
from optuna.trial import TrialState

from lab.errors import BadInput, LabError, suggestion
from lab.recipe.load import read as read_yaml
from lab.study.plan.plan import Plan, TableEntry
from lab.study.plan.space import Dimension, parse
from lab.study.report.summary import TrialSummary, summary
from lab.study.work import storage
from lab.study.work.parent_run import ABOUT, RUN_ID
from lab.study.work.trial_queue import OWNER
from lab.tracking.redaction import mask_secrets, without_password
from lab.tracking.server import tracking_uri

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage

PLAN = "plan"  # attribute of Optuna's study


@dataclass(frozen=True)
class StudyRecord:
    """A study and its trials.

    Args:
        name: the study's.
        recipe: the recipe that all trials share, as plain data, without the tracking address.
        sampler: how the values of its trials are chosen.
        statistic: how the values of the seeds become one.
        metrics: the final metrics that are optimised.
        modes: `min` or `max` for each metric.
        columns: further final metrics for the table.
        published: published values, by key.
        seeds: every trial is trained with each.
        entries: how many trials there are to be.
        rows: the table's lines, if the sampler is `one_at_a_time`.
        dimensions: what varies, and on which scale.
        trials: the trials so far, in the order of the plan.
        description: the comment at the head of the study's file.
        run_id: the study's run in MLflow, if it has one yet.
        optuna: Optuna's study.
    """

    name: str
    recipe: Mapping[str, Any]
    sampler: str
    statistic: str
    metrics: tuple[str, ...]
    modes: tuple[str, ...]
    columns: tuple[str, ...]
    published: Mapping[str, Sequence[float | None]]
    seeds: tuple[int, ...]
    entries: int
    rows: tuple[TableEntry, ...]
    dimensions: tuple[Dimension, ...]
    trials: Sequence[TrialSummary]
    description: str
    run_id: str | None
    optuna: optuna.Study = field(repr=False)

    @property
    def working(self) -> bool:
        """Whether any process is running its trials now."""
        heartbeats = self.optuna.user_attrs
        running = self.optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return any(storage.alive(trial.user_attrs.get(OWNER), heartbeats) for trial in running)

    @property
    def updated(self) -> datetime | None:
        """The time at which a trial last began or ended."""
        trials = self.optuna.get_trials(deepcopy=False)
        return max(
            (time for trial in trials if (time := trial.datetime_complete or trial.datetime_start)), default=None
        )


def save_plan(plan: Plan, study: optuna.Study) -> None:
    """Writes the plan to the storage for `read`, without the tracking address, which may hold a password."""
    recipe = read_yaml(plan.recipe.path, plan.recipe.overrides)[0]
    track = {key: value for key, value in (recipe.get("track") or {}).items() if key != "uri"}
    space = {choice.key: list(getattr(choice, "values", ())) for choice in plan.dimensions}
    said = {
        "recipe": {key: value for key, value in {**recipe, "track": track or None}.items() if key != "seed"},
        "space": space if plan.rows else plan.file.space,  # a table's choices have the defaults among them
        "sampler": plan.file.sampler,
        "statistic": plan.file.statistic,
        "metrics": list(plan.metrics),
        "modes": list(plan.modes),
        "columns": list(plan.file.columns),
        "published": dict(plan.file.published),
        "seeds": list(plan.seeds),
        "entries": len(plan.entries),
        "rows": [[row.key, row.value, row.entry] for row in plan.rows],
    }
    text = yaml.safe_dump(said, sort_keys=False)  # JSON would make text of keys that are numbers
    if study.user_attrs.get(PLAN) != text:
        study.set_user_attr(PLAN, text)


def read(study: optuna.Study) -> StudyRecord:
    """The study as it stands.

    Raises:
        BadInput: it was not made by `lab tune`.
    """
    attributes = study.user_attrs
    if PLAN not in attributes:
        raise BadInput(f"{study.study_name!r} is not a study of `lab tune`, or has only just begun")
    said: dict[str, Any] = yaml.safe_load(attributes[PLAN])
    dimensions, _ = parse(said.pop("space"))
    said |= {key: tuple(said[key]) for key in ("metrics", "modes", "columns", "seeds")}
    said["rows"] = tuple(TableEntry(*row) for row in said["rows"])
    return StudyRecord(
        name=study.study_name,
        **said,
        dimensions=dimensions,
        trials=summary(dimensions, study),
        description=attributes.get(ABOUT, ""),
        run_id=attributes.get(RUN_ID),
        optuna=study,
    )


def find(name: str, address: str | None = None, uri: str | None = None) -> StudyRecord:
    """The study of that name.

    Args:
        name: the study's.
        address: of the database that keeps it; a journal file of this folder by default.
        uri: the tracking server, beside whose artifacts the journal lies.

    Raises:
        BadInput: there is none.
        LabError: the storage cannot be reached.
    """
    import optuna

    server = tracking_uri(uri)
    known = _names(address, server)
    if name not in known:
        where = without_password(address) if address else storage.folder(server)
        raise BadInput(f"no study {name!r} in {where}{suggestion(name, known, 'there are')}")
    store = storage.open_storage(address, name, server)
    try:
        study = optuna.load_study(study_name=name, storage=store)
    except KeyError:
        raise BadInput(f"study {name!r} has no trials yet, or its journal is empty; `lab tune` begins it") from None
    return read(study)


def every(address: str | None = None, uri: str | None = None) -> Iterator[StudyRecord | str]:
    """All studies of this folder, or of a database; for one that cannot be read a line that says why.

    Raises:
        LabError: the storage cannot be reached.
    """
    import optuna

    server = tracking_uri(uri)
    shared: BaseStorage | None = storage.open_storage(address, "", server) if address else None
    for name in _names(address, server):
        try:
            store = shared or storage.open_storage(None, name, server)
            yield read(optuna.load_study(study_name=name, storage=store))
        except BadInput as error:
            yield str(error)
        except KeyError:
            yield f"study {name} has no trials yet, or its journal is empty; `lab tune` begins it"
        except Exception as error:  # a journal that is none, whatever Optuna makes of it
            reason = mask_secrets(str(error).strip().partition("\n")[0], address or "")
            yield f"study {name} cannot be read: {type(error).__name__}: {reason}"


def _names(address: str | None, server: str) -> list[str]:
    if address is None:
        return storage.names(server)
    import optuna

    store = storage.open_storage(address, "", server)
    try:
        return sorted(optuna.get_all_study_names(store))
    except Exception as error:
        reason = mask_secrets(str(error).strip().partition("\n")[0], address)
        raise LabError(f"storage {without_password(address)} cannot be read: {reason}") from None
