"""`trainer.precision: auto` measures the network, and the run is then that of the precision it takes."""

import pytest
import torch
from lightning import LightningModule

from lab.engine.project import measured_precision
from lab.engine.project.measured_precision import MeasuredPrecision, faster_precision
from lab.errors import RecipeError
from lab.recipe import load
from lab.registry import find_recipe
from lab.runner.assemble import assemble
from lab.runner.fit import fit
from lab.testing.short import small

AUTO = "trainer.precision=auto"


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_the_run_is_that_of_the_precision_it_takes(precision, tmp_path, monkeypatch, capsys):
    batches = []

    def measured(forward, parameters, device):
        batches.append(len(forward()))
        return MeasuredPrecision(precision, 1.5)

    monkeypatch.setattr(measured_precision, "faster_precision", measured)
    file, size = find_recipe("regress_curve"), ("trainer.max_epochs=2", "trainer.limit_train_batches=3")
    chosen = fit(small(file, size=(*size, AUTO), folder=tmp_path))
    named = fit(small(file, size=(*size, f"trainer.precision={precision}"), folder=tmp_path))
    assert f"auto takes {precision}" in capsys.readouterr().err
    assert batches == [assemble(small(file)).data.batch_size]
    one, other = (torch.load(run.last, weights_only=True)["state_dict"] for run in (chosen, named))
    assert all(torch.equal(one[name], other[name]) for name in one)
    recorded = load(chosen.best.parents[1] / "recipe.yaml")
    assert recorded.trainer["precision"] == precision
    assert not recorded.measures_precision


def test_a_recipe_keeps_the_word_until_it_is_run():
    recipe = load(find_recipe("regress_curve"), [AUTO])
    assert recipe.resolved()["trainer"]["precision"] == "auto"
    assert str(assemble(recipe).trainer.precision) == "32-true"


def test_both_precisions_are_measured_and_weights_stay():
    layer, seen = torch.nn.Linear(4, 4), []

    def forward():
        output = layer(torch.ones(2, 4))
        seen.append(output.dtype)
        return output

    before = [weight.clone() for weight in layer.parameters()]
    faster_precision(forward, [*layer.parameters()], torch.device("cpu"), seconds=0.0)
    assert seen == [torch.float32, torch.bfloat16] * 2
    assert all(map(torch.equal, before, layer.parameters()))


class Silent(LightningModule):
    """A module that says nothing of its input."""

    def training_step(self, batch):  # noqa: ARG002 - Lightning's signature
        raise AssertionError

    def train_dataloader(self):
        raise AssertionError


def test_a_module_without_an_example_cannot_be_measured(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(
        f"task: {{module: {__name__}:Silent}}\ntrainer: {{max_epochs: 1, precision: auto}}\n", encoding="utf-8"
    )
    with pytest.raises(RecipeError, match=r"mine.yaml:2: trainer.precision: auto measures .*example_input_array"):
        assemble(load(file))


@pytest.mark.parametrize(
    ("precision", "capabilities", "said"),
    [
        ("bf16-mixed", {"avx512_f": True, "avx512_bf16": False}, True),
        ("bf16-mixed", {"avx512_bf16": True}, False),
        ("bf16-mixed", {"bf16": True, "architecture": "arm64"}, False),
        ("32-true", {"avx512_f": True}, False),
    ],
)
def test_a_processor_without_instructions_for_it_is_said(precision, capabilities, said, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    size = ("trainer.max_epochs=1", "trainer.limit_train_batches=1", f"trainer.precision={precision}")
    fit(small(find_recipe("regress_curve"), size=size, folder=tmp_path))
    assert ("trainer.precision=32-true is faster here" in capsys.readouterr().err) == said
