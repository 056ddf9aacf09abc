"""What the agents share: base classes, evaluation, advantages."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.rl.common.advantage import gae
    from lab.rl.common.agent import Agent
    from lab.rl.common.evaluation import play, record_video
    from lab.rl.common.learner import HiddenSizes, Learner
    from lab.rl.common.off_policy import OffPolicy
    from lab.rl.common.on_policy import Experience, OnPolicy

# name -> its file, imported when it is asked for: an agent without replay does not wait for torchrl
HOMES = {
    "Agent": "agent",
    "Experience": "on_policy",
    "HiddenSizes": "learner",
    "Learner": "learner",
    "OffPolicy": "off_policy",
    "OnPolicy": "on_policy",
    "gae": "advantage",
    "play": "evaluation",
    "record_video": "evaluation",
}
__all__ = [
    "Agent",
    "Experience",
    "HiddenSizes",
    "Learner",
    "OffPolicy",
    "OnPolicy",
    "gae",
    "play",
    "record_video",
]


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
