"""What holds for every test."""

import sys

import pytest


@pytest.fixture(autouse=True)
def ordinary_numbers():
    """A run flushes denormal numbers for its whole process; tests that follow want them back."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)
