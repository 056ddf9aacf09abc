"""MLflow's global functions: `mlflow.log_metric`, `mlflow.start_run` and the like.

What they log lands in the run that is trained. Those that would begin or end a run, or log somewhere else, say so once
and do nothing more. MLflow keeps the active runs of each thread on a stack that has no public name.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from lab.tracking.global_functions.replace import no_run_yet, replaced, replaced_from_import_on
from lab.tracking.names import DESCRIPTION
from lab.tracking.warn_once import warn_once

if TYPE_CHECKING:
    from mlflow.entities import Run

ADDRESS, RUN_ID = "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID"
KEYS = {"run_name": "track.name", "experiment_id": "track.experiment"}  # of a recipe, for arguments of start_run


@contextmanager
def current_run(uri: str, run_id: str) -> Iterator[None]:
    """While the block lasts, MLflow's global functions log into this run.

    Args:
        uri: the run's tracking server.
        run_id: the run; empty in all processes but the first, which have its id from that one's environment.
    """
    import mlflow
    from mlflow.utils.autologging_utils import disable_autologging

    address: Any = os.environ.get(ADDRESS)  # None: MLflow takes that for no address, its hint does not
    other = os.environ.get(RUN_ID)
    ours = run_id or other
    mlflow.set_tracking_uri(uri)  # sets the environment variable as well
    try:
        with ExitStack() as stack:
            stack.enter_context(disable_autologging())
            if ours is not None:
                os.environ[RUN_ID] = ours
                with suppress(Exception):  # no answer: the first function that needs it tries again
                    _join(ours)
                stack.callback(_leave, ours)
                others = {**_ignored(), "start_run": _starting(ours, mlflow.start_run)}
                stack.enter_context(replaced(mlflow, others, inside=True))
            yield
    finally:
        _warn_of_autologging()
        mlflow.set_tracking_uri(address)
        os.environ.pop(RUN_ID, None)
        if other is not None:
            os.environ[RUN_ID] = other


@contextmanager
def constructing() -> Iterator[None]:
    """While the block lasts, no function begins a run or changes where runs are tracked, nor does the environment."""
    address: Any = os.environ.get(ADDRESS)
    try:
        with replaced_from_import_on("mlflow", lambda: {**_ignored(), "start_run": no_run_yet("MLflow")}, inside=True):
            yield
    finally:
        if os.environ.get(ADDRESS) != address:
            import mlflow

            mlflow.set_tracking_uri(address)
            _ignored()["set_tracking_uri"]()


@contextmanager
def recording_nothing(run: Run) -> Iterator[None]:
    """While the block lasts, the functions that log do nothing: a finished run is looked at again.

    Args:
        run: it is the active one.
    """
    import mlflow

    writing = [name for name in vars(mlflow) if name.startswith(("log_", "set_tag", "delete_tag"))]
    nothing = {name: lambda *_, **__: None for name in writing if inspect.isfunction(getattr(mlflow, name))}
    active = _joined(run)
    others = {**nothing, **_ignored(), "start_run": lambda *_, **__: active, "active_run": lambda: active}
    with replaced(mlflow, others, inside=True):
        yield


def _starting(run_id: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """Stands for `mlflow.start_run`: gives the run that is trained, which takes the tags and the description.

    Args:
        run_id: the run.
        original: MLflow's own function.
    """
    signature = inspect.signature(original)

    def start_run(*args: Any, **kwargs: Any) -> Any:
        import mlflow

        given = signature.bind(*args, **kwargs).arguments
        run = _join(run_id)
        instead = [f"set {KEYS[name]} in the recipe" for name in given if name in KEYS]
        warn_once("; ".join([f"mlflow.start_run: no other run is begun, this one is run {run_id[:8]}", *instead]))
        tags = dict(given.get("tags") or {})
        if given.get("description"):
            tags[DESCRIPTION] = given["description"]
        if tags:
            mlflow.set_tags(tags)
        return run

    return start_run


def _ignored() -> dict[str, Callable[..., Any]]:
    """Stand for the functions that would end the run, or log somewhere else."""

    def set_tracking_uri(*_: Any, **__: Any) -> None:
        warn_once("mlflow.set_tracking_uri: has no effect in a project; set track.uri in the recipe")

    def set_experiment(*_: Any, **__: Any) -> Any:
        import mlflow

        warn_once("mlflow.set_experiment: has no effect in a project; set track.experiment in the recipe")
        active = mlflow.active_run()
        return None if active is None else mlflow.get_experiment(active.info.experiment_id)

    def end_run(*_: Any, **__: Any) -> None:
        warn_once("mlflow.end_run: has no effect in a project; the run ends after its test")

    return {each.__name__: each for each in (set_tracking_uri, set_experiment, end_run)}


def _join(run_id: str) -> Any:
    """Makes the run the active one of this thread."""
    import mlflow
    from mlflow.tracking import fluent

    active = mlflow.active_run()
    if active is None or active.info.run_id != run_id:
        active = _joined(mlflow.get_run(run_id))
        fluent._active_run_stack.get().append(active)
    return active


def _leave(run_id: str) -> None:
    """Takes the run from this thread; MLflow ends what it finds there when the process ends."""
    from mlflow.tracking import fluent

    active = fluent._active_run_stack.get()
    active[:] = [run for run in active if run.info.run_id != run_id]


def _joined(run: Run) -> Any:
    """The run as `mlflow.start_run` gives it; `with` does not end it."""
    import mlflow

    class Joined(mlflow.ActiveRun):
        def __exit__(self, *_: object) -> None:
            pass

    return Joined(run)


def _warn_of_autologging() -> None:
    """Says that a project has asked for MLflow's automatic log, which would begin a run of its own."""
    from mlflow.utils.autologging_utils import AUTOLOGGING_INTEGRATIONS, autologging_is_disabled

    if not all(autologging_is_disabled(name) for name in AUTOLOGGING_INTEGRATIONS):
        warn_once("mlflow.autolog: has no effect in a project; lab records metrics, parameters and the model itself")
