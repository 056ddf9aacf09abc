"""The fuzz targets start and pass a short run, and the harness notices what it is there to notice."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed"),
]


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("target", ["recipes", "overrides", "checkpoints"])
def test_a_short_run(target: str, tmp_path: Path) -> None:
    done = python("-m", "tests.fuzz", "--runs", "200", "--only", target, "--keep", str(tmp_path))
    assert done.returncode == 0, done.stdout
    name, inputs = done.stdout.splitlines()[1].split()[:2]
    assert name == target
    assert int(inputs) >= 200
    assert done.stdout.rstrip().endswith("none")


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("os.system('true')", "the input caused os.system"),
        ("open('/etc/hostname')", "the input caused open /etc/hostname"),
        ("eval('1 + ' + '1')", "the input caused compile 1 + 1"),
        ("pickle.loads(pickle.dumps(os.getcwd))", "the input caused pickle.find_class posix"),
        ("__import__('this')", "the input caused import this"),
        ("harness.MARKER.touch()", "code from the input ran"),
        ("len(b'x' * 600_000_000)", "the input took"),
        ("harness.SECONDS = 0.1; sum(range(20_000_000))", "the input took"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_planted_fault_is_found(fault: str, found: str, tmp_path: Path) -> None:
    watched = "with watch.over():\n        " if "caused" in found else ""
    code = f"""
import os, pickle
from tests.fuzz import harness
watch = harness.Watch()
def one(data):
    if data != b"!": return
    {watched}{fault}
harness.start(one, [b"?", b"!"], ["!"], 5)
"""
    done = python("-c", code, "-runs=100", f"-artifact_prefix={tmp_path}/")
    assert found in done.stdout + done.stderr
    assert done.returncode != 0
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"!"}
