"""Parameters of tests of which few are tried every day."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def long_but(few: Collection[str], names: Iterable[str]) -> list[Any]:
    """The names as parameters of a test, of which all but a few are `long`."""
    return [name if name in few else pytest.param(name, marks=pytest.mark.long) for name in names]
