"""Collection and replay as LightningDataModules."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.rl.data.buffer import ReplayBuffer
    from lab.rl.data.loaders import CollectionData
    from lab.rl.data.replay import Block, ReplayData
    from lab.rl.data.rollout import Rollout, RolloutData

# name -> its file, imported when it is asked for: an agent without replay does not wait for torchrl
HOMES = {
    "Block": "replay",
    "CollectionData": "loaders",
    "ReplayBuffer": "buffer",
    "ReplayData": "replay",
    "Rollout": "rollout",
    "RolloutData": "rollout",
}
__all__ = [
    "Block",
    "CollectionData",
    "ReplayBuffer",
    "ReplayData",
    "Rollout",
    "RolloutData",
]


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
