"""Decisions of the saver that few trainings reach: between which batches, and which part of several processes."""

from types import SimpleNamespace

import pytest

from lab.engine.checkpoint import LAST, NEXT, PREVIOUS, Files
from lab.engine.saver import Saver, _restartable
from lab.engine.signals import SignalHandler
from lab.errors import LabError


def trainer(ready=3, last=False, **settings):
    """A Trainer after the third batch of eight, with a validation at the end of the epoch."""
    progress = SimpleNamespace(current=SimpleNamespace(ready=ready), total=SimpleNamespace(ready=8 + ready))
    progress.is_last_batch = last
    usual = {
        "fit_loop": SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=progress)),
        "should_stop": False,
        "num_training_batches": 8,
        "max_steps": -1,
        "global_step": 3,
        "val_check_batch": float("inf"),
        "check_val_every_n_epoch": 1,
        "accumulate_grad_batches": 1,
    }
    return SimpleNamespace(**(usual | settings))


@pytest.mark.parametrize(
    ("found", "restartable"),
    [
        (trainer(), True),
        (trainer(should_stop=True), False),
        (trainer(last=True), False),
        (trainer(ready=8), False),
        (trainer(max_steps=3), False),
        (trainer(max_steps=4), True),
        (trainer(val_check_batch=3), False),  # was validated just now
        (trainer(val_check_batch=2), True),
        (trainer(val_check_batch=11, check_val_every_n_epoch=None), False),  # counted over epochs
        (trainer(val_check_batch=3, check_val_every_n_epoch=None), True),
        (trainer(accumulate_grad_batches=3), True),
        (trainer(accumulate_grad_batches=2), False),
    ],
)
def test_a_checkpoint_is_saved_where_lightning_can_go_on(found, restartable):
    assert _restartable(found) is restartable


def test_a_process_reads_its_part_of_the_checkpoint_that_the_first_one_read(tmp_path):
    saver = Saver(0, None, None, SignalHandler())
    saver.folder = tmp_path
    second = SimpleNamespace(is_global_zero=False, global_rank=1)
    (tmp_path / "process1").mkdir()
    for serial, name in ((7, NEXT), (6, LAST), (5, PREVIOUS)):
        Files().save_checkpoint({"lab": {"serial": serial}}, tmp_path / "process1" / name)
    assert [saver._own(second, serial)["lab"]["serial"] for serial in (5, 6, 7)] == [5, 6, 7]
    with pytest.raises(LabError, match=r"process1 lacks the state of this process; .* same number of processes"):
        saver._own(second, 4)


def test_the_metrics_of_a_training_that_had_ended_are_without_the_axis_of_the_loggers():
    saver = Saver(0, None, None, SignalHandler())
    assert saver.resumed_metrics() == {}
    saver.loaded = {"results": {"newest": {"callback_metrics": {"val/loss": 0.5, "step": 8.0}}}}
    assert saver.resumed_metrics() == {"val/loss": 0.5}
