"""A trained model in MLflow: inputs of any dtype, several of them, by position or by name, and the files beside it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import importlib_metadata
import mlflow
import pytest
import torch
from lightning import LightningModule, Trainer
from torch import Tensor, nn

from lab.runner.export import call, example_inputs, log_model, packages_distributions

pytestmark = pytest.mark.slow
TOKENS, MASK = torch.zeros(1, 5, dtype=torch.long), torch.ones(1, 5, dtype=torch.bool)


class Vocabulary(nn.Module):
    """Words, kept in the state dict as bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.words = ["one", "two"]

    def get_extra_state(self) -> Tensor:
        return torch.tensor(list("\n".join(self.words).encode()), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        self.words = bytes(state.tolist()).decode().split("\n")


class Base(LightningModule):
    example: Any = None

    def __init__(self) -> None:
        super().__init__()
        self.vocabulary, self.embed = Vocabulary(), nn.Embedding(10, 4)
        self.example_input_array = self.example

    def assets(self) -> dict[str, bytes]:
        return {"words.txt": "\n".join(self.vocabulary.words).encode()}


class Ids(Base):
    example = TOKENS

    def forward(self, tokens: Tensor) -> Tensor:
        return self.embed(tokens).sum(1)


class Masked(Base):
    example = (TOKENS, MASK)

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return (self.embed(tokens) * mask[..., None]).sum(1), mask.sum(1)


class Named(Base):
    example = {"mask": MASK, "tokens": TOKENS, "x": torch.zeros(4, 3, dtype=torch.float64)}  # noqa: RUF012

    def forward(self, tokens: Tensor, x: Tensor, mask: Tensor) -> dict[str, Tensor]:
        return {"y": (self.embed(tokens) * mask[..., None]).sum(1), "z": x * 2}


@pytest.mark.parametrize(
    ("kind", "inputs", "outputs"),
    [
        (Ids, {None: ("int64", (-1, 5))}, {None: ("float32", (-1, 4))}),
        (
            Masked,
            {"tokens": ("int64", (-1, 5)), "mask": ("bool", (-1, 5))},
            {"output0": ("float32", (-1, 4)), "output1": ("int64", (-1,))},
        ),
        (
            Named,
            {"mask": ("bool", (-1, 5)), "tokens": ("int64", (-1, 5)), "x": ("float32", (-1, 3))},
            {"y": ("float32", (-1, 4)), "z": ("float32", (-1, 3))},
        ),
    ],
)
def test_the_exported_model_takes_what_the_module_takes(
    kind: type[Base], inputs: dict[Any, Any], outputs: dict[Any, Any], tmp_path: Path
) -> None:
    module = kind()
    module.trainer = trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    kept: list[Any] = []
    tracker: Any = SimpleNamespace(home=tmp_path, log_model=lambda *given: kept.extend(given))
    log_model(tracker, module, "small")
    assert kept == [tmp_path / "model", "small"]
    assert module.trainer is trainer
    loaded = mlflow.pytorch.load_model(str(kept[0]))
    batch = example_inputs(module, size=3)
    assert batch is not None
    for size in (1, 3, 7):
        rows = {name: tensor[:1].repeat(size, *[1] * (tensor.dim() - 1)) for name, tensor in batch.items()}
        rows = {n: torch.randint_like(t, 10) if t.dtype == torch.long else t for n, t in rows.items()}
        found = loaded(**dict(reversed(rows.items()))) if isinstance(module.example, dict) else loaded(*rows.values())
        torch.testing.assert_close(found, call(module, rows))
    signature = mlflow.models.get_model_info(str(kept[0])).signature
    for schema, expected in ((signature.inputs, inputs), (signature.outputs, outputs)):
        assert {spec.name: (str(spec.type), tuple(spec.shape)) for spec in schema} == expected
    example = mlflow.models.Model.load(str(kept[0])).load_input_example(str(kept[0]))
    examples = example if isinstance(example, dict) else dict.fromkeys(batch, example)
    assert examples.keys() == batch.keys()
    for name, tensor in example_inputs(module, size=2).items():  # type: ignore[union-attr]
        assert torch.from_numpy(examples[name]).dtype == tensor.dtype
        assert torch.equal(torch.from_numpy(examples[name]), tensor)
    assert (kept[0] / "extra_files" / "words.txt").read_text() == "one\ntwo"


def test_a_module_without_an_example_logs_nothing() -> None:
    log_model(SimpleNamespace(), Base(), "none")  # type: ignore[arg-type]


@pytest.mark.long
def test_packages_are_found_as_python_finds_them():
    """One CPU second, of which Python's own search takes nearly all; it asks whether each listed file exists."""
    found, expected = packages_distributions(), importlib_metadata.packages_distributions()
    assert {name: sorted(found[name]) for name in expected} == {name: sorted(expected[name]) for name in expected}
