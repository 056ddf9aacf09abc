"""Exit codes of the commands that train many times: 1 where a result that was asked for is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import works

from lab.cli import main

SPACE = "recipe: recipe.yaml\nsampler: grid\nspace: {model.lr: [0.1, 1.0]}\n"
CLAIM = """\
claim: A rate of 0.1 beats one of 1
recipe: recipe.yaml
better: {name: small, set: {model.lr: 0.1}}
worse: {name: large, set: {model.lr: 1.0}}
metric: test/return
seeds: [0, 1]
"""


@pytest.fixture
def lab(home: Path, inline: Any, capsys: Any) -> Any:
    """Calls a command whose trainings are `work`: `code, out, err = lab(works.instant, "run", ...)`."""

    def call(work: Any, *words: str) -> tuple[int, str, str]:
        inline(work)
        capsys.readouterr()
        with pytest.raises(SystemExit) as leaving:
            main(words)
        return leaving.value.code, *capsys.readouterr()  # type: ignore[return-value]

    return call


@pytest.mark.slow
def test_seeds(lab: Any) -> None:
    assert lab(works.instant, "run", "recipe.yaml", "--seeds", "3", "--name", "good")[0] == 0
    code, out, err = lab(works.failing_with_seed_1, "run", "recipe.yaml", "--seeds", "3", "--name", "some")
    assert code == 1
    assert (
        "error: not every seed has a score; missing: 1; the first failed with: seed 1: the loss is not a number" in err
    )
    assert "run-0-0" in out, "what is there is shown"
    code, out, err = lab(works.failing_always, "run", "recipe.yaml", "--seeds", "2", "--name", "none", "--json")
    assert code == 1
    assert "missing: 0, 1; the first failed with: seed 0: no memory for seed 0" in err
    said = json.loads(out)
    assert (said["state"], said["results"], said["summary"]) == ("failed", {}, {})
    code, out, _ = lab(works.failing_always, "run", "recipe.yaml", "--seeds", "2", "--name", "none again")
    assert code == 1
    assert "lab compare" not in out, "there is nothing to compare"


@pytest.mark.slow
def test_folds(lab: Any) -> None:
    code, _, err = lab(works.failing_with_fold_1, "run", "classify_digits", "--folds", "2", "--name", "some")
    assert code == 1
    assert "error: not every fold has a score; missing: 1; the first failed with: seed 0: no memory" in err
    code, _, err = lab(works.failing_always, "run", "classify_digits", "--folds", "2", "--name", "none")
    assert code == 1
    assert "missing: 0, 1" in err


@pytest.mark.slow
def test_a_study_fails_where_every_trial_does(lab: Any) -> None:
    Path("study.yaml").write_text(SPACE + "seeds: [0, 1]\n")
    code, out, err = lab(works.failing, "tune", "study.yaml", "--name", "some")
    assert code == 0, "the table says which trial failed"
    assert "seed 1: the loss is not a number at step 3" in out
    assert "lab tune apply some" in out
    code, out, err = lab(works.failing_always, "tune", "study.yaml", "--name", "none")
    assert code == 1
    assert "error: all 2 trials failed; the first: seed 0: no memory for seed 0" in err
    assert "apply" not in out
    code, _, err = lab(works.nameless, "tune", "study.yaml", "--name", "nameless")
    assert code == 1
    assert "no run logs the metric 'best/val/return'" in err


@pytest.mark.slow
def test_a_claim_has_no_verdict_where_a_training_fails(lab: Any) -> None:
    Path("claim.yaml").write_text(CLAIM)
    code, out, _ = lab(works.instant, "claim", "claim.yaml")
    assert (code, "UPHELD" in out or "UNDECIDED" in out) == (0, True)
    Path("second.yaml").write_text(CLAIM)
    code, out, err = lab(works.failing, "claim", "second.yaml", "--json")
    assert (code, out) == (1, "")
    assert "error: no verdict, for not every training has a score; large: seed 1: the loss is not a number" in err
    Path("third.yaml").write_text(CLAIM)
    code, out, err = lab(works.failing_always, "claim", "third.yaml")
    assert (code, out) == (1, "")
    assert "; small: seed 0: no memory for seed 0; large: seed 0: no memory for seed 0; lab studies lists them" in err
