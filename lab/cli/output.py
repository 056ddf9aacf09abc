"""Output of the commands: data on standard output, everything else on standard error."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.errors import BadInput, LabError, RecipeError

PLOT_FORMATS = (".png", ".pdf", ".svg")


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


def number(value: float | None) -> str:
    """Four significant digits; a dash where there is none."""
    return "-" if value is None or math.isnan(value) else f"{value:.4g}"


def check_plot(plot: Path) -> None:
    """Refuses a name that no plot can be written to, before anything slow starts."""
    if plot.suffix.lower() not in PLOT_FORMATS:
        raise BadInput(f"--plot {plot}: expected a name ending in {', '.join(PLOT_FORMATS[:-1])} or {PLOT_FORMATS[-1]}")
    if not plot.parent.is_dir():
        raise BadInput(f"--plot {plot}: there is no folder {plot.parent}")
    if plot.is_dir():
        raise BadInput(f"--plot {plot} is a folder; name a file")


def working() -> contextlib.AbstractContextManager[Any]:
    """While something slow runs: progress bars and tables of libraries go to standard error."""
    return contextlib.redirect_stdout(sys.stderr)


def explain(error: LabError) -> str:
    """The text for standard error: one line, or for a recipe one line per problem and a count."""
    from lab.tracking.redaction import mask_addresses

    if not isinstance(error, RecipeError):
        return mask_addresses(f"error: {error}")
    lines = [" ".join(str(problem).splitlines()) for problem in error.problems]
    places = [problem.where for problem in error.problems if not problem.where.startswith("override ")]
    file = re.sub(r":\d+$", "", places[0]) if places else "the overrides"
    count = f"{len(lines)} problem{'s' if len(lines) > 1 else ''}"
    return mask_addresses("\n".join([*lines, f"{count} in {file}; nothing was started"]))


def surprise(error: Exception, debug: bool) -> str:
    """One line about an unexpected error."""
    from lab.tracking.redaction import mask_secrets

    first = mask_secrets(str(error).strip().partition("\n")[0])
    hint = "" if debug else " (set LAB_DEBUG=1 to see the traceback)"
    return f"error: {type(error).__name__}{': ' if first else ''}{first}{hint}"
