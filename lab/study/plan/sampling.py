"""Optuna's samplers and pruners by the names a study gives them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lab.study.plan.schema import StudyFile

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

ENUMERATED = ("none", "one_at_a_time", "grid")  # their trials are known beforehand
CURVES = ("median", "hyperband", "patient")  # pruners that follow the metric in the course of a training


def sampler_class(name: str) -> type[BaseSampler]:
    """Optuna's class for a name; what is enumerated needs none, and random is as good as any."""
    from optuna import samplers

    classes: dict[str, Any] = {
        "tpe": samplers.TPESampler,
        "cmaes": samplers.CmaEsSampler,
        "gp": samplers.GPSampler,
        "qmc": samplers.QMCSampler,
        "nsga2": samplers.NSGAIISampler,
    }
    found: type[BaseSampler] = classes.get(name, samplers.RandomSampler)
    return found


def sampler(file: StudyFile, number: int) -> BaseSampler:
    """The sampler that chooses a trial's values.

    It is a new one for every trial, seeded with the study's seed and the trial's number, so that a study that was
    interrupted goes on with the values it would have had. Optuna's samplers keep what they learn in the storage.
    """
    own = {"tpe": {"multivariate": True, "group": True, "constant_liar": True}, "qmc": {"scramble": True}}
    silent = {name: {"warn_independent_sampling": False} for name in ("tpe", "cmaes", "gp", "qmc")}
    defaults = own.get(file.sampler, {}) | silent.get(file.sampler, {})
    fixed = file.sampler == "qmc"  # one sequence for the whole study
    seed = file.seed if fixed else (file.seed * 1_000_003 + number) % 2**32
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some keywords are experimental; their names are part of the recipe
        return sampler_class(file.sampler)(**(defaults | file.sampler_args), seed=seed)  # type: ignore[call-arg]


def pruner_class(name: str) -> Callable[..., BasePruner]:
    """Optuna's class for a name."""
    from optuna import pruners

    def patient(patience: int = 2, min_delta: float = 0.0) -> BasePruner:
        """Ends a trial that has become worse for some validations and is below the median.

        Args:
            patience: how many validations it may stay below its best.
            min_delta: the smallest improvement that counts.
        """
        return pruners.PatientPruner(pruners.MedianPruner(), patience, min_delta)

    classes: Mapping[str, Any] = {
        "none": pruners.NopPruner,
        "median": pruners.MedianPruner,
        "hyperband": pruners.HyperbandPruner,
        "wilcoxon": pruners.WilcoxonPruner,
        "patient": patient,
    }
    found: Callable[..., BasePruner] = classes[name]
    return found


def pruner(file: StudyFile, length: int) -> BasePruner:
    """The pruner of a study.

    Args:
        file: the study.
        length: of a whole training, in the steps that are reported: environment steps, or epochs.
    """
    defaults: dict[str, Any] = {
        "median": {"n_warmup_steps": length // 3},  # what has hardly begun says little
        "hyperband": {"min_resource": max(1, length // 9), "max_resource": max(1, length)},
    }.get(file.pruner, {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pruner_class(file.pruner)(**(defaults | file.pruner_args))
