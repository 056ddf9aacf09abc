"""Parallel environments as teams: columns, ends, snapshots, and what is refused."""

import itertools
from typing import ClassVar

import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete, Sequence

from lab.errors import BadSetting, LabError
from lab.rl.envs.environment import make
from lab.rl.envs.factory import EnvFactory
from lab.rl.envs.layers.team import ALIVE, REWARD, TERMINATED, Team
from lab.rl.envs.state import snapshot
from lab.rl.multi_agent.ippo import TeamRolloutData
from lab.rl.multi_agent.rendezvous import MOVES, Rendezvous, optimal_returns

RENDEZVOUS = "lab.rl.multi_agent.rendezvous:Rendezvous"
QUITTERS = f"{__name__}:Quitters"


class Quitters:
    """Agent `early` ends in its second step, `late` is cut off in its fourth; each is paid its own number."""

    possible_agents = ("early", "late")
    seen = Box(-9, 9, (2,), np.float32)
    spaces: ClassVar = {"early": Discrete(3, start=1), "late": MultiDiscrete([2, 4])}

    def observation_space(self, agent):
        return self.seen if agent == "early" else Discrete(5)

    def action_space(self, agent):
        return self.spaces[agent]

    def reset(self, seed=None, options=None):  # noqa: ARG002
        self.agents, self.steps, self.told = list(self.possible_agents), 0, []
        return self.show(), {}

    def show(self):
        return {"early": np.full(2, self.steps), "late": self.steps}

    def step(self, actions):
        self.steps += 1
        self.told.append(actions)
        acting, self.agents = self.agents, [] if self.steps == 4 else ["late"] if self.steps > 1 else self.agents
        rewards = {agent: {"early": 1, "late": np.float64(10)}[agent] for agent in acting}
        ended, cut = ({agent: agent == who and self.steps == at for agent in acting} for who, at in END)
        return {agent: self.show()[agent] for agent in acting}, rewards, ended, cut, {}


END = ("early", 2), ("late", 4)


def test_agents_that_end_at_different_times():
    team = Team(Quitters)
    assert team.specs == {
        "early": {"observation_size": 2, "action": {"count": 3}},
        "late": {"observation_size": 5, "action": {"counts": [2, 4]}},
    }
    rows = [team.reset(seed=0)[0].reshape(2, -1)]
    ends, rewards = [], []
    for _ in range(4):
        row, reward, terminated, truncated, info = team.step(np.array([2, 1, 3]))
        rows.append(row.reshape(2, -1))
        ends.append((terminated, truncated))
        rewards.append((reward, *info["rewards"]))
    assert np.array_equal(np.stack(rows)[:, :, ALIVE], [[1, 1], [1, 1], [0, 1], [0, 1], [0, 0]])
    assert np.array_equal(np.stack(rows)[:, :, TERMINATED], [[0, 0], [0, 0], [1, 0], [0, 0], [0, 0]])
    assert np.array_equal(np.stack(rows)[:, :, REWARD], [[0, 0], [1, 10], [1, 10], [0, 10], [0, 10]])
    assert rows[2][0, :2].tolist() == [2, 2], "the last observation of the one that ended"
    assert not rows[3][0].any()
    assert [row[1, :5].argmax() for row in rows] == [0, 1, 2, 3, 4]
    assert ends == [(False, False)] * 3 + [(False, True)]
    assert rewards == [(11, 1, 10)] * 2 + [(10, 0, 10)] * 2
    assert [list(told) for told in team.parallel.told] == [["early", "late"]] * 2 + [["late"]] * 2
    assert team.parallel.told[0]["late"].tolist() == [1, 3]


def test_the_optimum_is_that_of_an_exhaustive_search():
    size = 3
    cells = list(itertools.product(range(size), repeat=2))
    steps = {(a, b): 0 if a == b else np.inf for a in cells for b in cells}
    for _ in range(2 * size):
        for a, b in steps:
            after = [[tuple(np.clip(np.add(cell, move), 0, size - 1)) for move in MOVES] for cell in (a, b)]
            steps[a, b] = min(steps[a, b], 1 + min(steps[pair] for pair in itertools.product(*after)))
    for seed in range(20):
        grid = Rendezvous(size)
        grid.reset(seed=seed)
        assert optimal_returns([seed], size)[0] == -2 * steps[tuple(map(tuple, grid.places.tolist()))]


def test_it_goes_on_where_it_was():
    one, other = (make(RENDEZVOUS, is_team=True) for _ in range(2))
    one.reset(seed=3)
    one.step(np.array([1, 2]))
    snapshot.restore(other, snapshot.take(one))
    for action in np.random.default_rng(0).integers(0, 5, (60, 2)):
        left, right = one.step(action), other.step(action)
        assert np.array_equal(left[0], right[0])
        if left[2] or left[3]:
            assert np.array_equal(one.reset()[0], other.reset()[0])


def test_pettingzoo_says_that_it_is_one():
    conformance = pytest.importorskip("pettingzoo.test")
    own = type("Own", (Rendezvous, pytest.importorskip("pettingzoo").ParallelEnv), {})
    conformance.parallel_api_test(own(), num_cycles=50)


def bad(**attributes):
    return type("Bad", (Quitters,), attributes)


def test_what_is_no_team_is_refused_by_name(monkeypatch):
    for name, is_team, words in [
        ("CartPole-v1", True, "'CartPole-v1' has one agent: use another task, such as ppo"),
        (RENDEZVOUS, False, "Rendezvous' has several agents: use task=ippo"),
    ]:
        with pytest.raises(BadSetting, match=words):
            EnvFactory(name, is_team=is_team).facts()
    with pytest.raises(BadSetting, match=r"env_kwargs.sise: unknown keyword 'sise' of .*; did you mean 'size'"):
        make(RENDEZVOUS, {"sise": 5}, is_team=True)
    with pytest.raises(BadSetting, match="ClipReward would see all agents as one"):
        TeamRolloutData(
            RENDEZVOUS, 2_048, wrappers=[{"class_path": "ClipReward", "init_args": {"max_reward": 1}}]
        ).facts()
    for attributes, words in [
        ({"possible_agents": ()}, "Bad is no ParallelEnv with possible_agents"),
        ({"seen": Sequence(Discrete(2))}, "'early' of .* sees Sequence.*, of which no vector is made here"),
        ({"seen": Box(0, 255, (8, 8, 3), np.uint8)}, "'early' of .* sees Box"),
        ({"spaces": {"early": Discrete(2), "late": Box(-1, 1, (1,))}}, "need actions of one kind"),
        ({"spaces": {"early": Dict(), "late": Discrete(2)}}, "'early' has Dict.* as action space"),
    ]:
        monkeypatch.setitem(globals(), "Bad", bad(**attributes))
        with pytest.raises(BadSetting, match=words):
            make(f"{__name__}:Bad", is_team=True)


def test_what_an_agent_may_not_see_is_named(monkeypatch):
    for shown, words in [
        ({"early": np.full(2, np.nan), "late": 0}, "the observation of 'early' has a number that is not finite"),
        ({"early": np.zeros(3), "late": 0}, "the observation of 'early' has 3 numbers, expected 2"),
        ({"late": 0}, "KeyError: 'early'"),
    ]:
        monkeypatch.setitem(globals(), "Bad", bad(show=lambda _, shown=shown: shown))
        with pytest.raises(LabError, match=f"failed in the reset after env step 0.*{words}"):
            make(f"{__name__}:Bad", is_team=True).reset(seed=0)
