"""The episodes that an agent plays while it trains, kept step by step and written as a Minari data set at the end.

They lie in memory until then. Checkpoints do not hold them: what is new since the one before is a file beside it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import Callback, LightningModule, Trainer

from lab import files
from lab.errors import BadInput, BadSetting, LabError
from lab.rl.data.episode_files import check_minari, check_minari_id, read_minari, write_minari
from lab.rl.data.episodes import Episode
from lab.rl.data.memory import check_memory, step_size
from lab.rl.data.minari_folder import minari_root
from lab.rl.envs.spaces import ActionSpec

Rows = dict[str, np.ndarray]  # columns: env, observation, action, reward, terminated, and whether it is the last
CHUNK = 4096  # rows; smaller chunks become one, so that a long run has neither many of them nor many files
PREFIX = "episodes-"  # of the files


class KeptEpisodes(Callback):
    """The episodes of one training, which `ArrayCollector` shows it, and which it writes when the training ends.

    A row is a step, or the observation behind the last step of an episode; rows of several environments take turns.

    >>> from lab.rl.data import ArrayCollector
    >>> episodes = KeptEpisodes("cartpole/random-v0")
    >>> collector = ArrayCollector("CartPole-v1", None, frames_per_batch=64, num_envs=2, kept_episodes=episodes)
    >>> _ = collector.collect()
    >>> collector.cut()  # nothing more is played
    >>> sum(len(episode.rewards) for episode in episodes.take({"count": 2}))
    64

    Args:
        name: id of the data set.

    Raises:
        BadSetting: it is no Minari id, or Minari is not installed.
    """

    def __init__(self, name: str) -> None:
        _check_name(check_minari_id, name)
        self.name = name
        self.chunks: list[Rows] = []
        self.folder: Path | None = None
        self.files: list[str] = []  # in `folder`, of the first chunks

    def add(
        self, observation: np.ndarray, action: np.ndarray, following: Mapping[str, np.ndarray], valid: np.ndarray
    ) -> None:
        """Appends steps.

        Args:
            observation: before each step (T, N, ...).
            action: as the environments got it (T, N, ...).
            following: `observation`, `reward`, `terminated` and `done` behind each step (T, N, ...).
            valid: which steps there were (T, N).
        """
        env = np.broadcast_to(np.arange(valid.shape[1], dtype=np.int16), valid.shape)
        steps, ends = np.flatnonzero(valid), np.flatnonzero(following["done"])
        order = np.concatenate([steps, ends]).argsort(kind="stable")  # an end behind its step
        rows = np.concatenate([steps, ends])[order]
        seen = np.concatenate([_flat(observation)[steps], _flat(following["observation"])[ends]])
        columns = {"env": env, "action": action} | {name: following[name] for name in ("reward", "terminated")}
        self._append(
            {name: _flat(values)[rows] for name, values in columns.items()}
            | {"observation": seen[order], "last": order >= len(steps)}
        )

    def cut(self, observation: np.ndarray, action: np.ndarray, running: np.ndarray) -> None:
        """Ends episodes in which nothing more is played.

        Args:
            observation: behind the last step (N, ...).
            action: any (N, ...).
            running: in which environments an episode is under way (N,).
        """
        if len(rows := np.flatnonzero(running)):
            columns = {"env": rows.astype(np.int16), "observation": observation[rows], "action": action[rows]}
            no, yes = np.zeros(len(rows), bool), np.ones(len(rows), bool)
            self._append(columns | {"reward": no.astype(np.float32), "terminated": no, "last": yes})

    def _append(self, chunk: Rows) -> None:
        while self.chunks and len(self.chunks[-1]["env"]) < min(2 * len(chunk["env"]), CHUNK):
            chunk = _joined([self.chunks.pop(), chunk])
        self.chunks.append(chunk)
        del self.files[len(self.chunks) - 1 :]

    def take(self, spec: ActionSpec) -> list[Episode]:
        """The episodes that have ended, in the order of their ends; it keeps none of them.

        Args:
            spec: of the actions. Indices of evenly spaced values become these values, and others are clipped to their
                bounds, as environments get them.
        """
        found: dict[tuple[int, int], Episode] = {}
        parts = defaultdict[int, list[Rows]](list)  # of the episode under way in each environment
        for number in range(len(self.chunks)):
            chunk = self.chunks.pop(0)  # so that there is one copy of everything, and not two
            for env in np.unique(chunk["env"]).tolist():
                rows = np.flatnonzero(chunk["env"] == env)
                for piece in np.split(rows, np.flatnonzero(chunk["last"][rows]) + 1):
                    parts[env].append({name: values[piece] for name, values in chunk.items()})
                    if len(piece) and chunk["last"][piece[-1]]:
                        found[number, int(piece[-1])] = _episode(_joined(parts.pop(env)), spec)
        self.files = []
        return [found[place] for place in sorted(found)]

    def write(self, folder: Path) -> list[str]:
        """Writes the rows that `folder` lacks; returns the names of all the files that hold them."""
        if folder != self.folder:
            self.folder, self.files = folder, []
        for chunk in self.chunks[len(self.files) :]:
            name = files.unused(folder, f"{PREFIX}{len(self.files)}-{len(chunk['env'])}")
            files.save({column: torch.from_numpy(values) for column, values in chunk.items()}, folder / name)
            self.files.append(name)
        return list(self.files)

    def read(self, folder: Path, names: list[str]) -> None:
        """Reads back what `write` named."""
        saved = [files.load(folder / name) for name in names]
        saved = [{column: values.numpy() for column, values in chunk.items()} for chunk in saved]
        self.chunks = saved + self.chunks  # behind them what ended because an environment could not go on
        self.folder, self.files = folder, list(names)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Refuses a name that is taken, unless it is a resumed training, which may have written it itself."""
        if trainer.datamodule.env_steps == 0:  # type: ignore[attr-defined]
            _check_name(check_minari, self.name)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Writes the data set, before the last checkpoint, from which no training goes on.

        Raises:
            LabError: it cannot be written, or there is another one of its name by now.
        """
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        data.collector.cut()
        episodes = self.take(data.collector.stepper.action)
        folder, task = minari_root() / self.name, type(pl_module).__name__.lower()
        if not folder.exists():
            about = f"the episodes that {task} played in {data.env} in {data.env_steps} steps of training"
            write_minari(self.name, episodes, data.env_factory, task, about)
        elif not _same(read_minari(folder), episodes):  # else it was interrupted between this and its last checkpoint
            words = f"there is another data set {self.name} in {minari_root()} by now"
            raise LabError(f"keep: {words}; move it away, and resume the run, which then writes its own")


def check_kept_fits(total_steps: int, facts: Mapping[str, Any]) -> None:
    """Refuses more steps than this machine's memory holds.

    Args:
        total_steps: how many are kept.
        facts: of the environment.

    Raises:
        BadSetting: they are too many.
    """
    size = step_size(facts, observations=1) + 8  # the other columns of a row
    check_memory("keep", total_steps, "steps", size, "leave it out; lab collect records episodes of the trained agent")


def _check_name(check: Callable[[str], None], name: str) -> None:
    try:
        check(name)
    except BadInput as error:
        raise BadSetting("keep", str(error)) from None


def _flat(values: np.ndarray) -> np.ndarray:
    """(T, N, ...) -> (T * N, ...)"""
    return values.reshape(-1, *values.shape[2:])


def _joined(chunks: list[Rows]) -> Rows:
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _episode(rows: Rows, spec: Any) -> Episode:
    """Of its rows, the last one being the observation behind it."""
    actions = rows["action"][:-1]
    if "values" in spec:
        actions = np.array(spec["values"], np.float32)[actions]
    elif "low" in spec:
        actions = actions.clip(np.array(spec["low"], np.float32), np.array(spec["high"], np.float32))
    return Episode(rows["observation"], actions, rows["reward"][:-1], bool(rows["terminated"][-1]))


def _same(some: list[Episode], others: list[Episode]) -> bool:
    pairs = zip(some, others, strict=False)
    return len(some) == len(others) and all(np.array_equal(*each) for pair in pairs for each in zip(*pair, strict=True))
