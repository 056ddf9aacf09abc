"""What the commands of studies print at 80 and at 60 columns, compared with golden files; see golden_files.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import golden_files
import pytest
import works

from lab.cli import main

STUDY = "recipe: recipe.yaml\nsampler: grid\nspace: {model.lr: [0.001, 0.01, 1.0]}\nseeds: [0, 1]\n"
CLAIM = """\
claim: A rate of 0.01 beats one of 1
recipe: recipe.yaml
better: {name: small, set: {model.lr: 0.01}}
worse: {name: large, set: {model.lr: 1.0}}
metric: test/return
seeds: [0, 1, 2]
"""
WRONG = CLAIM.replace("0.01 beats one of 1", "1 beats one of 0.01").replace("better", "x").replace("worse", "better")
WRONG = WRONG.replace("x:", "worse:")


@pytest.fixture
def golden(home: Path, inline: Any, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Calls a command whose trainings are `work` at both widths, and compares."""
    monkeypatch.setattr("lab.study.work.display.SILENCE_SECONDS", 1e6)  # no line more on a machine that is busy

    def call(work: Any, command: str, file_text: bool = False) -> None:
        def show(width: int) -> Any:
            golden_files.terminal(monkeypatch, width, errors=False)  # a display differs from run to run
            inline(work)
            capsys.readouterr()
            with pytest.raises(SystemExit) as leaving:
                main(command.split())
            out, err = capsys.readouterr()
            return SimpleNamespace(code=leaving.value.code, out=out, err=err)

        golden_files.check(command, show, file_text, "studies", folder=home)

    return call


@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_studies(golden: Callable[..., None]) -> None:
    Path("rates.yaml").write_text(STUDY)
    golden(works.failing, "tune rates.yaml --workers 1")
    golden(works.failing, "studies")
    golden(works.failing, "tune apply rates", file_text=True)


@pytest.mark.slow
def test_seeds_that_fail(golden: Callable[..., None]) -> None:
    golden(works.failing_with_seed_1, "run recipe.yaml --seeds 3 --workers 1 --name three")


@pytest.mark.slow
def test_a_claim(golden: Callable[..., None]) -> None:
    Path("rate.yaml").write_text(CLAIM)
    golden(works.instant, "claim rate.yaml --workers 1")
    Path("wrong.yaml").write_text(WRONG)
    golden(works.instant, "claim wrong.yaml --workers 1")


@pytest.mark.slow
def test_folds(golden: Callable[..., None]) -> None:
    golden(works.instant, "run classify_digits --folds 3 --workers 1 --name no_score")
    golden(works.classified, "run classify_digits --folds 3 --workers 1 --name three_folds")
