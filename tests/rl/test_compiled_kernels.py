"""Compiled updates with the kernels of the compiler, which are wrong now and then: gradients are the eager ones."""

import pytest
import torch
from tensordict import TensorDict

from lab.rl.crossq import CrossQ
from lab.rl.ddpg import DDPG
from lab.rl.sac import SAC
from lab.rl.td3 import TD3
from lab.rl.tqc import TQC

FACTS = {"observation_size": 17, "action": {"low": [-1.0] * 6, "high": [1.0] * 6}, "hidden": [32, 32]}
ROWS = 64


def first_moments(agent, settings, compiles):
    """Adam's mean gradients, after the first update a share of the gradients."""
    torch.manual_seed(0)
    one = agent("HalfCheetah-v5", **FACTS | settings)
    if compiles:
        one.compile()
    state = one.configure_optimizers().tensors()
    torch.manual_seed(1)
    columns = {"observation": torch.randn(1, ROWS, 17), "action": torch.randn(1, ROWS, 6).tanh()}
    following = {
        "observation": torch.randn(1, ROWS, 17),
        "reward": torch.randn(1, ROWS, 1),
        "terminated": torch.rand(1, ROWS, 1) < 0.3,
    }
    inputs = one.update_inputs(TensorDict(columns | {"next": following}, [1, ROWS]))
    one.update(state, *(column.squeeze(0) for column in inputs), measure=False, **one.update_flags(0))
    assert not compiles or one.update.proven, "it was not replaced by the eager one"
    return [moment for _, moments, *_ in state for moment in moments]


@pytest.mark.parametrize(
    ("agent", "settings"),
    [
        pytest.param(CrossQ, {"critic_hidden": [32, 32], "policy_delay": 1}, marks=pytest.mark.slow),
        pytest.param(DDPG, {}, marks=pytest.mark.long),
        pytest.param(TD3, {"policy_delay": 1}, marks=pytest.mark.long),
        pytest.param(SAC, {}, marks=pytest.mark.long),
        pytest.param(SAC, {"network": "simba"}, marks=pytest.mark.long),
        pytest.param(SAC, {"layer_norm": True}, marks=pytest.mark.long),
        pytest.param(TQC, {}, marks=pytest.mark.long),
    ],
)
def test_a_compiled_update_has_the_eager_gradients(agent, settings):
    eager, compiled = (first_moments(agent, settings, compiles) for compiles in (False, True))
    assert all(moment.any() for moment in eager[:-1])  # the temperature's gradient may be 0
    for mine, other in zip(eager, compiled, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-6)
