"""Validation and test of a supervised task: the same measures over all examples, and plots at the end of the test."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from lightning import LightningModule
from torch import Tensor, nn
from torchmetrics import MeanMetric, Metric, MetricCollection

from lab.errors import BadInput
from lab.learning.examples import Examples

Stage = Literal["val", "test"]
SHOWN = 5  # names of classes in a message


class EvaluatedModule(LightningModule):
    """Logs `val/...` and `test/...`: the mean `loss`, and what `compute_metrics` returns.

    A subclass says what becomes of a batch (`evaluate_batch`). Metrics of torchmetrics that are attributes of the
    module join processes by themselves and are reset after each evaluation; `metrics` is an empty collection at first.

    >>> class Squares(EvaluatedModule):
    ...     def evaluate_batch(self, batch):
    ...         return {"loss": batch.square()}  # (B,)
    >>> module = Squares()
    >>> module.validation_step(torch.tensor([1.0, 3.0]), 0)
    >>> module.mean_loss.compute()
    tensor(5.)
    """

    num_first_examples = 0  # of the test, that `self.examples` keeps for `report`
    num_worst_examples = 0
    learnt_names: tuple[str, ...] = ("class_names", "tag_names")  # hyperparameters that a checkpoint has to share

    def __init__(self) -> None:
        super().__init__()
        self.mean_loss, self.metrics = MeanMetric(), MetricCollection({})
        self.eval_batch_idx = 0  # of the batch that is being evaluated

    @abstractmethod
    def evaluate_batch(self, batch: Any) -> dict[str, Tensor]:
        """Updates the metrics with a batch of B examples.

        Returns:
            `loss` (B,), and whatever the plots show of each example, with a row for each. The largest `error` (B,),
            or else the largest loss, makes the worst example.
        """

    def compute_metrics(self, stage: Stage) -> Mapping[str, Any]:  # noqa: ARG002 - for subclasses
        """The values that are logged besides the loss, without the prefix: by default all of `metrics`."""
        values: dict[str, Any] = self.metrics.compute()
        return values

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Classes go by their number, so those of a checkpoint have to be those of this data.

        Raises:
            BadInput: they have other names, or another order.
        """
        for key in self.learnt_names:
            here, learnt = (known.get(key) for known in (self.hparams, checkpoint.get("hyper_parameters", {})))
            if here is not None and learnt is not None and list(here) != list(learnt):
                new = sorted({*here} - {*learnt}) or sorted({*learnt} - {*here}) or list(here)
                found = f"{key}: the data has {shown(here)}, and the checkpoint learnt {shown(learnt)}"
                raise BadInput(f"{found}; the difference begins with {new[0]!r}")

    def report(self) -> None:
        """Draws plots at the end of the test, with `self.examples` and metrics that are not reset yet.

        It is called on every process, because computing a metric waits for all of them.
        """

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._evaluated(batch, batch_idx)

    def on_validation_epoch_end(self) -> None:
        self._finish("val")

    def on_test_start(self) -> None:
        self.examples = Examples(self.num_first_examples, self.num_worst_examples)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        rows = self._evaluated(batch, batch_idx)
        if self.num_first_examples or self.num_worst_examples:
            self.examples.add(rows, rows.get("error", rows["loss"]))

    def on_test_epoch_end(self) -> None:
        self._finish("test")

    def _evaluated(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        self.eval_batch_idx = batch_idx
        rows = self.evaluate_batch(batch)
        self.mean_loss.update(rows["loss"])
        return rows

    def _finish(self, stage: Stage) -> None:
        values = {"loss": self.mean_loss.compute(), **self.compute_metrics(stage)}
        self.log_dict({f"{stage}/{name}": value for name, value in values.items()}, sync_dist=True)
        if stage == "test":
            self.report()
        for metric in metrics_of(self):
            metric.reset()
        self.eval_batch_idx = 0


def shown(names: Sequence[str]) -> str:
    """Some of them, in words."""
    more = f", ... ({len(names)})" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def metrics_of(module: nn.Module) -> Iterator[Metric | MetricCollection]:
    """The metrics in a module; a collection is one, because it resets what its metrics share."""
    for child in module.children():
        if isinstance(child, Metric | MetricCollection):
            yield child
        else:
            yield from metrics_of(child)
