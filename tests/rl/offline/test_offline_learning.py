"""Offline agents learn from records: more than the data's mean, and more than cloning where the data is mixed."""

import pytest
import torch
from lightning import Trainer, seed_everything

from lab.registry import find_task

PENDULUM = {"hidden": [32, 32], "lr": 2e-3, "final_lr": 0.0}
VALUES = {"gamma": 0.98, "reward_scale": 0.1}


def score(task, model, **data):
    """The mean return of the test, and that of the data."""
    seed_everything(0, verbose=False)
    torch.set_num_threads(1)
    found = find_task(task)
    recorded = found.data(eval_every=data["total_updates"], eval_episodes=1, test_episodes=20, eval_envs=20, **data)
    agent = found.module(**recorded.facts(), **model)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    trainer = Trainer(**recorded.trainer_defaults(), **quiet, enable_model_summary=False)
    recorded.connect(agent)
    trainer.fit(agent, datamodule=recorded)
    measured = trainer.test(agent, datamodule=recorded, verbose=False)[0]
    return measured["test/return"], measured["test/dataset_return"]


@pytest.mark.long
@pytest.mark.parametrize(("task", "model"), [("td3_bc", VALUES), ("iql", VALUES)])
def test_values_make_more_of_mixed_data_than_cloning(task, model):
    cloned, mean = score("behavior_cloning", PENDULUM, name="pendulum_replay", total_updates=2000)
    model = PENDULUM | model | {"hidden": [64, 64], "lr": 1e-3}
    learnt, _ = score(task, model, name="pendulum_replay", total_updates=8000, batch_size=128)
    assert learnt > max(cloned, mean) + 50


@pytest.mark.long
def test_conservative_values_make_more_of_mixed_data_than_its_mean():
    model = PENDULUM | VALUES | {"lr": 1e-3}
    learnt, mean = score("cql", model, name="cartpole_replay", total_updates=3000, batch_size=128)
    assert learnt > mean + 100


@pytest.mark.long
def test_a_transformer_does_what_the_best_episodes_did():
    model = {"lr": 1e-3, "final_lr": 0.0, "context": 5, "width": 32, "depth": 1, "num_targets": 2}
    learnt, mean = score("decision_transformer", model, name="cartpole_replay", total_updates=600, batch_size=64)
    assert learnt > mean
