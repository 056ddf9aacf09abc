"""The distance of generated images from real ones, by metrics of torchmetrics' kind; formulas are in docs/gan.md."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional import kl_divergence


class Divergence(Metric):
    """KL divergence of what was drawn from what is real, both as counts of the same kinds; 0 if they are alike.

    Each kind is counted once more than it was seen, or a kind that was never drawn would make it infinite.

    Args:
        kinds: how many there are.
    """

    full_state_update = False
    real: Tensor
    drawn: Tensor

    def __init__(self, kinds: int) -> None:
        super().__init__()
        self.kinds = kinds
        for name in ("real", "drawn"):
            self.add_state(name, torch.zeros(kinds, dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, kinds: Tensor, real: bool) -> None:
        """Counts kinds, whole numbers of any shape."""
        counts = kinds.flatten().bincount(minlength=self.kinds)
        if real:
            self.real += counts
        else:
            self.drawn += counts

    def compute(self) -> Tensor:
        """In nats."""
        return kl_divergence(self.real.double().unsqueeze(0) + 1, self.drawn.double().unsqueeze(0) + 1)


class Diversity(Metric):
    """Diversity of the generated images of a class, as a share of what real ones do: 0 is one image again and again.

    Variation is the mean squared distance of features from the mean of their class (all within-class variance).

    Args:
        classes: how many there are.
        features: length of a vector of features.
    """

    full_state_update = False

    def __init__(self, classes: int, features: int) -> None:
        super().__init__()
        for name in ("real", "drawn"):
            self.add_state(f"{name}_counts", torch.zeros(classes, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{name}_sums", torch.zeros(classes, features, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{name}_squares", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, features: Tensor, classes: Tensor, real: bool) -> None:
        """Takes features (N, D) and their classes (N,)."""
        name, features = "real" if real else "drawn", features.double()
        counts, sums = getattr(self, f"{name}_counts"), getattr(self, f"{name}_sums")
        setattr(self, f"{name}_counts", counts + classes.bincount(minlength=len(counts)))
        setattr(self, f"{name}_sums", sums.index_add(0, classes, features))
        setattr(self, f"{name}_squares", getattr(self, f"{name}_squares") + features.square().sum())

    def compute(self) -> Tensor:
        return self._variation("drawn") / self._variation("real")

    def _variation(self, name: str) -> Tensor:
        counts, sums, squares = (getattr(self, f"{name}_{part}") for part in ("counts", "sums", "squares"))
        within = squares - (sums.square().sum(1) / counts.clamp(min=1)).sum()
        freedom = (counts - 1).clamp(min=0).sum()  # a class that was seen once says nothing
        variation: Tensor = within.clamp(min=0) / freedom.clamp(min=1)
        return variation


class ByClass(Metric):
    """The mean of a value for each class, NaN where there was none, and of all values.

    Args:
        classes: how many there are.
    """

    full_state_update = False
    sums: Tensor
    counts: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.add_state("sums", torch.zeros(classes, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("counts", torch.zeros(classes, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, values: Tensor, classes: Tensor) -> None:
        """Takes values (N,) and their classes (N,)."""
        self.sums = self.sums.index_add(0, classes, values.double())
        self.counts = self.counts + classes.bincount(minlength=len(self.counts))

    def compute(self) -> tuple[Tensor, Tensor]:
        """By class (classes,), and over all ()."""
        return self.sums / self.counts, self.sums.sum() / self.counts.sum()
