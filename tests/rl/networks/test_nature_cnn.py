"""DQN from pixels: bytes all the way to the convolutions, a game that goes on exactly, and a buffer that must fit."""

from types import SimpleNamespace

import psutil
import pytest
import torch
from lightning import Callback, Trainer, seed_everything
from torch import nn

from lab.errors import BadSetting, RecipeError
from lab.recipe import load
from lab.registry import find_recipe
from lab.rl.common import evaluation
from lab.rl.data.buffers.buffer import check_buffer_fits
from lab.rl.data.replay import ReplayData
from lab.rl.dqn import DQN
from lab.rl.envs.factory import EnvFactory
from lab.rl.networks.nature_cnn import NatureCNN
from lab.rl.networks.q_network import QNetwork
from lab.runner.assemble import assemble

EXTRA = "needs the extra: pip install 'torch-lab[atari]'"


def mnih():
    """The layers of the paper, written out."""
    layers = [nn.Conv2d(4, 32, 8, 4), nn.ReLU(), nn.Conv2d(32, 64, 4, 2), nn.ReLU(), nn.Conv2d(64, 64, 3, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten())


def test_the_convolutions_are_those_of_the_paper():
    ours, theirs = NatureCNN([4, 84, 84]), mnih()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    images = torch.rand(2, 3, 4, 84, 84)
    assert ours.width == 3136
    torch.testing.assert_close(ours(images), theirs(images.flatten(0, 1)).reshape(2, 3, -1))
    torch.testing.assert_close(ours(images[0, 0]), theirs(images[0, :1])[0])


def test_bytes_are_scaled_in_the_network():
    network = QNetwork([4, 84, 84], 6, [16], dueling=True)
    images = torch.randint(256, (2, 4, 84, 84), dtype=torch.uint8)
    assert network(images).shape == (2, 6, 1)
    found, features = network(images), network.encoder.images[0](images / 255)
    network.encoder = nn.Identity()
    torch.testing.assert_close(network(features), found)


def learn(folder, resume=False):
    """Plays 200 steps of Pong; saves after the first 160, or goes on from there."""
    seed_everything(int(resume), verbose=False)
    torch.set_num_threads(1)
    data = ReplayData(
        "PongNoFrameskip-v4", total_steps=200, learning_starts=120, train_freq=40, buffer_size=150, batch_size=4
    )
    agent = DQN(**data.facts(), hidden=[16], target_update_interval=2)
    quiet = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    callback, checkpoint = Halfway(folder, resume), folder / "half.ckpt" if resume else None
    trainer = Trainer(**data.trainer_defaults(), **quiet, callbacks=[callback], accelerator="cpu", limit_val_batches=0)
    trainer.fit(agent, datamodule=data, ckpt_path=checkpoint, weights_only=True if resume else None)
    return agent, data


class Halfway(Callback):
    """Saves in the middle of a game, or starts there."""

    def __init__(self, folder, resume):
        self.folder, self.resume = folder, resume

    def on_train_batch_end(self, trainer, module, outputs, batch, index):  # noqa: ARG002
        if batch.env_steps == 160 and not self.resume:
            trainer.save_checkpoint(self.folder / "half.ckpt")
            files = trainer.datamodule.write_buffers(self.folder)
            torch.save({"files": files, "generator": torch.get_rng_state()}, self.folder / "rest")

    def on_train_start(self, trainer, module):  # noqa: ARG002
        if self.resume:
            rest = torch.load(self.folder / "rest", weights_only=True)
            trainer.datamodule.read_buffers(self.folder, rest["files"])
            torch.set_rng_state(rest["generator"])


@pytest.mark.long
def test_an_agent_learns_from_a_game_and_goes_on_in_the_middle_of_it(tmp_path):
    pytest.importorskip("ale_py", reason=EXTRA)
    agent, data = learn(tmp_path)
    rows = data.replay[:]
    assert (rows["observation"].dtype, rows["observation"].shape) == (torch.uint8, (150, 4, 84, 84))
    assert set(rows["next", "reward"].flatten().tolist()) <= {-1.0, 0.0, 1.0}
    assert int(agent.updates) == 80
    again, other = learn(tmp_path, resume=True)
    assert (other.replay[:] == rows).all()
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in agent.state_dict().items())
    (score,) = evaluation.play(agent, EnvFactory("PongNoFrameskip-v4"), [0], torch.device("cpu"))
    assert score in range(-21, 22)


@pytest.mark.slow
def test_a_buffer_larger_than_memory_is_refused(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=8_000_000_000))
    large = ["data.buffer_size=300000000", "data.total_steps=500000000"]
    with pytest.raises(RecipeError) as error:
        assemble(load(find_recipe("ddpg_pendulum"), large))
    (problem,) = error.value.problems
    assert problem.key == "data.buffer_size"
    assert problem.message == (
        "300,000,000 transitions of 33 bytes are 9.9 GB, and this machine has 8.0 GB: "
        "set data.storage=memmap, or data.buffer_size below 242,424,242"
    )
    assemble(load(find_recipe("ddpg_pendulum"), [*large, "data.storage=memmap"]))


def test_frames_take_a_byte_a_pixel(monkeypatch):
    facts = {"observation_size": [4, 84, 84], "action": {"count": 6}}
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=100_000 * (8 * 84 * 84 + 13)))
    check_buffer_fits(100_000, "memory", facts)
    check_buffer_fits(100_001, "memmap", facts)
    with pytest.raises(BadSetting, match="100,001 transitions of 56,461 bytes"):
        check_buffer_fits(100_001, "memory", facts)
