"""What several agents' tests need."""

import functools

import pytest
import torch


@pytest.fixture
def uncompiled_kernels(monkeypatch):
    """`compile()` makes the graph of an update, which PyTorch's own kernels run: compiling others takes half a minute.

    What can go wrong in one agent alone is the graph; a long test of DDPG compiles the kernels, too.
    """
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
