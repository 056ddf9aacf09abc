"""The parent run of a study in MLflow: the trainings of its trials are its child runs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.recipe import Recipe
from lab.study.plan.checks import overrides
from lab.study.plan.plan import Plan
from lab.tracking.names import DESCRIPTION, KIND
from lab.tracking.server import client, connecting, experiment_id, markdown_picture, user

if TYPE_CHECKING:
    import optuna

PARENT = "mlflow.parentRunId"
RUN_ID = "run_id"  # attribute of Optuna's study: the parent
ABOUT = "description"  # attribute of Optuna's study: the comment at the head of the study's file
CREATE_SECONDS = 20.0  # how long the process that created a study may take to set its attributes


class ParentRun:
    """The study's run.

    Args:
        plan: the study.
        study: Optuna's, which remembers the run.
        uri: the tracking server.
        new: whether this process has just made the study; the others wait for the run that it makes.

    Raises:
        LabError: the server cannot be reached.
    """

    def __init__(self, plan: Plan, study: optuna.Study, uri: str, new: bool = True) -> None:
        self.server, self.uri = client(uri), uri
        self.experiment = plan.recipe.track.experiment or plan.task
        if not new:
            wait_for(study, RUN_ID)
        known = study.user_attrs.get(RUN_ID)
        with connecting(uri):
            if known is None:
                known = self._create(plan)
                study.set_user_attr(RUN_ID, known)
            else:
                self.server.update_run(known, status="RUNNING")
        self.run_id = str(known)

    def tags(self, plan: Plan, trial: int) -> dict[str, str]:
        """The tags of a trial's training."""
        about = {PARENT: self.run_id, "mlflow.source.name": str(plan.recipe.path)}
        return about | {"study": plan.name, "trial": str(trial), "recipe": plan.recipe.name}

    def metrics(self, values: Mapping[str, float]) -> None:
        """Logs metrics of the whole study, such as its best value."""
        for name, value in values.items():
            self.server.log_metric(self.run_id, name, value)

    def describe(self, paragraphs: Sequence[str], picture: str | None) -> None:
        """Shows the paragraphs on the page of the run, and one of its pictures."""
        shown = "" if picture is None else markdown_picture(self.run_id, picture)
        self.server.set_tag(self.run_id, DESCRIPTION, "\n\n".join(filter(None, [*paragraphs, shown])))

    def files(self, files: Sequence[Path], folder: str | None = None) -> None:
        """Logs files as artifacts."""
        for file in files:
            self.server.log_artifact(self.run_id, str(file), folder)

    def end(self, status: str) -> None:
        """Ends the run as FINISHED, FAILED or KILLED."""
        self.server.set_terminated(self.run_id, status, int(time.time() * 1000))

    def _create(self, plan: Plan) -> str:
        tags = {KIND: "study", "study": plan.name, "task": plan.task, "recipe": plan.recipe.name}
        tags |= {"mlflow.user": user(), "mlflow.source.name": str(plan.file.path), DESCRIPTION: plan.file.description}
        experiment = experiment_id(self.server, self.experiment, self.uri)
        run = self.server.create_run(experiment, run_name=plan.name, tags=tags)
        run_id: str = run.info.run_id
        said = plan.file.resolved()
        for key in ("sampler", "pruner", "statistic"):
            self.server.log_param(run_id, key, said[key])
        self.server.log_dict(run_id, _readable(said), "study.json")
        self.server.log_text(run_id, plan.recipe.to_yaml(), "recipe.yaml")
        return run_id


def wait_for(study: optuna.Study, attribute: str) -> None:
    """Waits until the process that created a study has set an attribute, or CREATE_SECONDS have passed."""
    until = time.monotonic() + CREATE_SECONDS
    while attribute not in study.user_attrs and time.monotonic() < until:
        time.sleep(0.2)


def trial_recipe(plan: Plan, settings: Mapping[str, Any], seed: int) -> Recipe:
    """The recipe of one training; problems are found when it is assembled."""
    from lab.recipe import load

    chosen = [*overrides(settings), f"seed={seed}"]
    return load(plan.recipe.path, [*plan.recipe.overrides, *chosen])


def _readable(said: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in said.items()}
