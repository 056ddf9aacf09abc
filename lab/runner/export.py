"""The trained `forward` as a model in MLflow that loads without `lab`: an exported graph, not a pickle.

A module says what goes into it by Lightning's `example_input_array`: a tensor, a tuple of tensors for several
positional inputs, or a dictionary for inputs by name. The exported graph takes them in the same way.
"""

from __future__ import annotations

import inspect
import json
import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from lab.runner.record import headers
from lab.task import hook

if TYPE_CHECKING:
    from lightning import LightningModule
    from mlflow.types import Schema

    from lab.tracking.logger import Tracker


def example_inputs(module: LightningModule, size: int) -> dict[str, Tensor] | None:
    """A batch of the module's example, by the names of its inputs; None if it has none.

    Args:
        module: what the batch is for; its inputs are on the module's device.
        size: how many rows, each the first one of the example.

    Returns:
        Tensors of shape (size, ...), in the order in which the exported model takes them. Token ids and masks keep
        their dtype, numbers take that of the module.
    """
    example: Any = module.example_input_array
    if isinstance(example, Tensor):
        example = (example,)
    if example is None:
        return None
    if not isinstance(example, dict):
        names = inspect.signature(module.forward).parameters
        example = dict(zip(names, example, strict=False))
    return {name: _batch(tensor, module, size) for name, tensor in example.items()}


def call(module: LightningModule, inputs: dict[str, Tensor]) -> Any:
    """The module's output for a batch that `example_inputs` made."""
    return module(**inputs) if isinstance(module.example_input_array, dict) else module(*inputs.values())


@rank_zero_only
def log_model(tracker: Tracker, module: LightningModule, name: str) -> None:
    """Logs the module's `forward` and its assets as the run's model, where the module has an example of its input."""
    inputs = example_inputs(module.eval(), size=2)  # of one row, the size of a batch would be fixed
    if inputs is None:
        return
    order = list(inputs)
    import mlflow
    from mlflow.models import ModelSignature

    class Forward(torch.nn.Module):
        """The module without its Trainer, which cannot be exported, called by position or by name."""

        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, *tensors: Tensor, **named: Tensor) -> Any:
            return call(module, named or dict(zip(order, tensors, strict=True)))

    names = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in ("self", *order)]
    Forward.forward.__signature__ = inspect.Signature(names)  # type: ignore[attr-defined]  # the exporter asks for it
    logging.getLogger("mlflow").setLevel(logging.ERROR)  # it warns of what is chosen here on purpose
    with torch.inference_mode():
        output = call(module, inputs)
    trainer, module.trainer = module.trainer, None
    module.to(memory_format=torch.contiguous_format)  # what an archive holds; of any other it warns
    folder = tracker.home / "model"
    shutil.rmtree(folder, ignore_errors=True)  # of the run's first half, if it was resumed
    arrays = tuple(tensor.cpu().numpy() for tensor in inputs.values())
    try:
        with tempfile.TemporaryDirectory() as assets, _quick_look_at_packages():
            mlflow.pytorch.save_model(
                Forward(),
                path=str(folder),
                input_example=arrays[0] if len(arrays) == 1 else arrays,
                signature=ModelSignature(inputs=_schema(inputs), outputs=_schema(_named(output))),
                extra_files=_assets(module, Path(assets)),
                pip_requirements=[f"torch=={torch.__version__.split('+')[0]}"],
                serialization_format="pt2",
            )
        if isinstance(module.example_input_array, dict):
            _export_by_name(Forward(), inputs, folder)
        if len(arrays) > 1:
            _save_example(dict(zip(order, arrays, strict=True)), folder)
        tracker.log_model(folder, name)
    finally:
        module.trainer = trainer


@contextmanager
def _quick_look_at_packages() -> Iterator[None]:
    """MLflow compares requirements with what is installed, and for that looks for every file of every package."""
    import importlib_metadata

    slow = importlib_metadata.packages_distributions
    importlib_metadata.packages_distributions = packages_distributions
    try:
        yield
    finally:
        importlib_metadata.packages_distributions = slow


def packages_distributions() -> dict[str, list[str]]:
    """As that of `importlib.metadata`, from the lists of installed files alone: in a sixth of the time."""
    found: dict[str, list[str]] = {}
    for each in metadata.distributions():
        names = set((each.read_text("top_level.txt") or "").split())
        if not names:
            files = [line.partition(",")[0].partition("/") for line in (each.read_text("RECORD") or "").splitlines()]
            named = {top if inner else inspect.getmodulename(top) or top for top, inner, _ in files}
            names = {name for name in named if "." not in name}
        for name in names:
            found.setdefault(name, []).append(str(headers(each)["Name"]))
    return found


def _export_by_name(forward: torch.nn.Module, inputs: dict[str, Tensor], folder: Path) -> None:
    """The graph again, for inputs by name; MLflow exports it for inputs by position only."""
    rows = {name: {0: torch.export.Dim.AUTO} for name in inputs}
    graph = torch.export.export(forward, (), inputs, dynamic_shapes=rows)
    (file,) = (folder / "data").glob("*.pt2")
    torch.export.save(graph, file)


def _save_example(arrays: dict[str, Any], folder: Path) -> None:
    """The example of several inputs, as MLflow keeps a dictionary of arrays; it takes none of a graph's."""
    from mlflow.models import Model

    plain = {name: array.tolist() for name, array in arrays.items()}
    (folder / "input_example.json").write_text(json.dumps(plain))
    (folder / "serving_input_example.json").write_text(json.dumps({"inputs": plain}))
    card = Model.load(str(folder))
    card.saved_input_example_info = {
        "artifact_path": "input_example.json",
        "serving_input_path": "serving_input_example.json",
        "type": "ndarray",
        "format": "tf-serving",
    }
    card.save(str(folder / "MLmodel"))


def _batch(example: Tensor, module: LightningModule, size: int) -> Tensor:
    dtype: Any = module.dtype if example.is_floating_point() else example.dtype
    return example[:1].to(module.device, dtype).expand(size, *example.shape[1:]).clone()


def _named(output: Any) -> dict[str, Tensor]:
    """The tensors of an output by name."""
    if isinstance(output, Tensor):
        return {"output": output}
    parts = output if isinstance(output, dict) else {f"output{i}": part for i, part in enumerate(output)}
    return {str(name): part for name, part in parts.items() if isinstance(part, Tensor)}


def _schema(tensors: dict[str, Tensor]) -> Schema:
    """Their shapes, of any batch size; a single one needs no name."""
    from mlflow.types import Schema, TensorSpec

    names = list(tensors) if len(tensors) > 1 else [None]
    return Schema(
        [
            TensorSpec(tensor.cpu().numpy().dtype, (-1, *tensor.shape[1:]), name)
            for name, tensor in zip(names, tensors.values(), strict=True)
        ]
    )


def _assets(module: LightningModule, folder: Path) -> list[str]:
    """The module's own files, written into the folder."""
    files: dict[str, bytes] = (hook(module, "assets") or dict)()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [str(folder / name) for name in files]
