"""Images of classes that training has left out, told from the rest by how badly they are reconstructed.

Source: Chandola, Banerjee and Kumar, Anomaly detection: a survey, ACM Computing Surveys 41, 2009, section 7.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc


class Anomalies(NamedTuple):
    """The errors of a method on known and unknown images.

    >>> unknown = torch.tensor([False, False, True, True])
    >>> Anomalies(torch.tensor([0.1, 0.3, 0.2, 0.9]), unknown).auroc
    0.75

    Args:
        errors: of each image, (N,).
        unknown: which images are of a class that training has left out, (N,).
    """

    errors: Tensor
    unknown: Tensor

    @property
    def auroc(self) -> float:
        """The chance that an unknown image has a larger error than a known one; 0.5 is guessing."""
        ranks = self.errors.unique(return_inverse=True)[1].double()  # torchmetrics would squash errors above 1
        return float(binary_auroc(ranks / ranks.max().clamp(min=1), self.unknown.long()))


def pca_errors(train: Tensor, test: Tensor, components: int) -> Tensor:
    """The mean squared error of each test image, (N,), as principal components of the training images show it.

    >>> line = torch.tensor([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    >>> pca_errors(line, torch.tensor([[4.0, 4.0], [1.0, 3.0]]), 1).round(decimals=3).abs().tolist()
    [0.0, 1.0]

    Args:
        train: images (M, ...) that the components come from.
        test: images (N, ...).
        components: how many, as many as a code has numbers.
    """
    rows, wanted = train.flatten(1), test.flatten(1)
    mean = rows.mean(0)
    axes: Tensor = torch.linalg.svd(rows - mean, full_matrices=False).Vh[:components]
    shown: Tensor = (wanted - mean) @ axes.T @ axes + mean
    return (shown - wanted).square().mean(1)
