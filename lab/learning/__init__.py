"""The base of supervised tasks: one LightningModule, optimizers, learning-rate schedules, regularisation."""

from lab.learning.evaluation import EvaluatedModule, Stage
from lab.learning.examples import Examples
from lab.learning.layer_statistics import LayerStatistics
from lab.learning.losses import mean_of_known
from lab.learning.optimizers import OPTIMIZERS, OptimizerName, make_optimizer
from lab.learning.precision import check_precision
from lab.learning.schedules import SCHEDULES, ScheduleName, make_schedule
from lab.learning.supervised import LazyMetrics, SupervisedModule

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "EvaluatedModule",
    "Examples",
    "LayerStatistics",
    "LazyMetrics",
    "OptimizerName",
    "ScheduleName",
    "Stage",
    "SupervisedModule",
    "check_precision",
    "make_optimizer",
    "make_schedule",
    "mean_of_known",
]
