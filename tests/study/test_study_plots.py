"""Pictures of studies: there, not empty, and without a trace in pyplot; left out where they would say nothing."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import works

from lab.study.plan.plan import make_plan
from lab.study.plan.schema import load_study
from lab.study.report.chart import chart
from lab.study.report.plots import draw, history, rank, slices
from lab.study.report.report import publish
from lab.study.report.scales import Axis, axis_of
from lab.study.report.table import table
from lab.study.work.job import JobResult

MIXED = (
    "space: {model.lr: {float: [0.0001, 1], log: true}, data.batch_size: {int: [8, 64]}, "
    "model.hidden: [[8], [16, 16], [32, 32, 32]], "
    "model.noise: {gaussian: {model.sigma: {float: [0.1, 0.2]}}, ornstein_uhlenbeck: {}}}"
)
FEW = "space: {model.lr: {float: [0.0001, 1], log: true}, data.batch_size: {int: [8, 64]}}"


def colours(path):
    """How many colours a picture has, and the share of it that is not white."""
    from PIL import Image

    image = Image.open(path).convert("RGB")
    return len(image.getcolors(image.width * image.height)), float((np.asarray(image).min(2) < 250).mean())


def open_figures():
    """The figures that pyplot keeps, which a test before may have left open."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    return [] if pyplot is None else pyplot.get_fignums()


def drawn(study, folder):
    files, reasons = draw(study.record, table(study.record), folder)
    assert all("needs" in reason for reason in reasons)
    return {file.stem: file for file in files}, [name for names in reasons.values() for name in names]


@pytest.mark.slow
def test_a_search_has_all_pictures(planned, tuned, tmp_path):
    study, _ = tuned(planned("sampler: random", "trials: 8", "seeds: [0, 1]", MIXED), works.instant)
    before = open_figures()
    files, left_out = drawn(study, tmp_path)
    assert open_figures() == before
    assert set(files) == {"table", "history", "importance", "slice", "parallel", "rank"}
    assert left_out == []
    for name, file in files.items():
        count, filled = colours(file)
        assert count > 20, name
        assert 0.005 < filled < 0.6, name


@pytest.mark.slow
def test_a_table_of_one_change_at_a_time(planned, tuned, tmp_path):
    lines = "sampler: one_at_a_time", "space: {model.lr: [0.01, 1.0]}", "seeds: [0, 1]", "metric: test/return"
    study, _ = tuned(planned(*lines, "published: {model.lr: [-1, -2]}"), works.failing)
    files, left_out = drawn(study, tmp_path)
    assert colours(files["table"])[0] > 20
    assert set(left_out) == {"history.png", "importance.png", "slice.png", "parallel.png", "rank.png"}


@pytest.mark.long
def test_several_metrics(planned, tuned, tmp_path):
    def both(job, line):
        found = works.instant(job, line)
        return JobResult("finished", {**found.metrics, "cost": float(job.trial % 3)}, found.run_id)

    two = planned("sampler: nsga2", "trials: 9", "metric: [test/return, cost]", "mode: [max, min]", FEW)
    study, _ = tuned(two, both)
    files, _ = drawn(study, tmp_path)
    assert {"table", "history", "slice"} <= set(files)


@pytest.mark.slow
def test_a_full_grid_of_two_settings_is_curves_over_the_numbers(planned, tuned):
    space = "space: {model.hidden: [[16], [8]], model.lr: [0.1, 0.001, 0.01]}"
    study, _ = tuned(planned("sampler: grid", space, "seeds: [0, 1]", "metric: test/return"), works.instant)
    found = table(study.record)
    (drawing,) = chart(found)
    (axes,) = drawing.axes
    assert (axes.get_xlabel(), axes.get_xscale()) == ("model.lr", "log")
    curves = [line for line in axes.lines if not line.get_label().startswith("_")]
    assert [line.get_label() for line in curves] == ["[16]", "[8]"]
    assert len({line.get_marker() for line in curves}) == 2  # told apart without colours, too
    for curve in curves:
        assert curve.get_xdata().tolist() == [0.001, 0.01, 0.1]
        expected = [
            line.metrics["test/return"].mean
            for line in sorted(found.lines, key=lambda line: line.settings["model.lr"])
            if line.settings["model.hidden"] == [16]
        ]
        assert curve.get_ydata().tolist() == expected, "the width changes nothing here"
    bars = [line.get_ydata().tolist() for line in axes.lines if line.get_linewidth() == 2.5]
    intervals = [line.metrics["test/return"].interval for line in found.lines]
    assert sorted(bars) == sorted([interval.low, interval.high] for interval in intervals)


@pytest.mark.parametrize(
    "space",
    ["{model.hidden: [[16], [8]], model.lr: [0.1, 0.01]}", "{model.lr: [0.1, 0.01, 0.001]}"],
)
def test_other_grids_are_dots(planned, tuned, space):
    study, _ = tuned(planned("sampler: grid", f"space: {space}", "metric: test/return"), works.instant)
    (drawing,) = chart(table(study.record))
    assert drawing.axes[0].get_xlabel().startswith("test/return"), "values lie along x"


@pytest.mark.parametrize("lines", [("sampler: none",), ("sampler: grid", "space: {model.lr: [0.1]}")])
def test_a_single_trial_has_a_table_alone(planned, tuned, tmp_path, lines):
    study, _ = tuned(planned(*lines), works.instant)
    files, left_out = drawn(study, tmp_path)
    assert set(files) == {"table"}
    assert len(left_out) == 5


@pytest.mark.parametrize(("mode", "sign"), [("max", 1), ("min", -1)])
def test_a_trial_that_is_far_off_is_told_at_the_edge_and_does_not_flatten_the_others(mode, sign):
    values = [sign * value for value in (-800.0, -125.0, -120.0, -123.0, -121.0, -124.0)]
    trials = [SimpleNamespace(number=i, values=[value]) for i, value in enumerate(values)]
    record = SimpleNamespace(name="rates", metrics=["val/return"], modes=[mode])
    (drawing,) = history(record, trials)
    (axes,) = drawing.axes
    low, high = axes.get_ylim()
    assert high - low < 20
    assert [text.get_text() for text in axes.texts] == [f"{sign * -800}"]
    dots = axes.collections[0].get_offsets().tolist()
    assert dots == [[i, value] for i, value in enumerate(values) if i > 0]
    without = [trial for trial in trials if trial.number > 0]
    assert not next(history(record, without)).axes[0].texts


@pytest.mark.long
def test_trials_that_are_all_the_same(planned, tuned, tmp_path):
    study, _ = tuned(planned("sampler: random", "trials: 6", FEW), flat)
    files, left_out = drawn(study, tmp_path)
    assert set(files) >= {"table", "history", "slice", "parallel", "rank"}
    assert len(files) + len(left_out) == 6


def flat(*_):
    return JobResult("finished", {"best/val/return": 1.0}, "run")


class Shelf:
    """Keeps what would go to MLflow."""

    def __init__(self):
        self.kept, self.values = {}, {}

    def metrics(self, values):
        self.values |= values

    def files(self, files, folder=None):
        self.kept |= {f"{folder}/{file.name}" if folder else file.name: file.read_bytes() for file in files}


@pytest.mark.slow
def test_what_goes_to_mlflow(planned, tuned):
    study, _ = tuned(planned("sampler: grid", "space: {model.lr: [0.01, 1.0]}", "seeds: [0, 1]"), works.failing)
    shelf = Shelf()
    publish(study.record, shelf, 12.5)
    assert {"table.csv", "table.md", "plots/table.png"} <= set(shelf.kept)
    assert shelf.values == {
        "trials/complete": 1, "trials/failed": 1, "trials/pruned": 0,
        "best/val/return": study.trials[0].values[0], "seconds/fit": 0, "seconds/wall": 12.5,
    }  # fmt: skip


def test_a_server_that_is_gone_harms_nothing(planned, tuned, capsys):
    class Gone(Shelf):
        def metrics(self, *_):
            raise ConnectionError("no route to host")

    study, _ = tuned(planned("sampler: none"), works.instant)
    capsys.readouterr()
    publish(study.record, Gone(), 1.0)
    assert capsys.readouterr().err == "the table of study is not in MLflow: ConnectionError: no route to host\n"


@pytest.mark.slow
def test_settings_lie_on_the_scale_that_was_searched(planned, tuned):
    study, _ = tuned(planned("sampler: random", "trials: 6", MIXED), works.instant)
    record = study.record
    axes = {key: axis_of(key, record.dimensions, record.trials) for key in ("model.lr", "data.batch_size")}
    assert axes["model.lr"] == Axis("model.lr", log=True, limits=(0.0001, 1))
    assert axes["data.batch_size"] == Axis("data.batch_size", limits=(8, 64), whole=True)
    widths = axis_of("model.hidden", record.dimensions, record.trials)
    assert widths.labels[:3] == ("[8]", "[16, 16]", "[32, 32, 32]"), "in the order of the space"
    assert axis_of("model.sigma", record.dimensions, record.trials).limits == (0.1, 0.2), "of a value that opens it"
    (drawing,) = slices(record, record.trials)
    panels = {panel.get_xlabel(): panel for panel in drawing.axes}
    low, high = panels["model.lr"].get_xlim()
    assert low < 0.0001 < 1 < high
    assert panels["model.lr"].get_xscale() == "log"
    bar = next(panel for panel in drawing.axes if panel.get_ylabel() == "trial")
    assert all(tick == int(tick) for tick in bar.get_yticks())


def test_a_list_of_numbers_is_categories(planned, tuned):
    study, _ = tuned(planned("sampler: random", "trials: 4", "space: {model.lr: [0.1, 0.02, 0.003]}"), works.instant)
    assert axis_of("model.lr", study.record.dimensions, study.record.trials).labels == ("0.1", "0.02", "0.003")


@pytest.mark.slow
@pytest.mark.parametrize("settings", [2, 3, 4, 5])
def test_no_panel_of_pairs_is_empty(planned, tuned, settings):
    keys = ["model.lr", "model.tau", "model.gamma", "model.sigma", "data.updates_per_step"][:settings]
    space = ", ".join(f"{key}: {{float: [0.1, 0.9]}}" for key in keys)
    study, _ = tuned(planned("sampler: random", "trials: 4", f"space: {{{space}}}"), works.instant)
    (drawing,) = rank(study.record, study.record.trials)
    panels = [panel for panel in drawing.axes if panel.get_label() != "<colorbar>"]
    assert len(panels) == settings * (settings - 1) / 2
    assert all(panel.axison and panel.get_xlabel() and panel.get_ylabel() for panel in panels)


@pytest.mark.slow
def test_the_dashboard_says_what_the_study_is_about(planned, tuned):
    path = planned("sampler: random", "trials: 3", FEW, "metric: test/return").file.path
    path.write_text(f"# lab tune study.yaml\n# How fast it should learn\n{path.read_text()}")
    study, _ = tuned(make_plan(load_study(path)), works.instant)
    assert study.record.optuna.metric_names == ["test/return"]
    assert study.record.description == study.record.optuna.user_attrs["description"] == "How fast it should learn"
