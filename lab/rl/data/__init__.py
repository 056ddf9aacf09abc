"""Collection and replay as LightningDataModules."""

from typing import TYPE_CHECKING

from lab.exports import lazy

if TYPE_CHECKING:
    from lab.rl.data.buffers.buffer import ReplayBuffer
    from lab.rl.data.collector import ArrayCollector
    from lab.rl.data.loaders import CollectionData
    from lab.rl.data.replay import Block, ReplayData
    from lab.rl.data.rollout import Rollout, RolloutData

__all__ = [
    "ArrayCollector",
    "Block",
    "CollectionData",
    "ReplayBuffer",
    "ReplayData",
    "Rollout",
    "RolloutData",
]

__getattr__ = lazy(
    __name__,
    {
        "ArrayCollector": "collector",
        "Block": "replay",
        "CollectionData": "loaders",
        "ReplayBuffer": "buffers.buffer",
        "ReplayData": "replay",
        "Rollout": "rollout",
        "RolloutData": "rollout",
    },
)
