"""Whole episodes: recorded, written as a Minari data set and read back, and read from D4RL's layout."""

import re
import sys

import h5py
import numpy as np
import pytest
import torch

from lab.data import find_dataset
from lab.errors import BadInput, BadSetting, LabError
from lab.rl.data import episode_files
from lab.rl.data.episodes import Episode, explore, reactive, record, to_table
from lab.rl.data.minari_folder import free_minari_name, minari_metadata, minari_names, minari_root
from lab.rl.envs.factory import EnvFactory
from lab.rl.offline.episode_dataset import EpisodeDataset
from tests.rl import points

STEPS = 7


def left(observation):
    return torch.zeros(len(observation), dtype=torch.int64)


@pytest.fixture(scope="module")
def cartpole():
    return EnvFactory("CartPole-v1")


@pytest.fixture
def layout(tmp_path):
    """Writes a file in D4RL's layout: an episode of 4 steps that terminates, and one of 3 that is truncated."""

    def write(**changed):
        count = np.arange(STEPS, dtype=np.float32)
        arrays = {
            "observations": np.stack([count, -count], 1),
            "actions": count[:, None] / 10,
            "rewards": count,
            "terminals": count == 3,
            "timeouts": count == 6,
        } | changed
        path = tmp_path / "steps.hdf5"
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                if array is not None:
                    file[name] = array
        return path

    return write


def test_an_episode_depends_on_its_seed_alone(cartpole):
    one, other = (record(reactive(left), cartpole, range(5), noise=0.3, num_envs=envs) for envs in (1, 4))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.observations, b.observations)
        np.testing.assert_array_equal(a.actions, b.actions)
    assert all(len(each.observations) == len(each.actions) + 1 == len(each.rewards) + 1 for each in one)
    assert all(each.terminated for each in one)


@pytest.mark.slow
def test_noise_is_that_of_the_kind_of_action():
    random = np.random.default_rng(0)
    torque = {"low": [-2.0], "high": [2.0]}
    noisy = np.array([explore(np.zeros(1), torque, 0.5, random) for _ in range(4000)])
    assert np.abs(noisy).max() == 2.0
    assert np.std(noisy) == pytest.approx(0.96, abs=0.03)  # of a standard normal that is clipped at 2
    uniform = np.array([explore(None, torque, 0.0, random) for _ in range(4000)])
    assert np.std(uniform) == pytest.approx(4 / 12**0.5, abs=0.03)
    chosen = np.array([explore(0, {"count": 4}, 0.4, random) for _ in range(4000)])
    assert np.mean(chosen != 0) == pytest.approx(0.4 * 3 / 4, abs=0.03)
    assert explore(None, {"counts": [2, 3]}, 0.0, random).shape == (2,)


def test_a_minari_data_set_comes_back_as_it_was(cartpole, tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_DATA", str(tmp_path))
    recorded = record(None, cartpole, range(3))
    name = free_minari_name("CartPole-v1", "dqn")
    assert name == "cartpole/dqn-v0"
    folder = episode_files.write_minari(name, recorded, cartpole, "dqn", "three episodes")
    assert minari_names() == [name]
    assert free_minari_name("CartPole-v1", "dqn") == "cartpole/dqn-v1"
    assert minari_metadata(name)["total_episodes"] == 3
    for one, other in zip(recorded, episode_files.read_minari(folder), strict=True):
        np.testing.assert_array_equal(one.observations, other.observations)
        np.testing.assert_array_equal(one.actions, other.actions)
        assert list(one.rewards) == list(other.rewards)
        assert one.terminated == other.terminated
    with pytest.raises(BadInput, match="there is a data set cartpole/dqn-v0"):
        episode_files.check_minari(name)
    for wrong in ("cartpole", "c/dqn-v0", "cartpole/dqn-v0/", "cart pole/dqn-v0"):
        with pytest.raises(BadInput, match=f"'{wrong}' is no Minari id; expected a name and a version"):
            episode_files.check_minari(wrong)
    with (folder / "data" / "main_data.hdf5").open("r+b") as file:
        file.truncate(2000)
    with pytest.raises(BadSetting, match="cannot be read as a Minari data set"):
        episode_files.read_minari(folder)


def test_a_data_set_is_there_when_it_is_whole(cartpole, tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_DATA", str(tmp_path))
    one, other = record(None, cartpole, [0]), record(None, cartpole, [1])
    broken = other[0]._replace(rewards=[])
    with pytest.raises(LabError, match="cartpole/a-v0 could not be written: "):
        episode_files.write_minari("cartpole/a-v0", [*one, broken], cartpole, "dqn", "half of it")
    assert list(minari_root().iterdir()) == []
    draft = minari_root() / ".cartpole.a-v0.draft" / "cartpole" / "a-v0" / "data"
    draft.mkdir(parents=True)  # of a process that was killed
    assert minari_names() == []
    episode_files.write_minari("cartpole/a-v0", one, cartpole, "dqn", "all of it")
    with pytest.raises(LabError, match="cartpole/a-v0 could not be written: "):
        episode_files.write_minari("cartpole/a-v0", other, cartpole, "dqn", "another one of its name")
    assert minari_metadata("cartpole/a-v0")["description"] == "all of it"
    assert [each.name for each in minari_root().iterdir()] == ["cartpole"]


def test_an_environment_that_a_function_makes_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("LAB_DATA", str(tmp_path))
    factory = EnvFactory(points.register(monkeypatch, points.Point))
    episode_files.write_minari("point/random-v0", record(None, factory, [0]), factory, "random", "one episode")
    found = find_dataset("point/random-v0", EpisodeDataset)
    assert (found.env, len(found.load("train"))) == ("Point-v0", 1)


def test_a_missing_package_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(BadInput, match=re.escape("not installed: pip install 'torch-lab[offline]'")):
        episode_files.check_minari("cartpole/dqn-v0")


def test_a_data_set_that_cannot_be_downloaded_is_one_line(monkeypatch, tmp_path):
    import minari

    def refuse(name):
        (minari_root() / name / "data").mkdir(parents=True)
        raise OSError(f"no network\nfor {name}")

    monkeypatch.setenv("LAB_DATA", str(tmp_path))
    monkeypatch.setattr(minari, "download_dataset", refuse)
    with pytest.raises(LabError, match=r"no network for .*; with an internet connection run: lab data fetch") as error:
        episode_files.fetch_minari("mujoco/hopper/medium-v0")
    assert "\n" not in str(error.value)
    assert not (minari_root() / "mujoco/hopper/medium-v0").exists(), "half a download is none"


def test_d4rls_layout_is_split_where_episodes_ended(layout):
    first, second = episode_files.read_d4rl(layout())
    assert first.observations[:, 0].tolist() == [0, 1, 2, 3, 3], "the last one is never looked at"
    assert (first.rewards.tolist(), first.terminated) == ([0, 1, 2, 3], True)
    assert second.observations[:, 0].tolist() == [4, 5, 6], "where a truncated one went is not in the file"
    assert (second.rewards.tolist(), second.terminated) == ([4, 5], False)


def test_next_observations_say_where_an_episode_went(layout):
    following = np.stack([np.arange(1, STEPS + 1), -np.arange(1, STEPS + 1)], 1).astype(np.float32)
    following[3] = 9
    first, second = episode_files.read_d4rl(layout(next_observations=following, timeouts=None))
    assert first.observations[:, 0].tolist() == [0, 1, 2, 3, 9]
    assert (second.observations[:, 0].tolist(), second.terminated) == ([4, 5, 6, 7], False)


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"terminals": None}, "has no 'terminals', as D4RL's files have; it has actions, observations, rewards, timeo"),
        ({"timeouts": None}, "has neither 'timeouts' or 'next_observations'"),
        ({"rewards": np.zeros(3)}, "its arrays have different lengths"),
    ],
)
def test_a_file_that_lacks_something_is_one_line(changed, line, layout):
    with pytest.raises(BadSetting, match=line):
        episode_files.read_d4rl(layout(**changed))


def test_a_damaged_file_is_one_line(layout, tmp_path):
    path = layout()
    whole = path.read_bytes()
    for size in (0, 100, len(whole) // 2):
        path.write_bytes(whole[:size])
        with pytest.raises(BadSetting, match="is damaged, or no HDF5 file") as error:
            episode_files.read_d4rl(path)
        assert "\n" not in str(error.value)
    with pytest.raises(BadSetting, match="there is no file"):
        episode_files.read_d4rl(tmp_path / "nothing.hdf5")


def test_a_file_without_steps_has_no_episodes(layout):
    none = {"observations": np.zeros((0, 2)), "actions": np.zeros((0, 1))}
    path = layout(**none, **dict.fromkeys(("rewards", "terminals", "timeouts"), np.zeros(0)))
    assert episode_files.read_d4rl(path) == []


def test_returns_are_summed_in_double_precision():
    table = to_table([Episode(np.zeros((4, 1)), np.zeros(3, int), [1e8, 1.0, -1e8], False)])
    assert table["return"].item() == 1.0
    assert table["action"].values.dtype == torch.int64


@pytest.mark.parametrize(("kind", "shared"), [(points.Point, points.Shared), (points.Lookup, points.SharedLookup)])
def test_an_environment_that_shows_one_array_is_recorded_as_it_was(kind, shared, monkeypatch):
    one, other = (record(None, EnvFactory(points.register(monkeypatch, each)), range(3)) for each in (kind, shared))
    for episode, same in zip(one, other, strict=True):
        assert np.array_equal(episode.observations, same.observations)
        assert np.array_equal(episode.actions, same.actions)
        assert episode.rewards == same.rewards
