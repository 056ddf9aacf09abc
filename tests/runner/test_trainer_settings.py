"""Settings of the Trainer and of Lightning's callbacks that cannot be meant are refused with their key, in one line."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lab.engine.project.trainer_settings import LEAST_OF_CALLBACKS, refused_settings, too_small
from tests.runner.projects import Judged, Rows
from tests.runner.test_demands import here, problem  # noqa: F401

HERE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.mark.parametrize(
    ("settings", "key", "said"),
    [
        ({"accelerator": "cpuu"}, "accelerator", "there is no 'cpuu'; did you mean 'cpu'?"),
        ({"accelerator": "GPU"}, "accelerator", "there is no 'GPU'; did you mean 'gpu'?"),
        ({"accelerator": "tpu"}, "accelerator", "PyTorch finds no tpu on this machine; set it to auto or "),
        ({"accelerator": "cpu", "devices": "cpu:0"}, "devices", "expected a number of processes above 0 for the CPU"),
        ({"accelerator": "cpu", "devices": -1}, "devices", "expected a number of processes above 0 for the CPU"),
        ({"accelerator": "cpu", "devices": [0]}, "devices", "expected a number of processes above 0 for the CPU"),
        ({"strategy": "dp"}, "strategy", "there is no 'dp'; did you mean 'ddp'?"),
        ({"profiler": "simpel"}, "profiler", "there is no 'simpel'; did you mean 'simple'?"),
        ({"gradient_clip_algorithm": "vale"}, "gradient_clip_algorithm", "there is no 'vale'; did you mean 'value'?"),
        ({"max_steps": 5, "min_steps": 9}, "min_steps", "expected at most max_steps (5), found 9"),
        ({"max_epochs": 1, "min_epochs": 3}, "min_epochs", "expected at most max_epochs (1), found 3"),
        ({"max_epochs": -2}, "max_epochs", "expected 0 or more, or -1 for no limit, found -2"),
        ({"log_every_n_steps": -1}, "log_every_n_steps", "expected 0 or more, found -1"),
        ({"num_sanity_val_steps": -3}, "num_sanity_val_steps", "expected -1 or more, found -3"),
        ({"limit_train_batches": 0}, "limit_train_batches", "expected 1 or more batches, or a share"),
        ({"limit_train_batches": 0.0}, "limit_train_batches", "expected a share above 0.0"),
        ({"limit_val_batches": -1}, "limit_val_batches", "expected 0 or more batches, or a share"),
        ({"val_check_interval": 1.5}, "val_check_interval", "a share of them from 0.0 to 1.0, found 1.5"),
        ({"max_time": "forever"}, "max_time", "expected DD:HH:MM:SS above 0, such as 00:02:00:00, or {hours: 2}"),
        ({"max_time": "00:00:00:00"}, "max_time", "expected DD:HH:MM:SS above 0"),
        ({"max_time": {"hour": 1}}, "max_time", "unknown unit 'hour'; did you mean 'hours'?"),
        ({"max_time": {"hours": 0}}, "max_time", "expected DD:HH:MM:SS above 0"),
    ],
)
def test_what_cannot_be_meant(settings: dict[str, Any], key: str, said: str) -> None:
    ((found, message),) = refused_settings(settings)
    assert found == key
    assert said in message


@pytest.mark.parametrize(
    "settings",
    [
        {"accelerator": "auto", "devices": "auto", "strategy": "auto"},
        {"accelerator": HERE, "devices": 1, "strategy": "ddp_spawn_find_unused_parameters_true"},
        {"accelerator": "cpu", "devices": "2", "max_time": "00:00:00:01"},
        {"max_epochs": -1, "max_steps": -1, "min_epochs": 3, "min_steps": 9, "num_sanity_val_steps": -1},
        {"max_epochs": 0, "limit_val_batches": 0, "limit_test_batches": 1.0, "val_check_interval": 3},
        {"max_time": {"minutes": 1, "seconds": 0}, "gradient_clip_val": 0.5, "profiler": None},
    ],
)
def test_what_lightning_takes(settings: dict[str, Any]) -> None:
    assert not list(refused_settings(settings))


def test_a_callback_without_patience() -> None:
    assert not list(too_small({"patience": 0, "max_depth": -1}, LEAST_OF_CALLBACKS))
    stopping = "{class_path: lightning.pytorch.callbacks.EarlyStopping, init_args: {monitor: valid_loss, patience: -1}}"
    where, message = problem(Judged, Rows, f"callbacks=[{stopping}]")
    assert where.endswith(": callbacks.0.init_args.patience")
    assert message == "expected 0 or more, found -1"
