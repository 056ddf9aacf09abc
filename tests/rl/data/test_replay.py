"""Collection and replay: lengths of epochs, fresh blocks, stored transitions, returns of training episodes."""

from types import SimpleNamespace

import pytest
import torch
from lightning import Callback, Trainer, seed_everything
from lightning.fabric.utilities.types import _Stateful

from lab.errors import BadSetting
from lab.rl.data.replay import ReplayData
from lab.rl.ddpg import DDPG

QUIET = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}


class Watch(Callback):
    """Keeps every block, and how far the data had come when the block was trained on."""

    def __init__(self):
        self.blocks, self.collected, self.epochs = [], [], []

    def on_train_batch_start(self, trainer, module, batch, index):  # noqa: ARG002
        self.blocks.append(batch)
        self.collected.append(trainer.datamodule.env_steps)

    def on_train_epoch_end(self, trainer, module):  # noqa: ARG002
        self.epochs.append(trainer.datamodule.env_steps)


def train(callbacks=(), **settings):
    seed_everything(0, verbose=False)
    data = ReplayData("Pendulum-v1", **({"total_steps": 500, "learning_starts": 100, "batch_size": 8} | settings))
    watch = Watch()
    trainer = Trainer(
        **data.trainer_defaults(), **QUIET, callbacks=[watch, *callbacks], accelerator="cpu", limit_val_batches=0
    )
    trainer.fit(DDPG(**data.facts(), hidden=[8]), datamodule=data)
    return data, watch


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "epochs", "first"),
    [
        ({"eval_every": 200}, [200, 400, 500], 150),
        pytest.param({"eval_every": 1000}, [500], 150, marks=pytest.mark.long),
        ({"eval_every": 50}, [150, 200, 250, 300, 350, 400, 450, 500], 150),
        pytest.param({"eval_every": 200, "learning_starts": 130}, [200, 400, 500], 150, marks=pytest.mark.long),
        ({"eval_every": 120, "train_freq": 30}, [120, 240, 360, 480, 510], 120),
    ],
)
def test_epochs_end_where_validation_is_due(settings, epochs, first):
    data, watch = train(**settings)
    assert watch.epochs == epochs
    assert watch.collected[0] == first
    assert data.env_steps == epochs[-1]


@pytest.mark.slow
def test_a_block_is_trained_on_before_the_next_is_collected():
    _, watch = train()
    assert [block.env_steps for block in watch.blocks] == watch.collected


@pytest.mark.slow
def test_the_loader_has_the_length_of_its_epoch_and_collects_only_when_asked():
    found = []

    class Ask(Callback):
        def on_train_batch_start(self, trainer, module, batch, index):  # noqa: ARG002
            loader = trainer.datamodule.train_dataloader()
            assert isinstance(loader, _Stateful), "Lightning takes it for one that knows where it stands"
            for _ in range(2):
                iter(loader)
            found.append((trainer.current_epoch, len(loader), trainer.datamodule.env_steps))

    train(callbacks=[Ask()], eval_every=200)
    assert found == [
        *[(0, 2, steps) for steps in (150, 200)],
        *[(1, 4, steps) for steps in (250, 300, 350, 400)],
        *[(2, 2, steps) for steps in (450, 500)],
    ]


def test_without_a_trainer_each_round_of_blocks_is_an_epoch():
    data = ReplayData("Pendulum-v1", total_steps=500, learning_starts=100, eval_every=200)
    agent, strategy = DDPG(**data.facts(), hidden=[8]), SimpleNamespace(root_device=torch.device("cpu"))
    data.trainer = SimpleNamespace(global_rank=0, world_size=1, lightning_module=agent, strategy=strategy)
    data.setup("fit")
    assert [[block.env_steps for block in data.blocks()] for _ in range(4)] == [
        [150, 200],
        [250, 300, 350, 400],
        [450, 500],
        [],
    ]
    data.teardown("fit")


@pytest.mark.slow
def test_a_batch_holds_real_transitions():
    _, watch = train()
    batches = watch.blocks[-1].steps
    assert batches.shape == (50, 8)
    angle = torch.atan2(batches["observation"][..., 1], batches["observation"][..., 0])
    speed, torque = batches["observation"][..., 2], batches["action"][..., 0]
    reward = -(angle**2 + 0.1 * speed**2 + 0.001 * torque**2)
    torch.testing.assert_close(batches["next", "reward"][..., 0], reward, rtol=1e-3, atol=1e-3)
    faster = (speed + (15 * torch.sin(angle) + 3 * torque) * 0.05).clamp(-8, 8)
    torch.testing.assert_close(batches["next", "observation"][..., 2], faster, rtol=1e-3, atol=1e-3)
    assert not batches["next", "terminated"].any(), "Pendulum only truncates"


@pytest.mark.slow
def test_returns_of_training_episodes_are_sums_of_their_rewards():
    data, watch = train(total_steps=1000)
    returns = [value for block in watch.blocks for value in block.returns]
    rewards = data.replay[:]["next", "reward"].flatten()[:1000].reshape(5, 200).sum(1)  # episodes of 200 steps
    torch.testing.assert_close(torch.tensor(returns), rewards[-len(returns) :], rtol=1e-4, atol=1e-2)
    assert len(returns) == 5


@pytest.mark.slow
def test_the_policy_of_a_block_has_seen_the_updates_before_it():
    """The actions of a block are those of the current actor, to within the noise."""
    seed_everything(0, verbose=False)
    data = ReplayData("Pendulum-v1", total_steps=400, learning_starts=100, batch_size=32)
    agent = DDPG(**data.facts(), hidden=[32], lr=1e-2, sigma=0.0)
    gaps = []

    class Compare(Callback):
        def on_train_batch_start(self, trainer, module, batch, index):  # noqa: ARG002
            newest = data.replay[:][-50:]
            gaps.append((module(newest["observation"]) - newest["action"]).abs().max().item())

    trainer = Trainer(**data.trainer_defaults(), **QUIET, callbacks=[Compare()], accelerator="cpu", limit_val_batches=0)
    trainer.fit(agent, datamodule=data)
    assert len(gaps) == 6
    assert max(gaps) < 1e-5


@pytest.mark.parametrize(
    ("settings", "key"),
    [({"learning_starts": 500}, "learning_starts"), ({"updates_per_step": 0.001}, "updates_per_step")],
)
def test_settings_that_make_no_run_are_refused(settings, key):
    with pytest.raises(BadSetting) as error:
        ReplayData("Pendulum-v1", total_steps=500, **settings)
    assert error.value.key == key
