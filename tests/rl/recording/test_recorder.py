"""A recorded update gives the numbers of the eager one, to the bit, or it is not used."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from lightning import Trainer, seed_everything
from torch import Tensor, nn

from lab.rl.data.replay import ReplayData
from lab.rl.data.rollout import RolloutData
from lab.rl.dqn import DQN, DQNReplayData
from lab.rl.ppo import PPO
from lab.rl.recording import recorder as recorders
from lab.rl.recording.recorder import FIRST_CALLS, Recorder
from lab.rl.sac import SAC
from lab.rl.td3 import TD3
from tests.parameters import long_but

QUIET = {"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False, "logger": False}
MODES = {"sac with dropout": (SAC, {"dropout": 0.1, "layer_norm": True}), "td3": (TD3, {})}


def trained(
    make: Callable[[], tuple[nn.Module, ReplayData | RolloutData]], record: bool, monkeypatch: pytest.MonkeyPatch
):
    """An agent after a short training, with its updates recorded as early as that is possible, or never."""
    monkeypatch.setattr("lab.rl.common.learner.RECORD_FROM", 0 if record else 10**9)
    monkeypatch.setattr(recorders, "FIRST_CALLS", 1)
    seed_everything(0, verbose=False)
    agent, data = make()
    trainer = Trainer(**(data.trainer_defaults() | QUIET), accelerator="cpu", limit_val_batches=0)
    trainer.fit(agent, datamodule=data)
    return agent


def replaying(kind, data, **settings):
    def make():
        made = data(total_steps=160, learning_starts=100, train_freq=10, batch_size=8)
        facts = {name: value for name, value in made.facts().items() if name != "num_envs"}
        return kind(**facts, hidden=[8, 8], **settings), made

    return make


def rolling():
    data = RolloutData("CartPole-v1", total_steps=128, num_envs=2, num_steps=16)
    return PPO(**data.facts(), hidden=[8], batch_size=8, update_epochs=2), data


CASES = {
    **{
        name: replaying(kind, lambda **settings: ReplayData("Pendulum-v1", **settings), **settings)
        for name, (kind, settings) in MODES.items()
    },
    "dqn": replaying(
        DQN,
        lambda **settings: DQNReplayData("CartPole-v1", updates_per_step=1.0, prioritized=True, **settings),
        target_update_interval=7,
        noisy=True,
    ),
    "ppo": rolling,
}


@pytest.mark.slow
@pytest.mark.parametrize("case", long_but(("dqn", "ppo"), CASES))
def test_a_recorded_training_gives_the_weights_of_an_eager_one(case, monkeypatch):
    eager, recorded = (trained(CASES[case], record, monkeypatch) for record in (False, True))
    assert recorded.update.proven
    assert not recorded.update.refused
    for (name, mine), other in zip(recorded.state_dict().items(), eager.state_dict().values(), strict=True):
        assert torch.equal(mine, other), name


class Learns(nn.Module):
    """One weight that moves by a number of its own in every update."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.step = 0.5
        self.seen = 0.0

    def plain(self, state: list[Tensor], x: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            self.weight.add_(self.step * x)
            state[0].add_(1)
        return {"loss/weight": self.weight.sum().detach()}

    def careless(self, state: list[Tensor], x: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        """It takes a number out of the tensors, as an update must not."""
        with torch.no_grad():
            self.weight.add_(x * float(x.numpy().sum()))
        return {}


def make(update: str) -> tuple[Learns, Recorder]:
    module = Learns()
    return module, Recorder(module, getattr(module, update))


def repeat(recorder: Recorder, state: list[Tensor], times: int = FIRST_CALLS + 4) -> None:
    for number in range(times):
        recorder(state, torch.full((2,), float(number + 1)))


def test_an_update_that_reads_numbers_from_tensors_stays_eager():
    (module, recorder), (other, _) = make("careless"), make("careless")
    repeat(recorder, [torch.zeros(())])
    for number in range(FIRST_CALLS + 4):
        other.careless([], torch.full((2,), float(number + 1)))
    assert recorder.refused
    assert not recorder.proven
    assert torch.equal(module.weight, other.weight)


@pytest.mark.parametrize("change", ["a number", "a weight", "the optimizer's state"])
def test_a_recording_ends_where_its_premises_do(change):
    module, recorder = make("plain")
    state = [torch.zeros(())]
    repeat(recorder, state)
    assert recorder.proven
    if change == "a number":
        module.step = 0.25
    elif change == "a weight":
        module.weight.data = torch.zeros(2)
    else:
        state = [torch.zeros(())]
    state = list(state)  # of the next block
    before, count = module.weight.detach().clone(), float(state[0])
    recorder(state, torch.ones(2))
    assert not recorder.proven
    assert torch.equal(module.weight, before + module.step)
    assert float(state[0]) == count + 1


def test_a_dtype_or_a_shape_has_a_recording_of_its_own():
    module, recorder = make("plain")
    state = [torch.zeros(())]
    repeat(recorder, state)
    recorder(state, torch.ones(1))
    assert len(recorder.proven) == 1
    assert module.weight.shape == (2,)


def test_blocks_with_the_same_weights_go_on_with_their_recording():
    _, recorder = make("plain")
    steps = torch.zeros(())
    repeat(recorder, [steps])
    (kept,) = recorder.recordings.values()
    recorder([steps], torch.ones(2))
    assert recorder.recordings[next(iter(recorder.proven))] is kept


@pytest.mark.slow
def test_short_runs_are_not_recorded(monkeypatch):
    seed_everything(0, verbose=False)
    agent, data = CASES["td3"]()
    trainer = Trainer(**(data.trainer_defaults() | QUIET), accelerator="cpu", limit_val_batches=0)
    trainer.fit(agent, datamodule=data)
    assert not isinstance(agent.update, Recorder)
