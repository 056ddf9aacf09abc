"""What holds for every agent that is registered: what it sends to an environment, and what changes its weights."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box

from lab.errors import BadSetting
from lab.registry import find_task, task_names
from lab.rl.common import evaluation
from lab.rl.data.loaders import CollectionData
from lab.rl.envs import async_stepper
from lab.rl.envs.factory import EnvFactory, draw
from lab.rl.multi_agent.team_data import TeamRolloutData
from lab.rl.offline.offline_data import OfflineData
from lab.rl.tabular.data import TabularData
from tests.rl import points
from tests.rl.points import Double, FromOne, Lookup, Point, SharedLookup, Strict, Whole

TASKS = {name: find_task(name) for name in task_names()}
AGENTS = {
    name: task
    for name, task in TASKS.items()
    # tables take no vectors, offline agents never collect, and teams need several agents
    if issubclass(task.data, CollectionData) and not issubclass(task.data, TabularData | OfflineData | TeamRolloutData)
}
DISCRETE = ("dqn", "ppo", "a2c", "reinforce", "trpo")


@pytest.fixture
def register(monkeypatch):
    return lambda kind, **settings: points.register(monkeypatch, kind, **settings)


@pytest.fixture(params=points.one_of_each(AGENTS))
def agent(request):
    return AGENTS[request.param]


def test_all_are_found():
    assert set(AGENTS) >= {"ddpg", "td3", "sac", "tqc", *DISCRETE}


@pytest.mark.slow
@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_actions_are_numbers_however_they_are_counted(name, register):
    one, *others = (
        points.train(AGENTS[name], register(kind), discrete=True)[0] for kind in (Lookup, SharedLookup, FromOne)
    )
    assert all(points.equal(one, other) for other in others)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Strict, Double, Whole])
def test_actions_lie_in_their_space(kind, agent, register):
    points.train(agent, register(kind))


@pytest.mark.parametrize("space", [Box(-np.inf, np.inf, (1,)), Box(0, np.inf, (1,))])
@pytest.mark.parametrize("name", ["ddpg", "td3", "sac", "tqc", "crossq", "mbpo", "pets", "dqn"])
def test_actions_without_bounds_are_refused_where_they_are_squashed(space, name, register):
    class Unbounded(Point):
        def __init__(self):
            super().__init__()
            self.action_space = space

    with pytest.raises(BadSetting, match="needs bounded actions, found some without bounds: use task=ppo"):
        points.train(AGENTS[name], register(Unbounded))


@pytest.mark.slow
def test_no_more_environments_are_made_than_a_run_needs(agent, register, tmp_path):
    Point.made = 0
    model, data, trainer = points.train(agent, register(Point), eval_every=20)
    trainer.test(model, datamodule=data, verbose=False)
    model.play(tmp_path / "agent.mp4", seed=0)
    assert Point.made == getattr(data, "num_envs", 1) + 1


@pytest.mark.long
def test_processes_make_them_instead(register, monkeypatch):
    monkeypatch.setattr(async_stepper, "cores", lambda: 2)
    Point.made = 0
    points.train(AGENTS["ppo"], register(Point), vectorization="async")
    assert Point.made == 1


@pytest.mark.slow
def test_an_environment_that_draws_from_its_start_on_is_made_anew_for_it(register, tmp_path):
    class Prepared(Point):
        def __init__(self, render_mode=None):
            super().__init__(render_mode)
            self.canvas = np.zeros((16, 16, 3), np.uint8) if render_mode else None

        def render(self):
            return self.canvas

    Point.made = 0
    model, data, _ = points.train(AGENTS["ddpg"], register(Prepared))
    model.play(tmp_path / "agent.mp4", seed=0)
    assert Point.made == 3
    assert data.env_factory.for_evaluation(1)[0].unwrapped.render_mode is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("metadata", "frame", "words"),
    [
        ({}, None, r"its metadata\['render_modes'\] lacks 'rgb_array'"),
        (Point.metadata, None, r"render\(\) returned NoneType, expected an array of uint8 \(H, W, 3\)"),
        (Point.metadata, np.zeros((4, 4)), r"render\(\) returned an array of float64 \(4, 4\)"),
    ],
)
def test_an_environment_that_does_not_draw_says_why(metadata, frame, words, register, tmp_path):
    kind = type("Blind", (Point,), {"metadata": metadata, "render": lambda _: frame})
    model, *_ = points.train(AGENTS["ddpg"], register(kind))
    with pytest.raises(Exception, match=f"Blind-v0 cannot render: {words}"):
        model.play(tmp_path / "agent.mp4", seed=0)


@pytest.mark.parametrize("kind", [np.uint8, np.float64])
def test_a_picture_of_a_few_pixels_is_enlarged_and_one_of_floats_becomes_bytes(kind, register):
    shown = np.zeros((10, 20, 3), np.uint8)
    shown[3, 4] = 255
    drawing = {"metadata": Point.metadata, "render": lambda _: shown if kind == np.uint8 else shown / 255.0}
    with EnvFactory(register(type("Small", (Point,), drawing))).for_video() as env:
        frame = draw(env)
    assert frame.dtype == np.uint8
    assert (frame[::8, ::8] == shown).all()
    assert (frame.reshape(10, 8, 20, 8, 3).std((1, 3)) == 0).all()


@pytest.mark.slow
def test_the_optimum_is_that_of_the_environment_as_it_is_registered(monkeypatch):
    monkeypatch.setitem(evaluation.OPTIMA, "Pendulum-v1", lambda seeds: np.zeros(len(seeds)))
    for keywords, expected in [({}, True), ({"g": 5.0}, False)]:
        model, data, trainer = points.train(AGENTS["ddpg"], "Pendulum-v1", env_kwargs=keywords)
        assert data.env_factory.for_evaluation(1)[0].unwrapped.g == keywords.get("g", 10.0)
        (metrics,) = trainer.test(model, datamodule=data, verbose=False)
        assert ("test/optimality_gap" in metrics) == expected
    assert gym.spec("Pendulum-v1").kwargs == {}
