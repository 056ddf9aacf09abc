"""A run in TensorBoard's files: its curves, images, texts and parameters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from lab.tracking.journal import Operation
from lab.tracking.mirror.files import logged_file

HOW_TO_LOOK = "tensorboard --logdir {base}"
FROM_THE_START = False


class Mirror:
    """Writes event files.

    Args:
        folder: where they go.
        journal: the folder that relative names of files begin at.
        experiment, name, run_id: about the run; the folder says them.
    """

    uploading = False

    def __init__(self, folder: Path, journal: Path, *_: object) -> None:
        self.journal = journal
        self.writer: Any = SummaryWriter(str(folder))

    def send(self, operations: Sequence[Operation]) -> bool:
        operation = operations[0]
        kind = operation["op"]
        if kind == "metrics":
            for points in operations:
                for name, value, milliseconds, step in points["metrics"]:
                    self.writer.add_scalar(name, value, step, walltime=milliseconds / 1000)
        elif kind == "params":
            for summary in hparams(operation["params"], {}):
                self.writer.file_writer.add_summary(summary)
        elif kind == "artifact":
            self._file(operation)
        self.writer.flush()
        return True

    def _file(self, operation: Operation) -> None:
        file = logged_file(operation, self.journal)
        if file is None:
            return
        if file.is_picture:
            with Image.open(file.path) as image:
                self.writer.add_image(file.name, np.asarray(image.convert("RGB")), file.step, dataformats="HWC")
        elif file.path.suffix == ".md":
            self.writer.add_text(file.name, file.path.read_text(), file.step)
