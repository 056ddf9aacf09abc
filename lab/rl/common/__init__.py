"""Shared parts of the agents: base classes, evaluation, advantages."""

from typing import TYPE_CHECKING

from lab.exports import lazy

if TYPE_CHECKING:
    from lab.rl.common.advantage import gae
    from lab.rl.common.agent import Agent
    from lab.rl.common.evaluation import play, record_video
    from lab.rl.common.learner import HiddenSizes, Learner
    from lab.rl.common.off_policy import OffPolicy
    from lab.rl.common.on_policy import Experience, OnPolicy

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

__getattr__ = lazy(
    __name__,
    {
        "Agent": "agent",
        "Experience": "on_policy",
        "HiddenSizes": "learner",
        "Learner": "learner",
        "OffPolicy": "off_policy",
        "OnPolicy": "on_policy",
        "gae": "advantage",
        "play": "evaluation",
        "record_video": "evaluation",
    },
)
