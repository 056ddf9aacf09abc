"""`lab.compare` on runs that are recorded: the numbers of the command line, as a table and as a figure."""

import pytest

import lab
from lab import comparison
from lab.errors import BadInput
from lab.tracking.names import KIND

pytestmark = pytest.mark.slow  # each trains


@pytest.fixture(scope="module")
def found(recorded_runs):
    return lab.compare("slow", "recipe:fast", uri=recorded_runs)


def test_the_numbers_are_those_of_the_command(found, recorded_runs):
    chosen = comparison.select(["slow", "recipe:fast"], uri=recorded_runs)
    rows = comparison.report(chosen.groups, chosen.mode, chosen.ranked).rows
    table = found.to_frame()
    assert list(table.index) == [row.label for row in rows] == ["slow model.lr=0.001", "fast model.lr=0.01"]
    assert list(table["iqm"]) == [row.iqm for row in rows]
    assert list(table["low"]) == [row.interval.low for row in rows]
    assert table.loc["fast model.lr=0.01", "better"] == rows[1].better.probability
    assert found.metric == "test/return"


def test_a_notebook_shows_the_table(found):
    page = found._repr_html_()
    for text in ("test/return (more is better)", "fast model.lr=0.01", "better than slow", "95 % of IQM"):
        assert text in page
    assert repr(found) == "ComparedRuns(test/return: slow model.lr=0.001 (5), fast model.lr=0.01 (5))"


def test_the_figure_has_curves_and_scores(found, capsys):
    figure = found.plot()
    assert len(figure.axes) == 2
    assert "val/return" in figure.axes[0].get_ylabel()
    assert len(found.plot("loss/actor,val/return").axes) == 2
    assert capsys.readouterr().err == ""
    assert len(found.plot("val/return", "loss").axes) == 2
    assert "no curve of fast model.lr=0.01: its runs have no two steps of loss in common" in capsys.readouterr().err


def test_notes_are_not_lost(recorded_runs):
    found = lab.compare("rates", uri=recorded_runs)
    assert any("not finished" in note for note in found.notes)
    assert "not finished" in found._repr_html_()


def test_mistakes(recorded_runs):
    with pytest.raises(BadInput, match="nothing to compare"):
        lab.compare()
    with pytest.raises(BadInput, match="did you mean 'slow'"):
        lab.compare("slwo", uri=recorded_runs)


def test_runs_of_an_experiment(recorded_runs):
    table = lab.runs("pendulum", last=3, uri=recorded_runs)
    assert len(table) == 3
    assert set(table["experiment"]) == {"pendulum"}
    assert len(lab.runs("empty", uri=recorded_runs).columns) == 11, "without rows it has its columns"


def test_a_study_is_no_run(recorded_runs):
    run_id = next(iter(_parents(recorded_runs)))
    with pytest.raises(BadInput, match="'rates' is a study of many runs"):
        lab.load(run_id, uri=recorded_runs)


def _parents(address):
    from mlflow import MlflowClient

    server = MlflowClient(address)
    experiments = [each.experiment_id for each in server.search_experiments()]
    return [run.info.run_id for run in server.search_runs(experiments) if KIND in run.data.tags]
