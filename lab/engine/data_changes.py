"""Comparison of the data with those at the start of the run, when it is resumed."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import CombinedLoader
from torch.utils.data import IterableDataset

from lab import files
from lab.engine.saver import Saver
from lab.fingerprint import Fingerprint, differences, of_plain, of_rows, of_settings, texts
from lab.sentences import note
from lab.task import hook

DATA = "data.json"  # beside the checkpoints


@runtime_checkable
class DatasetLog(Protocol):
    """A logger that records on which data a run was trained."""

    def log_dataset(self, name: str, digest: str, context: str, **about: str) -> None: ...


class DataChanges(Callback):
    """Writes a fingerprint of the data beside the checkpoints, and compares it when the run goes on from one.

    The logger is told as well: it records the data by its name, its size and a digest of the fingerprint.

    Files and facts are compared before the module is restored, because other facts may make another network; rows in
    memory when the loaders are there.

    Args:
        saver: knows the folder of the checkpoints.
        name: of the data set.
        section: the section of the recipe that says where the data lies.
        settings: what stands there.
        resumed: whether the run goes on from a checkpoint.
    """

    def __init__(self, saver: Saver, name: str, section: str, settings: Mapping[str, Any], resumed: bool) -> None:
        self.name = name
        self.saver, self.section, self.settings, self.resumed = saver, section, settings, resumed
        self.then: dict[str, dict[str, Fingerprint]] = {}
        self.now: dict[str, dict[str, Fingerprint]] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002
        if stage != "fit" or not trainer.is_global_zero:
            return
        if self.resumed:
            with contextlib.suppress(OSError, ValueError):  # nothing to compare with
                self.then = json.loads((self.saver.folder / DATA).read_text())
        found: dict[str, Fingerprint] = {}
        data = trainer.datamodule  # type: ignore[attr-defined]
        for name in ("facts", "fingerprint"):
            if (ask := hook(data, name)) is not None:
                found[name] = of_plain(ask())
        self._compare("settings", found | of_settings(self.settings, self.section))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        found: dict[str, Fingerprint] = {}
        if not trainer.reload_dataloaders_every_n_epochs:  # type: ignore[attr-defined] # else they may differ each time
            for split, loaders in {"train": trainer.train_dataloader, "val": trainer.val_dataloaders}.items():
                flat = CombinedLoader(loaders).flattened if loaders is not None else []
                for i, loader in enumerate(flat):
                    dataset = getattr(loader, "dataset", None)
                    if dataset is not None and not isinstance(dataset, IterableDataset):
                        found[f"{split} data" if len(flat) == 1 else f"{split} data {i}"] = of_rows(dataset)
        self._compare("rows", found)
        with files.replacing(self.saver.folder / DATA) as file:
            file.write(json.dumps(self.now, indent=1).encode())
        logger: object = trainer.logger
        if isinstance(logger, DatasetLog):
            data = getattr(trainer, "datamodule", None) or pl_module
            self._record(logger, f"{type(data).__module__}.{type(data).__qualname__}")

    def _record(self, logger: DatasetLog, code: str) -> None:
        """Records the data that is trained on; where it has a fingerprint of its own, its facts do not count."""
        parts, rows = self.now["settings"], self.now["rows"]
        marks = {key: value for key, value in parts.items() if key != "facts" or "fingerprint" not in parts}
        text = json.dumps([self.name, marks, rows], sort_keys=True)
        counts = {part.replace(" data", "_rows"): about["rows"] for part, about in rows.items() if "rows" in about}
        size = {"num_rows": counts["train_rows"]} if "train_rows" in counts else {}
        place = next((text for key, _, text in texts(self.settings, self.section) if key in parts), None)
        logger.log_dataset(
            self.name,
            hashlib.blake2b(text.encode(), digest_size=4).hexdigest(),
            "training",
            source_type="code" if place is None else "local",
            source=json.dumps({"tags": {"mlflow.source.name": code}} if place is None else {"uri": place}),
            profile=json.dumps(size | counts | parts.get("fingerprint", {})),
        )

    def _compare(self, part: str, found: dict[str, Fingerprint]) -> None:
        self.now[part] = found
        if part in self.then and (changed := differences(self.then[part], found)):
            words = f"the data changed since the run was saved: {'; '.join(changed)}"
            note(f"{words}; results may differ")
