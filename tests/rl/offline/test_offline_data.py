"""Recorded episodes as batches, and every data set that does not fit is one line."""

import h5py
import numpy as np
import pytest
import torch

from lab.data import Table, find_dataset
from lab.errors import BadSetting
from lab.rl.data.episode_files import write_minari
from lab.rl.data.episodes import Episode, record, to_table
from lab.rl.envs.factory import EnvFactory
from lab.rl.offline import offline_data
from lab.rl.offline.behavior import record_level
from lab.rl.offline.episode_dataset import EpisodeDataset
from lab.rl.offline.offline_data import OfflineData


class Small(OfflineData):
    """Two episodes, of 3 and of 2 steps, whose numbers say what they are of."""

    def episodes(self):
        return to_table(
            [
                Episode(np.arange(12).reshape(4, 3), np.array([[0.0], [1.0], [2.0]]), [1.0, 2.0, 4.0], True),
                Episode(np.arange(50, 59).reshape(3, 3), np.array([[-1.0], [-2.0]]), [8.0, 16.0], False),
            ]
        )


@pytest.fixture
def data(monkeypatch):
    monkeypatch.setattr(offline_data.CollectionData, "setup", lambda *_: None)
    made = Small(total_updates=4, batch_size=64, updates_per_block=2)
    trainer = type("T", (), {"world_size": 1, "strategy": type("S", (), {"root_device": torch.device("cpu")})()})()
    made.trainer = trainer
    made.setup("fit")
    return made


def test_transitions_are_those_of_the_episodes(data):
    steps = data._collect().steps
    assert steps.shape == (2, 64)
    flat = steps.reshape(-1)
    seen, following = flat["observation"][:, 0], flat["next", "observation"][:, 0]
    assert set(zip(seen.tolist(), following.tolist(), strict=True)) == {(0, 3), (3, 6), (6, 9), (50, 53), (53, 56)}
    for observation, reward, terminated in [(0, 1, False), (6, 4, True), (50, 8, False), (53, 16, False)]:
        chosen = flat[seen == observation]["next"]
        assert (chosen["reward"] == reward).all()
        assert (chosen["terminated"] == terminated).all()


def test_windows_end_with_their_episode(data):
    found = data._windows(torch.tensor([1, 3]), context=3)
    assert found["mask"].tolist() == [[True, True, False], [True, True, False]]
    assert found["return_to_go"][..., 0].tolist() == [[6, 4, 4], [24, 16, 16]]
    assert found["step"].tolist() == [[1, 2, 2], [0, 1, 1]]
    assert found["observation"][..., 0].tolist() == [[3, 6, 6], [50, 53, 53]]
    assert found["action"][..., 0].tolist() == [[1, 2, 2], [-1, -2, -2]]


def test_a_block_depends_on_how_far_the_run_is(data):
    first = data._collect()
    state = data.state_dict()
    second = data._collect()
    data.load_state_dict(state)
    again = data._collect()
    assert torch.equal(second.steps["action"], again.steps["action"])
    assert not torch.equal(first.steps["action"], second.steps["action"])
    assert data.progress() == (4, 4, "updates")


@pytest.mark.slow
def test_the_best_episodes_can_be_chosen():
    whole = OfflineData("cartpole_random").episodes()
    best = OfflineData("cartpole_random", top_fraction=0.1).episodes()
    assert len(best) == len(whole) // 10
    assert best["return"].min() >= whole["return"].quantile(0.9)
    assert len(OfflineData("cartpole_random", max_episodes=7).episodes()) == 7


def test_built_in_data_sets_are_the_same_every_time():
    one, other = (record_level("CartPole-v1", "medium", 2) for _ in range(2))
    assert torch.equal(one["observation"].values, other["observation"].values)
    assert not torch.equal(one["action"].values[:13], record_level("CartPole-v1", "random", 1)["action"].values[:13])


def test_minari_ids_are_found_by_name(monkeypatch, tmp_path):
    monkeypatch.setenv("LAB_DATA", str(tmp_path))
    found = find_dataset("mujoco/hopper/medium-v0", EpisodeDataset)
    assert found.missing
    with pytest.raises(BadSetting, match="set it to a name such as Hopper-v5, or run lab data fetch mujoco/hopper/"):
        OfflineData("mujoco/hopper/medium-v0")
    with pytest.raises(BadSetting, match="no data set 'pendulum_mediun'; did you mean 'pendulum_medium'"):
        OfflineData("pendulum_mediun")


@pytest.mark.parametrize(
    ("env", "keywords"), [("Pendulum-v1", {"g": 5.0}), ("lab.rl.meta.point_robot:PointRobot", {"attempts": 2})]
)
def test_a_minari_data_set_is_evaluated_in_the_environment_it_was_recorded_in(env, keywords, monkeypatch, tmp_path):
    monkeypatch.setenv("LAB_DATA", str(tmp_path))
    factory = EnvFactory(env, keywords)
    write_minari("own/random-v0", record(None, factory, range(2)), factory, "none", "two episodes")
    data = OfflineData("own/random-v0")
    assert data.facts()["env"] == env
    assert data.env_factory.env_kwargs == keywords
    assert OfflineData("own/random-v0", env=env).env_factory.env_kwargs == keywords
    assert OfflineData("own/random-v0", env_kwargs={"g": 9.0}).env_factory.env_kwargs == {"g": 9.0}
    assert OfflineData("own/random-v0", env="CartPole-v1").env_factory.env_kwargs == {}


@pytest.fixture
def file(tmp_path):
    def write(width=3, actions=None, **changed):
        steps = np.arange(6)
        arrays = {
            "observations": np.zeros((6, width), np.float32),
            "actions": np.zeros((6, 1), np.float32) if actions is None else actions,
            "rewards": np.zeros(6, np.float32),
            "terminals": steps == 5,
            "timeouts": steps == 2,
        } | changed
        with h5py.File(tmp_path / "own.hdf5", "w") as opened:
            for name, array in arrays.items():
                opened[name] = array
        return str(tmp_path / "own.hdf5")

    return write


def own(path, env="Pendulum-v1"):
    return OfflineData("episodes", path, env)


def test_a_file_of_ones_own_is_read(file):
    data = own(file())
    assert data.facts()["observation_size"] == 3
    assert data.episodes()["length"].tolist() == [2, 3]


def test_a_file_of_ones_own_needs_a_path_and_an_environment(file):
    with pytest.raises(BadSetting, match="needs the path of an HDF5 file"):
        own(None).facts()
    with pytest.raises(BadSetting, match="nothing says in which environment episodes was recorded"):
        own(file(), None)


HOLE = np.zeros((6, 3))
HOLE[4, 2] = np.inf


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"width": 4}, r"has observations of shape \(4,\), and Pendulum-v1 of \(3,\)"),
        ({"actions": np.zeros(6, int)}, "has discrete actions, and Pendulum-v1 has none of that kind"),
        ({"actions": np.zeros((6, 2), np.float32)}, r"has actions of shape \(2,\), and Pendulum-v1 of \(1,\)"),
        ({"rewards": np.full(6, np.nan)}, "episodes: episode 1, step 1: the reward is nan"),
        ({"observations": HOLE}, "episodes: episode 2, step 2: column 3 of the observation is inf"),
        ({"actions": np.full((6, 1), 5.0)}, "step 1: column 1 of the action is 5, and Pendulum-v1 takes -2 to 2; clip"),
        ({"rewards": np.zeros((6, 2))}, r"'rewards' has the shape \(6, 2\); expected one value for each step"),
        ({"rewards": np.array([b"x"] * 6)}, r"'rewards' holds values of type \|S1; expected numbers"),
        (
            {"observations": np.zeros((6, 3), complex)},
            "'observations' holds values of type complex128; expected",
        ),
        ({"rewards": np.float32(3)}, "'rewards' is a single value; expected one for each step"),
        (
            {"next_observations": np.zeros((6, 4))},
            r"'observations' has the shape \(6, 3\), 'next_observations' \(6, 4\)",
        ),
        ({"observations": np.full((6, 3), 1e30)}, "episode 1, step 1: column 1 of the observation is 1e\\+30"),
        ({"terminals": np.full(6, 2.0)}, "'terminals' has the value 2; expected 0 or 1"),
        (
            {key: np.zeros((0, 1)) for key in ("observations", "actions", "rewards", "terminals", "timeouts")},
            "has no episodes",
        ),
    ],
)
def test_data_that_does_not_fit_is_one_line(changed, line, file):
    with pytest.raises(BadSetting, match=line) as error:
        own(file(**changed)).facts()
    assert "\n" not in str(error.value)


def test_actions_that_do_not_exist_are_refused(file):
    with pytest.raises(BadSetting, match="has actions 0 to 5, and CartPole-v1 has 0 to 1"):
        own(file(width=4, actions=np.arange(6)), "CartPole-v1").facts()


def test_another_environment_than_the_recorded_one_is_refused():
    with pytest.raises(BadSetting, match="pendulum_medium was recorded in Pendulum-v1, with observation_size 3; CartP"):
        OfflineData("pendulum_medium", env="CartPole-v1").facts()


def test_the_catalogue_counts_ends_and_steps(file):
    dataset = find_dataset("episodes", EpisodeDataset).at(file())
    table = dataset.load("train")
    assert isinstance(table, Table)
    assert dataset.counts(table) == {"terminated": 1, "truncated": 1, "steps": 5}
    dataset.plot(dataset, table, "own")
