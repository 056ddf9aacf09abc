"""Every installed task keeps the contract on a GPU, in single and in mixed precision; skipped where there is none."""

import pytest
import torch

from lab import testing
from lab.registry import find_task, task_names
from tests.test_contract import shorter

NAMES = task_names() if torch.cuda.is_available() else []
TASKS = [name for name in NAMES if "rl.tabular" not in find_task(name).module.__module__]  # tables stay on the CPU


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("name", TASKS)
def test_every_task_keeps_the_contract(name, precision, tmp_path):
    on_gpu = ["trainer.accelerator=gpu", f"trainer.precision={precision}", "trainer.deterministic=true"]
    testing.check_task(name, tmp_path=tmp_path, overrides=[*shorter(name), *on_gpu])
