"""How near images are to the true ones: by their structure, their pixels, and whether they are read alike."""

from __future__ import annotations

from torch import Tensor, nn
from torchmetrics import MeanAbsoluteError, MeanMetric, MetricCollection
from torchmetrics.image import StructuralSimilarityIndexMeasure


class Similarity(nn.Module):
    """The mean over images of their structural similarity, absolute error of a pixel, and share that is read rightly.

    >>> similarity = Similarity()
    >>> similarity.update(torch.zeros(2, 1, 12, 12), torch.zeros(2, 1, 12, 12), torch.tensor([True, False]))
    >>> {name: round(float(value), 3) for name, value in similarity.compute().items()}
    {'mae': 0.0, 'ssim': 1.0, 'accuracy': 0.5}
    """

    def __init__(self) -> None:
        super().__init__()
        self.images = MetricCollection(
            {"ssim": StructuralSimilarityIndexMeasure(data_range=1.0), "mae": MeanAbsoluteError()}, compute_groups=False
        )
        self.accuracy = MeanMetric()

    def update(self, images: Tensor, truth: Tensor, right: Tensor) -> None:
        """Takes images and the true ones (B, C, H, W) from 0 to 1, and which of them are read rightly (B,)."""
        self.images.update(images, truth)
        self.accuracy.update(right.float())

    def compute(self) -> dict[str, Tensor]:
        """`ssim`, `mae` and `accuracy`, each ()."""
        return {**self.images.compute(), "accuracy": self.accuracy.compute()}
