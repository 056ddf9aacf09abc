"""The state of a training run that Lightning's checkpoints do not contain: generators and half-finished averages.

Everything here is plain values and tensors, so that a checkpoint loads with `weights_only=True`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from lightning import LightningModule, Trainer
from torchmetrics import Metric

from lab.engine.boundary import continue_averages, results

State = dict[str, Any]

NEWEST = ("callback_metrics", "logged_metrics", "progress_bar_metrics")  # of the Trainer
ARGUMENTS = (  # of `self.log`, as a logged value remembers them
    "fx", "name", "prog_bar", "logger", "on_step", "on_epoch", "enable_graph", "add_dataloader_idx", "metric_attribute",
)  # fmt: skip


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
    """The counterpart of `generators`; GPUs that are not there any more are left out."""
    python, numpy = state["python"], state["numpy"]
    random.setstate((python["version"], tuple(python["words"].tolist()), python["gauss"]))
    key = numpy["key"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", key, numpy["pos"], numpy["has_gauss"], numpy["gauss"]))
    torch.set_rng_state(state["torch"])
    for i, cuda in enumerate(state.get("cuda", ())):
        if i < torch.cuda.device_count():
            torch.cuda.set_rng_state(cuda, i)


@contextmanager
def generators_preserved() -> Iterator[None]:
    """Afterwards the global generators are as before: how often one validates does not change what is learnt.

    A new iterator of a DataLoader draws a number from torch's, even if it shuffles nothing.
    """
    before = generators()
    try:
        yield
    finally:
        set_generators(before)


def partial_metrics(module: LightningModule) -> State:
    """The states of the module's torchmetrics so far; their own `state_dict` is empty by default."""
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
    """The values that `self.log` has gathered in this epoch, and the newest values of all metrics."""
    gathered = {}
    for key, result in results(trainer).items():
        if result.has_reset:
            continue
        meta = result.meta
        gathered[key] = {
            "arguments": {name: getattr(meta, name) for name in ARGUMENTS} | {"reduce_fx": meta.reduce_fx.__name__},
            "rank_zero_only": meta.sync.rank_zero_only,
            "sync_dist": meta.sync.should,
            "states": {name: value.detach() for name, value in result.metric_state.items() if result.is_tensor},
            "step_name": meta.forked_name(on_step=True),
        }
    return {"gathered": gathered, "newest": {kind: dict(getattr(trainer, kind)) for kind in NEWEST}}


def set_partial_results(trainer: Trainer, state: State) -> None:
    """The counterpart of `partial_results`."""
    device, collection = trainer.strategy.root_device, results(trainer)
    for kind, values in state["newest"].items():
        getattr(trainer, kind).update(values)
    metrics: dict[str | None, Any] = dict(trainer.lightning_module.named_modules())
    for key, kept in state["gathered"].items():
        attribute = kept["arguments"]["metric_attribute"]
        if attribute is None:
            states = {name: value.to(device) for name, value in kept["states"].items()}
            value = trainer.callback_metrics.get(kept["step_name"], states["value"])
        else:  # a torchmetric, which is part of the module
            states, value = {}, metrics[attribute]
        arguments = kept["arguments"] | {"rank_zero_only": kept["rank_zero_only"], "batch_size": 1}
        collection.log(value=value, sync_dist_fn=trainer.strategy.reduce, **arguments)
        for name, part in states.items():
            setattr(collection[key], name, part)
        collection[key].meta.sync.should = kept["sync_dist"]  # only now: restoring it asks no other process
    if trainer.fit_loop.epoch_loop.batch_progress.current.ready:
        continue_averages(trainer)
