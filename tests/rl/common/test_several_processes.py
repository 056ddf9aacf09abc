"""Averages over processes, with the other process's share given."""

import pytest
import torch

from lab.errors import LabError, RecipeError
from lab.recipe import load
from lab.registry import find_recipe
from lab.rl.common.processes import average, check_processes
from lab.rl.networks.normalization import RunningMeanStd
from lab.runner.assemble import assemble


@pytest.fixture
def other(monkeypatch):
    """Values of a second process, in the order in which they are asked for."""
    waiting: list[torch.Tensor] = []
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda tensor: tensor.add_(waiting.pop(0)))
    return waiting


def test_gradients_are_averaged_in_place_as_one_message(other):
    gradients = [[torch.ones(2, 2), torch.ones(3)], [torch.zeros(1)]]
    other.append(torch.arange(8.0))
    average(gradients)
    assert not other
    assert gradients[0][0].tolist() == [[0.5, 1.0], [1.5, 2.0]]
    assert gradients[0][1].tolist() == [2.5, 3.0, 3.5]
    assert gradients[1][0].tolist() == [3.5]


def test_statistics_are_those_of_the_samples_of_both(other, monkeypatch):
    mine, theirs = torch.randn(50, 3), 2 + 3 * torch.randn(50, 3)
    both = torch.cat([mine, theirs])
    pooled, statistics = both.double().mean(0), RunningMeanStd(3)
    other += [theirs.mean(0).double(), theirs.var(0, correction=0).double() + (theirs.mean(0) - pooled).square()]
    statistics.update(mine)
    monkeypatch.undo()
    alone = RunningMeanStd(3)
    alone.update(both)
    assert statistics.count == alone.count == 100
    torch.testing.assert_close(statistics.mean, alone.mean)
    torch.testing.assert_close(statistics.var, alone.var)


def test_another_number_of_processes_is_refused():
    check_processes(2, 2)
    with pytest.raises(LabError, match="2 processes trained this run; resume with as many, not 1"):
        check_processes(2, 1)


@pytest.mark.parametrize(
    ("recipe", "refused"),
    [
        ("ppo_cartpole", False),
        ("sac_pendulum", False),
        ("trpo_pendulum", True),
        ("recurrent_ppo_cartpole_hidden", True),
        ("policy_search_cartpole", True),
        ("iql_pendulum", True),
    ],
)
def test_lab_check_refuses_several_processes_where_they_would_learn_apart(recipe, refused):
    two = ["trainer.devices=2", "trainer.strategy=ddp", "trainer.accelerator=cpu"]
    loaded = load(find_recipe(recipe), two)
    if not refused:
        assemble(loaded)
        return
    with pytest.raises(RecipeError, match=r"trainer\.devices: \w+ learns in one process: set it to 1"):
        assemble(loaded)
