"""The picture of a table: the value of each state on the environment's map, and the greedy action in it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.envs import toy_text
from lightning import LightningModule
from numpy.typing import NDArray

from lab import plots

ARROWS = {"FrozenLake": "←↓→↑", "CliffWalking": "↑→↓←", "Taxi": "↓↑→←PD", "Blackjack": "SH", "Grid": "←→↑↓"}
MOST_WRITTEN = 400  # states up to which the action is written into the cell
MOST_COLUMNS = 20  # of states that lie on no map


class Map(NamedTuple):
    """The places at which the states of an environment are drawn.

    Args:
        panels: title -> number of the state in each cell; -1 for none.
        symbols: of the actions.
        letters: of special cells, in place of an action.
    """

    panels: dict[str, NDArray[np.int64]]
    symbols: str
    letters: str = ""


def map_of(env: gym.Env[Any, Any], states: int, actions: int) -> Map:
    """The map of an environment; of one that is not known all states, row by row.

    >>> map_of(gym.make("CliffWalking-v1"), 48, 4).panels[""].shape
    (4, 12)
    """
    inner: Any = env.unwrapped
    names = [kind.__name__.removesuffix("Env") for kind in type(inner).__mro__]
    symbols = next((ARROWS[name] for name in names if name in ARROWS), "0123456789"[:actions])
    numbers = np.arange(states)
    if isinstance(inner, toy_text.TaxiEnv):  # the passenger is in the taxi; one panel for each destination
        cells = numbers.reshape(5, 5, 5, 4)
        return Map({f"passenger to {name}": cells[:, :, 4, i] for i, name in enumerate("RGYB")}, symbols)
    if isinstance(inner, toy_text.BlackjackEnv):
        cells = numbers.reshape(32, 11, 2)[4:22, 1:]
        return Map({f"{word} usable ace": cells[::-1, :, i] for i, word in enumerate(("no", "a"))}, symbols)
    if (desc := getattr(inner, "desc", None)) is not None:
        rows = ["".join(cell.decode() if isinstance(cell, bytes) else cell for cell in row) for row in desc]
        if sum(map(len, rows)) == states:
            return Map({"": numbers.reshape(len(rows), -1)}, symbols, "".join(rows))
    shape: Any = getattr(inner, "shape", None)
    if shape and math.prod(shape) == states:
        return Map({"": numbers.reshape(shape[0], -1)}, symbols)
    columns = min(states, MOST_COLUMNS)
    padded = np.full(-(-states // columns) * columns, -1)
    padded[:states] = numbers
    return Map({"": padded.reshape(-1, columns)}, symbols)


def draw_table(module: LightningModule, env: gym.Env[Any, Any], values: NDArray[np.float64]) -> None:
    """Logs `table.png`: the greatest value of each state as a colour, and the greedy action as a symbol.

    Args:
        module: whose table it is.
        env: the environment.
        values: of all actions (S, A); with a single one no action is written.
    """
    states, actions = values.shape
    layout = map_of(env, states, actions)
    best, greedy = values.max(-1), values.argmax(-1)
    shown = np.unique(np.concatenate([cells[cells >= 0] for cells in layout.panels.values()]))
    low, high = float(best[shown].min()), float(best[shown].max())
    rows, columns = next(iter(layout.panels.values())).shape
    size = {"width": max(3.0, 0.4 * columns + 0.6), "height": max(1.6, 0.4 * rows + 0.6)}
    with plots.figure(1, len(layout.panels), **size) as (drawing, axes):
        for panel, (title, cells) in zip(np.ravel(axes), layout.panels.items(), strict=True):
            colors = np.where(cells >= 0, best[cells], np.nan)
            picture = panel.imshow(colors, cmap=plots.SEQUENTIAL, vmin=low, vmax=high)
            panel.set(title=title or getattr(module, "env", "").rpartition(":")[2], xticks=[], yticks=[])
            panel.grid(False)
            for (row, column), state in np.ndenumerate(cells):
                letter = layout.letters[state] if layout.letters else "."
                symbol = letter if letter in "GHX#" else layout.symbols[greedy[state]] if actions > 1 else ""
                if state >= 0 and len(shown) <= MOST_WRITTEN:
                    color = plots.text_on(picture.cmap(picture.norm(best[state])))
                    panel.text(column, row, symbol, ha="center", va="center", color=color)
        drawing.colorbar(picture, ax=axes, label="value", shrink=0.8)
    plots.log_figure(module, "table.png", drawing)
