"""Whether steps of an environment fit into this machine's memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psutil

from lab.errors import BadSetting
from lab.rl.envs.observations import Layout


def step_size(facts: Mapping[str, Any], observations: int) -> int:
    """Bytes of an action and some observations.

    >>> step_size({"observation_size": 3, "action": {"low": [-2.0], "high": [2.0]}}, observations=2)
    28

    Args:
        facts: of the environment.
        observations: how many.
    """
    action = facts["action"]
    return observations * Layout(facts["observation_size"]).size + (4 * len(action["low"]) if "low" in action else 8)


def check_memory(key: str, count: int, what: str, size: int, instead: str) -> None:
    """Refuses more than this machine's memory holds.

    Args:
        key: of the data module, which asks for them.
        count: how many.
        what: they are, in the plural.
        size: bytes of each.
        instead: what to do, with `{most}` for the number that would fit.

    Raises:
        BadSetting: they are too many.
    """
    available = psutil.virtual_memory().total
    if count * size > available:
        needed = f"{count:,} {what} of {size:,} bytes are {count * size / 1e9:,.1f} GB"
        wayout = instead.format(most=f"{available // size:,}")
        raise BadSetting(key, f"{needed}, and this machine has {available / 1e9:,.1f} GB: {wayout}")
