"""What Lightning's checkpoints leave out goes on as if nothing had happened."""

import random

import numpy as np
import torch
from lightning import LightningModule
from torchmetrics import Metric

from lab.engine.loop_state import generators, generators_preserved, partial_metrics, set_generators, set_partial_metrics


class RunningMean(Metric):
    """An average that torchmetrics weighs by the number of updates before."""

    full_state_update = False

    def __init__(self):
        super().__init__()
        self.add_state("mean", torch.zeros(()), dist_reduce_fx="mean")

    def update(self, value):
        self.mean = value

    def compute(self):
        return self.mean


class Measured(LightningModule):
    def __init__(self):
        super().__init__()
        self.metric = RunningMean()


def test_an_unfinished_metric_goes_on_with_its_count():
    whole, resumed = Measured(), Measured()
    for value in (1.0, 2.0, 6.0):
        whole.metric(torch.tensor(value))
    set_partial_metrics(resumed, partial_metrics(whole))
    for module in (whole, resumed):
        module.metric(torch.tensor(11.0))
    assert float(resumed.metric.compute()) == float(whole.metric.compute()) == 5.0


def drawn():
    return random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(), float(torch.rand(()))


def test_every_generator_goes_on_where_it_was():
    drawn()  # the second half of a pair of normal numbers is waiting
    state = generators()
    first = drawn()
    with generators_preserved():
        drawn()
    second = drawn()
    set_generators(state)
    assert (drawn(), drawn()) == (first, second)
