"""Functions that stand for a package's global ones, also for modules that are imported meanwhile."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

from lab.tracking.global_functions.replace import replaced_from_import_on


@pytest.mark.parametrize("before", [True, False])
def test_a_project_that_is_imported_meanwhile(before: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_package.py").write_text("def begin():\n    return 'theirs'\n")
    (tmp_path / "their_project.py").write_text("from their_package import begin\n\nbegun = begin()\n")
    monkeypatch.syspath_prepend(tmp_path)
    if before:
        import_module("their_package")
    finders = list(sys.meta_path)
    try:
        with replaced_from_import_on("their_package", lambda: {"begin": lambda: "ours"}, inside=True):
            project = import_module("their_project")
            assert project.begun == project.begin() == sys.modules["their_package"].begin() == "ours"
        assert project.begin() == sys.modules["their_package"].begin() == "theirs"
    finally:
        for name in ("their_package", "their_project"):
            sys.modules.pop(name, None)
    assert sys.meta_path == finders
