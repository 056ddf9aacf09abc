"""The order of the training data, which Lightning's checkpoints do not contain, and where in it an epoch goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from lightning import Trainer
from lightning.pytorch.utilities import CombinedLoader
from torch.utils.data import DataLoader

from lab.engine.loop_state import State, generators, set_generators


@runtime_checkable
class Stateful(Protocol):
    """A loader that knows by itself where it stands."""

    def state_dict(self) -> State: ...
    def load_state_dict(self, state: State) -> None: ...


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
        self.before_fetch: State | None = None  # the global generators before the last batch was fetched

    def begin(self, trainer: Trainer, fetcher: Any, begun: Callable[[Any], None], restored: State | None) -> None:
        """Prepares the first batch of an epoch, or, after a restart, the first that was not trained on yet.

        Args:
            trainer: its loops have been restored.
            fetcher: Lightning's, which takes the batches from the loaders.
            begun: Lightning's own preparations; in most epochs they make a new iterator.
            restored: what `state_dict` gave when the checkpoint was written, if the run goes on from one.
        """
        self._seed(trainer)
        fetcher.iterator = None
        begun(fetcher)
        if fetcher.iterator is not None:
            return
        # the first epoch in this process: its iterator is older than the seeds
        if restored is not None:
            self._rewind(trainer, restored)
        done = trainer.fit_loop.epoch_loop.batch_progress.current.ready
        if done and all(isinstance(loader, Stateful) for loader in _loaders(trainer)):
            fetcher.iterator = fetcher.combined_loader  # it stands where the loaders' own states have put it
            return
        iter(fetcher)
        _skip(fetcher, done, restored["before_fetch"] if restored is not None else None)

    def fetch_next(self, fetcher: Any) -> None:
        """A batch is about to be fetched; from a loader without a length Lightning fetches it one batch ahead."""
        if getattr(fetcher, "batches", None):
            self.before_fetch = generators()

    def state_dict(self, trainer: Trainer, boundary: bool) -> State:
        """The states of the authors' own generators when the present epoch began; at a `boundary` it begins now."""
        now = [holder.generator.get_state() for holder in self._foreign(trainer)]
        return {"generators": now if boundary else self.at_start, "before_fetch": self.before_fetch}

    def _seed(self, trainer: Trainer) -> None:
        for i, holder in enumerate(_holders(trainer)):
            if holder.generator is None:
                holder.generator = torch.Generator()
                self.given.append(holder.generator)
            if self._is_ours(holder.generator):
                mixed = np.random.SeedSequence([self.seed, trainer.current_epoch, trainer.global_rank, i])
                holder.generator.manual_seed(int(mixed.generate_state(1)[0]))
        self.at_start = [holder.generator.get_state() for holder in self._foreign(trainer)]

    def _rewind(self, trainer: Trainer, state: State) -> None:
        """Puts the authors' own generators back to what they were when the epoch began."""
        for holder, kept in zip(self._foreign(trainer), state["generators"], strict=False):
            holder.generator.set_state(kept)
        self.at_start = state["generators"]

    def _foreign(self, trainer: Trainer) -> list[Any]:
        return [h for h in _holders(trainer) if h.generator is not None and not self._is_ours(h.generator)]

    def _is_ours(self, generator: torch.Generator) -> bool:
        return any(generator is ours for ours in self.given)


def _skip(fetcher: Any, batches: int, before_last: State | None) -> None:
    """Lets go of the first batches of an epoch.

    From a loader without a length one batch is fetched ahead: the last one here is trained on, and has to be the same.
    """
    ahead = getattr(fetcher, "batches", [])
    for i in range(batches):
        if i == batches - 1 and before_last is not None:
            set_generators(before_last)
        ahead.append(next(fetcher.iterator))
        del ahead[0]
    fetcher.fetched += batches


def _loaders(trainer: Trainer) -> list[Any]:
    """The training loaders, however many there are and in whatever they are gathered."""
    return CombinedLoader(trainer.train_dataloader).flattened


def _holders(trainer: Trainer) -> Iterator[Any]:
    """Everything in the training loaders that draws from a generator: the loaders, and their samplers."""
    for loader in _loaders(trainer):
        if not isinstance(loader, DataLoader):
            continue
        yield loader
        sampler = getattr(loader.batch_sampler, "sampler", None) or loader.sampler
        if hasattr(sampler, "generator"):
            yield sampler
