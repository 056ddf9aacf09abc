"""Valid names of metrics and files, from any name of a metric, an experiment or a study."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import sha256

INTERNAL = "mlflow.lab."  # begins the tags that only lab reads; MLflow's pages show no tag that begins with `mlflow.`
DESCRIPTION = "mlflow.note.content"  # tag: MLflow shows it on the page of a run
KIND = f"{INTERNAL}kind"  # tag of a run that is none of a recipe: `study`
LONGEST_FILE = 200  # characters of a file's name; file systems take 255
LONGEST = 250  # characters of a metric's name that MLflow takes


@lru_cache(maxsize=10_000)
def metric_name(name: str) -> str:
    """A metric's name with `_` for each character that MLflow refuses: `map@50` -> `map_50`."""
    return _path(re.sub(r"[^/\w.\- :]", "_", name))


def file_name(name: str, step: int | None, ending: str) -> str:
    """The path of an artifact for something that is logged again and again: `net/w`, 20 -> `net/w_00000020.png`."""
    stem = _path(re.sub(r"[^/\w.\-]", "_", name))
    return f"{stem}{'' if step is None else f'_{step:08d}'}{ending}"


def _path(name: str) -> str:
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    return "/".join(parts)[:LONGEST].rstrip("/") or "_"


def safe_file_name(name: str) -> str:
    """A name of a file or folder for any text: different for different ones, and never a path.

    MLflow decodes `%2F` in a path and then refuses it, so what is more than letters, digits, `_`, `-` and `.` becomes
    `_`, and a digest tells such names apart.
    """
    plain = re.fullmatch(r"[\w-]([\w.-]*[\w-])?", name, re.ASCII) and len(name) <= LONGEST_FILE
    if plain and not re.search("-[0-9a-f]{12}$", name):
        return name
    start = re.sub(r"[^\w-]", "_", name, flags=re.ASCII)[:60]
    return f"{start}-{sha256(name.encode()).hexdigest()[:12]}"


def model_name(text: str) -> str:
    """A name of a logged model, in which MLflow takes fewer characters.

    >>> model_name("mine.2: small")
    'mine-2- small'

    Args:
        text: the name as a person gave it.
    """
    return re.sub("[/:.%\"']", "-", text)
