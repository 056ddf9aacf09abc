"""Environments: made, described, checked, stepped side by side."""

from lab.rl.envs.async_stepper import make_stepper
from lab.rl.envs.checked import CheckedEnv
from lab.rl.envs.discretize import DiscretizedAction, discretize
from lab.rl.envs.environment import describe, make
from lab.rl.envs.factory import EnvFactory
from lab.rl.envs.spaces import ActionSpec, ContinuousSpec, DiscreteSpec, MultiDiscreteSpec, continuous, discrete
from lab.rl.envs.stepping import StepBuffers, Stepper

__all__ = [
    "ActionSpec",
    "CheckedEnv",
    "ContinuousSpec",
    "DiscreteSpec",
    "DiscretizedAction",
    "EnvFactory",
    "MultiDiscreteSpec",
    "StepBuffers",
    "Stepper",
    "continuous",
    "describe",
    "discrete",
    "discretize",
    "make",
    "make_stepper",
]
