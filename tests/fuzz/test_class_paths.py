"""A recipe that names any callable of Python or of a library, as a callback or as an argument, calls nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.long
def test_no_class_path_is_called() -> None:
    every = 3  # of so many names one is tried
    command = [sys.executable, "-m", "tests.fuzz.class_paths", str(every)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert int(done.stdout.split()[0].replace(",", "")) > 20_000
