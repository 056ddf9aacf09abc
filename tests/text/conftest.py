"""Shared by the tests of texts."""

from __future__ import annotations

from typing import Any

import pytest

from lab import plots


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The pictures that a test's tasks draw, by name."""
    found: dict[str, Any] = {}
    monkeypatch.setattr(plots, "log_figure", lambda _, name, picture: found.update({name: picture}))
    return found
