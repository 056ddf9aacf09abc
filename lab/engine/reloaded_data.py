"""Training data that a run makes anew in later epochs, and that a resumed run gets back from the checkpoint."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.utilities import CombinedLoader
from torch.utils.data import Dataset, Sampler

from lab.engine.loop_state import State
from lab.engine.plain_values import AS_IS, pack
from lab.fingerprint import of_value
from lab.sentences import note


@dataclass(frozen=True)
class Part:
    """An attribute of a dataset or of a sampler.

    Args:
        value: of it.
        put: replaces it.
        digest: another value has another one.
        plain: whether a checkpoint can hold the value.
    """

    value: Any
    put: Callable[[Any], None]
    digest: str
    plain: bool = True


class ReloadedData:
    """The contents of training loaders, where `reload_dataloaders_every_n_epochs` has them made anew.

    A resumed run makes its first loaders as the run did when it began. Where the loaders of a later epoch hold
    something else in memory, for example data that the module drew at the end of the epoch before, the checkpoint has
    it, and it is put into the first loaders of the resumed run. What cannot be kept or put back is said aloud.
    """

    def __init__(self) -> None:
        self.first: dict[str, str] | None = None  # digests of the first loaders of this process, by name of the part
        self.changed: State = {}  # parts of the present ones that differ from them
        self.lost: list[str] = []  # other such parts, that no checkpoint can hold
        self.loaded: State | None = None
        self.datasets: list[Any] = []  # of the present loaders
        self.said = False

    def state_dict(self) -> State:
        return {"changed": self.changed, "lost": self.lost}

    def load_state_dict(self, state: State) -> None:
        self.loaded = state

    def made(self, trainer: Trainer, loaders: Any) -> Any:
        """Takes note of loaders that were just made, and returns them; the first ones after a restart are filled."""
        if not trainer.reload_dataloaders_every_n_epochs:  # type: ignore[attr-defined]
            return loaders
        flat = CombinedLoader(loaders).flattened
        self.datasets = [loader.dataset for loader in flat if hasattr(loader, "dataset")]
        parts = dict(_parts(flat))
        if self.first is not None:
            self._keep(trainer, self.first, parts)
            return loaders
        self.first = {name: part.digest for name, part in parts.items()}
        if self.loaded is not None:
            self._put_back(trainer, self.loaded, parts)
        return loaders

    def _keep(self, trainer: Trainer, first: Mapping[str, str], parts: dict[str, Part]) -> None:
        differ = [name for name, part in parts.items() if part.digest != first.get(name)]
        self.lost = [name for name in differ if name not in first or not parts[name].plain]
        self.changed = {name: parts[name].value for name in differ if name not in self.lost}
        if self.lost and not self.said and trainer.is_global_zero:
            self.said = True
            note(
                f"checkpoints do not contain {self.lost[0]}, which later epochs make anew: a run that is resumed in "
                "one of them goes on with other data; keep the data as tensors or arrays in datasets of one class"
            )

    def _put_back(self, trainer: Trainer, loaded: State, parts: dict[str, Part]) -> None:
        self.changed, self.lost = loaded.get("changed", {}), loaded.get("lost", [])
        for name in self.changed.keys() & parts.keys():
            parts[name].put(self.changed[name])
        missing = [*self.lost, *(name for name in self.changed if name not in parts)]
        if missing and trainer.is_global_zero:
            note(
                f"the checkpoint does not contain {missing[0]} of this epoch: the results differ from those of a run "
                "that was not interrupted"
            )


def _parts(loaders: list[Any]) -> Iterator[tuple[str, Part]]:
    """All that datasets and samplers hold in memory, by names such as `the training dataset TensorDataset.tensors`."""
    seen: set[int] = set()
    for i, loader in enumerate(loaders):
        for source in ("dataset", "sampler", "batch_sampler"):
            name = f"the training {source}{f' {i}' if len(loaders) > 1 else ''}"
            yield from _inside(name, getattr(loader, source, None), seen)


def _inside(name: str, holder: object, seen: set[int]) -> Iterator[tuple[str, Part]]:
    if isinstance(holder, Dataset | Sampler) and id(holder) not in seen:
        seen.add(id(holder))
        for attribute, value in vars(holder).items():
            if not attribute.startswith("__"):  # Lightning's
                put = partial(setattr, holder, attribute)
                yield from _part(f"{name} {type(holder).__qualname__}.{attribute}", value, put, seen)


def _part(name: str, value: Any, put: Callable[[Any], None], seen: set[int]) -> Iterator[tuple[str, Part]]:
    try:
        plain, _ = pack(value)
    except TypeError:
        if isinstance(value, Dataset | Sampler):
            yield from _inside(name, value, seen)
        elif isinstance(value, MutableMapping):
            for key, each in value.items():
                yield from _part(f"{name}[{key!r}]", each, partial(value.__setitem__, key), seen)
        elif isinstance(value, list | tuple) and any(isinstance(each, Dataset | Sampler) for each in value):
            for i, each in enumerate(value):
                yield from _inside(f"{name}[{i}]", each, seen)
        elif (digest := of_value(value)) is not None:
            yield name, Part(value, put, digest, plain=False)
    else:
        whole = hashlib.blake2b(digest_size=16)
        _add(whole, plain)
        yield name, Part(value, put, whole.hexdigest())


def _add(digest: Any, value: Any) -> None:
    """Adds all of a plain value to the digest."""
    if isinstance(value, torch.Tensor):
        digest.update(f"{value.dtype} {tuple(value.shape)}".encode())
        rows = (value.to_dense() if value.layout != torch.strided else value).detach().cpu().reshape(-1).contiguous()
        digest.update(rows.view(torch.uint8).numpy().data)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            digest.update(repr(key).encode())
            _add(digest, each)
    elif isinstance(value, list | tuple | set) and not all(isinstance(each, AS_IS) for each in value):
        for each in value:
            _add(digest, each)
    else:
        digest.update(repr(value).encode())
