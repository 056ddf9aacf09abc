"""What off-policy agents share: blocks, the learning rate's fall, noise as a column, priorities, refusals."""

from types import SimpleNamespace

import pytest
import torch
from lightning import Trainer
from tensordict import TensorDict

from lab.errors import BadSetting
from lab.rl.data.replay import Block, ReplayData
from lab.rl.ddpg import DDPG
from lab.rl.sac import SAC
from lab.rl.td3 import TD3
from lab.rl.tqc import TQC

FACTS = {"env": "Pendulum-v1", "observation_size": 3, "action": {"low": [-2.0], "high": [2.0]}}
SMALL = {"hidden": [16, 16], "lr": 3e-3}
AGENTS = [DDPG, TD3, SAC, TQC]


def make(agent, **settings):
    torch.manual_seed(0)
    return agent(**FACTS, **(SMALL | settings))


def batches(updates=4, size=16):
    torch.manual_seed(1)
    following = {
        "observation": torch.randn(updates, size, 3),
        "reward": torch.randn(updates, size, 1),
        "terminated": torch.rand(updates, size, 1) < 0.3,
    }
    columns = {"observation": torch.randn(updates, size, 3), "action": 4 * torch.rand(updates, size, 1) - 2}
    return TensorDict(columns | {"next": following}, [updates, size])


def rows(agent, data):
    return zip(*(column.unbind(0) for column in agent.update_inputs(data)), strict=True)


@pytest.mark.parametrize("agent", AGENTS)
def test_a_block_is_its_updates_one_after_the_other(agent):
    whole, single, data = make(agent), make(agent), batches()
    torch.manual_seed(2)
    measured = whole.update_on_batch(Block(data, 0, []), whole.configure_optimizers().tensors())
    torch.manual_seed(2)
    state = single.configure_optimizers().tensors()
    for number, row in enumerate(rows(single, data)):
        last = single._update(state, *row, measure=True, **single.update_flags(number))
    assert int(whole.updates) == 4
    assert measured == last
    assert all(value.ndim == 0 and not value.requires_grad for value in measured.values())
    for mine, other in zip(whole.parameters(), single.parameters(), strict=True):
        assert torch.equal(mine, other)


@pytest.mark.long
@pytest.mark.usefixtures("uncompiled_kernels")
@pytest.mark.parametrize("agent", [TD3, SAC, TQC])  # DDPG is held to more digits where its other tests are
def test_compiled_updates_are_the_eager_ones(agent):
    eager, compiled, data = make(agent), make(agent), batches()
    compiled.compile()
    measured = []
    for one in (eager, compiled):
        torch.manual_seed(2)
        measured.append(one.update_on_batch(Block(data, 0, []), one.configure_optimizers().tensors()))
    torch.testing.assert_close(*measured, rtol=1e-3, atol=1e-5)
    for mine, other in zip(eager.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("agent", AGENTS)
def test_bfloat16_learns_from_the_newest_weights(agent):
    """Autocast may keep casts of weights: an update that does not see the one before it would repeat its gradient."""
    one = make(agent)
    state = one.configure_optimizers().tensors()
    row = next(rows(one, batches()))
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        losses = [float(one._update(state, *row, measure=True)["loss/critic"]) for _ in range(3)]
    assert losses[0] != losses[1] != losses[2]
    assert all(parameter.dtype == torch.float32 and parameter.isfinite().all() for parameter in one.parameters())


@pytest.mark.parametrize("agent", AGENTS)
def test_the_greedy_action_and_the_explored_one_stay_in_their_bounds(agent):
    one = make(agent)
    data = TensorDict({"observation": 1e3 * torch.randn(64, 3)}, [64])
    for action in (one(data["observation"]), one.exploration_policy()(data)["action"]):
        assert action.shape == (64, 1)
        assert action.abs().max() <= 2


def test_discrete_actions_are_refused():
    for agent in AGENTS:
        name = agent.__name__.lower()
        with pytest.raises(BadSetting, match=f"{name} needs continuous actions, found 2 discrete ones"):
            agent(env="CartPole-v1", observation_size=4, action={"count": 2})


def test_errors_become_priorities():
    class Prioritised(DDPG):
        def _update(self, state, *batch, measure):
            return super()._update(state, *batch, measure=measure) | {"errors": batch[2].flatten()}

    one, data, handed = make(Prioritised), batches(), []
    data["index"] = torch.arange(64).reshape(4, 16)
    one._trainer = SimpleNamespace(datamodule=SimpleNamespace(set_priorities=lambda *found: handed.append(found)))
    measured = one.update_on_batch(Block(data, 0, []), one.configure_optimizers().tensors())
    ((index, errors),) = handed
    assert "errors" not in measured
    assert torch.equal(index, data["index"])
    assert torch.equal(errors, data["next", "reward"].squeeze(-1))


@pytest.mark.slow
def test_the_learning_rate_falls_to_its_end():
    rates = []

    class Watched(DDPG):
        def update_on_batch(self, block, state):
            rates.append(float(state[0][4]))
            return super().update_on_batch(block, state)

    data = ReplayData("Pendulum-v1", total_steps=400, learning_starts=200, train_freq=100, batch_size=8)
    quiet = {"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(**data.trainer_defaults(), **quiet, logger=False, accelerator="cpu", limit_val_batches=0)
    trainer.fit(Watched(**data.facts(), hidden=[8], lr=1.0e-3, final_lr=0.2), datamodule=data)
    assert rates == pytest.approx([4e-4, 2e-4])


def test_half_precision_without_a_scaler_is_refused():
    one = make(TD3)
    one._trainer = SimpleNamespace(precision="16-mixed", world_size=1)
    with pytest.raises(BadSetting, match="td3 has no loss scaler"):
        one.setup("fit")


@pytest.mark.parametrize(
    ("agent", "settings", "pays"),
    [
        (SAC, {"total_steps": 51_000}, True),
        (SAC, {"total_steps": 50_999}, False),
        (DDPG, {"total_steps": 201_000, "updates_per_step": 0.5}, False),
        (DDPG, {"total_steps": 401_000, "updates_per_step": 0.5}, True),
    ],
)
def test_compiling_pays_in_long_runs(agent, settings, pays, monkeypatch):
    data = ReplayData("Pendulum-v1", learning_starts=1_000, **settings)
    assert make(agent).compile_pays(data) == pays
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert not make(agent).compile_pays(data), "without a compiler"


def test_a_compiled_update_is_refused_in_several_processes():
    one = make(SAC)
    one._trainer = SimpleNamespace(precision="32-true", world_size=2)
    one.compiled = True
    with pytest.raises(BadSetting, match="sac cannot be compiled with several processes"):
        one.setup("fit")
