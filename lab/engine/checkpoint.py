"""The checkpoint files of a run.

A checkpoint is Lightning's own file with one more entry, `lab`, and its folder looks like this:

    best.ckpt        the best monitored metric, for testing and use
    last.ckpt        where a resume goes on
    previous.ckpt    the one before, for the day `last.ckpt` cannot be read
    buffers/         what a data module appends, see its hooks `write_buffers` and `read_buffers`
    process1/        of a run with several processes: what is the second one's own
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning import LightningModule
from lightning.fabric.plugins import CheckpointIO

from lab import files
from lab.engine.hyperparameters import with_plain_hyperparameters
from lab.engine.plain_values import Marks, pack, unpack
from lab.errors import LabError
from lab.sentences import note

MARKS = "lab_marks"  # what values were that are kept as plainer ones
OBJECTS = "lab_objects"  # entries that the module writes and no checkpoint can keep: those of the rebuilt module count
LAST, PREVIOUS, NEXT, BUFFERS = "last.ckpt", "previous.ckpt", "next.ckpt", "buffers"


class Files(CheckpointIO):
    """Lightning's reading and writing of checkpoints: atomic, checked, and never running code from a file."""

    def __init__(self, module: LightningModule | None = None) -> None:
        self.module = module
        self.left_out: set[str] = set()  # of which was warned

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:  # noqa: ARG002
        plain, lost = with_plain_hyperparameters(checkpoint)
        marks, own = self._pack(plain)
        plain |= ({MARKS: marks} if marks else {}) | ({OBJECTS: list(own)} if own else {})
        self._say(lost, "`lab resume` creates them again from the recipe")
        self._say([f"{key} ({kind})" for key, kind in own.items()], "a resumed run takes them from a new module")
        files.save(plain, Path(path))

    def load_checkpoint(
        self,
        path: Any,
        map_location: Any = None,
        weights_only: bool | None = None,  # noqa: ARG002 - always
    ) -> dict[str, Any]:
        checkpoint: dict[str, Any] = files.load(Path(path), map_location or "cpu")
        for key, marks in checkpoint.pop(MARKS, {}).items():
            checkpoint[key] = unpack(checkpoint[key], marks)
        if own := checkpoint.pop(OBJECTS, []):
            made = self._of_module(checkpoint)
            checkpoint |= {key: made[key] for key in own if key in made}
        return checkpoint

    def _pack(self, checkpoint: dict[str, Any]) -> tuple[Marks, dict[str, str]]:
        """Makes entries plain in place; their marks, and the module's own entries of which that cannot be."""
        marks, own = Marks(), dict[str, str]()
        for key, value in list(checkpoint.items()):
            try:
                checkpoint[key], mark = pack(value)
            except TypeError:
                if key in self._of_module(checkpoint, without=key):
                    own[key] = type(checkpoint.pop(key)).__name__
                continue  # that of somebody else is refused when it is written
            if mark:
                marks[key] = mark
        return marks, own

    def _say(self, lost: list[str], instead: str) -> None:
        if lost and not self.left_out.issuperset(lost):
            self.left_out.update(lost)
            note(f"checkpoints do not contain {', '.join(lost)}; {instead}")

    def _of_module(self, checkpoint: dict[str, Any], without: str | None = None) -> dict[str, Any]:
        """A copy of the checkpoint with what the module, as it is now, writes into it besides."""
        copy = {
            key: dict(value) if type(value) is dict else value for key, value in checkpoint.items() if key != without
        }
        if self.module is not None:
            self.module.on_save_checkpoint(copy)
        return copy

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


def usable(folder: Path) -> Path | None:
    """The newest checkpoint in `folder` that can be read; None if there is none. Says aloud what it passes over.

    Raises:
        LabError: there are some, and none can be read.
    """
    found = [folder / name for name in (NEXT, LAST, PREVIOUS) if (folder / name).exists()]
    for path in found:
        try:
            for name in files.load(path)["lab"]["buffers"]:
                files.check(folder / BUFFERS / name)
        except (files.Corrupt, OSError, LookupError, TypeError) as error:
            note(f"skipped the damaged checkpoint {path.name}: {error}")
            path.replace(path.with_suffix(".broken"))
        else:
            return path
    if found:
        raise LabError(f"no checkpoint in {folder} can be read; start the run again from its recipe.yaml")
    return None
