"""The clauses on a finished run: its record in MLflow, its checkpoints, and its model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.task import hook
from lab.testing.runs import ContractError, require, same, weights

if TYPE_CHECKING:
    from lab.runner.results import RunResult
    from lab.task import Task


def check_tracking(task: Task, run: RunResult) -> None:
    """MLflow has the monitored metric, the parameters, the recipe, and a plot or video beside the training curves."""
    from lab.runner.record import CURVES
    from lab.tracking.server import client as connect

    require(task.monitor, "the task names no `monitor`, so nothing says which of its runs is better")
    client = connect(run.uri)
    logged = client.get_run(run.run_id).data
    require(
        task.monitor in logged.metrics,
        f"the task monitors {task.monitor!r}, but the run logged: {', '.join(sorted(logged.metrics)) or 'nothing'}",
    )
    require(logged.params, "the run has no parameters in MLflow; call save_hyperparameters() in the constructor")
    top = {entry.path for entry in client.list_artifacts(run.run_id)}
    require("recipe.yaml" in top, f"the run keeps no recipe.yaml, only: {', '.join(sorted(top))}")
    drawn = {entry.path for folder in ("plots", "videos") for entry in client.list_artifacts(run.run_id, folder)}
    require(
        drawn - {CURVES},
        "the run has no plot and no video: make one and pass it to lab.plots.log_figure, in on_test_end for instance",
    )


def check_checkpoints(task: Task, run: RunResult) -> bool:
    """The best and the last checkpoint exist, and each restores its module from plain values alone: True, or raises."""
    kind: Any = task.module
    for which, path in {"best": run.best, "last": run.last}.items():
        require(path is not None and path.is_file(), f"the run left no {which} checkpoint")
        assert path is not None  # for type checkers
        call = f"{kind.__qualname__}.load_from_checkpoint({path.name!r}, weights_only=True)"
        try:
            restored = kind.load_from_checkpoint(path, map_location="cpu", weights_only=True).state_dict()
        except Exception as error:
            raise ContractError(
                f"{call} raised {type(error).__name__}: {error}\n"
                "call save_hyperparameters() in the constructor and keep its values plain"
            ) from error
        require(same(restored, weights(path)), f"{call} gives other weights than the checkpoint holds")
    return True


def check_logged_model(task: Task, run: RunResult) -> None:
    """The model in MLflow answers as the best checkpoint does; asked only of modules with an example input."""
    import mlflow
    import torch

    from lab.runner.export import call, example_inputs
    from lab.tracking.global_functions.mlflow_functions import current_run

    assert run.best is not None  # check_checkpoints has seen it
    kind: Any = task.module
    module = kind.load_from_checkpoint(run.best, map_location="cpu", weights_only=True).eval()
    batch = example_inputs(module, size=3)
    if batch is None:
        return
    try:
        with current_run(run.uri, run.run_id):
            outputs: Any = mlflow.get_run(run.run_id).outputs
            (kept,) = outputs.model_outputs
            logged = mlflow.pytorch.load_model(f"models:/{kept.model_id}")
            folder = Path(mlflow.artifacts.download_artifacts(f"models:/{kept.model_id}"))
        with torch.inference_mode():
            found, expected = logged(*batch.values()), call(module, batch)
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)
        assets: dict[str, bytes] = (hook(module, "assets") or dict)()
        files = {name: (folder / "extra_files" / name).read_bytes() for name in assets}
    except AssertionError as error:
        raise ContractError(
            f"the model in MLflow gives another output than the module of the best checkpoint: {error}"
        ) from error
    except Exception as error:
        raise ContractError(f"the model in MLflow cannot be used: {type(error).__name__}: {error}") from error
    require(
        files == assets,
        "the module of the best checkpoint has other assets than the logged model: keep them in the `get_extra_state` "
        "of a submodule",
    )


def points(run: RunResult) -> list[tuple[str, int, float]]:
    """Every value of every metric of a run as name, step and value, but those that tell time."""
    from lab.tracking.server import client as connect

    client = connect(run.uri)
    names = [name for name in client.get_run(run.run_id).data.metrics if not name.startswith(("seconds/", "system/"))]
    history = [value for name in names for value in client.get_metric_history(run.run_id, name)]
    return [(value.key, value.step, value.value) for value in history]
