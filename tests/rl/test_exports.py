"""The inner rooms of reinforcement learning say what is for others to use."""

from importlib import import_module

import pytest


@pytest.mark.parametrize("room", ["common", "data", "envs", "networks"])
def test_every_name_that_is_exported_exists(room):
    package = import_module(f"lab.rl.{room}")
    assert all(getattr(package, name) is not None for name in package.__all__)
    assert len(set(package.__all__)) == len(package.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = package.nothing
