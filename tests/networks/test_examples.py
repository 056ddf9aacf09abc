"""The examples in the docstrings of lab.networks run."""

import doctest
import importlib
import pkgutil

import pytest
import torch
from torch import nn

from lab import networks

MODULES = [module.name for module in pkgutil.iter_modules(networks.__path__, "lab.networks.")]
WITHOUT = {"lab.networks.hub"}  # an example would need the Hub


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    torch.manual_seed(0)
    found = doctest.testmod(importlib.import_module(name), extraglobs={"torch": torch, "nn": nn})
    assert found.failed == 0
    assert bool(found.attempted) is (name not in WITHOUT)
