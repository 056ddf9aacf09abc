"""The base of the tasks on rows of features: network, scale from the training rows, baselines, importance."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Lt
from torch import Tensor

from lab import plots
from lab.data import Table
from lab.learning import SupervisedModule
from lab.networks import Activation, Init, Norm
from lab.tabular import plots as draw
from lab.tabular.importance import permutation_importance
from lab.tabular.network import TabularNetwork, TabularNetworkName


class FeatureModule(SupervisedModule):
    """
    Args:
        in_features: number of inputs; a fact of the data.
        class_names: names of the classes, an output for each, or one for two; where there are none, a number comes out.
        network: mlp, or rbf (radial basis functions, placed by k-means).
        hidden: widths of the hidden layers of mlp; without any it is linear.
        activation: activation function of the hidden layers.
        norm: normalisation of the hidden layers: none, batch, layer or rms.
        dropout: dropout of the hidden layers' outputs.
        init: how weights begin.
        units: radial basis functions of rbf.
        lr: learning rate of the optimizer.
        weight_decay: decoupled weight decay for adamw, an L2 penalty for the others.
    """

    def __init__(
        self,
        in_features: int,
        class_names: list[str],
        network: TabularNetworkName = "mlp",
        hidden: list[Annotated[int, Gt(0)]] = [64, 64],  # noqa: B006 - never changed
        activation: Activation = "relu",
        norm: Norm = "none",
        dropout: Annotated[float, Ge(0), Lt(1)] = 0.0,
        init: Init = "default",
        units: Annotated[int, Gt(0)] = 20,
        lr: Annotated[float, Gt(0)] = 1e-2,
        weight_decay: Annotated[float, Ge(0)] = 0.0,
        **training: Any,
    ) -> None:
        super().__init__(lr, weight_decay=weight_decay, **training)
        outputs = len(class_names) if len(class_names) > 2 else 1
        self.network = TabularNetwork(in_features, outputs, network, hidden, activation, norm, dropout, init, units)
        self.example_input_array = torch.zeros(1, in_features)

    @abstractmethod
    def score(self, x: Tensor) -> float:
        """The score of rows (N, inputs) with the targets of the test; more is better."""

    def setup(self, stage: str) -> None:
        super().setup(stage)
        trainer: Any = self.trainer
        if stage == "fit" and trainer.ckpt_path is None:
            self.network.fit(self.part("train")["x"])

    def part(self, split: str) -> Table:
        """A part of the data, whole."""
        table: Table = self.trainer.datamodule.part(split)  # type: ignore[attr-defined]
        return table

    def draw_importance(self, score: str) -> None:
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        falls = permutation_importance(self.score, self.part("test")["x"], data.encoder.groups)
        plots.log_figure(self, "importance.png", draw.importance(falls, score))
