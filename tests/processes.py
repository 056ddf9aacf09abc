"""Commands in processes of their own, begun where the libraries are imported already: see `lab.testing.processes`."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from lab.testing.processes import Process


class Started(Process):
    """`python -m MODULE WORDS` in a folder, with what it says.

    Args:
        folder: where it runs.
        module: what is run.
        words: its arguments.
        settings: more variables than this process has.
    """

    def __init__(self, folder: Path, module: str, *words: str, **settings: str) -> None:
        env = {key: value for key, value in os.environ.items() if key != "MLFLOW_TRACKING_URI"} | settings
        self.said = tempfile.TemporaryDirectory()
        self.files = [Path(self.said.name, name) for name in ("out", "err")]
        super().__init__(module, words, *self.files, folder, env)

    def communicate(self, timeout: float = 120.0) -> tuple[str, str]:
        """What it wrote until it ended."""
        self.wait(timeout)
        out, err = (file.read_text() for file in self.files)
        return out, err


def lab(folder: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """`lab` with these words, in that folder, until it ended."""
    process = Started(folder, "lab", *words, **settings)
    out, err = process.communicate(timeout=300)
    assert process.returncode is not None
    return subprocess.CompletedProcess(words, process.returncode, out, err)
