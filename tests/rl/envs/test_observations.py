"""Observations of every kind: one array in buffers, taken apart by the encoder, and learned from by every agent."""

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple

from lab.errors import LabError
from lab.rl.data.replay import ReplayData
from lab.rl.envs.environment import describe, make
from lab.rl.envs.flattening import Flattening
from lab.rl.envs.observations import Layout
from lab.rl.networks.encoder import Encoder, example_input
from lab.rl.networks.normalization import observation_normalization
from tests.rl import points
from tests.rl.test_every_agent import AGENTS, DISCRETE

PARTS = Dict(
    camera=Box(0, 255, (12, 10, 3), np.uint8), place=Box(-9, 9, (2, 1), np.float64), phase=Discrete(3, start=1)
)
NEED_VECTORS = ("mbpo", "pearl", "pets", "policy_search")
KINDS = [
    (Box(-1, 1, ()), 1),
    (Box(-1, 1, (3, 2)), 6),
    (Discrete(4, start=2), {"observation": {"counts": [4]}}),
    (MultiDiscrete([2, 3]), {"observation": {"counts": [2, 3]}}),
    (MultiBinary((2, 2)), 4),
    (Box(0, 255, (4, 84, 84), np.uint8), [4, 84, 84]),
    (Box(0, 255, (84, 96, 3), np.uint8), [3, 84, 96]),
    (Box(0, 255, (4, 96, 96, 3), np.uint8), [12, 96, 96]),
    (Box(0, 255, (84, 84), np.uint8), [1, 84, 84]),
    (Box(0, 1, (3, 40, 40)), {"observation": {"image": [3, 40, 40], "bounds": [0.0, 1.0]}}),
    (Tuple((Discrete(2), Box(-1, 1, (2,)))), {"1": {"size": 2}, "0": {"counts": [2]}}),
    (Dict({"place": Box(-1, 1, (3,))}), 3),  # a lone part is a vector, or an image
    (Dict({"camera": Box(0, 255, (12, 10, 3), np.uint8)}), [3, 12, 10]),
    (PARTS, {"place": {"size": 2}, "phase": {"counts": [3]}, "camera": {"bytes": [3, 12, 10]}}),
]


class Parts(points.Point):
    """A point with a camera, and two switches to move it."""

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.observation_space = PARTS
        self.action_space = MultiDiscrete([2, 3])

    def shown(self):
        place = np.clip(self.state, -9, 9).reshape(2, 1).astype(np.float64)
        return {"camera": np.full((12, 10, 3), int(self.state[0]), np.uint8), "place": place, "phase": 1}

    def move(self, action):
        return 0.2 * (2 * action[0] - 1) + 0.1 * (action[1] - 1)


class OneSwitch(Parts):
    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.action_space = Discrete(3)

    def move(self, action):
        return 0.2 * (action - 1)


class Handle(Parts):
    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.action_space = Box(-1, 1, (1, 1), np.float64)

    def move(self, action):
        return float(action[0, 0])


class Guarded(points.Point):
    """Only some of its actions are valid, which change in every step."""

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.action_space = Discrete(4)

    def action_masks(self):
        return np.arange(4) % 2 == int(self.state[0]) % 2

    def move(self, action):
        assert self.masks[action], action
        return 0.1 * (action - 1.5)

    def step(self, action):
        self.masks = self.action_masks()
        return super().step(action)


@pytest.mark.parametrize(("space", "size"), KINDS, ids=str)
def test_one_array_holds_what_was_seen(space, size):
    flattening = Flattening("some", space)
    assert flattening.observation_size == size
    space.seed(0)
    row = flattening(space.sample())
    layout = Layout(size)
    assert (row.shape, row.dtype) == (layout.shape, np.dtype(layout.type))
    assert row in flattening.space()
    encoder = Encoder(size)
    assert encoder(torch.from_numpy(row)[None]).shape == (1, encoder.width)
    assert encoder(example_input(size)).shape == (1, encoder.width)


def test_parts_are_exact_and_compact():
    flattening, encoder = Flattening("some", PARTS), Encoder(Flattening("some", PARTS).observation_size)
    seen = {"camera": np.arange(360, dtype=np.uint8).reshape(12, 10, 3), "place": np.array([[0.1], [-3]]), "phase": 3}
    row = torch.from_numpy(flattening(seen))
    assert row.nbytes == 4 * 3 + 360
    numbers, pixels = encoder.split(row)
    assert numbers.tolist() == [np.float32(0.1), -3.0, 2.0]
    np.testing.assert_array_equal(pixels.reshape(3, 12, 10), np.moveaxis(seen["camera"], -1, 0))
    assert torch.equal(encoder(row.float()), encoder(row))  # as a collector passes it on
    features = encoder(torch.stack([row, row]))
    assert features.shape == (2, encoder.width)
    assert features[0, :5].tolist() == [np.float32(0.1), -3.0, 0.0, 0.0, 1.0]
    norm = observation_normalization(flattening.observation_size)
    norm.update(torch.stack([row, torch.from_numpy(flattening(seen | {"place": np.array([[0.3], [1]])}))]))
    assert encoder(norm(row))[:2].tolist() == pytest.approx([-1, -1])
    assert torch.equal(encoder(norm(row))[2:], encoder(row)[2:])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"place": np.array([[np.nan], [0]])}, "column 0 of 'place' of the observation is nan"),
        ({"place": np.zeros(2)}, r"'place' of the observation: expected shape: \(2, 1\), actual shape: \(2,\)"),
        ({"phase": 0}, "'phase' of the observation is 0, which is not in its space"),
        ({"phase": "one"}, "'phase' of the observation holds <U3, expected real numbers"),
        ({"camera": np.zeros((12, 10, 3))}, "'camera' of the observation holds float64, expected uint8"),
    ],
)
def test_a_part_that_is_not_in_its_space_is_named(change, words, monkeypatch):
    env = make(points.register(monkeypatch, type("Odd", (Parts,), {"shown": lambda self: Parts.shown(self) | change})))
    with pytest.raises(LabError, match=f"environment Odd-v0 failed in the reset.*{words}"):
        env.reset(seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", points.one_of_each(name for name in AGENTS if name not in NEED_VECTORS))
def test_every_agent_learns_from_parts(name, monkeypatch):
    kind = OneSwitch if name == "dqn" else Parts if name in DISCRETE else Handle
    model, data, trainer = points.train(AGENTS[name], points.register(monkeypatch, kind), discrete=True)
    assert data.facts()["observation_size"] == KINDS[-1][1]
    assert model(model.example_input_array).shape[0] == 1
    (metrics,) = trainer.test(model, datamodule=data, verbose=False)
    assert np.isfinite(metrics["test/return"])
    if isinstance(data, ReplayData):
        assert data.replay[:]["observation"].dtype == torch.uint8


@pytest.mark.slow
@pytest.mark.parametrize("name", DISCRETE)
def test_only_valid_actions_are_taken(name, monkeypatch):
    env = points.register(monkeypatch, Guarded)  # fails at an action that is not valid
    model, data, trainer = points.train(AGENTS[name], env, discrete=True, action_masks=True)
    trainer.test(model, datamodule=data, verbose=False)
    assert data.facts()["observation_size"] == {"observation": {"size": 2}, "action_mask": {"mask": 4}}


def test_a_mask_may_be_in_info(monkeypatch):
    class Told(points.Lookup):
        def reset(self, **keywords):
            observation, _ = super().reset(**keywords)
            return observation, {"action_mask": np.array([1, 0, 1], np.int8)}

    env = make(points.register(monkeypatch, Told), action_masks=True)
    assert env.reset(seed=0)[0][2:].tolist() == [1.0, 0.0, 1.0]


def test_gymnasium_s_own_are_taken():
    sizes = {name: describe(name)["observation_size"] for name in ("FrozenLake-v1", "Blackjack-v1")}
    assert sizes["FrozenLake-v1"] == {"observation": {"counts": [16]}}
    assert sizes["Blackjack-v1"] == {"0": {"counts": [32]}, "1": {"counts": [11]}, "2": {"counts": [2]}}
    stacked = [{"class_path": "FrameStackObservation", "init_args": {"stack_size": 3}}]
    assert describe("Pendulum-v1", None, stacked)["observation_size"] == 9
