"""The state of a training run that Lightning's checkpoints leave out: generators, half-finished averages, data order.

Everything here is plain values and tensors, so that a checkpoint loads with `weights_only=True`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.trainer.connectors.logger_connector.result import _Metadata, _ResultMetric, _Sync
from torch.utils.data import DataLoader
from torchmetrics import Metric

State = dict[str, Any]


@runtime_checkable
class Stateful(Protocol):
    """A loader that knows by itself where it stands."""

    def state_dict(self) -> State: ...
    def load_state_dict(self, state: State) -> None: ...


def generators() -> State:
    """The states of Python's, NumPy's and torch's global generators."""
    version, words, gauss = random.getstate()
    legacy: Any = np.random.get_state(legacy=False)
    state = {
        "python": {"version": version, "words": torch.tensor(words, dtype=torch.int64), "gauss": gauss},
        "numpy": {
            "key": torch.from_numpy(legacy["state"]["key"].astype(np.int64)),
            "pos": int(legacy["state"]["pos"]),
            "has_gauss": int(legacy["has_gauss"]),
            "gauss": float(legacy["gauss"]),
        },
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state_all()
    return state


def set_generators(state: State) -> None:
    """The counterpart of `generators`; graphics cards that are not there any more are left out."""
    python, numpy = state["python"], state["numpy"]
    random.setstate((python["version"], tuple(python["words"].tolist()), python["gauss"]))
    key = numpy["key"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", key, numpy["pos"], numpy["has_gauss"], numpy["gauss"]))
    torch.set_rng_state(state["torch"])
    for i, cuda in enumerate(state.get("cuda", ())):
        if i < torch.cuda.device_count():
            torch.cuda.set_rng_state(cuda, i)


def partial_metrics(module: LightningModule) -> State:
    """What the module's torchmetrics have gathered so far; their own `state_dict` is empty by default."""
    return {
        name: {"states": dict(metric.metric_state), "updates": metric._update_count}
        for name, metric in module.named_modules()
        if isinstance(metric, Metric) and metric._update_count
    }


def set_partial_metrics(module: LightningModule, state: State) -> None:
    """The counterpart of `partial_metrics`."""
    metrics = dict(module.named_modules())
    for name, kept in state.items():
        metric: Any = metrics[name]
        for key, value in kept["states"].items():
            parts = [part.to(module.device) for part in value] if isinstance(value, list) else value.to(module.device)
            setattr(metric, key, parts)
        metric._update_count, metric._computed = kept["updates"], None


def partial_results(trainer: Trainer) -> State:
    """What `self.log(..., on_epoch=True)` has gathered in this epoch, and the newest values of all metrics."""
    gathered = {}
    for key, result in trainer.fit_loop.epoch_loop._results.items():
        if not result.is_tensor or result.has_reset:  # a logged torchmetric is part of the module
            continue
        meta = result.meta
        gathered[key] = {
            "meta": {field: getattr(meta, field) for field in _PLAIN} | {"reduce_fx": meta.reduce_fx.__name__},
            "sync": meta.sync.should,
            "rank_zero_only": meta.sync.rank_zero_only,
            "states": {name: value.detach() for name, value in result.metric_state.items()},
            "updates": result._update_count,
        }
    connector = trainer._logger_connector
    newest = {
        kind: dict(getattr(connector, kind))
        for kind in ("_callback_metrics", "_logged_metrics", "_progress_bar_metrics")
    }
    return {"gathered": gathered, "newest": newest}


def set_partial_results(trainer: Trainer, state: State) -> None:
    """The counterpart of `partial_results`."""
    device = trainer.strategy.root_device
    for key, kept in state["gathered"].items():
        meta = _Metadata(**kept["meta"])
        meta.sync = _Sync(fn=trainer.strategy.reduce, _should=kept["sync"], rank_zero_only=kept["rank_zero_only"])
        result = _ResultMetric(meta, is_tensor=True).to(device)
        for name, value in kept["states"].items():
            setattr(result, name, value.to(device))
        result._update_count = kept["updates"]
        trainer.fit_loop.epoch_loop._results[key] = result
    connector: Any = trainer._logger_connector
    for kind, values in state["newest"].items():
        getattr(connector, kind).update(values)
    if trainer.fit_loop.epoch_loop.batch_progress.current.ready:
        connector._first_loop_iter = True  # else the first `self.log` of this process would start the averages anew


_PLAIN = (
    "fx", "name", "prog_bar", "logger", "on_step", "on_epoch", "enable_graph", "add_dataloader_idx", "dataloader_idx",
    "metric_attribute",
)  # fmt: skip


class DataOrder:
    """Makes the order of training data a function of seed and epoch, so that it can be found again.

    A DataLoader draws its order from torch's global generator unless it has one of its own. Here each gets one of its
    own, seeded in every epoch; one that its author gave is left as it is, and its state at the start of an epoch
    remembered.

    Args:
        seed: the run's seed.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.given: list[torch.Generator] = []
        self.at_start: list[torch.Tensor] = []

    def begin(self, trainer: Trainer) -> None:
        """Seeds the training loaders for the present epoch."""
        for i, holder in enumerate(_holders(trainer)):
            if holder.generator is None:
                holder.generator = torch.Generator()
                self.given.append(holder.generator)
            if self._is_ours(holder.generator):
                mixed = np.random.SeedSequence([self.seed, trainer.current_epoch, trainer.global_rank, i])
                holder.generator.manual_seed(int(mixed.generate_state(1)[0]))
        self.at_start = [holder.generator.get_state() for holder in self._foreign(trainer)]

    def state_dict(self, trainer: Trainer, boundary: bool) -> State:
        """What the authors' own generators were when the present epoch began; at a `boundary` it begins now."""
        now = [holder.generator.get_state() for holder in self._foreign(trainer)]
        return {"generators": now if boundary else self.at_start}

    def rewind(self, trainer: Trainer, state: State) -> None:
        """Puts the authors' own generators back to what they were when the epoch began."""
        for holder, kept in zip(self._foreign(trainer), state["generators"], strict=False):
            holder.generator.set_state(kept)
        self.at_start = state["generators"]

    def _foreign(self, trainer: Trainer) -> list[Any]:
        return [h for h in _holders(trainer) if h.generator is not None and not self._is_ours(h.generator)]

    def _is_ours(self, generator: torch.Generator) -> bool:
        return any(generator is ours for ours in self.given)


def skip(trainer: Trainer, batches: int) -> None:
    """Lets go of the first batches of the present epoch; loaders that know where they stand are not asked."""
    fetcher: Any = trainer.fit_loop._data_fetcher
    if batches and not all(isinstance(loader, Stateful) for loader in fetcher.combined_loader.flattened):
        for _ in range(batches):
            next(fetcher.iterator)


def _holders(trainer: Trainer) -> Iterator[Any]:
    """Everything in the training loaders that draws from a generator: the loaders, and their samplers."""
    loaders: Any = trainer.fit_loop._combined_loader
    for loader in loaders.flattened:
        if not isinstance(loader, DataLoader):
            continue
        yield loader
        sampler = getattr(loader.batch_sampler, "sampler", None) or loader.sampler
        if hasattr(sampler, "generator"):
            yield sampler
