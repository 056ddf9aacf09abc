"""A score that is better when larger, of a task whose best checkpoint has the smallest loss."""

from types import SimpleNamespace

import pytest

from lab.comparison.metric import score_mode
from lab.errors import BadInput
from lab.registry import find_task
from lab.runner import record
from lab.runner.results import MODE, MONITOR, SCORE


class Tags(dict):
    """A tracker that keeps tags."""

    uri = "sqlite:///mlflow.db"
    set_tag = dict.__setitem__

    def has_metric(self, name):
        return name in ("val/loss", "test/accuracy", "test/fid")

    def write(self, **_):
        pass

    def metrics(self):
        return {}


@pytest.mark.parametrize(
    ("task", "score", "mode"), [("classify_tabular", "test/accuracy", "max"), ("diffusion", "test/fid", "min")]
)
def test_a_run_records_the_mode_of_its_score(task, score, mode, monkeypatch):
    monkeypatch.setattr(record, "_picture", lambda *_: "")
    tags, recipe = Tags(), SimpleNamespace(description="", track=SimpleNamespace(uri=None))
    record.score(tags, recipe, find_task(task), score, 0.9)
    assert (tags[SCORE], tags[MODE]) == (score, mode)
    assert (MONITOR in tags) == (mode == "min"), "a curve of another direction is not that of the score"
    run = SimpleNamespace(data=SimpleNamespace(tags=tags | {"task": task}, metrics={score: 0.9}))
    assert score_mode([run], score) == mode


def test_an_older_run_has_the_mode_of_its_task():
    run = SimpleNamespace(data=SimpleNamespace(tags={SCORE: "test/spearman", "task": "word_vectors"}, metrics={}))
    assert score_mode([run], "test/spearman") == "max"
    with pytest.raises(BadInput, match="give --mode"):
        score_mode([run], "val/loss")
