"""Networks on rows of features in the units of the data: multilayer perceptron and radial basis functions.

Source: Moody and Darken, Fast learning in networks of locally-tuned processing units, Neural Computation 1, 1989.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from lab.networks import MLP, Activation, Init, Norm

TabularNetworkName = Literal["mlp", "rbf"]


class Standardize(nn.Module):
    """Values (B, F) less their mean, over their standard deviation; both come from the training rows.

    >>> scale = Standardize(1)
    >>> scale.fit(torch.tensor([[1.0], [3.0]]))
    >>> scale(torch.tensor([[3.0]])).tolist(), scale.inverse(torch.tensor([[-1.0]])).tolist()
    ([[1.0]], [[1.0]])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))

    def fit(self, values: Tensor) -> None:
        """From rows (N, F); a constant feature keeps its unit."""
        self.mean.copy_(values.mean(0))
        std = values.std(0, correction=0)
        self.std.copy_(torch.where(std > 1e-6 * values.abs().amax(0), std, 1.0))

    def forward(self, values: Tensor) -> Tensor:
        return (values - self.mean) / self.std

    def inverse(self, values: Tensor) -> Tensor:
        return values * self.std + self.mean


class RBF(nn.Module):
    """Gaussians around centres, and a linear output: (B, F) -> (B, out_features).

    It learns in two phases: `fit` places the centres by k-means and gives each a width, the mean distance to the two
    nearest other ones; training changes the linear output alone.
    """

    centers: Tensor
    widths: Tensor

    def __init__(self, in_features: int, units: int, out_features: int) -> None:
        super().__init__()
        self.register_buffer("centers", torch.randn(units, in_features))
        self.register_buffer("widths", torch.ones(units))
        self.output = nn.Linear(units, out_features)

    def fit(self, values: Tensor) -> None:
        """From standardised rows (N, F); with fewer different rows than units, centres repeat."""
        from sklearn.cluster import KMeans

        rows = values.double().cpu().numpy()
        units = min(len(self.centers), len(values.unique(dim=0)))
        found = torch.from_numpy(KMeans(units, n_init=1, random_state=0).fit(rows).cluster_centers_)
        centers = found[torch.arange(len(self.centers)) % units].to(self.centers)
        self.centers.copy_(centers)
        distances = torch.cdist(found, found).sort(1).values[:, 1:3]
        width = distances.mean(1) if units > 1 else torch.ones(1)
        self.widths.copy_(width.clamp(min=1e-3)[torch.arange(len(self.centers)) % units])

    def forward(self, values: Tensor) -> Tensor:
        squares = (values.unsqueeze(1) - self.centers).square().sum(2)  # (B, units)
        activations = torch.exp(-squares / (2 * self.widths.square()))
        outputs: Tensor = self.output(activations)
        return outputs


class TabularNetwork(nn.Module):
    """Standardises rows (B, F) and maps them to (B, out_features).

    >>> TabularNetwork(4, 3, "mlp", hidden=[8])(torch.zeros(2, 4)).shape
    torch.Size([2, 3])
    """

    fitted: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        name: TabularNetworkName,
        hidden: Sequence[int] = (),
        activation: Activation = "relu",
        norm: Norm = "none",
        dropout: float = 0.0,
        init: Init = "default",
        units: int = 20,
    ) -> None:
        super().__init__()
        self.scale = Standardize(in_features)
        self.body: MLP | RBF
        if name == "rbf":
            self.body = RBF(in_features, units, out_features)
        else:
            self.body = MLP(in_features, hidden, out_features, activation, norm, dropout, init)
        self.register_buffer("fitted", torch.tensor(False))

    def fit(self, rows: Tensor) -> None:
        """Takes from the training rows (N, F), once, their scale and the centres of an RBF network."""
        if not bool(self.fitted):
            self.scale.fit(rows)
            if isinstance(self.body, RBF):
                self.body.fit(self.scale(rows))
            self.fitted.fill_(True)

    def forward(self, rows: Tensor) -> Tensor:
        outputs: Tensor = self.body(self.scale(rows))
        return outputs
