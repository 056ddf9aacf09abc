"""The same seed gives the same weights for every agent that is registered, however it is watched.

Nor does it matter whether an environment copies its arrays, or shows one and the same array at each step.
"""

import h5py
import numpy as np
import pytest

from lab.registry import find_task, task_names
from lab.rl.data.loaders import CollectionData
from lab.rl.offline.offline_data import OfflineData
from lab.rl.tabular.data import TabularData
from lab.testing import runs
from lab.testing.clauses import own_recipes
from lab.testing.short import SHRUNK
from tests.rl import points
from tests.rl.points import Cells, Lookup, Point, Shared, SharedCells, SharedLookup

pytestmark = pytest.mark.slow
TASKS = {name: task for name in task_names() if (task := find_task(name)).module.__module__.startswith("lab.rl.")}
TASKS.pop("maml")  # learns from drawn functions, without an environment
TASKS.pop("ippo")  # needs several agents: tests/rl/multi_agent
PLANNING = ("bandit", "dynamic_programming")  # no step of an environment, nothing random in what they validate
ALSO = {  # agents by their switches
    "rainbow": ("dqn", {"model": {"noisy": True, "distributional": True, "double": True, "dueling": True},
                        "prioritized": True, "n_step": 3}),
    "qrdqn": ("dqn", {"model": {"quantile": True, "num_quantiles": 4}}),
    "droq": ("sac", {"model": {"num_critics": 3, "subset_size": 2, "layer_norm": True, "dropout": 0.1}}),
    "simba": ("sac", {"model": {"network": "simba", "hidden": [16, 16]}}),
    "normalized": ("td3", {"model": {"normalize_observations": True, "normalize_rewards": True}}),
}  # fmt: skip
AGENTS = {name: (name, {}) for name in TASKS if name not in PLANNING} | ALSO


@pytest.fixture
def train(monkeypatch, tmp_path):
    def call(name, shared=False, **settings):
        task, own = TASKS[AGENTS[name][0]], AGENTS[name][1]
        discrete = name == "cql"
        kinds = (Lookup, SharedLookup) if discrete else (Point, Shared)
        if issubclass(task.data, TabularData):
            kinds = (Cells, SharedCells)
        if issubclass(task.data, OfflineData):
            own = own | {"path": str(recorded(tmp_path / "episodes.h5", discrete))}
        return points.train(task, points.register(monkeypatch, kinds[shared]), discrete=discrete, **own | settings)[0]

    return call


def recorded(path, discrete):
    """Five episodes of ten steps in D4RL's layout."""
    random, steps = np.random.default_rng(0), 50
    with h5py.File(path, "w") as file:
        file["observations"] = random.normal(size=(steps, 2)).astype(np.float32)
        actions = random.integers(3, size=steps) if discrete else random.uniform(-1, 1, (steps, 1)).astype(np.float32)
        file["actions"] = actions
        file["rewards"] = random.normal(size=steps).astype(np.float32)
        file["terminals"] = np.arange(steps) % 10 == 9
        file["timeouts"] = np.zeros(steps, bool)
    return path


def test_every_agent_is_here():
    assert {name for name, _ in AGENTS.values()} | set(PLANNING) == set(TASKS)
    assert not any(issubclass(TASKS[name].data, CollectionData) for name in PLANNING)


@pytest.mark.parametrize("name", points.one_of_each(AGENTS))
def test_the_same_seed_gives_the_same_weights(name, train):
    plain, shared = train(name), train(name, shared=True)
    often = {"eval_every": 5 if issubclass(TASKS[AGENTS[name][0]].data, OfflineData) else 20}
    watched = train(name, **often, eval_episodes=3, eval_envs=2, trainer={"enable_progress_bar": True})
    assert points.equal(plain, watched)
    assert points.equal(plain, shared)


@pytest.mark.long
@pytest.mark.parametrize("name", TASKS)
def test_mirrors_and_progress_bars_change_no_weight(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file, watched = own_recipes(name)[0], ("track.mirror=[csv, tensorboard]", "trainer.enable_progress_bar=true")
    plain, mirrored = (runs.train(file, tmp_path, 0, (*SHRUNK, *more)) for more in ((), watched))
    assert runs.same(runs.weights(plain.last), runs.weights(mirrored.last))
