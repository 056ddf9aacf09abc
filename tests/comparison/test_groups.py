"""Which runs make a group, what it is called, and what is left out; on runs that are made here."""

from __future__ import annotations

import itertools

import pytest
from mlflow.entities import Metric, Param, Run, RunData, RunInfo, RunTag

from lab.comparison import grouped
from lab.errors import BadInput
from lab.task import Task

_numbers = itertools.count()


def run(seed=0, score=1.0, *, status="FINISHED", tags=None, metrics=None, ended=None, **params):
    """A run of task `ddpg` on `Pendulum-v1`; `model__lr="1"` is the parameter `model.lr`."""
    number = next(_numbers)
    given = {key.replace("__", "."): value for key, value in params.items()}
    parameters = {"task": "ddpg", "seed": str(seed), "threads": "1", "data.env": "Pendulum-v1", **given}
    labels = {
        "task": parameters["task"],
        "seed": str(seed),
        "mlflow.lab.score": "test/return",
        "mlflow.lab.mode": "max",
        **(tags or {}),
    }
    values = {} if score is None else {labels["mlflow.lab.score"]: score}
    info = RunInfo(
        f"{number:032x}", "1", "me", status, number, number if ended is None else ended, "active", run_name="x"
    )
    return Run(
        info,
        RunData(
            [Metric(key, value, 0, 0) for key, value in {**values, **(metrics or {})}.items()],
            [Param(*item) for item in parameters.items() if item[1] is not None],
            [RunTag(*item) for item in labels.items() if item[1] is not None],
        ),
    )


def labels(**named):
    return [group.label for group in grouped(named).groups]


def test_runs_that_differ_in_their_seed_are_one_group():
    runs = [run(seed, score=10.0 * seed, threads=str(seed)) for seed in (2, 0, 1)]
    (group,) = grouped({"a": runs}).groups
    assert group.label == "a"
    assert group.settings == {}
    assert group.scores == {"Pendulum-v1": {0: 0.0, 1: 10.0, 2: 20.0}}
    assert group.runs["Pendulum-v1"][2] == runs[0].info.run_id
    assert group.strata == [[0.0, 10.0, 20.0]]


def test_one_name_splits_by_what_differs():
    runs = [run(seed, model__lr=lr, model__gamma="0.9") for seed in range(2) for lr in ("0.1", "0.2")]
    found = grouped({"sweep": runs})
    assert [group.label for group in found.groups] == ["model.lr=0.1", "model.lr=0.2"]
    assert found.groups[0].settings == {"model.lr": "0.1"}
    assert found.ranked


def test_two_names_stay_in_their_order_and_show_few_differences():
    found = grouped({"b": [run(model__lr="0.1")], "a": [run(model__lr="0.2")]})
    assert [group.label for group in found.groups] == ["b model.lr=0.1", "a model.lr=0.2"]
    assert not found.ranked
    many = [{f"model__x{i}": str(i + shift) for i in range(5)} for shift in (0, 1)]
    assert labels(b=[run(**many[0])], a=[run(**many[1])]) == ["b", "a"]
    assert labels(b=[run(**many[0])], a=[run(**many[1]), run(**many[1], model__z="1")]) == [
        "b",
        "a model.z=1",
        "a model.z=-",
    ]


def test_two_tasks_under_one_name():
    ddpg = {f"model__x{i}": "1" for i in range(4)}
    td3 = {f"model__y{i}": "1" for i in range(4)}
    runs = [run(**ddpg), run(task="td3", **td3), run(task="td3", **{**td3, "model__y0": "2"})]
    assert labels(all=runs) == ["ddpg", "td3 model.y0=1", "td3 model.y0=2"]


def test_a_trainers_setting_that_follows_from_others_is_not_shown():
    runs = [run(data__total_steps=steps, trainer__max_epochs=epochs) for steps, epochs in [("10", "1"), ("20", "2")]]
    assert labels(a=runs) == ["data.total_steps=10", "data.total_steps=20"]
    free = [*runs, run(data__total_steps="10", trainer__max_epochs="2")]
    assert labels(a=free)[1] == "data.total_steps=10 trainer.max_epochs=2"


def test_environments_are_strata_and_what_follows_from_them_is_no_difference():
    def two(lr):
        return [
            run(seed, score, data__env=env, model__env=env, model__observation_size=size, model__lr=lr)
            for seed in range(2)
            for env, size, score in [("Z", "3", 1.0), ("A", "5", 100.0)]
        ]

    found = grouped({"all": [*two("0.1"), *two("0.2")]})
    assert [group.label for group in found.groups] == ["model.lr=0.1", "model.lr=0.2"]
    assert list(found.groups[0].scores) == ["A", "Z"]
    assert found.groups[0].strata == [[100.0, 100.0], [1.0, 1.0]]
    assert "2 environments are pooled" in found.notes[0]
    other = grouped({"ddpg": two("1"), "td3": [run(data__env=env, task="td3", model__size=env) for env in "AZ"]})
    assert [group.label for group in other.groups] == ["ddpg", "td3"]
    with pytest.raises(BadInput, match=r"^b .*has no finished run on Z, and others have"):
        grouped({"a": two("1"), "b": [run(data__env="A", model__lr="1", model__q="2")]})


def test_unfinished_runs_and_runs_without_a_score_are_left_out_aloud():
    runs = [
        run(0, 5.0),
        run(1, status="FAILED"),
        run(2, status="RUNNING"),
        run(3, None),
        run(4, float("nan")),
        run(0, 4.0, ended=-1),
    ]
    found = grouped({"a": runs})
    assert found.groups[0].scores == {"Pendulum-v1": {0: 5.0}}
    assert found.notes == [
        "2 runs left out: not finished",
        "2 runs left out: no finite test/return",
        "1 run left out: a newer one has the same settings and seed",
    ]
    with pytest.raises(BadInput, match="'a' has no finished runs"):
        grouped({"a": runs[1:3]})
    with pytest.raises(BadInput, match="'b' has no finished runs with a finite test/return"):
        grouped({"a": runs, "b": [runs[3]]})


def test_runs_that_somebody_else_recorded_count_one_by_one():
    tags = {"mlflow.lab.score": None, "mlflow.lab.mode": None, "task": None, "seed": None}
    runs = [run(metrics={"accuracy": 0.1 * i}, score=None, tags=tags, data__env=None, seed=None) for i in range(1, 4)]
    found = grouped({"a": runs}, "accuracy", "max")
    assert sorted(found.groups[0].strata[0]) == pytest.approx([0.1, 0.2, 0.3])
    with pytest.raises(BadInput, match="name one with --metric"):
        grouped({"a": runs})
    with pytest.raises(BadInput, match="give --mode max or --mode min"):
        grouped({"a": runs}, "accuracy")


def test_different_metrics_are_not_compared():
    apples, pears = run(), run(tags={"mlflow.lab.score": "test/accuracy"}, metrics={"test/return": 3.0})
    with pytest.raises(BadInput, match=r"\(test/accuracy, test/return\); name one with --metric"):
        grouped({"a": [apples], "b": [pears]})
    assert grouped({"a": [apples], "b": [pears]}, "test/return", "max").metric == "test/return"
    with pytest.raises(BadInput, match="did you mean 'test/return'"):
        grouped({"a": [apples]}, "test/retrun")


def test_the_direction_is_what_the_runs_say():
    assert grouped({"a": [run(tags={"mlflow.lab.mode": "min"})]}).mode == "min"
    assert grouped({"a": [run(tags={"mlflow.lab.mode": "min"})]}, mode="max").mode == "max"
    assert grouped({"a": [run(metrics={"val/return": 1.0})]}, "val/return").mode == "max"
    for runs, metric in [
        ([run(), run(1, tags={"mlflow.lab.mode": "min"})], None),
        ([run(metrics={"loss": 1.0})], "loss"),
        ([run(tags={"mlflow.lab.mode": None}, task="nowhere")], None),
    ]:
        with pytest.raises(BadInput, match="no run records whether a larger"):
            grouped({"a": runs}, metric)


def test_an_older_run_has_the_direction_of_its_task(monkeypatch):
    monkeypatch.setattr("lab.comparison.metric.find_task", {"ddpg": Task(object, object, "val/return", "max")}.get)
    assert grouped({"a": [run(tags={"mlflow.lab.mode": None})]}).mode == "max"


def test_the_curve_is_that_of_validation_if_there_is_one():
    assert grouped({"a": [run()]}).curves == ["test/return"]
    found = grouped({"a": [run(metrics={"val/return": 1.0, "env_steps": 5.0})]})
    assert (found.curves, found.axis) == (["val/return"], "environment steps")


def test_curves_are_asked_for_by_name():
    one, other = run(metrics={"loss/q": 1.0, "q/mean": 2.0}), run(metrics={"loss/critic": 1.0})
    asked = ["loss/critic,loss/q", "q/mean"]
    assert grouped({"a": [one], "b": [other]}, curves=asked).curves == asked
    with pytest.raises(BadInput, match="--curve q/maen: no run has such a metric; did you mean 'q/mean'"):
        grouped({"a": [one]}, curves=["q/maen"])
    with pytest.raises(BadInput, match="--curve q/mean is given twice"):
        grouped({"a": [one]}, curves=["q/mean", "q/mean"])


def unscored(seed, *, status="FINISHED", **metrics):
    tags = {"mlflow.lab.score": None, "mlflow.lab.mode": None}
    return run(seed, None, tags=tags, metrics={"epoch": 1, "seconds/fit": 9.0, **metrics}, status=status)


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({"train_loss": 1.0, "accuracy": 0.5}, "train_loss"),
        ({"train_loss_step": 1.0, "train_loss_epoch": 1.0}, "train_loss_epoch"),
        ({"train_loss": 1.0, "val_loss": 2.0}, "val_loss"),
        ({"train_loss": 1.0, "val_loss": 2.0, "test_loss": 3.0}, "test_loss"),
        ({"train_loss": 1.0, "test_rmse": 3.0, "test_errors_found": 1.0}, "test_rmse"),
    ],
)
def test_runs_without_a_score_are_compared_by_a_loss_that_they_share(metrics, expected):
    a = [unscored(seed, **metrics) for seed in range(2)]
    b = [unscored(seed, **metrics, b_loss=1.0) for seed in range(2)]
    found = grouped({"a": a, "b": b})
    assert (found.metric, found.mode) == (expected, "min")
    assert found.notes[0] == f"no run records a score; compared by {expected}, less is better; --metric names another"
    assert grouped({"a": a}, "epoch", "max").metric == "epoch", "what was asked for wins"


def test_runs_without_a_score_and_without_a_loss_name_what_they_share():
    with pytest.raises(BadInput, match=r"; name one with --metric: test_auc, val_auc$"):
        grouped(
            {"a": [unscored(0, val_auc=1.0, test_auc=1.0, train_loss=1.0)], "b": [unscored(0, val_auc=1.0, test_auc=1)]}
        )
    with pytest.raises(BadInput, match=r"; name one with --metric; they have no metric in common$"):
        grouped({"a": [unscored(0, val_auc=1.0)], "b": [unscored(0, train_auc=1.0)]})
