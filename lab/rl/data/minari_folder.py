"""The folder of Minari data sets and their names; without Minari."""

from __future__ import annotations

import itertools
import json
import os
import re
from pathlib import Path
from typing import Any

from lab.data import root

MINARI_ID = re.compile(r"(?!./[^/]*$)([\w-]+/)*[\w-]+-v\d+")  # mujoco/hopper/medium-v0; a folder of one letter is none


def minari_root() -> Path:
    """The folder of all Minari data sets: `MINARI_DATASETS_PATH`, or `minari` in the folder of data sets."""
    return Path(os.environ.get("MINARI_DATASETS_PATH") or root() / "minari")


def minari_names() -> list[str]:
    """The ids of the data sets that are there."""
    folder = minari_root()
    found = [file.parent.parent.relative_to(folder).as_posix() for file in folder.rglob("data/metadata.json")]
    return sorted(name for name in found if MINARI_ID.fullmatch(name))


def minari_metadata(name: str) -> dict[str, Any]:
    """The metadata of a Minari data set; empty where it is not there or cannot be read."""
    try:
        found = json.loads((minari_root() / name / "data" / "metadata.json").read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        return {}


def free_minari_name(env: str, task: str) -> str:
    """The first version of `environment/task` that is not there yet.

    >>> free_minari_name("Pendulum-v1", "sac")
    'pendulum/sac-v0'
    """
    words = [re.sub(r"[^\w-]+", "-", each.lower()) for each in (re.sub(r".*[:/]|-v\d+$", "", env), task)]
    return next(name for i in itertools.count() if not (minari_root() / (name := f"{'/'.join(words)}-v{i}")).exists())
