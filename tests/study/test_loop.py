"""What becomes of trials: seeds, pruning, failures, and a study that goes on."""

import math
from types import SimpleNamespace

import pytest
import works

from lab.errors import BadInput, LabError
from lab.study.report.summary import best
from lab.study.work import job as trainings
from lab.study.work.job import Job, JobResult

GRID = ("sampler: grid", "space: {model.lr: [0.001, 0.01, 0.1, 1.0]}")


def states(study):
    return [trial.state for trial in study.trials]


def test_a_trials_value_is_the_mean_over_its_seeds(planned, tuned):
    study, jobs = tuned(planned(*GRID, "seeds: [0, 1, 2]"), works.instant)
    assert states(study) == ["complete"] * 4
    assert [trial.values[0] for trial in study.trials] == pytest.approx([-1.01, -0.01, -1.01, -4.01])
    assert [sorted(trial.results) for trial in study.trials] == [[0, 1, 2]] * 4
    assert len(jobs) == 12


def test_another_statistic(planned, tuned):
    study, _ = tuned(planned("sampler: none", "seeds: [0, 1, 50]", "statistic: median"), works.instant)
    assert study.trials[0].values[0] == pytest.approx(-1.01)


@pytest.mark.slow
def test_the_same_study_again_trains_nothing(planned, tuned):
    tuned(planned(*GRID), works.instant)
    study, jobs = tuned(planned(*GRID), works.instant)
    assert jobs == []
    assert states(study) == ["complete"] * 4


@pytest.mark.slow
def test_more_trials_go_on_with_what_there_is(planned, tuned):
    space = "space: {model.lr: {float: [0.001, 1], log: true}}"
    _, first = tuned(planned("sampler: tpe", "trials: 4", space), works.instant)
    study, rest = tuned(planned("sampler: tpe", "trials: 6", space), works.instant)
    _, whole = tuned(planned("sampler: tpe", "trials: 6", space, name="whole"), works.instant)
    assert (len(first), len(rest), len(study.trials)) == (4, 2, 6)
    assert [(job.trial, job.seed) for job in [*first, *rest]] == [(job.trial, job.seed) for job in whole]
    rates = [
        [trial.settings["model.lr"] for trial in one.trials]
        for one in (study, tuned(planned("sampler: tpe", "trials: 6", space, name="whole"), works.instant)[0])
    ]
    assert rates[0] == rates[1], "an interrupted search is the search it would have been"


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["random", "tpe", "cmaes", pytest.param("gp", marks=pytest.mark.long), "qmc"])
def test_each_sampler_finds_a_good_value_of_a_smooth_function(planned, tuned, sampler):
    space = "space: {model.lr: {float: [0.0001, 1], log: true}, model.tau: {float: [0.001, 0.1]}}"
    study, _ = tuned(planned(f"sampler: {sampler}", "trials: 16", space), works.instant)
    values = [trial.values[0] for trial in study.trials]
    assert len({trial.settings["model.lr"] for trial in study.trials}) == 16
    assert max(values) > -0.25, "within a factor of three of the best rate"


@pytest.mark.slow
def test_several_metrics(planned, tuned):
    def both(job, line):
        found = works.instant(job, line)
        return JobResult("finished", {**found.metrics, "seconds": float(job.trial)}, found.run_id)

    space = "space: {model.lr: {float: [0.0001, 1], log: true}}"
    two = planned("sampler: nsga2", "trials: 6", "metric: [test/return, seconds]", "mode: [max, min]", space)
    study, _ = tuned(two, both)
    assert [len(trial.values) for trial in study.trials] == [2] * 6


@pytest.mark.slow
def test_branches_of_the_space_are_sampled_apart(planned, tuned):
    space = (
        "space: {model.noise: {gaussian: {model.sigma: {float: [0.1, 0.2]}}, "
        "ornstein_uhlenbeck: {model.sigma: {float: [0.3, 0.4]}}}}"
    )
    study, _ = tuned(planned("sampler: tpe", "trials: 14", space), works.instant)
    limits = {"gaussian": (0.1, 0.2), "ornstein_uhlenbeck": (0.3, 0.4)}
    assert {trial.settings["model.noise"] for trial in study.trials} == set(limits)
    for trial in study.trials:
        low, high = limits[trial.settings["model.noise"]]
        assert low <= trial.settings["model.sigma"] <= high


@pytest.mark.slow
@pytest.mark.parametrize("pruner", ["median", "hyperband", "patient"])
def test_a_hopeless_curve_ends_its_trial_before_the_other_seeds(planned, tuned, pruner):
    """Rates get worse and worse, so that everything after the first ones is below the median of what was."""
    lines = "sampler: grid", "space: {model.lr: [0.01, 0.011, 0.012, 0.013, 0.014, 0.015, 0.3, 0.5, 0.7, 1.0]}"
    work = works.falling if pruner == "patient" else works.curve
    study, jobs = tuned(planned(*lines, f"pruner: {pruner}", "seeds: [0, 1]"), work)
    pruned = {trial.entry for trial in study.trials if trial.state == "pruned"}
    assert pruned
    assert pruned <= {trial.entry for trial in study.trials} - {0}
    assert all(not trial.results for trial in study.trials if trial.state == "pruned")
    assert len(jobs) == 20 - len(pruned)
    if pruner == "median":
        assert pruned >= {6, 7, 8, 9}


def test_wilcoxon_ends_a_trial_that_loses_seed_by_seed(planned, tuned):
    seeds = "seeds: [0, 1, 2, 3, 4, 5, 6, 7]"
    study, jobs = tuned(
        planned("sampler: grid", "space: {model.lr: [0.01, 1.0]}", "pruner: wilcoxon", seeds), works.instant
    )
    assert states(study) == ["complete", "pruned"]
    assert 2 <= len(study.trials[1].results) < 8
    assert len(jobs) == 8 + len(study.trials[1].results)


@pytest.mark.slow
def test_a_training_that_fails_fails_its_trial_alone(planned, tuned):
    study, jobs = tuned(planned(*GRID, "seeds: [0, 1]"), works.failing)
    assert states(study) == ["complete", "complete", "complete", "failed"]
    assert study.trials[3].reason == "seed 1: the loss is not a number at step 3"
    assert sorted(study.trials[3].results) == [0]
    again, jobs = tuned(planned(*GRID, "seeds: [0, 1]"), works.failing)
    assert jobs == [], "it would fail again"
    assert states(again) == states(study)


@pytest.mark.slow
def test_a_worker_that_dies_is_tried_again_and_not_for_ever(planned, tuned):
    def once(job, line):
        line.started("the-run")
        if job.run_id is None:
            raise RuntimeError("killed")
        return works.instant(job, line)

    study, jobs = tuned(planned("sampler: none"), once)
    assert states(study) == ["complete"]
    assert [job.run_id for job in jobs] == [None, "the-run"], "it goes on where it was"

    def never(job, line):
        raise RuntimeError("killed by signal 11")

    study, jobs = tuned(planned("sampler: none", "retries: 3", name="never"), never)
    assert states(study) == ["failed"]
    assert study.trials[0].reason == "killed by signal 11, 4 times"
    assert len(jobs) == 4


@pytest.mark.slow
def test_a_changed_space_is_refused_with_the_difference_and_the_way_out(planned, tuned):
    tuned(planned(*GRID), works.instant)
    with pytest.raises(BadInput) as error:
        tuned(planned(GRID[0], "space: {model.lr: [0.001, 0.5]}"), works.instant)
    assert str(error.value) == (
        "study 'study' was started with another definition (- 0.01 - 0.1 - 1.0 + 0.5); start one with --name study-2"
    )


@pytest.mark.slow
def test_a_study_may_grow_and_not_shrink(planned, tuned):
    space = "space: {model.lr: {float: [0.001, 1], log: true}}"
    tuned(planned("trials: 3", space), works.instant)
    with pytest.raises(BadInput, match=r"^study 'study' has 3 trials already; `trials` can only be increased$"):
        tuned(planned("trials: 2", space), works.instant)


def test_a_trial_without_the_metric_or_with_no_number_fails_alone(planned, tuned):
    def work(job, line):
        found = dict(works.instant(job, line).metrics)
        if job.trial == 0:
            del found["test/return"]
        elif job.trial < 3:
            found["test/return"] = [0.0, math.inf, math.nan][job.trial]
        return JobResult("finished", found, "run")

    study, _ = tuned(planned(*GRID, "metric: test/return"), work)
    assert states(study) == ["failed", "failed", "failed", "complete"]
    assert [trial.reason for trial in study.trials][:3] == [
        "seed 0: its run logged no 'test/return'; did you mean 'best/val/return'?",
        "seed 0: test/return is inf",
        "seed 0: test/return is nan",
    ]
    assert best("max", study.trials) is study.trials[3]


def test_a_metric_that_none_of_three_runs_logs_ends_the_study(planned, tuned):
    with pytest.raises(LabError) as error:
        tuned(planned(*GRID, "metric: test/return"), works.nameless)
    assert str(error.value).startswith("no run logs the metric 'test/return'; did you mean 'test/returns'?")


def test_the_time_of_a_training_may_be_a_metric_of_the_study(monkeypatch):
    result = SimpleNamespace(metrics={"test/return": 1.0}, run_id="a", seconds=2.5)
    monkeypatch.setattr("lab.runner.fit.fit", lambda *_, **__: result)
    recipe = "{task: ddpg, data: {env: Pendulum-v1, total_steps: 400}}"
    found = trainings.train(
        Job(0, 0, "job", recipe, "sqlite:///here.db"), SimpleNamespace(said=print, progressed=print)
    )
    assert (found.status, found.metrics, found.seconds) == ("finished", {"test/return": 1.0, "seconds/fit": 2.5}, 2.5)
