"""Prioritised replay: torchrl's sampler, whose state is plain.

Source: Schaul et al. 2016, "Prioritized Experience Replay", proportional variant: a transition is drawn with a
probability that goes as (error + eps)^alpha, and weighs (p / min p)^-beta in the loss, which corrects for that.
New transitions get the greatest error that was ever seen. Different here: all the batches of a block are drawn from the
priorities at its beginning, and the errors come back at its end, so a priority is up to a block old.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchrl.data.replay_buffers import PrioritizedSampler


class PlainPrioritizedSampler(PrioritizedSampler):
    """A `PrioritizedSampler` that can be saved: its trees are what their leaves make them."""

    def state_dict(self) -> dict[str, Any]:
        """All but the priorities, which go with the rows; torchrl's own holds objects that no safe loader takes."""
        greatest = self._max_priority[0]
        return {"beta": self.beta, "greatest": None if greatest is None else float(greatest)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.beta = state["beta"]
        self._max_priority = (None if state["greatest"] is None else torch.tensor(state["greatest"]), None)

    def leaves(self, places: Tensor) -> Tensor:
        """(error + eps)^alpha of the rows at `places`."""
        return torch.as_tensor(self._sum_tree[places])

    def set_leaves(self, places: Tensor, values: Tensor) -> None:
        self._sum_tree[places] = values
        self._min_tree[places] = values
