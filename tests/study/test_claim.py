"""Claims: what the scores of two sides decide, and seeds of one recipe side by side."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import works

from lab import stats
from lab.errors import BadInput, LabError, RecipeError
from lab.registry import recipes
from lab.study.claim import load_claim, make_plans
from lab.study.judgement import judge, verdict
from lab.study.report.table import table
from lab.study.seeds import plan_of, repeat, summarize
from lab.study.work.parent_run import ParentRun

CLAIM = """\
claim: A rate of 0.01 beats one of {worse}
recipe: recipe.yaml
better: {{name: middle, set: {{model.lr: 0.01}}}}
worse: {{name: other, set: {{model.lr: {worse}}}}}
metric: test/return
seeds: [0, 1, 2, 3, 4, 5, 6, 7]
"""


@pytest.fixture
def judged(home, inline):
    def call(worse: float, work=works.instant):
        inline(work)
        Path("claim.yaml").write_text(CLAIM.format(worse=worse))
        return judge(load_claim(Path("claim.yaml")))

    return call


@pytest.mark.slow
def test_a_claim_is_upheld_refuted_or_undecided_by_the_scores(judged):
    found = judged(0.1)  # a score of 0.01 a seed below 0, against one of the same below -1
    assert found.verdict == "upheld"
    assert found.probability == 1.0
    assert found.evidence[0].scores == pytest.approx({seed: -seed / 100 for seed in range(8)})
    assert found.evidence[1].mean == pytest.approx(-1.035)


@pytest.mark.slow
def test_the_other_way_round_it_is_refuted(home, inline):
    inline(works.instant)
    Path("claim.yaml").write_text(CLAIM.format(worse=0.01).replace("model.lr: 0.01}", "model.lr: 0.1}", 1))
    assert judge(load_claim(Path("claim.yaml"))).verdict == "refuted"


@pytest.mark.slow
def test_a_changed_claim_is_refused_with_the_way_out(judged):
    judged(0.1)
    with pytest.raises(BadInput, match=r"definition .*; judge a copy of the claim: lab cp claim.yaml claim_2.yaml$"):
        judged(0.2)


@pytest.mark.slow
def test_what_differs_by_less_than_the_seeds_do_is_undecided(judged):
    found = judged(0.0101)
    assert found.verdict == "undecided"
    assert found.interval.low < 0.5 < found.interval.high


@pytest.mark.slow
def test_a_second_time_trains_nothing(judged, inline):
    first = judged(0.1)
    launcher = inline(works.instant)
    assert judge(load_claim(Path("claim.yaml"))) == first
    assert launcher.begun == []


@pytest.mark.slow
def test_a_side_that_fails_has_no_score_and_there_is_no_verdict(judged):
    said = (
        r"^no verdict, for not every training has a score; other: seed 1: the loss is not a number at step 3; lab stu"
    )
    with pytest.raises(LabError, match=said):
        judged(1.0, works.failing)


@pytest.mark.slow
def test_both_sides_that_fail_are_named(judged):
    with pytest.raises(LabError, match=r"; middle: seed 1: the loss .*; other: seed 1: the loss .*; lab studies"):
        judged(0.1, works.failing_with_seed_1)


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(0.51, 0.9, "upheld"), (0.1, 0.49, "refuted"), (0.5, 0.9, "undecided"), (0.4, 0.6, "undecided")],
)
def test_the_interval_decides(low, high, word):
    assert verdict(stats.Interval(low, high)) == word


def test_what_is_wrong_with_a_claim_is_said_with_its_line(home):
    text = CLAIM.format(worse=0.1).replace("[0, 1, 2, 3, 4, 5, 6, 7]", "[1]").replace("name: other", "nam: x")
    Path("claim.yaml").write_text(text)
    with pytest.raises(RecipeError) as error:
        load_claim(Path("claim.yaml"))
    said = sorted(str(problem) for problem in error.value.problems)
    assert said[0].startswith("claim.yaml:4: worse.nam: unknown key 'nam'; did you mean 'name'?")
    assert said[-1].startswith("claim.yaml:6: seeds: expected")


@pytest.mark.slow
@pytest.mark.parametrize("name", recipes("claim"))
def test_every_shipped_claim_can_be_judged(name, monkeypatch):
    monkeypatch.setattr("lab.runner.weights.chosen", lambda *_: None)  # the run it begins with is not here
    file = recipes("claim")[name].path
    claim = load_claim(file)
    assert file.read_text().startswith(f"# lab claim {file.stem}\n# ")
    assert [len(plan.entries) for plan in make_plans(claim)] == [1, 1]


@pytest.mark.slow
def test_seeds_of_one_recipe_side_by_side(home, inline):
    launcher = inline(works.instant, workers=2)
    study = repeat(Path("recipe.yaml"), ["seed=3", "model.lr=0.01"], 4)
    assert sorted(job.seed for job in launcher.begun) == [3, 4, 5, 6]
    assert summarize(study.trials[0].results)["test/return"]["mean"] == pytest.approx(-0.045)
    assert table(study.record).lines[0].state == "complete"

    inline(works.instant)
    assert repeat(Path("recipe.yaml"), ["seed=3", "model.lr=0.01"], 4).plan.name == f"{study.plan.name}-2", "finished"


def test_the_trainings_of_a_study_are_runs_of_its_recipe(home):
    plan = plan_of(Path("recipe.yaml"), [], [0, 1])
    tags = ParentRun.tags(SimpleNamespace(run_id="above"), plan, 2)
    own = {"mlflow.parentRunId": "above", "mlflow.source.name": str(plan.recipe.path)}
    assert tags == own | {"study": "recipe", "trial": "2", "recipe": "recipe"}
