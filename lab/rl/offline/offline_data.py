"""Recorded episodes as a LightningDataModule: blocks of batches of transitions, or of windows of consecutive steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

import torch
from annotated_types import Ge, Gt, Le
from tensordict import TensorDict
from torch import Tensor

from lab.data import Ragged, Table, find_dataset
from lab.data.csv_file import LARGEST
from lab.data.loader import seed_from
from lab.errors import BadSetting
from lab.rl.data.loaders import CollectionData
from lab.rl.data.replay import Block
from lab.rl.envs.factory import EnvFactory
from lab.rl.envs.observations import Layout
from lab.rl.envs.wrappers import WrapperSpec
from lab.rl.offline.episode_dataset import EpisodeDataset

ROUNDING = 1e-3  # share of an action's range by which a recorded one may lie outside


class OfflineData(CollectionData):
    """Blocks of batches from recorded episodes; the environment is played in validation and test alone.

    A batch has the keys of a replay buffer's. For a module with a `context` it has windows of so many consecutive steps
    instead, filled up behind the end of an episode: `observation`, `action`, `return_to_go` (undiscounted, from each
    step on), `step` (of the episode) and `mask` (where there is a step).

    Args:
        name: name of the dataset, as listed by `lab data ls`; a Minari id, such as mujoco/hopper/medium-v0; or episodes
            for a file of your own.
        path: HDF5 file in D4RL's layout, for the dataset episodes.
        env: name of the environment to evaluate in; by default the one that the episodes were recorded in, with its
            keywords.
        max_episodes: at most so many episodes, the first ones.
        top_fraction: fraction of the episodes, those with the largest returns.
        total_updates: updates of the whole run.
        batch_size: transitions, or windows, per update.
        updates_per_block: updates of one training batch; larger values reduce the overhead.
        eval_every: updates between two validations; also the length of an epoch.
        episode_steps: time limit of evaluation episodes where the environment has none.
    """

    def __init__(
        self,
        name: str = "pendulum_medium",
        path: str | None = None,
        env: str | None = None,
        env_kwargs: dict[str, Any] | None = None,
        wrappers: list[str | WrapperSpec] | None = None,
        max_episodes: Annotated[int, Gt(0)] | None = None,
        top_fraction: Annotated[float, Gt(0), Le(1)] = 1.0,
        total_updates: Annotated[int, Gt(0)] = 10_000,
        batch_size: Annotated[int, Gt(0)] = 256,
        updates_per_block: Annotated[int, Gt(0)] = 50,
        eval_every: Annotated[int, Gt(0)] = 1_000,
        eval_episodes: Annotated[int, Gt(0)] = 20,
        test_episodes: Annotated[int, Gt(0)] = 100,
        eval_envs: Annotated[int, Ge(1), Le(1024)] = 1,
        reward_threshold: float | None = None,
        episode_steps: Annotated[int, Gt(0)] | None = None,
    ) -> None:
        self.dataset = find_dataset(name, EpisodeDataset).at(path)
        recorded_in = self.dataset.env
        if env is None and recorded_in is None:
            missing = f"nothing says in which environment {name} was recorded"
            fetch = f", or run lab data fetch {name}" if self.dataset.missing else ""
            raise BadSetting("env", f"{missing}; set it to a name such as Hopper-v5{fetch}")
        if env in (None, recorded_in) and env_kwargs is None:
            env_kwargs = self.dataset.env_kwargs
        super().__init__(
            env or str(recorded_in),
            env_kwargs,
            wrappers,
            False,
            total_updates,
            eval_every,
            eval_episodes,
            test_episodes,
            eval_envs,
            episode_steps,
            reward_threshold=reward_threshold,
        )
        self.save_hyperparameters(logger=False)  # else Lightning refuses a module with another `env`, a fact
        self.max_episodes, self.top_fraction, self.total_updates = max_episodes, top_fraction, total_updates
        self.batch_size, self.updates_per_block = batch_size, updates_per_block
        self.context: int | None = None
        self.table: Table | None = None

    def facts(self) -> dict[str, Any]:
        """`env`, `observation_size` and `action` of the environment, which are those of the recorded episodes."""
        facts, recorded_in = self.env_factory.facts(), self.dataset.env
        if not self.dataset.is_built_in and not self.dataset.missing:
            self.episodes()  # a file, which can be looked at now
        elif self.dataset.is_built_in and recorded_in not in (None, self.env):
            check_same(self.dataset.name, str(recorded_in), EnvFactory(str(recorded_in)).facts(), facts)
        return facts

    def connect(self, module: Any) -> None:
        """Takes the length of the windows from the module, and gives it the environments to evaluate in."""
        super().connect(module)
        self.context = getattr(module, "context", None)

    def tags(self) -> dict[str, str]:
        """Tags of the run about its data."""
        return {"data.name": self.dataset.name, "data.origin": self.dataset.origin}

    def prepare_data(self) -> None:
        self.dataset.prepare()

    def episodes(self) -> Table:
        """The episodes that are learned from.

        Raises:
            BadSetting: they were not recorded in this environment.
        """
        if self.table is None:
            table = self.dataset.load("train", self.max_episodes)
            check_episodes(self.dataset.name, table, self.env_factory.facts())
            count = max(1, math.ceil(self.top_fraction * len(table) - 1e-9))
            if count < len(table):
                table = table[table["return"].topk(count).indices.sort().values]
            self.table = table
        return self.table

    def setup(self, stage: str) -> None:
        super().setup(stage)
        assert self.trainer is not None
        self.seed, device = torch.initial_seed(), self.trainer.strategy.root_device
        table = self.episodes().to(device)
        self.observations, self.actions = table["observation"].values, table["action"].values
        self.rewards, self.lengths = table["reward"].values, table["length"]
        self.starts = table["action"].offsets[:-1]
        self.episode = torch.repeat_interleave(torch.arange(len(table), device=device), self.lengths)
        self.steps = torch.arange(len(self.rewards), device=device) - self.starts[self.episode]
        last = self.steps == self.lengths[self.episode] - 1
        self.terminated = last & table["terminated"][self.episode]
        total = self.rewards.double().cumsum(0)
        before = total - self.rewards
        self.return_to_go = (before[self.starts + self.lengths - 1] + self.rewards[self.starts + self.lengths - 1])[
            self.episode
        ] - before  # from this step to the end

    @property
    def returns(self) -> Tensor:
        """The undiscounted return of each episode."""
        found: Tensor = self.episodes()["return"]
        return found

    def progress(self) -> tuple[int, int, str]:
        """Updates done and to do."""
        return min(self.env_steps, self.total_updates), self.total_updates, "updates"

    def _collect(self) -> Block:
        count = min(self.updates_per_block, self.total_updates - self.env_steps)
        generator = torch.Generator().manual_seed(seed_from(self.seed, self.env_steps))
        self.count([])
        rows = torch.randint(len(self.rewards), (count, self.batch_size), generator=generator)
        rows = rows.to(self.rewards.device)
        steps = self._transitions(rows) if self.context is None else self._windows(rows, self.context)
        return Block(TensorDict(steps, rows.shape), self.progress()[0], [])

    def _transitions(self, rows: Tensor) -> dict[str, Any]:
        place = rows + self.episode[rows]  # an episode has one observation more than steps
        return {
            "observation": self.observations[place],
            "action": self.actions[rows],
            "next": {
                "observation": self.observations[place + 1],
                "reward": self.rewards[rows].unsqueeze(-1),
                "terminated": self.terminated[rows].unsqueeze(-1),
            },
        }

    def _windows(self, rows: Tensor, context: int) -> dict[str, Any]:
        episode = self.episode[rows].unsqueeze(-1)
        along = rows.unsqueeze(-1) + torch.arange(context, device=rows.device)
        end = self.starts[episode] + self.lengths[episode]
        mask, along = along < end, torch.minimum(along, end - 1)
        return {
            "observation": self.observations[along + episode],
            "action": self.actions[along],
            "return_to_go": self.return_to_go[along].float().unsqueeze(-1),
            "step": self.steps[along],
            "mask": mask,
        }

    def state_dict(self) -> dict[str, Any]:
        return self.counters()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.load_counters(state)

    @property
    def _stride(self) -> int:
        return self.updates_per_block


def check_same(name: str, recorded_in: str, recorded: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuses an environment whose observations or actions are others than those that were recorded.

    Raises:
        BadSetting: they are.
    """
    for what in ("observation_size", "action"):
        if recorded[what] != wanted[what]:
            words = f"{name} was recorded in {recorded_in}, with {what} {recorded[what]}"
            raise BadSetting("env", f"{words}; {wanted['env']} has {wanted[what]}: leave data.env out")


def check_episodes(name: str, table: Table, facts: Mapping[str, Any]) -> None:
    """Refuses episodes that cannot have been recorded in an environment.

    Args:
        name: of the data set.
        table: its episodes.
        facts: of the environment.

    Raises:
        BadSetting: observations or actions do not fit, or are not finite.
    """
    spec, env = facts["action"], facts["env"]
    shape, seen = Layout(facts["observation_size"]).shape, tuple(table["observation"].values.shape[1:])
    if seen != shape:
        raise BadSetting("name", f"{name} has observations of shape {seen}, and {env} of {shape}; set data.env")
    actions = table["action"].values
    kind = "continuous" if actions.is_floating_point() else "discrete"
    if ("low" in spec) != (kind == "continuous"):
        raise BadSetting("name", f"{name} has {kind} actions, and {env} has none of that kind; set data.env")
    width = (len(spec["low"]),) if "low" in spec else (len(spec["counts"]),) if "counts" in spec else ()
    if tuple(actions.shape[1:]) != width:
        raise BadSetting("name", f"{name} has actions of shape {tuple(actions.shape[1:])}, and {env} of {width}")
    if "count" in spec and not 0 <= int(actions.min()) <= int(actions.max()) < spec["count"]:
        found = f"{int(actions.min())} to {int(actions.max())}"
        raise BadSetting("name", f"{name} has actions {found}, and {env} has 0 to {spec['count'] - 1}")
    for column in ("observation", "action", "reward"):
        values = table[column].values
        if len(wrong := (~(values.abs() <= LARGEST)).nonzero()):
            place = _place(table[column], wrong[0], column)
            raise BadSetting("name", f"{name}: {place} is {values[tuple(wrong[0])].item():g}")
    if "low" in spec:
        low, high = torch.tensor(spec["low"]), torch.tensor(spec["high"])
        room = (ROUNDING * (high - low)).nan_to_num(posinf=0.0)
        if len(wrong := ((actions < low - room) | (actions > high + room)).nonzero()):
            place, at = _place(table["action"], wrong[0], "action"), int(wrong[0][-1])
            found = f"{name}: {place} is {actions[tuple(wrong[0])].item():g}"
            bounds = f"{env} takes {low[at].item():g} to {high[at].item():g}"
            raise BadSetting("name", f"{found}, and {bounds}; clip the actions if the environment did")


def _place(column: Ragged, index: Tensor, name: str) -> str:
    """The place of a value, in words that count from 1."""
    row = int(torch.searchsorted(column.offsets, index[0], right=True))
    step = int(index[0] - column.offsets[row - 1]) + 1
    numbers = ", ".join(str(int(each) + 1) for each in index[1:])
    return f"episode {row}, step {step}: {f'column {numbers} of ' if numbers else ''}the {name}"
