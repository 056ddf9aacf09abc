"""What a run sets for its whole process."""

import gc
from collections.abc import Iterator

import pytest

from lab import startup
from lab.engine import process
from lab.engine.process import freeze_heap, frozen_heap


@pytest.fixture(autouse=True)
def thawed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All tests run with a frozen heap, see tests/conftest.py; these freeze it themselves."""
    monkeypatch.setattr(process, "_keepers", 0)
    monkeypatch.setattr(startup, "_frozen", False)
    gc.unfreeze()
    yield
    gc.freeze()


@pytest.mark.slow
def test_the_collector_skips_what_existed_before_training() -> None:
    assert not gc.get_freeze_count()
    with frozen_heap():
        assert gc.get_freeze_count() > 10_000
        with frozen_heap():  # a training inside another one
            pass
        assert gc.get_freeze_count()
    assert not gc.get_freeze_count()


def test_a_heap_that_somebody_else_froze_stays_frozen() -> None:
    freeze_heap()
    try:
        with frozen_heap():
            pass
        assert gc.get_freeze_count()
    finally:
        gc.unfreeze()


@pytest.mark.slow
def test_imports_that_are_frozen_stay_frozen_and_nothing_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the collector looks through them at the process's end, which takes as long as a short training."""
    monkeypatch.setattr(startup, "_frozen", True)
    gc.freeze()
    count = gc.get_freeze_count()
    new: list[list[int]] = [[] for _ in range(1000)]  # what is frozen may be deleted meanwhile, but these must not come
    try:
        with frozen_heap():
            assert count - 100 < gc.get_freeze_count() <= count, len(new)
        assert count - 100 < gc.get_freeze_count() <= count, len(new)
    finally:
        gc.unfreeze()
