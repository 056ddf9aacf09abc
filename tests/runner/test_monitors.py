"""A monitor that nobody logs is named before an epoch was trained, with the nearest name and its line."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from lab.errors import BadInput
from tests.runner.projects import Judged, Line, Run

EPOCHS: list[int] = []


@pytest.fixture(autouse=True)
def no_epochs() -> None:
    EPOCHS.clear()


class Counted(Judged):
    def on_train_epoch_end(self) -> None:
        EPOCHS.append(self.current_epoch)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("monitor", "said"),
    [
        ("val_loss", "no metric 'val_loss' is logged; did you mean 'valid_loss'?"),
        ("accuracy", "no metric 'accuracy' is logged; logged are valid_loss"),
        ("test_loss", "no metric 'test_loss' is logged"),
        ("train_loss", "no metric 'train_loss' is logged; did you mean 'valid_loss'?"),
    ],
)
def test_the_tasks_monitor(run: Run, monitor: str, said: str) -> None:
    with pytest.raises(BadInput) as error:
        run(Counted, monitor)
    assert str(error.value).startswith(f"r.yaml:1: task.monitor: {said}")
    assert error.value.exit_code == 2
    assert not EPOCHS


@pytest.mark.slow
def test_without_validation_the_last_checkpoint_is_the_best(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    result = run(Counted, "valid_loss", settings=("trainer.limit_val_batches=0",))
    assert "no validation (trainer.limit_val_batches: 0): the last checkpoint is the best" in capsys.readouterr().err
    assert result.best is not None
    best, last = (torch.load(path, weights_only=True)["state_dict"] for path in (result.best, result.last))
    assert all(torch.equal(best[name], last[name]) for name in last)


@pytest.mark.slow
def test_that_of_a_callback_in_the_recipe(run: Run) -> None:
    stopping = "{class_path: lightning.pytorch.callbacks.EarlyStopping, init_args: {monitor: val_loss}}"
    with pytest.raises(BadInput, match=r"^r.yaml:5: callbacks.0.init_args.monitor: no metric 'val_loss' .*valid_loss"):
        run(Counted, more=f"callbacks:\n  - {stopping}\n")
    assert not EPOCHS


class Plateau(Counted):
    def configure_optimizers(self) -> dict:
        optimizer = torch.optim.SGD(self.parameters(), 0.1)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": "val_loss"}}


@pytest.mark.slow
def test_that_of_a_schedule(run: Run) -> None:
    said = "monitor of ReduceLROnPlateau in configure_optimizers: no metric 'val_loss' is logged; did you mean"
    with pytest.raises(BadInput, match=said):
        run(Plateau)
    assert not EPOCHS


class NoValidation(Line):
    def test_step(self, batch: list[Tensor]) -> None:
        self.log("test_loss", self.loss(batch))


@pytest.mark.slow
def test_a_module_without_validation(run: Run) -> None:
    with pytest.raises(BadInput, match="'val_loss' is never logged: NoValidation has no validation_step"):
        run(NoValidation, "val_loss")
    result = run(NoValidation, None)
    assert result.best is not None
    assert result.tested.keys() == {"test_loss"}


class Mute(Judged):
    def validation_step(self, batch: list[Tensor]) -> None:
        self.loss(batch)


@pytest.mark.slow
def test_a_validation_that_logs_nothing(run: Run) -> None:
    with pytest.raises(BadInput, match="no metric 'valid_loss' is logged; none is"):
        run(Mute)


class Training(Judged):
    def training_step(self, batch: list[Tensor]) -> Tensor:
        loss = self.loss(batch)
        self.log("loss", loss)
        for stage in ("train",):
            self.log(f"{stage}_loss", loss, on_epoch=True, on_step=False)
        return loss


@pytest.mark.slow
@pytest.mark.parametrize("monitor", ["loss", "train_loss"])
def test_a_metric_of_training_comes_later(run: Run, monitor: str) -> None:
    assert run(Training, monitor).monitor == f"best/{monitor}"


class NotInTheSanityCheck(Judged):
    def validation_step(self, batch: list[Tensor]) -> None:
        self.log("other", self.loss(batch))
        if not self.trainer.sanity_checking:
            name = "valid" + "_loss"
            self.log(name, self.loss(batch))


@pytest.mark.slow
def test_a_metric_that_the_sanity_check_leaves_out_comes_later(run: Run) -> None:
    assert run(NotInTheSanityCheck).monitor == "test_loss"


@pytest.mark.slow
def test_without_a_sanity_check_the_first_validation_tells(run: Run) -> None:
    with pytest.raises(BadInput, match="no metric 'val_loss' is logged; did you mean"):
        run(Judged, "val_loss", settings=("trainer.num_sanity_val_steps=0",))


class NamesByStage(Judged):
    def validation_step(self, batch: list[Tensor]) -> None:
        stage = "val" if self.trainer.state.stage == "validate" else self.trainer.state.stage
        self.log(f"{stage}_loss", self.loss(batch))


@pytest.mark.slow
def test_a_metric_that_is_named_by_the_stage_comes_later(run: Run) -> None:
    assert run(NamesByStage, "val_loss").monitor == "test_loss"


@pytest.mark.slow
def test_a_wrong_metric_beside_one_that_is_named_by_the_stage_is_found(run: Run) -> None:
    with pytest.raises(BadInput, match="no metric 'val_lost' is logged; did you mean 'val_loss'"):
        run(NamesByStage, "val_lost")
