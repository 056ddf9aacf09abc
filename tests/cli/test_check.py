"""`lab check` of studies and claims: everything that is wrong with them, with its line, and nothing is started."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

Lab = Callable[..., Any]
STUDY = """\
recipe: good.yaml
sampler: tpe
trials: 3
space:
  model.lr: {float: [0.001, 0.01], log: true}
"""
CLAIM = """\
claim: more is better
recipe: good.yaml
better: {name: more, set: {model.gamma: 0.9}}
worse: {name: less, set: {model.gamma: 0.5}}
seeds: [0, 1]
"""
WAYS = pytest.mark.parametrize("way", [(), ("--no-import",)])


@pytest.fixture
def files(lab: Any, good: Path) -> Path:
    Path("study.yaml").write_text(STUDY)
    Path("claim.yaml").write_text(CLAIM)
    return good.parent


@pytest.mark.slow
@WAYS
@pytest.mark.usefixtures("files")
def test_several_kinds_in_one_call_and_nothing_is_started(lab: Any, way: tuple[str, ...]) -> None:
    before = sorted(Path().rglob("*"))
    outcome = lab("check", "good.yaml", "study.yaml", "claim.yaml", "pendulum_search", "pendulum_discount", *way)
    assert (outcome.code, outcome.out.split()) == (
        0,
        ["ok", "good.yaml", "ok", "study.yaml", "ok", "claim.yaml", "ok", "pendulum_search", "ok", "pendulum_discount"],
    )
    assert sorted(Path().rglob("*")) == before, "no run, no study, no journal"


@WAYS
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("model.lr", "model.lrr", "study.yaml:5: space.model.lrr.float.0: unknown key 'lrr'; did you mean 'lr'?"),
        ("model.lr", "modle.lr", "study.yaml:5: space.modle.lr.float.0: cannot be part of the space; did you mean"),
        ("tpe", "tpee", "study.yaml:2: sampler: expected 'none', "),
        ("trials: 3", "trails: 3", "study.yaml:3: trails: unknown key 'trails'; did you mean 'trials'?"),
        ("trials: 3", "pruner: none", "study.yaml: trials: missing; tpe needs the number of trials"),
        ("[0.001, 0.01]", "[0.01, 0.001]", "study.yaml:5: space.model.lr.float: the lower limit 0.01 is not below"),
        ("good.yaml", "goood.yaml", "study.yaml:1: recipe: no recipe file 'goood.yaml'"),
        (
            "trials: 3",
            "trials: 3\nset: {model.gama: 1}",
            "study.yaml:4: set.model.gama: unknown key 'gama'; did you mean",
        ),
        ("trials: 3", "trials: 3\nset: {seed: 1}", "study.yaml:4: set.seed: cannot be set here: give `seeds:`"),
        ("trials: 3", "trials: 3\nsampler_args: {n_startup: 1}", "study.yaml:4: sampler_args.n_startup: unknown key"),
        (
            "trials: 3",
            "trials: 3\npruner: median\npruner_args: {n_startup_trials: -1}",
            "study.yaml:5: pruner_args: median",
        ),
        ("trials: 3", "trials: 3\nlauncher: ray", "study.yaml:4: launcher: unknown key 'launcher'"),
    ],
)
@pytest.mark.usefixtures("files")
def test_what_is_wrong_with_a_study(lab: Any, way: tuple[str, ...], old: str, new: str, said: str) -> None:
    Path("study.yaml").write_text(STUDY.replace(old, new))
    outcome = lab("check", "good.yaml", "study.yaml", *way)
    assert (outcome.code, outcome.out) == (2, "ok good.yaml\n")
    assert said in outcome.err
    assert " in study.yaml; nothing was started" in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("data.batch_size: {float: [16, 64]}", "space.data.batch_size.float.0: expected a whole number"),
        ("data.batch_size: {int: [0, 64], step: 16}", "space.data.batch_size.int.0: expected a whole number above 0"),
        ("model.gamma: {float: [0.5, 1.5], step: 0.5}", "space.model.gamma.float.1: expected a number from 0 to 1"),
        ("model.gamma: {float: [0.5, 1.2], step: 0.5}", ""),  # 1.0 is the last value that is ever taken
    ],
)
@pytest.mark.usefixtures("files")
def test_a_range_is_judged_by_every_value_it_may_take(lab: Any, entry: str, said: str) -> None:
    Path("study.yaml").write_text(STUDY.replace("model.lr: {float: [0.001, 0.01], log: true}", entry))
    outcome = lab("check", "study.yaml")
    assert outcome.code == (2 if said else 0), outcome.err
    assert said in outcome.err


@WAYS
@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("model.gamma: 0.5", "model.gama: 0.5", "claim.yaml:4: worse.set.model.gama: unknown key 'gama'; did you mean"),
        ("recipe: good", "recipe: gooood", "claim.yaml:2: recipe: no recipe file 'gooood.yaml'"),
        ("name: less,", "name: less, recipe: nowhere,", "claim.yaml:4: worse.recipe: no recipe file 'nowhere'"),
        ("seeds: [0, 1]", "seeds: [0]", "claim.yaml:5: seeds: expected"),
        ("seeds:", "set: {seed: 3}\nseeds:", "claim.yaml:5: set.seed: cannot be set here: give `seeds:`"),
        ("better:", "beter:", "claim.yaml:3: beter: unknown key 'beter'; did you mean 'better'?"),
    ],
)
@pytest.mark.usefixtures("files")
def test_what_is_wrong_with_a_claim(lab: Any, way: tuple[str, ...], old: str, new: str, said: str) -> None:
    Path("claim.yaml").write_text(CLAIM.replace(old, new))
    outcome = lab("check", "claim.yaml", *way)
    assert (outcome.code, outcome.out) == (2, "")
    assert said in outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.usefixtures("files")
def test_the_sides_of_a_claim_need_one_metric_and_its_direction(lab: Any) -> None:
    Path("claim.yaml").write_text(CLAIM + "metric: loss\n")
    outcome = lab("check", "claim.yaml")
    assert outcome.code == 2
    assert outcome.err.startswith("claim.yaml: mode: missing; give min or max for loss\n1 problem")


@pytest.mark.usefixtures("files")
def test_settings_and_json(lab: Any) -> None:
    outcome = lab("check", "study.yaml", "-o", "trials=0", "--json", "--no-import")
    (verdict,) = json.loads(outcome.out)
    assert (outcome.code, verdict["kind"], verdict["ok"]) == (2, "study", False)
    assert verdict["problems"][0]["where"] == "override trials=0"
    outcome = lab("check", "claim.yaml", "-o", "seeds=[1,2]")
    assert "claim.yaml: --override seeds=[1,2]: a claim takes no settings" in outcome.err


@WAYS
@pytest.mark.usefixtures("files")
def test_a_name_that_nothing_has(lab: Any, way: tuple[str, ...]) -> None:
    outcome = lab("check", "pendulum_serch", *way)
    assert outcome.code == 2
    assert "no recipe, study or claim file 'pendulum_serch', and none installed; did you mean 'pendulum_search'?" in (
        outcome.err
    )


def test_a_dataset_that_is_not_here_is_named_with_its_command(
    lab: Lab, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lab.cli.check import missing_datasets
    from lab.data import DatasetInfo

    about: dict[str, Any] = {"field": "vision", "description": "", "source": "", "origin": "real", "read": print}
    away = DatasetInfo(name="away", path=Path("away"), fetch=print, **about)
    made = DatasetInfo(name="made", **about)
    assert missing_datasets(SimpleNamespace(dataset=away, other=made, size=3)) == ["away"]
    assert missing_datasets(None) == []
    monkeypatch.setattr("lab.cli.check.missing_datasets", lambda _: ["away"])
    outcome = lab("check", str(good))
    assert (outcome.code, outcome.out) == (0, "ok good.yaml\n")
    assert "dataset away is not in" in outcome.err
    assert "lab data fetch away" in outcome.err
