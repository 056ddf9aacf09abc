"""Episodes in files: Minari data sets, written and read, and HDF5 files in the layout of D4RL, read."""

from __future__ import annotations

import dataclasses
import os
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium as gym
import numpy as np

from lab.errors import BadInput, BadSetting, LabError, error_text
from lab.rl.data.episodes import Episode
from lab.rl.data.minari_folder import MINARI_ID, minari_root
from lab.rl.envs.factory import EnvFactory

NEEDED = ("observations", "actions", "rewards", "terminals")  # of a file in D4RL's layout
EXTRA = "pip install 'torch-lab[offline]'"


def package(name: str) -> ModuleType:
    """`minari` or `h5py`.

    Raises:
        BadInput: it is not installed.
    """
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise BadInput(f"recorded episodes in files need a package that is not installed: {EXTRA}") from None


def check_minari_id(name: str) -> None:
    """Refuses a name that no data set can have.

    Raises:
        BadInput: it is no Minari id, or minari is not installed.
    """
    package("minari")
    package("h5py")
    if not MINARI_ID.fullmatch(name):
        raise BadInput(f"{name!r} is no Minari id; expected a name and a version, such as pendulum/medium-v0")


def check_minari(name: str) -> None:
    """Refuses, before anything is recorded, a name that cannot be written.

    Raises:
        BadInput: it is no Minari id or is taken, or minari is not installed.
    """
    check_minari_id(name)
    if (minari_root() / name).exists():
        raise BadInput(f"there is a data set {name} in {minari_root()}; give another name, or another version")


def write_minari(name: str, episodes: Sequence[Episode], factory: EnvFactory, algorithm: str, about: str) -> Path:
    """Writes a new Minari data set; it is there when it is whole.

    Args:
        name: its id, which passes `check_minari`.
        episodes: at least one, recorded in the environments of `factory`.
        factory: makes the environments.
        algorithm: what trained the policy.
        about: a sentence about the episodes.

    Raises:
        LabError: the disk is full, or the folder cannot be written.
    """
    minari = package("minari")
    from minari.data_collector import EpisodeBuffer

    buffers = [
        EpisodeBuffer(
            id=number,
            observations=np.asarray(each.observations),
            actions=np.asarray(each.actions),
            rewards=list(each.rewards),
            terminations=_last(len(each.rewards), each.terminated),
            truncations=_last(len(each.rewards), not each.terminated),
        )
        for number, each in enumerate(episodes)
    ]
    root = minari_root()
    draft = root / f".{name.replace('/', '.')}.draft"  # one that a killed process left is overwritten
    try:
        shutil.rmtree(draft, ignore_errors=True)
        with _at(draft), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that nobody gave an author
            minari.create_dataset_from_buffers(
                name, buffers, env=_described(factory), algorithm_name=algorithm, description=about,
                jpeg_encoding=False,
            )  # fmt: skip
        for namespace in draft.rglob("namespace_metadata.json"):
            there = root / namespace.relative_to(draft)
            there.parent.mkdir(parents=True, exist_ok=True)
            if not there.exists():
                namespace.rename(there)
        (draft / name).rename(root / name)
    except Exception as error:
        raise LabError(f"{name} could not be written: {error_text(error)}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return root / name


def fetch_minari(name: str) -> None:
    """Downloads a data set from Minari's server.

    Raises:
        LabError: there is no network, or no such data set.
    """
    minari = package("minari")
    try:
        with _at(minari_root()):
            minari.download_dataset(name)
    except Exception as error:  # of several packages
        shutil.rmtree(minari_root() / name, ignore_errors=True)
        words = f"{name} is not in {minari_root()} and cannot be downloaded ({error_text(error)})"
        fetch = f"with an internet connection run: lab data fetch {name}"
        raise LabError(f"{words}; {fetch}; to record one of your own: lab collect, or data.keep in lab run") from None


def read_minari(folder: Path) -> list[Episode]:
    """The episodes of a Minari data set in a folder.

    Raises:
        BadSetting: it cannot be read, or its observations or actions are not single arrays.
    """
    minari = package("minari")
    try:
        found = minari.MinariDataset(folder / "data")
        episodes = [
            Episode(each.observations, each.actions, each.rewards, bool(each.terminations[-1]))
            for each in found.iterate_episodes()
            if len(each.rewards)
        ]
        first = int(getattr(found.spec.action_space, "start", 0))
    except Exception as error:  # OSError, KeyError, ValueError, AssertionError: whatever a damaged file brings
        raise BadSetting("name", f"{folder} cannot be read as a Minari data set: {error_text(error)}") from None
    for part in ("observations", "actions"):
        if any(isinstance(getattr(each, part), dict | tuple) for each in episodes[:1]):
            raise BadSetting("name", f"{folder}: its {part} have several parts; expected one array for each step")
    return [each._replace(actions=each.actions - first) for each in episodes] if first else episodes


def read_d4rl(path: Path) -> list[Episode]:
    """The episodes of an HDF5 file in D4RL's layout: arrays of steps, and where an episode ended.

    Where a truncated episode lacks its last observation, because the file has no `next_observations`, its last step is
    left out.

    Raises:
        BadSetting: the file is missing, damaged, or lacks an array.
    """
    h5py = package("h5py")
    if not path.exists():
        raise BadSetting("path", f"there is no file {path}")
    try:
        with h5py.File(path) as file:
            known = (*NEEDED, "timeouts", "next_observations")
            names = [key for key in known if isinstance(file.get(key), h5py.Dataset)]
            arrays = {key: np.asarray(file[key]) for key in names}
            listed = ", ".join(sorted(file))
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BadSetting("path", f"{path} is damaged, or no HDF5 file: {error_text(error)}") from None
    for key in NEEDED:
        if key not in arrays:
            raise BadSetting("path", f"{path} has no {key!r}, as D4RL's files have; it has {listed or 'nothing'}")
    if "timeouts" not in arrays and "next_observations" not in arrays:
        needed = "'timeouts' or 'next_observations'"
        raise BadSetting("path", f"{path} has neither {needed}, so nobody knows where episodes were truncated")
    if single := [key for key, each in arrays.items() if each.ndim == 0]:
        raise BadSetting("path", f"{path}: {single[0]!r} is a single value; expected one for each step")
    lengths = {key: len(each) for key, each in arrays.items()}
    if len(set(lengths.values())) != 1:
        raise BadSetting("path", f"{path}: its arrays have different lengths: {lengths}")
    for key, each in arrays.items():
        _check_array(path, key, each)
    shapes = [arrays[key].shape for key in ("observations", "next_observations") if key in arrays]
    if len(set(shapes)) > 1:
        raise BadSetting("path", f"{path}: 'observations' has the shape {shapes[0]}, 'next_observations' {shapes[1]}")
    return list(_split(arrays))


def _check_array(path: Path, key: str, values: Any) -> None:
    """Refuses an array of another kind than D4RL's have."""
    if values.dtype.kind not in "fiub":
        raise BadSetting("path", f"{path}: {key!r} holds values of type {values.dtype}; expected numbers")
    if key in ("rewards", "terminals", "timeouts") and values.size != len(values):
        raise BadSetting("path", f"{path}: {key!r} has the shape {values.shape}; expected one value for each step")
    if key in ("terminals", "timeouts") and (other := values[(values != 0) & (values != 1)]).size:
        raise BadSetting("path", f"{path}: {key!r} has the value {other.flat[0]:g}; expected 0 or 1")


def _split(arrays: dict[str, Any]) -> Iterator[Episode]:
    observations, following = arrays["observations"], arrays.get("next_observations")
    terminated = arrays["terminals"].reshape(-1).astype(bool)
    ended = terminated.copy()
    if "timeouts" in arrays:
        ended |= arrays["timeouts"].reshape(-1).astype(bool)
    elif following is not None and len(ended):
        ended[:-1] |= (following[:-1] != observations[1:]).reshape(len(ended) - 1, -1).any(-1)
    if len(ended):
        ended[-1] = True
    begin = 0
    for end in (ended.nonzero()[0] + 1).tolist():
        seen = observations[begin:end]
        stop = end
        if following is not None:
            seen = np.concatenate([seen, following[end - 1 : end]])
        elif terminated[end - 1]:
            seen = np.concatenate([seen, seen[-1:]])  # nothing bootstraps from it
        else:
            stop = end - 1
        if stop > begin:
            rewards = arrays["rewards"].reshape(-1)[begin:stop]
            yield Episode(seen, arrays["actions"][begin:stop], rewards, bool(terminated[stop - 1]))
        begin = end


def _described(factory: EnvFactory) -> gym.Env[Any, Any]:
    """The spaces and the specification of an environment, for Minari, which then makes none."""
    made = factory.for_evaluation(1)[0]
    described: gym.Env[Any, Any] = gym.Env()
    described.observation_space, described.action_space = made.observation_space, made.action_space
    spec = made.unwrapped.spec
    if spec is not None:
        limit = made.spec.max_episode_steps if made.spec is not None else None
        described.spec = dataclasses.replace(spec, max_episode_steps=limit)
        try:
            described.spec.to_json()
        except (TypeError, ValueError):  # of one that a function makes, its name and its limit
            described.spec = gym.envs.registration.EnvSpec(spec.id, max_episode_steps=limit)
    return described


def _last(steps: int, value: bool) -> list[bool]:
    return [False] * (steps - 1) + [value]


@contextmanager
def _at(folder: Path) -> Iterator[None]:
    """Minari asks the environment variable for its folder."""
    before = os.environ.get("MINARI_DATASETS_PATH")
    os.environ["MINARI_DATASETS_PATH"] = str(folder.resolve())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        if before is None:
            del os.environ["MINARI_DATASETS_PATH"]
        else:
            os.environ["MINARI_DATASETS_PATH"] = before
