"""Options in four rooms: where they lead, their targets by hand, exact scores, and that they explore sooner."""

import numpy as np
import pytest
import torch
from lightning import seed_everything

from lab.errors import BadSetting
from lab.rl.tabular.data import Transition
from lab.rl.tabular.hierarchy.four_rooms import FOUR_ROOMS, FourRooms
from lab.rl.tabular.hierarchy.smdp_q_learning import OptionData, SMDPQLearning, option_return
from lab.rl.tabular.mdp import transition_table
from tests.rl import points

NAME = "lab.rl.tabular.hierarchy.four_rooms:FourRooms-v0"
CELLS = "".join(FOUR_ROOMS)
# three states in a row; the option goes right from the first two, and ends in the third
SMALL = {"env": NAME, "sizes": [3], "starts": [0], "actions": 2, "horizon": 9, "options": [[1, 1, -1]]}


def agent(**settings):
    made = SMDPQLearning(**SMALL, lr=0.5, gamma=0.9, epsilon=0.0, final_epsilon=0.0, **settings)
    made.counts, (made.before, made.after) = made.visits.numpy(), made.values
    return made


def test_each_option_leads_from_its_room_to_a_hallway_by_a_shortest_way():
    env = FourRooms()
    assert len(env.options) == 8
    for moves in env.options:
        inside = {place for place, move in enumerate(moves) if move >= 0}
        ends = set()
        for place in inside:
            steps = 0
            while moves[place] >= 0 and steps < 15:
                place += {0: -1, 1: 1, 2: -13, 3: 13}[moves[place]]
                assert CELLS[place] != "#"
                steps += 1
            ends.add(place)
        (hallway,) = ends
        assert CELLS[hallway] in "HG"
        assert sum(CELLS[place] in "HG" for place in inside) == 1, "the room's other hallway"


def test_the_target_of_an_option_is_what_it_earned_and_the_best_that_follows():
    learner = agent()
    learner.after[0, 2] = [4.0, 1.0, 9.0]  # the third of which cannot be chosen there
    learner.after[0, 0] = [0.0, 0.0, 2.0]
    assert learner.act(0) == 1
    learner.learn(Transition(0, 1, -1.0, 1, terminated=False, over=False))
    assert learner.after[0, 0, 2] == 2.0, "it goes on"
    assert learner.act(1) == 1
    learner.learn(Transition(1, 1, -3.0, 2, terminated=False, over=False))
    assert learner.after[0, 0, 2] == pytest.approx((2 + (-1 - 0.9 * 3 + 0.81 * 4)) / 2)
    assert learner.after[0, 1].tolist() == [0, 0, 0]
    assert learner.option is None


def test_an_option_ends_with_the_episode():
    learner = agent()
    learner.after[0, 0, 2] = 2.0
    learner.after[0, 1] = 100.0
    learner.act(0)
    learner.learn(Transition(0, 1, -1.0, 1, terminated=True, over=True))
    assert learner.after[0, 0, 2] == pytest.approx((2 - 1) / 2)


def test_without_options_it_is_q_learning():
    learner = agent(use_options=False)
    learner.after[0, 1] = [3.0, 5.0]
    learner.after[0, 0] = [1.0, 0.0]
    assert learner.act(0) == 0
    learner.learn(Transition(0, 0, 2.0, 1, terminated=False, over=False))
    assert learner.after[0, 0, 0] == pytest.approx((1 + 2 + 0.9 * 5) / 2)
    with pytest.raises(BadSetting, match="nothing to choose from"):
        agent(use_options=False, primitive_actions=False)


def test_the_exact_return_is_that_of_played_episodes():
    env = FourRooms()
    process, moves = transition_table(env), np.array(env.options).T
    primitive = np.tile(np.arange(4), (len(moves), 1))
    rows = np.concatenate([primitive, moves], -1)
    chance = np.random.default_rng(0)
    greedy = np.array([chance.choice(np.flatnonzero(row >= 0)) for row in rows])
    exact = option_return(process, rows, greedy, num_primitive=4, horizon=60)
    totals = []
    env.reset(seed=0)
    for _ in range(2_000):
        state, total, option, left = env.reset()[0], 0.0, -1, 60
        ended = False
        while left and not ended:
            if option < 4 or rows[state, option] < 0:
                option = greedy[state]
            state, reward, ended, _, _ = env.step(rows[state, option])
            total, left = total + reward, left - 1
        totals.append(total)
    assert exact == pytest.approx(np.mean(totals), abs=4 * np.std(totals) / np.sqrt(len(totals)) + 1e-9)


def fit(steps, **settings):
    seed_everything(1, verbose=False)
    data = OptionData(NAME, total_steps=steps, train_freq=500, eval_every=steps)
    learner = SMDPQLearning(**data.facts(), lr=0.25, gamma=0.95, initial_value=-20.0, **settings)
    trainer = points.fit(learner, data, limit_val_batches=0)
    return data, trainer.test(learner, data, verbose=False)[0]


@pytest.mark.slow
def test_options_find_the_goal_long_before_primitive_actions():
    """An episode of the best policy has 16 steps, and one of a random walk hundreds."""
    data, metrics = fit(4_000)
    alone, _ = fit(4_000, use_options=False)
    assert data.mean_return() > -25
    assert alone.mean_return() < -60
    assert metrics["test/optimality_gap"] < 1


def test_a_greedy_action_is_the_first_of_the_greedy_option():
    learner = agent()
    learner.table.data[0] = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 9.0]])
    assert learner(torch.tensor([0, 1, 2])).tolist() == [1, 0, 1] == learner.policy()[0].tolist()


def test_an_environment_without_options_is_refused():
    with pytest.raises(BadSetting) as error:
        OptionData("FrozenLake-v1", total_steps=1_000).facts()
    assert "'FrozenLake-v1' has no `options`" in str(error.value)
    assert "use task=td_control" in str(error.value)
