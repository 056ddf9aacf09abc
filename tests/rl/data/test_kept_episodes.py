"""The episodes that an agent plays while it trains are written as they were, and keeping them changes nothing else."""

import re
import sys
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch

from lab.engine.signals import Stopped
from lab.errors import BadSetting, LabError
from lab.keywords import keywords
from lab.registry import find_recipe, find_task, task_names
from lab.rl.data import kept_episodes
from lab.rl.data.collector import ArrayCollector
from lab.rl.data.episode_files import read_minari
from lab.rl.data.episodes import Episode
from lab.rl.data.kept_episodes import KeptEpisodes
from lab.rl.data.loaders import CollectionData
from lab.rl.data.minari_folder import minari_metadata, minari_names, minari_root
from lab.rl.data.replay import ReplayData
from lab.rl.data.rollout import RolloutData
from lab.testing import resuming, runs
from lab.testing.memory import MemoryLogger
from lab.testing.short import RESUMED, SMALL, small
from tests.rl import points
from tests.rl.points import Lookup, Opaque, Point

NAME, same = "point/kept-v0", kept_episodes._same
COLLECTING = {name: task for name in task_names() if issubclass((task := find_task(name)).data, CollectionData)}
KEEPING = {name: task for name, task in COLLECTING.items() if "keep" in keywords(task.data)[0]}


class Witness(Point):
    """Writes down what is played; the first one that is made is the evaluation's."""

    all = ()  # of those that were made

    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.played = []
        Witness.all = (*Witness.all, self)

    def reset(self, **keywords):
        seen, info = super().reset(**keywords)
        self.played.append(([seen], [], [], []))
        return seen, info

    def step(self, action):
        result = super().step(action)
        for column, value in zip(self.played[-1], (result[0], action, result[1], result[2]), strict=True):
            column.append(value)
        return result


def kept(name=NAME):
    return read_minari(minari_root() / name)


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("LAB_DATA", str(tmp_path / "data"))


@pytest.fixture
def witness(monkeypatch):
    Witness.all = ()
    return points.register(monkeypatch, Witness)


def test_agents_that_keep_their_episodes():
    assert set(COLLECTING) - set(KEEPING) >= {"ippo", "constrained_ppo", "td_control", "td3_bc"}
    assert set(KEEPING) >= {"dqn", "sac", "td3", "ddpg", "tqc", "crossq", "ppo", "a2c", "a3c", "trpo", "reinforce"}
    assert set(KEEPING) >= {"recurrent_ppo", "recurrent_dqn", "pearl", "mbpo", "pets", "policy_search"}


@pytest.mark.slow
@pytest.mark.parametrize("name", points.one_of_each(KEEPING))
def test_what_was_played_is_kept(name, witness):
    plain = points.train(KEEPING[name], witness)[0]
    Witness.all = ()
    agent, data, _ = points.train(KEEPING[name], witness, keep=NAME)
    assert points.equal(agent, plain)
    expected = []
    for env in Witness.all[1:]:
        expected += [[*map(np.stack, played[:3]), played[3][-1]] for played in env.played if played[1]]
    episodes = kept()
    assert sum(len(each.rewards) for each in episodes) == data.env_steps >= 60
    assert len(episodes) == len(expected)
    for one, other in zip(ordered(episodes), ordered(expected), strict=True):
        np.testing.assert_array_equal(one[0][:, :2], other[0])  # two columns, to which PEARL adds some
        np.testing.assert_array_equal(one[1], other[1])
        np.testing.assert_allclose(one[2], other[2], rtol=1e-6)
        assert one[3] == other[3]
    over = [each for each in episodes if each.terminated or len(each.rewards) == 20]
    assert len(over) == data._episodes
    assert np.mean([each.rewards.sum() for each in over]) == pytest.approx(data.mean_return(), rel=1e-5)


def ordered(episodes):
    return sorted(episodes, key=lambda each: each[1].tobytes())


def test_the_data_set_says_what_it_is(witness):
    points.train(KEEPING["ddpg"], witness, keep=NAME)
    about = minari_metadata(NAME)
    assert about["description"] == "the episodes that ddpg played in Witness-v0 in 60 steps of training"
    assert (about["algorithm_name"], about["total_steps"]) == ("ddpg", 60)
    assert minari_names() == [NAME]
    assert not list(minari_root().glob(".*")), "drafts are gone"
    with pytest.raises(BadSetting, match=f"keep: there is a data set {NAME} in .*; give another name, or another vers"):
        points.train(KEEPING["ddpg"], witness, keep=NAME)


@pytest.mark.slow
def test_rollouts_that_begin_anew_cut_episodes():
    points.train(KEEPING["reinforce"], "Pendulum-v1", keep=NAME, num_steps=6, reset_each_rollout=True)
    assert {len(each.rewards) for each in kept()} == {6}
    assert not any(each.terminated for each in kept())


@pytest.mark.slow
def test_a_shorter_time_limit_truncates():
    points.train(KEEPING["sac"], "Pendulum-v1", keep=NAME, episode_steps=25)
    assert [(len(each.rewards), each.terminated) for each in kept()] == [(25, False), (25, False), (10, False)]


def test_indices_of_values_become_the_values(witness):
    points.train(KEEPING["dqn"], witness, keep=NAME)
    actions = np.concatenate([each.actions for each in kept()])
    assert actions.shape == (60, 1)
    assert set(actions.ravel().tolist()) <= {-1.0, -0.5, 0.0, 0.5, 1.0}


def test_discrete_actions_are_whole_numbers(monkeypatch):
    points.train(KEEPING["dqn"], points.register(monkeypatch, Lookup), discrete=True, keep=NAME)
    actions = np.concatenate([each.actions for each in kept()])
    assert actions.dtype == np.int64
    assert set(actions.tolist()) <= {0, 1, 2}


@pytest.mark.slow
def test_goals_are_kept_as_they_were_asked_for():
    _, data, _ = points.train(KEEPING["sac"], "lab.rl.envs.goals:Reach", hindsight=True, num_envs=2, keep=NAME)
    size = sum(part["size"] for part in data.facts()["observation_size"].values())
    assert all(each.observations.shape == (len(each.rewards) + 1, size) for each in kept())
    assert sum(len(each.rewards) for each in kept()) == 60


@pytest.mark.parametrize("vectorization", ["sync", "async", "vector"])
def test_episodes_are_what_the_collector_yields(vectorization):
    torch.manual_seed(0)
    keeper = KeptEpisodes(NAME)
    settings = {"frames_per_batch": 60, "total_frames": 240, "num_envs": 3, "vectorization": vectorization}
    collector = ArrayCollector("CartPole-v1", None, **settings, kept_episodes=keeper)
    batches = torch.cat(list(collector), 1)
    steps = batches.flatten()[batches["collector", "mask"].flatten()]
    collector.cut()
    collector.shutdown()
    episodes = keeper.take({"count": 2})
    numbers = steps["collector", "traj_ids"].unique().tolist()
    assert len(episodes) == len(numbers) > 6
    expected = []
    for number in numbers:
        rows = steps[steps["collector", "traj_ids"] == number]
        seen = torch.cat([rows["observation"], rows["next", "observation"][-1:]]).numpy()
        ended = bool(rows["next", "terminated"][-1])
        expected.append(Episode(seen, rows["action"].numpy(), rows["next", "reward"][:, 0].numpy(), ended))
    assert same(ordered(episodes), ordered(expected))
    assert [each.terminated for each in episodes[-3:]] == [False] * 3, "the last ones were cut"


def test_few_files_hold_everything(tmp_path, monkeypatch):
    monkeypatch.setattr(kept_episodes, "CHUNK", 64)
    keeper, numbers = KeptEpisodes(NAME), []
    collector = ArrayCollector(
        "CartPole-v1", None, frames_per_batch=2, total_frames=800, num_envs=2, kept_episodes=keeper
    )
    for _ in collector:
        files = keeper.write(tmp_path / "files")
        numbers.append(len(files))
        assert len(set(files)) == len(files) == len(keeper.chunks)
    assert max(numbers) < 20
    again = KeptEpisodes(NAME)
    again.read(tmp_path / "files", files)
    assert same(again.take({"count": 2}), keeper.take({"count": 2}))


def test_an_episode_that_could_not_go_on_ends_where_it_was(tmp_path, monkeypatch):
    entry = gym.envs.registration.EnvSpec("Opaque-v0", entry_point=lambda: Opaque(Point()), max_episode_steps=20)
    monkeypatch.setitem(gym.registry, "Opaque-v0", entry)
    keepers = [KeptEpisodes(NAME), KeptEpisodes(NAME)]
    settings = {"frames_per_batch": 60, "total_frames": 60, "num_envs": 2}
    first, second = (ArrayCollector("Opaque-v0", None, **settings, kept_episodes=keeper) for keeper in keepers)
    first.collect()
    state, files = first.state_dict(), keepers[0].write(tmp_path)
    with pytest.warns(UserWarning, match="the current episode of Opaque-v0 starts again"):
        second.load_state_dict(state)
    keepers[1].read(tmp_path, files)
    second.collect()
    second.cut()
    episodes = keepers[1].take(second.stepper.action)
    assert sum(len(each.rewards) for each in episodes) == 120
    for each in episodes:  # the first column of an observation counts steps
        assert each.observations[:, 0].tolist() == list(range(len(each.rewards) + 1))


INTERRUPTED = {
    "dqn_cartpole": ("data.num_envs=2", "data.learning_starts=20"),
    "a2c_cartpole": (),
    "ppo_cartpole": ("data.reset_each_rollout=true",),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", INTERRUPTED)
def test_a_resumed_run_keeps_the_same(name, tmp_path, monkeypatch):
    recipe = small(find_recipe(name), size=(*RESUMED, f"data.keep={NAME}", *INTERRUPTED[name]))
    resuming.train(recipe, tmp_path / "whole", MemoryLogger())
    whole, about = kept(), minari_metadata(NAME)
    resuming.train(recipe, tmp_path / "whole", MemoryLogger(), resume=True)  # a training that had ended
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("MINARI_DATASETS_PATH", str(tmp_path / "elsewhere"))
        with pytest.raises(Stopped):
            resuming.train(recipe, tmp_path / "stopped", MemoryLogger(), stop=3)
        assert minari_names() == []
        resuming.train(recipe, tmp_path / "stopped", MemoryLogger(), resume=True)
        assert same(kept(), whole)
        assert minari_metadata(NAME) == about


@pytest.mark.slow
def test_a_run_that_ended_between_data_set_and_checkpoint_is_resumed(tmp_path, witness):
    recipe = small(find_recipe("ppo_cartpole"), size=(*RESUMED, f"data.keep={NAME}"))
    resuming.train(recipe, tmp_path / "whole", MemoryLogger())
    whole = kept()
    (minari_root() / NAME).rename(minari_root() / "away")
    for folder in ("first", "second"):
        with pytest.raises(Stopped):
            resuming.train(recipe, tmp_path / folder, MemoryLogger(), stop=3)
    (minari_root() / "away").rename(minari_root() / NAME)
    resuming.train(recipe, tmp_path / "first", MemoryLogger(), resume=True)
    assert same(kept(), whole), "its own one is left alone"
    (minari_root() / NAME).rename(minari_root() / "away")
    points.train(KEEPING["ddpg"], witness, keep=NAME)
    others = kept()
    with pytest.raises(LabError, match=rf"there is another data set {NAME} in .* by now; move it away, and resume"):
        resuming.train(recipe, tmp_path / "second", MemoryLogger(), resume=True)
    assert same(kept(), others), "and so is another's"


@pytest.mark.slow
def test_an_offline_agent_learns_from_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "cartpole/dqn-replay-v0"
    played = ("data.total_steps=400", "data.learning_starts=50", "data.eval_every=200", f"data.keep={name}")
    short = (*SMALL[1:], "data.eval_episodes=1", "data.test_episodes=1")
    runs.train(find_recipe("dqn_cartpole"), tmp_path, 0, (*short, *played))
    mean = np.mean([each.rewards.sum() for each in kept(name)])
    learnt = (f"data.name={name}", "data.total_updates=50", "data.eval_every=50", "data.updates_per_block=25")
    run = runs.train(find_recipe("cql_cartpole"), tmp_path, 0, (*short, *learnt))
    assert run.tested["test/dataset_return"] == pytest.approx(mean)


@pytest.mark.parametrize("kind", [ReplayData, RolloutData])
def test_names_that_cannot_be_are_one_line(kind, monkeypatch):
    with pytest.raises(BadSetting, match="keep: 'cartpole' is no Minari id; expected a name and a version, such as"):
        kind("CartPole-v1", 10_000, keep="cartpole")
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(BadSetting, match=re.escape("not installed: pip install 'torch-lab[offline]'")):
        kind("CartPole-v1", 10_000, keep=NAME)


def test_several_processes_keep_nothing():
    data = RolloutData("CartPole-v1", 10_000, keep=NAME)
    data.trainer = SimpleNamespace(world_size=2, lightning_module=SimpleNamespace(), callbacks=[])
    with pytest.raises(BadSetting, match="keep: one process alone can keep its episodes: set trainer"):
        data.setup("fit")


def test_more_than_the_memory_holds_is_refused():
    facts = {"observation_size": [4, 84, 84], "action": {"count": 6}}
    with pytest.raises(BadSetting, match=r"keep: 1,000,000,000 steps of 28,240 bytes are 28,240.0 GB, and this"):
        kept_episodes.check_kept_fits(10**9, facts)
    kept_episodes.check_kept_fits(1_000, facts)
