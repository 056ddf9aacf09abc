"""The catalogue's records of data sets of episodes: built-in ones, those of Minari, and files of one's own.

Every task reads the catalogue, so that nothing here imports Gymnasium or torchrl before episodes are read.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lab.data import DatasetInfo, Table, cached_table
from lab.errors import BadSetting, error_text
from lab.rl.data.minari_folder import MINARI_ID, minari_metadata, minari_names, minari_root

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RECORDED = "recorded by this package's own agents; free to use"
VERSION = 1  # of the built-in data sets, whose cached files have it in their names
COLUMNS = {
    "observation": "(N, T + 1, ...)", "action": "(N, T, A) float or (N, T) integers", "reward": "(N, T)",
    "terminated": "(N,) else truncated", "return": "(N,) undiscounted", "length": "(N,) steps",
}  # fmt: skip
# environment -> name, and the episodes of its levels
BUILT_IN: dict[str, tuple[str, dict[str, int]]] = {
    "Pendulum-v1": ("pendulum", {"random": 100, "medium": 100, "expert": 100, "replay": 200}),
    "CartPole-v1": ("cartpole", {"random": 400, "medium": 100, "expert": 50, "replay": 200}),
    "Hopper-v5": ("hopper", {"random": 1000, "medium": 200, "expert": 100, "replay": 400}),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class EpisodeDataset(DatasetInfo):
    """Recorded episodes, a row for each, as `lab.rl.data.episodes` has them.

    Args:
        read_episodes: gives all of them.
        env: the environment that they were recorded in; None where nothing says it.
        env_kwargs: keywords of its constructor.
        is_built_in: whether this package records them, so that they are in no file of anybody's.
    """

    read_episodes: Callable[[], Table]
    env: str | None
    env_kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)
    is_built_in: bool = False
    field: str = "rl"
    read: Callable[..., Table] = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "read", self._read)  # a frozen record sets its fields like this

    def counts(self, table: Table) -> dict[str, int]:
        """Episodes that terminated, and that were truncated, and the steps of all."""
        terminated = int(table["terminated"].sum())
        steps = int(table["length"].sum())
        return {"terminated": terminated, "truncated": len(table) - terminated, "steps": steps}

    def _read(self, split: Literal["train", "test"], max_rows: int | None = None) -> Table:  # noqa: ARG002
        return self.read_episodes()[:max_rows]


def episode_datasets() -> list[EpisodeDataset]:
    """The built-in ones, the Minari data sets on this machine, and `episodes`, a file of one's own."""
    built_in = [
        _built_in(env, prefix, level, count)
        for env, (prefix, levels) in BUILT_IN.items()
        for level, count in levels.items()
    ]
    on_disk = [found for name in minari_names() if (found := minari_dataset(name)) is not None]
    return [*built_in, *on_disk, _own(None)]


def _built_in(env: str, prefix: str, level: str, episodes: int) -> EpisodeDataset:
    name = f"{prefix}_{level}"

    def read() -> Table:
        from lab.rl.offline.behavior import record_level

        return cached_table(f"episodes-{name}-{VERSION}", lambda: record_level(env, level, episodes))  # type: ignore[arg-type]

    words = {"random": "uniform actions", "replay": "an agent at ten points of its training"}
    about = words.get(level, f"a {level} agent" if level == "medium" else "an expert agent")
    return EpisodeDataset(
        name=name, description=f"episodes of {about} in {env}", source=RECORDED, origin="generated", env=env,
        is_built_in=True, read_episodes=read, train_rows=episodes, columns=COLUMNS, plot=_plot,
    )  # fmt: skip


def minari_dataset(name: str) -> EpisodeDataset | None:
    """The Minari data set of an id such as `mujoco/hopper/medium-v0`, here or yet to be downloaded; None for others."""
    if not MINARI_ID.fullmatch(name):
        return None
    folder, about = minari_root() / name, minari_metadata(name)
    env, env_kwargs = _env(about.get("env_spec"))

    def read() -> Table:
        from lab.rl.data.episode_files import read_minari

        return _table(folder, read_minari)

    def fetch() -> None:
        from lab.rl.data.episode_files import fetch_minari

        fetch_minari(name)

    return EpisodeDataset(
        name=name, description=str(about.get("description") or f"episodes of {env or 'an environment'}"),
        source=f"Minari, by {about.get('algorithm_name') or 'an unknown policy'}", origin="generated", env=env,
        env_kwargs=env_kwargs, read_episodes=read, train_rows=int(about.get("total_episodes", 0)), columns=COLUMNS,
        path=folder, fetch=fetch, plot=_plot,
    )  # fmt: skip


def _own(path: Path | None) -> EpisodeDataset:
    def read() -> Table:
        from lab.rl.data.episode_files import read_d4rl

        if path is None:
            raise BadSetting("path", "the data set episodes needs the path of an HDF5 file in D4RL's layout")
        return _table(path, read_d4rl)

    return EpisodeDataset(
        name="episodes", description="an HDF5 file of your own, in D4RL's layout", source="yours", origin="real",
        env=None, read_episodes=read, columns=COLUMNS, locate=_own, plot=_plot, family=minari_dataset,
    )  # fmt: skip


def _table(path: Path, read: Callable[[Path], list[Any]]) -> Table:
    """
    Raises:
        BadSetting: there is no episode, or an array of it has no numbers.
    """
    from lab.rl.data.episodes import to_table

    episodes = read(path)
    if not episodes:
        raise BadSetting("path", f"{path} has no episodes")
    try:
        return to_table(episodes)
    except (TypeError, ValueError, RuntimeError) as error:
        raise BadSetting(
            "path", f"{path}: the arrays of its episodes do not fit together: {error_text(error)}"
        ) from None


def _env(spec: Any) -> tuple[str | None, dict[str, Any]]:
    """The name of the environment, or `module:Class`, and its keywords, of which Minari writes JSON into JSON."""
    try:
        read = json.loads(spec)
        name, point = str(read["id"]), str(read.get("entry_point"))
        keywords = {key: value for key, value in (read.get("kwargs") or {}).items() if key != "render_mode"}
    except (TypeError, ValueError, KeyError, AttributeError):
        return None, {}
    return (point if point.endswith(f":{name}") else name), keywords


def _plot(dataset: EpisodeDataset, table: Table, title: str) -> Figure:  # noqa: ARG001 - the catalogue gives it
    """Histograms of returns, lengths and actions."""
    from lab import plots

    actions = table["action"].values
    with plots.figure(1, 3, width=4, height=3) as (drawing, axes):
        for panel, values, name in (
            (axes[0], table["return"], "return"), (axes[1], table["length"], "steps"), (axes[2], actions, "action"),
        ):  # fmt: skip
            flat = values.flatten(1) if values.ndim > 1 else values[:, None]
            if flat.is_floating_point():
                panel.hist(flat.numpy(), bins=30)
            else:
                low, high = int(flat.min()), int(flat.max())
                panel.hist(flat.numpy(), bins=[edge - 0.5 for edge in range(low, high + 2)] if high - low < 30 else 30)
            panel.set(xlabel=name, ylabel="steps" if name == "action" else "episodes")
        drawing.suptitle(title)
    return drawing
