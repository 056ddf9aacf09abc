"""Training and testing are calls of their own, which need a logger and a folder and no server."""

import pytest

from lab.registry import find_recipe
from lab.runner.assemble import assemble
from lab.runner.training import test as evaluate
from lab.runner.training import train
from lab.testing.memory import MemoryLogger
from lab.testing.short import small


@pytest.mark.slow
def test_a_training_in_memory_leaves_checkpoints_and_metrics_and_no_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assembly, logger = assemble(small(find_recipe("regress_curve"))), MemoryLogger()
    trained = train(assembly, logger, tmp_path / "checkpoints")
    assert trained.best == tmp_path / "checkpoints" / "best.ckpt"
    assert trained.last == tmp_path / "checkpoints" / "last.ckpt"
    assert trained.best_score is not None
    assert trained.metrics[assembly.task.monitor] in [value for _, _, value in logger.points]
    tested = evaluate(assembly, trained.best)
    assert tested.keys() == {name for name, _, _ in logger.points if name.startswith("test/")}
    assert logger.plots
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"], "neither a database nor a folder of MLflow's"
