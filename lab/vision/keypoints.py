"""Key points in images, by regression of coordinates or as expected positions of heat maps.

Sources: Sun, Xiao, Wei, Liang and Wei, Integral human pose regression, ECCV 2018: the mean place of a heat map is the
point, to a fraction of a pixel; Nibali, He, Morgan and Prendergast, Numerical coordinate regression with convolutional
neural networks, 2018: the map is kept close to a Gaussian around the point, by Kullback and Leibler's divergence here
instead of Jensen and Shannon's. Points that nobody has marked have no part in loss and metrics.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from annotated_types import Ge, Gt, Le
from torch import Tensor, nn
from torchmetrics import Metric

from lab import plots
from lab.errors import BadSetting
from lab.learning import LazyMetrics, Stage, SupervisedModule
from lab.networks import upcast
from lab.task import Task
from lab.vision.data.image_data import ImageData
from lab.vision.networks.normalize import Normalize
from lab.vision.networks.registry import make
from lab.vision.networks.segmentation import Segmenter
from lab.vision.plots import keypoints as draw

CLOSE = 0.05  # of the width: a point this near counts as found


class Keypoints(SupervisedModule):
    """Key points of images (B, channels, size, size) in [0, 1]; returns x, y (B, P, 2) in pixels from the top left.

    Args:
        channels: channels of an image; a fact of the data.
        size: height and width of an image; a fact of the data.
        point_names: names of the points; a fact of the data.
        mean: mean of the pixels of each channel; a fact of the data.
        std: standard deviation of the pixels of each channel; a fact of the data.
        method: coordinates (regression) or heatmaps (one map per point, whose expected position is the prediction).
        network: for coordinates a network of the task classify (default cnn), for heatmaps one of the task segment
            (default unet).
        encoder: encoder of a network for heat maps, as in the task segment.
        depth: downsampling stages of that encoder; by default those of the library, usually 5.
        sigma: standard deviation in pixels of the target Gaussian of a heat map.
        heatmap_weight: weight of the divergence of heat maps from the target Gaussian in the loss.
        normalize_by: errors are divided by the width of the image, or by the width spanned by its known points.
    """

    num_first_examples = num_worst_examples = draw.PLACES

    def __init__(
        self,
        channels: int,
        size: int,
        point_names: list[str],
        mean: list[float],
        std: list[float],
        method: Literal["coordinates", "heatmaps"] = "coordinates",
        network: str | None = None,
        encoder: str = "resnet18",
        depth: Annotated[int, Ge(3), Le(5)] | None = None,
        sigma: Annotated[float, Gt(0)] = 1.0,
        heatmap_weight: Annotated[float, Ge(0)] = 1.0,
        normalize_by: Literal["image", "points"] = "image",
        **training: Any,
    ) -> None:
        super().__init__(**training)
        count = len(point_names)
        if not count:
            raise BadSetting(
                "point_names", "this dataset has no key points; `lab data show NAME` lists the columns of a dataset"
            )
        made: nn.Module
        if method == "coordinates":
            made = make(network or "cnn", channels, size, 2 * count)
        else:
            made = Segmenter(network or "unet", encoder, channels, size, count, depth)
        # on a CPU, convolutions and pools of this layout take two thirds of the time
        self.network = made.to(memory_format=torch.channels_last)
        self.normalise, self.size, self.names = Normalize(channels, size, mean, std), size, point_names
        self.method, self.sigma, self.heatmap_weight = method, sigma, heatmap_weight
        self.normalize_by = normalize_by
        self.errors = Errors(count)
        self.example_input_array = torch.zeros(1, channels, size, size)

    def forward(self, images: Tensor) -> Tensor:
        return self._points(self._given(images))

    def _given(self, images: Tensor) -> Tensor:
        given: Tensor = self.network(self.normalise(images))
        return upcast(given)

    def _points(self, given: Tensor) -> Tensor:
        """Points (B, P, 2) of what the network gives: heat maps, or 2 P numbers from -1 to 1 across the image."""
        return middles(given) if self.method == "heatmaps" else (given.unflatten(1, (-1, 2)) + 1) * (self.size / 2)

    def training_loss(self, batch: dict[str, Tensor], progress: float) -> tuple[Tensor, LazyMetrics]:  # noqa: ARG002
        given, points = self._given(batch["image"]), batch["points"]
        found = self._points(given)
        loss = self.loss(found, points)
        if self.method == "heatmaps" and self.heatmap_weight:
            loss = loss + self.heatmap_weight * divergence(given, points, self.sigma)
        return loss, lambda: {"train/pixels": mean((found - points.nan_to_num()).norm(dim=-1), known(points))}

    def loss(self, found: Tensor, points: Tensor) -> Tensor:
        """The mean of |dx| + |dy| over the known points, in halves of the image; both (B, P, 2)."""
        return mean((found - points.nan_to_num()).abs().sum(-1), known(points)) / (self.size / 2)

    def evaluate_batch(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        images, points = batch["image"], batch["points"]
        found = self(images)
        widths = across(points) if self.normalize_by == "points" else points.new_full((len(points),), self.size)
        self.errors.update(found, points, widths)
        error = ((found - points).norm(dim=-1) / widths.unsqueeze(1)).nanmean(1)
        loss = self.loss(found, points).expand(len(points))
        return {"loss": loss, "error": error, "image": images, "points": points, "predicted": found}

    def compute_metrics(self, stage: Stage) -> dict[str, Tensor]:
        values = self.errors.compute()
        each = zip(self.names, values["each"], strict=True)
        by_point = {f"nme_{name}": value for name, value in each if not value.isnan()} if stage == "test" else {}
        return {name: value for name, value in values.items() if name != "each"} | by_point

    def report(self) -> None:
        for name, part, which in (
            ("overlays.png", self.examples.first, "The first test images"),
            ("worst.png", self.examples.worst, "Test images with the largest errors"),
        ):
            plots.log_figure(self, name, draw.overlays(part, self.normalize_by, which))
        each = self.errors.compute()["each"].cpu()
        plots.log_figure(self, "points.png", draw.bars(each, self.names, self.normalize_by))


class Errors(Metric):
    """Distances of points from where they are, over all known ones of a part, whichever batch they came in.

    Args:
        count: points of an image.
    """

    total: Tensor
    pixels: Tensor
    close: Tensor
    seen: Tensor

    def __init__(self, count: int) -> None:
        super().__init__()
        for name in ("total", "pixels", "close", "seen"):
            self.add_state(name, torch.zeros(count), dist_reduce_fx="sum")

    def update(self, found: Tensor, points: Tensor, widths: Tensor) -> None:
        """Takes found and true points, both (B, P, 2), and the width of each image, (B,); one of NaN does not count."""
        distances = (found - points).norm(dim=-1)
        shares = distances / widths.unsqueeze(1)
        measured = ~shares.isnan()
        self.total += torch.where(measured, shares, 0).sum(0)
        self.pixels += torch.where(measured, distances, 0).sum(0)
        self.close += (measured & (shares <= CLOSE)).sum(0)
        self.seen += measured.sum(0)

    def compute(self) -> dict[str, Tensor]:
        """Of all points the mean error in widths and in pixels, and the share of close ones; `each` (P,)."""
        totals = {"nme": self.total, "pixels": self.pixels, "pck": self.close}
        means = {name: total.sum() / self.seen.sum() for name, total in totals.items()}
        return means | {"each": self.total / self.seen}


def known(points: Tensor) -> Tensor:
    """Mask (B, P) of the known points among (B, P, 2)."""
    return ~points.isnan().any(-1)


def across(points: Tensor) -> Tensor:
    """Width of the known points of each image from left to right, (B,), in pixels; NaN where that is nowhere."""
    x, marked = points[..., 0], known(points)
    reach = x.masked_fill(~marked, -torch.inf).amax(1) - x.masked_fill(~marked, torch.inf).amin(1)
    return torch.where(reach > 0, reach, torch.nan)


def mean(values: Tensor, where: Tensor) -> Tensor:
    """The mean of some values, or 0 where there are none."""
    return torch.where(where, values, 0).sum() / where.sum().clamp(min=1)


def middles(maps: Tensor) -> Tensor:
    """Heat maps (B, P, H, W), before their softmax -> the mean place of each, (B, P, 2)."""
    heat = maps.flatten(2).softmax(-1).view_as(maps)
    across, down = heat.sum(2), heat.sum(3)  # (B, P, W), (B, P, H)
    # no matrix product: bfloat16 would round the places to a quarter of a pixel and more
    return torch.stack([(line * centres(line)).sum(-1) for line in (across, down)], -1)


def divergence(maps: Tensor, points: Tensor, sigma: float) -> Tensor:
    """Distance of heat maps (B, P, H, W) from Gaussians around the known points (B, P, 2), mean KL(Gaussian, map).

    A Gaussian is one along x times one along y, each over the pixels of the image; so is its entropy a sum of two.
    """
    log_heat = maps.flatten(2).log_softmax(-1).view_as(maps)
    x, y = points.nan_to_num().unsqueeze(-1).unbind(2)  # (B, P, 1) each
    log_x = (-0.5 * ((centres(log_heat[0, 0, 0]) - x) / sigma).square()).log_softmax(-1)  # (B, P, W)
    log_y = (-0.5 * ((centres(log_heat[0, 0, :, 0]) - y) / sigma).square()).log_softmax(-1)  # (B, P, H)
    entropies = -sum((log * log.exp()).sum(-1) for log in (log_x, log_y))
    with torch.autocast(maps.device.type, enabled=False):
        crossed = -torch.einsum("bpy,bpx,bpyx->bp", log_y.exp(), log_x.exp(), log_heat)
    return mean(crossed - entropies, known(points))


def centres(line: Tensor) -> Tensor:
    """Centres of that many pixels, (..., N) -> (N,)."""
    return torch.arange(line.shape[-1], device=line.device, dtype=line.dtype) + 0.5


TASK = Task(module=Keypoints, data=ImageData, monitor="val/nme", mode="min")
