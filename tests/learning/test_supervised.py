"""The supervised module: its rates, penalties, evaluation and examples, and what it refuses."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Trainer
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MeanMetric, MetricCollection

import lab
from lab.errors import BadSetting
from lab.learning import Examples, Stage, SupervisedModule
from lab.learning.evaluation import metrics_of

SILENT: dict[str, Any] = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "num_sanity_val_steps": 0,
}


class Line(SupervisedModule):
    num_first_examples, num_worst_examples = 6, 2

    def __init__(self, width: int = 1, **training: Any) -> None:
        super().__init__(**training)
        self.network = nn.Linear(width, 1)
        self.metrics = MetricCollection({"size": MeanMetric()})
        self.inner = nn.ModuleDict({"mean": MeanMetric()})
        self.seen: list[tuple[float, float, int]] = []  # progress, learning rate and whether values were asked for

    def training_loss(self, batch: list[Tensor], progress: float) -> Any:
        x, y = batch
        rates = {group["lr"] for group in self.optimizers().param_groups}  # type: ignore[union-attr]
        self.seen.append((progress, *rates, 0))
        return F.mse_loss(self.network(x), y), self.values

    def values(self) -> dict[str, Any]:
        self.seen[-1] = (*self.seen[-1][:2], 1)
        return {"train/x": 1.0}

    def evaluate_batch(self, batch: list[Tensor]) -> dict[str, Tensor]:
        x, y = batch
        self.metrics.update(x.abs())
        self.inner["mean"].update(float(self.eval_batch_idx))  # type: ignore[operator]
        return {"loss": (self.network(x) - y).square().squeeze(1), "x": x}

    def compute_metrics(self, stage: Stage) -> dict[str, Any]:
        values: dict[str, Any] = self.metrics.compute()
        return values | ({"batches": self.inner["mean"].compute()} if stage == "test" else {})  # type: ignore[operator]

    def report(self) -> None:
        self.reported = self.examples, float(self.metrics["size"].compute())


def data(rows: int = 10, size: int = 4) -> DataLoader[Any]:
    x = torch.linspace(-1, 2, rows)[:, None]
    return DataLoader(TensorDataset(x, 2 * x), size)


def trained(module: SupervisedModule, **settings: Any) -> Trainer:
    trainer = Trainer(**{**SILENT, "max_epochs": 4, "log_every_n_steps": 5, **settings})
    trainer.fit(module, data())
    return trainer


def test_rates_and_progress_follow_the_run_and_values_are_asked_for_when_they_are_logged() -> None:
    module = Line(lr=0.1, schedule="linear", final_lr=0.5)
    trainer = trained(module)
    assert [progress for progress, _, _ in module.seen] == pytest.approx([step / 12 for step in range(12)])
    assert [rate for _, rate, _ in module.seen] == pytest.approx([0.1 - 0.05 * step / 12 for step in range(12)])
    assert [step for step, (_, _, asked) in enumerate(module.seen) if asked] == [4, 9]
    assert trainer.logged_metrics.keys() == {"train/loss", "lr", "train/x"}


def test_progress_ends_at_one() -> None:
    module = Line()
    trained(module, max_epochs=2)
    module.total_steps, module.trainer.log_every_n_steps = 3, 0
    module.training_step([torch.ones(1, 1), torch.ones(1, 1)])
    assert module.seen[-1][0] == 1
    assert module.seen[-1][1] == 0


@pytest.mark.slow
def test_a_schedule_needs_a_length_and_a_constant_rate_does_not() -> None:
    endless = {"max_epochs": -1, "max_time": {"seconds": 1}}
    with pytest.raises(BadSetting, match=r"^trainer: the learning-rate schedule needs max_epochs or max_steps$"):
        trained(Line(), **endless)
    with pytest.raises(BadSetting, match="needs max_epochs"):
        trained(Line(schedule="constant", warmup=0.1), **endless)
    module = Line(schedule="constant", lr=0.1)
    trained(module, **endless)
    assert {(progress, rate) for progress, rate, _ in module.seen} == {(0.0, 0.1)}


def test_the_penalty_is_the_sum_of_absolute_weights() -> None:
    torch.manual_seed(0)
    module, spared = Line(l1=0.5, optimizer="sgd", lr=0.01), Line(l1=0.5, decay_norm_and_bias=False)
    trainer = trained(module, max_steps=5, log_every_n_steps=1)
    assert "train/l1" in trainer.logged_metrics
    trained(spared, max_steps=1)
    for each, weights in ((module, [module.network.weight, module.network.bias]), (spared, [spared.network.weight])):
        batch = [torch.ones(2, 1), torch.ones(2, 1)]
        plain = F.mse_loss(each.network(batch[0]), batch[1])
        each.trainer.log_every_n_steps = 0  # nothing can be logged after the training
        whole = each.training_step(batch)
        torch.testing.assert_close(whole - plain, 0.5 * sum(weight.abs().sum() for weight in weights))


@pytest.mark.long
def test_the_elastic_net_of_scikit_learn() -> None:
    from sklearn.linear_model import ElasticNet

    torch.manual_seed(0)
    x = torch.randn(64, 5)
    y = x @ torch.tensor([1.0, -2.0, 0.0, 0.0, 0.5])[:, None] + 0.1 * torch.randn(64, 1)
    # sklearn's: |y - xw|^2 / (2 n) + alpha l1 |w| + alpha (1 - l1) |w|^2 / 2; ours is twice that
    alpha, share = 0.2, 0.5
    decay = {"l1": 2 * alpha * share, "weight_decay": 2 * alpha * (1 - share), "decay_norm_and_bias": False}
    module = Line(5, lr=0.05, optimizer="sgd", **decay)
    Trainer(**SILENT, max_epochs=800).fit(module, DataLoader(TensorDataset(x, y), 64))
    theirs = ElasticNet(alpha=alpha, l1_ratio=share).fit(x, y[:, 0])
    assert module.network.weight[0].tolist() == pytest.approx(theirs.coef_.tolist(), abs=2e-3)
    assert float(module.network.bias) == pytest.approx(float(theirs.intercept_), abs=2e-3)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_gradients_are_clipped_in_every_precision(precision: Any) -> None:
    module = Line(lr=0.1)
    Trainer(**SILENT, max_epochs=1, gradient_clip_val=0.5, precision=precision).fit(module, data(size=10))
    assert bool(module.optimizers().param_groups[0]["fused"]) == (precision == "32-true")  # type: ignore[union-attr]


def test_lbfgs_solves_a_small_problem_in_a_few_steps() -> None:
    module = Line(optimizer="lbfgs", lr=1.0, schedule="constant", weight_decay=0.0)
    Trainer(**SILENT, max_epochs=2).fit(module, data(size=10))
    assert float(module.network.weight.detach()) == pytest.approx(2, abs=1e-3)
    for settings, message in (
        ({"accumulate_grad_batches": 2}, "optimizer: lbfgs evaluates a batch several times"),
        ({"precision": "16-mixed"}, "optimizer: lbfgs cannot scale its loss"),
    ):
        other = Line(optimizer="lbfgs", weight_decay=0.0)
        trainer = Trainer(**SILENT, max_epochs=1, **{k: v for k, v in settings.items() if k != "precision"})
        other._trainer = trainer  # a loss scaler needs a GPU, so the precision is only said
        if "precision" in settings:
            trainer.strategy.precision_plugin.precision = "16-mixed"  # type: ignore[assignment]
        with pytest.raises(BadSetting, match=message):
            other.setup("fit")


def test_hyperparameters_are_those_of_parent_and_child(tmp_path: Any) -> None:
    module = Line(2, lr=0.5, optimizer="sgd", optimizer_args={"momentum": 0.9})
    saved = dict(module.hparams)
    assert saved["width"] == 2
    assert saved["lr"] == 0.5
    assert saved["schedule"] == "cosine"
    assert saved["optimizer_args"] == {"momentum": 0.9}
    trainer = Trainer(**SILENT, max_epochs=1)
    trainer.strategy.connect(module)
    trainer.save_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    again = Line.load_from_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    assert dict(again.hparams) == saved
    assert torch.equal(again.network.weight, module.network.weight)


def test_an_evaluation_covers_all_examples_and_begins_anew() -> None:
    torch.manual_seed(0)
    module = Line()
    for _ in range(2):
        (found,) = Trainer(**SILENT).test(module, data(), verbose=False)
        x = torch.linspace(-1, 2, 10)[:, None]
        with torch.no_grad():
            losses = (module.network(x) - 2 * x).square().squeeze(1)
        assert found["test/loss"] == pytest.approx(float(losses.mean()), rel=1e-5)
        assert found["test/size"] == pytest.approx(float(x.abs().mean()), rel=1e-5)
        assert found["test/batches"] == 1
        examples, size = module.reported
        assert size == pytest.approx(found["test/size"])
        assert torch.equal(examples.first["x"], x[:6]), "also from the second batch"
        torch.testing.assert_close(examples.worst["loss"], losses.topk(2).values)
    (found,) = Trainer(**SILENT).validate(module, data(), verbose=False)
    assert found.keys() == {"val/loss", "val/size"}
    assert len(list(metrics_of(module))) == 3


def test_examples_keep_the_worst_in_order_and_take_nan_for_none() -> None:
    examples = Examples(num_first=0, num_worst=2)
    for values in ([1.0, float("nan"), 5.0], [4.0, 0.5], [7.0]):
        errors = torch.tensor(values)
        examples.add({"error": errors}, errors)
    assert examples.first == {}
    assert examples.worst["error"].tolist() == [7, 5]


@pytest.mark.slow
def test_no_collection_guesses_which_of_its_metrics_are_one():
    """torchmetrics takes metrics with the same counts after a first batch for one, which a good batch makes of many."""
    root = Path(lab.__file__).parents[1]
    for path in [*root.glob("lab/**/*.py"), *root.glob("plugins/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "MetricCollection":
                single = isinstance(node.args[0], ast.Dict) and len(node.args[0].keys) < 2
                assert single or any(each.arg == "compute_groups" for each in node.keywords), f"{path}:{node.lineno}"


class Phases(SupervisedModule):
    """Two layers, of which the first is trained in one half of the run and the second in the other."""

    trains_in_phases = True

    def __init__(self, **training: Any) -> None:
        super().__init__(lr=0.1, **training)
        self.first, self.second = nn.Linear(1, 1), nn.Linear(1, 1)

    def training_loss(self, batch: Any, progress: float) -> Tensor:
        layer = self.first if progress < 0.5 else self.second
        loss: Tensor = layer(batch[0]).square().mean()
        return loss

    def evaluate_batch(self, batch: Any) -> dict[str, Tensor]:
        return {"loss": batch[0].flatten()}


@pytest.mark.slow
def test_parameters_that_rest_stay_as_they_are_in_two_processes() -> None:
    found = []
    for count in (1, 2):
        torch.manual_seed(0)
        module = Phases(weight_decay=0.1)
        loader = DataLoader(TensorDataset(torch.arange(1.0, 9.0).view(8, 1)), 8 // count)  # all of them in each step
        strategy = "ddp_fork" if count > 1 else "auto"
        Trainer(**SILENT, devices=count, strategy=strategy, max_epochs=4).fit(module, loader)
        found.append(module.state_dict())
    for name, weights in found[0].items():
        torch.testing.assert_close(found[1][name], weights, msg=name)
