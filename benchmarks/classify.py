"""Images per second of `lab run classify`, of a Lightning example as one writes it, and of loops by hand."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measure import process, ratios, say, spread, table

if TYPE_CHECKING:
    from torch import Tensor

BATCH = 256
NETWORKS = {"mlp": 10, "cnn": 1}  # and how many epochs take seconds
NAMES = {
    "example": "Lightning, DataLoader, transforms of each image",
    "bare": "bare loop over tensors in memory",
    "same": "the same, in the layout that `lab` uses",
    "walk": "`lab run`",
}


@dataclass(frozen=True)
class Work:
    """Training of a network on drawn letters of 28x28.

    Args:
        network: its name.
        images: of an epoch.
        epochs: how many.
        sets: where the letters lie.
    """

    network: str
    images: int
    epochs: int
    sets: str


def measure(quick: bool) -> dict[str, Any]:
    """Images per second of every side, in turns, after a short run of each."""
    images, repetitions = (2_560, 1) if quick else (60_000, 5)
    found: dict[str, dict[str, list[float]]] = {}
    for network, epochs in NETWORKS.items():
        rates = found[network] = {name: [] for name in SIDES}
        with ExitStack() as stack:
            sets = str(Path(stack.enter_context(tempfile.TemporaryDirectory())))
            work = Work(network, images, 1 if quick else epochs, sets)
            workers = {}
            for name, side in SIDES.items():
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                workers[name] = stack.enter_context(process(folder))
                workers[name](side, replace(work, images=2_560, epochs=1))
            for _ in range(repetitions):
                for name, side in SIDES.items():
                    seconds = workers[name](side, work)
                    rates[name].append(work.images * work.epochs / seconds)
                    say(f"{network}, {name}: {rates[name][-1]:,.0f}")
    return {"images": images, "networks": found}


def walk(work: Work) -> float:
    """All of `lab run`; the seconds of its training."""
    from lab.runner.fit import fit

    result = fit(_recipe(work))
    assert result.last is not None
    return result.seconds


def bare(work: Work, layout: str = "contiguous_format") -> float:
    """Pixels are normalised beforehand; a batch is one indexing."""
    import torch
    from torch.nn import functional as F

    images, labels, network = _parts(work)
    network = network.to(memory_format=getattr(torch, layout))
    images = (images.float() / 255 - 0.142) / 0.315
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, fused=True)
    start = time.perf_counter()
    for _ in range(work.epochs):
        order = torch.randperm(len(images))
        for rows in order[: len(order) // BATCH * BATCH].split(BATCH):
            loss = F.cross_entropy(network(images[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return time.perf_counter() - start


def same(work: Work) -> float:
    """The bare loop, told about the layout."""
    return bare(work, "channels_last")


def example(work: Work) -> float:
    """A Dataset of pictures, torchvision's transforms, a DataLoader, a module that logs its loss."""
    import torch
    from lightning import LightningModule, Trainer
    from PIL import Image
    from torch.nn import functional as F
    from torch.utils.data import DataLoader, Dataset
    from torchvision import transforms

    images, labels, network = _parts(work)
    pixels = images[:, 0].numpy()
    change = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.142,), (0.315,))])

    class Letters(Dataset[tuple["Tensor", int]]):
        def __len__(self) -> int:
            return len(pixels)

        def __getitem__(self, i: int) -> tuple[Tensor, int]:
            return change(Image.fromarray(pixels[i])), int(labels[i])

    class Example(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
            x, y = batch
            loss = F.cross_entropy(self.network(x), y)
            self.log("train_loss", loss, prog_bar=True)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters(), 1e-3)

    loader = DataLoader(Letters(), BATCH, shuffle=True, drop_last=True)
    trainer = Trainer(accelerator="cpu", max_epochs=work.epochs, enable_model_summary=False)
    start = time.perf_counter()
    trainer.fit(Example(), loader)
    return time.perf_counter() - start


SIDES: dict[str, Callable[[Work], float]] = {"example": example, "bare": bare, "same": same, "walk": walk}


def _parts(work: Work) -> tuple[Tensor, Tensor, Any]:
    """Images (N, 1, 28, 28) as bytes, labels (N,), and the network that `lab` would train on them."""
    from lab.runner.assemble import assemble
    from lab.vision.networks.registry import make

    data: Any = assemble(_recipe(work)).data
    data.prepare_data()
    data.setup("fit")
    part = data.tables["train"]
    assert len(part) == work.images
    return part["image"], part["label"], make(work.network, 1, 28, 26)


def _recipe(work: Work) -> Any:
    """The recipe that `lab` ships, with this work's settings; no validation and no test, which the others lack too."""
    import os

    from lab.recipe import load
    from lab.registry import find_recipe

    os.environ["LAB_DATA"] = work.sets
    settings = {
        "model.network": work.network,
        "data.max_images": round(work.images / 0.99),
        "data.val_fraction": 0.01,
        "data.batch_size": BATCH,
        "trainer.max_epochs": work.epochs,
        "trainer.limit_val_batches": 0,
        "trainer.limit_test_batches": 0,
    }
    return load(find_recipe("classify_letters"), [f"{key}={value}" for key, value in settings.items()])


def speeds(found: dict[str, Any]) -> dict[str, list[float]]:
    """How many times as fast as the bare loop in the same layout."""
    return {network: ratios(rates["walk"], rates["same"]) for network, rates in found["networks"].items()}


def report(found: dict[str, Any]) -> str:
    rows, verdicts = [], []
    for network, rates in found["networks"].items():
        rows.append([network, *(spread(rates[name], 0) for name in NAMES)])
        against = {name: statistics.median(ratios(rates["walk"], rates[name])) for name in NAMES}
        verdicts.append(
            f"{network}: {against['example']:.2f} times the example, {against['bare']:.2f} times the bare loop, "
            f"{against['same']:.2f} times the bare loop in the same layout."
        )
    return "\n\n".join(
        [
            "## Images",
            f"Images per second of training on {found['images']:,} letters of 28x28, batch {BATCH}, from start to "
            "end of the training. The loops have no validation, no checkpoints and no tracking. Medians (least to "
            "most), more is better.",
            table(["network", *NAMES.values()], rows),
            f"`lab run` against the others, by the medians of turns. {' '.join(verdicts)}",
        ]
    )
