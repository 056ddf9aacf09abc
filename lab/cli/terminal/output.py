"""Data on standard output: JSON, and names of files for plots."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.errors import BadInput

PLOT_FORMATS = (".png", ".pdf", ".svg")


def keep_stdout_for_data() -> None:
    """What C libraries write to standard output goes to standard error, for the whole process; Python prints as before.

    PyBullet, for one, says there how it was started, before the JSON of `lab run --json`.
    """
    if sys.stdout is None or sys.stderr is None:  # closed by the shell: `lab runs >&-`
        return
    ours = sys.stdout
    ours.flush()
    sys.stdout = os.fdopen(os.dup(1), "w", encoding=ours.encoding, errors=ours.errors)
    os.dup2(2, 1)


def emit(value: Any) -> None:
    """Print `value` as JSON and nothing else."""
    print(json.dumps(plain(value), indent=2, ensure_ascii=False))


def plain(value: Any) -> Any:
    """JSON's own types; a number JSON cannot write (NaN, infinity) becomes null."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(key): plain(entry) for key, entry in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(entry) for entry in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return str(value)


def check_plot(plot: Path) -> None:
    """Refuses a name that no plot can be written to, before anything slow starts."""
    if plot.suffix.lower() not in PLOT_FORMATS:
        raise BadInput(f"--plot {plot}: expected a name ending in {', '.join(PLOT_FORMATS[:-1])} or {PLOT_FORMATS[-1]}")
    if not plot.parent.is_dir():
        raise BadInput(f"--plot {plot}: there is no folder {plot.parent}")
    if plot.is_dir():
        raise BadInput(f"--plot {plot} is a folder; name a file")
