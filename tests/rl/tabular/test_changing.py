"""A maze that changes: when it does, what is evaluated then, and a model that follows it."""

import pytest
from lightning import seed_everything

from lab.rl.envs.environment import make
from lab.rl.envs.state import snapshot
from lab.rl.tabular.changing import AFTER, BEFORE, ChangingMaze
from lab.rl.tabular.control import TDControl
from lab.rl.tabular.data import TabularData
from lab.rl.tabular.mdp import transition_table
from lab.rl.tabular.model_based.model import CountedModel
from tests.rl import points

NAME = "lab.rl.tabular.changing:ChangingMaze-v0"


def test_it_changes_once_after_its_steps_whatever_the_episode():
    env = ChangingMaze(change_after=3)
    env.reset(seed=0)
    env.step(2)
    env.reset()
    env.step(2)
    assert env.desc == list(BEFORE)
    assert transition_table(env).optimal_return(200) == -10
    env.step(0)
    assert env.desc == list(AFTER)
    assert transition_table(env).optimal_return(200) == -16


def test_the_change_is_kept_in_a_snapshot():
    one, other = (make(NAME, {"change_after": 5}, is_flat=False) for _ in range(2))
    one.reset(seed=0)
    for _ in range(6):
        one.step(0)
    snapshot.restore(other, snapshot.take(one))
    assert other.unwrapped.taken == 6
    assert other.unwrapped.desc == list(AFTER)
    for action in (2, 2, 0, 2, 1, 3):
        assert one.step(action)[:4] == other.step(action)[:4]


def test_rows_of_another_length_are_refused():
    with pytest.raises(ValueError, match="later_desc"):
        ChangingMaze(later_desc=["S.G"])


def test_a_model_of_the_latest_outcome_forgets_the_others():
    model, counted = CountedModel(latest_only=True), CountedModel()
    for outcome in ((-1.0, 1, False), (-1.0, 1, False), (-1.0, 0, False)):
        surprises = model.add(0, 0, outcome), counted.add(0, 0, outcome)
    assert surprises == (1.0, 1.0)
    assert list(model.outcomes[0, 0].items()) == [((-1.0, 0, False), 1)]
    assert len(counted.outcomes[0, 0]) == 2
    assert {model.sample() for _ in range(20)} == {(0, 0, (-1.0, 0, False))}


@pytest.mark.slow
def test_planning_with_the_latest_outcomes_finds_the_new_way():
    """What it had learnt leads to a wall: 200 moves and the episode is cut off."""
    seed_everything(0, verbose=False)
    data = TabularData(NAME, total_steps=4_000, env_kwargs={"change_after": 1_500}, train_freq=500, eval_every=4_000)
    own = {"planning_steps": 10, "lr": 0.5, "gamma": 0.95, "epsilon": 0.1, "final_epsilon": 0.1}
    agent = TDControl(**data.facts(), **own, latest_outcome=True)
    trainer = points.fit(agent, data, limit_val_batches=0)
    (metrics,) = trainer.test(agent, data, verbose=False)
    assert metrics["test/return"] == -16
    assert metrics["test/optimality_gap"] == 0
    agent.env_steps = 0
    assert agent.evaluate("test", [])["test/optimality_gap"] >= 6, "in the maze as it was"
