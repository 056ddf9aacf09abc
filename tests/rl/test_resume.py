"""A training that goes on from a checkpoint ends with the same bits as one that was never interrupted."""

from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
import torch
from lightning import Callback, Trainer, seed_everything

from lab.errors import LabError
from lab.rl.data.replay import ReplayData
from lab.rl.ddpg import DDPG
from tests.rl.points import Opaque

QUIET = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
NOISE = "explorer.state"
SHORT = {
    "total_steps": 300,
    "learning_starts": 100,
    "batch_size": 8,
    "eval_every": 130,
    "eval_episodes": 1,
    "train_freq": 10,
}


class Save(Callback):
    """Checkpoints after some of the batches, and after some of the epochs (`end 0`)."""

    def __init__(self, folder, moments=()):
        self.folder, self.moments = folder, moments
        self.batches, self.returns, self.epochs = 0, [], []

    def on_train_batch_end(self, trainer, module, outputs, block, index):  # noqa: ARG002
        self.batches += 1
        self.returns += [(block.env_steps, value) for value in block.returns]
        self.save(trainer, self.batches)

    def on_train_epoch_end(self, trainer, module):  # noqa: ARG002
        self.epochs.append(trainer.datamodule.env_steps)
        self.save(trainer, f"end {trainer.current_epoch}")

    def save(self, trainer, moment):
        if moment in self.moments:
            self.files = trainer.datamodule.write_buffers(self.folder / "buffers")
            trainer.save_checkpoint(self.folder / f"{moment}.ckpt")

    def on_save_checkpoint(self, trainer, module, checkpoint):  # noqa: ARG002
        checkpoint["here"] = {"files": self.files, "generator": torch.get_rng_state()}


class Load(Save):
    """Goes on from such a checkpoint."""

    def on_load_checkpoint(self, trainer, module, checkpoint):  # noqa: ARG002
        self.here = checkpoint["here"]
        trainer.datamodule.read_buffers(self.folder / "buffers", self.here["files"])

    def on_train_start(self, trainer, module):  # noqa: ARG002
        torch.set_rng_state(self.here["generator"])

    def on_train_end(self, trainer, module):  # noqa: ARG002
        self.env_steps = trainer.datamodule.collector.stepper.checked[0].steps


def train(callback, checkpoint=None, env="Pendulum-v1", noise="gaussian", seed=0, normalize=False, **settings):
    seed_everything(seed if checkpoint is None else seed + 99, verbose=False)  # what is not restored shows
    data = ReplayData(env, **(SHORT | settings))
    norms = dict.fromkeys(("normalize_observations", "normalize_rewards"), normalize)
    agent = DDPG(**data.facts(), **norms, hidden=[8], noise=noise, lr=1e-2, final_lr=0.0, sigma=0.3)
    trainer = Trainer(**data.trainer_defaults(), **QUIET, callbacks=[callback], accelerator="cpu", limit_val_batches=1)
    trainer.fit(agent, datamodule=data, ckpt_path=checkpoint, weights_only=True if checkpoint else None)
    return agent, data


def weights(agent):
    return agent.state_dict() | dict(enumerate(agent.trainer.optimizers[0].state_dict()["state"].values()))


def equal(one, other):
    if isinstance(one, dict):
        return list(one) == list(other) and all(equal(one[key], other[key]) for key in one)
    return torch.equal(one, other)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="gaussian noise", marks=pytest.mark.long),
        pytest.param({"noise": "ornstein_uhlenbeck"}, id="drifting noise", marks=pytest.mark.long),
        pytest.param({"train_freq": 1, "total_steps": 200}, id="one step a block", marks=pytest.mark.long),
        pytest.param({"updates_per_step": 0.33}, id="fractions of an update", marks=pytest.mark.long),
        pytest.param(
            {"train_freq": 50, "eval_every": 200, "total_steps": 600}, id="many steps a block", marks=pytest.mark.long
        ),
        pytest.param({"buffer_size": 64}, id="a buffer that wraps around", marks=pytest.mark.long),
        pytest.param({"buffer_size": 64, "storage": "memmap"}, id="a buffer on disk", marks=pytest.mark.long),
        pytest.param({"episode_steps": 45}, id="short episodes", marks=pytest.mark.long),
        pytest.param(
            {"normalize": True, "frame_stack": 3, "num_envs": 2, "buffer_size": 64},
            id="running statistics",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"env": "lab.rl.envs.goals:Reach", "hindsight": True, "buffer_size": 120, "num_envs": 2},
            id="hindsight",
            marks=pytest.mark.slow,
        ),
        pytest.param({"env": "MountainCarContinuous-v0"}, id="another environment", marks=pytest.mark.long),
        pytest.param({"env": "HalfCheetah-v5", "noise": "ornstein_uhlenbeck"}, id="MuJoCo", marks=pytest.mark.long),
        pytest.param({"env": "LunarLanderContinuous-v3"}, id="Box2D", marks=pytest.mark.long),
    ],
)
def test_it_ends_with_the_same_bits(settings, tmp_path, monkeypatch):
    if settings.get("env") == "HalfCheetah-v5":
        pytest.importorskip("mujoco", reason="needs the extra: pip install 'torch-lab[mujoco]'")
    if settings.get("env") == "LunarLanderContinuous-v3":
        pytest.importorskip("Box2D", reason="needs the extra: pip install 'torch-lab[box2d]'")
    monkeypatch.chdir(tmp_path)  # MuJoCo writes its log into the present folder
    whole = Save(tmp_path, [1, 8, "end 0"])
    agent, data = train(whole, **settings)
    for moment in whole.moments:
        rest = Load(tmp_path)
        again, copy = train(rest, tmp_path / f"{moment}.ckpt", **settings)
        assert equal(weights(again), weights(agent)), moment
        assert (copy.replay[:] == data.replay[:]).all()
        assert copy.replay.writer.state_dict() == data.replay.writer.state_dict()
        assert rest.returns == whole.returns[-len(rest.returns) :]
        assert rest.epochs == whole.epochs[-len(rest.epochs) :]


@pytest.mark.slow
def test_the_state_is_plain_and_small(tmp_path):
    train(Save(tmp_path, [2]))
    state = torch.load(tmp_path / "2.ckpt", weights_only=True)["ReplayData"]
    torch.save(state, tmp_path / "state")
    assert (tmp_path / "state").stat().st_size < 20_000


@pytest.mark.slow
def test_another_checkpoint_may_be_tested_after_training(tmp_path):
    agent, data = train(Save(tmp_path, [2]), test_episodes=1)
    agent.trainer.test(agent, data, tmp_path / "2.ckpt", verbose=False, weights_only=True)
    assert data.env_steps == 300
    assert agent.env_steps == 120, "the checkpoint's"
    assert data.state_dict() == {}


@pytest.mark.slow
def test_an_episode_that_cannot_be_kept_starts_anew(tmp_path, monkeypatch):
    spec = gym.envs.registration.EnvSpec(
        "Opaque-v0", entry_point=lambda: Opaque(gym.make("Pendulum-v1").unwrapped), max_episode_steps=60
    )
    monkeypatch.setitem(gym.registry, "Opaque-v0", spec)
    whole = Save(tmp_path, [4])
    agent, data = train(whole, env="Opaque-v0")
    rests = [Load(tmp_path), Load(tmp_path)]
    for seed, rest in enumerate(rests):
        with pytest.warns(UserWarning, match="the current episode of Opaque-v0 starts again: parts of it cannot be"):
            again, copy = train(rest, tmp_path / "4.ckpt", env="Opaque-v0", seed=seed)
        assert torch.equal(copy.replay[:140]["action"], data.replay[:140]["action"])
        start = copy.replay[140]["observation"]
        assert not torch.equal(start, data.replay[139]["next", "observation"])
        assert [steps for steps, _ in rest.returns] == [200, 260]
        total = copy.replay[140:200]["next", "reward"].sum()
        torch.testing.assert_close(torch.tensor(rest.returns[0][1]), total, rtol=1e-5, atol=1e-3)
        assert rest.env_steps == 300
    assert rests[0].returns == rests[1].returns, "two resumes are alike"
    assert again.env_steps == agent.env_steps == 300


def test_another_number_of_processes_is_refused(tmp_path):
    class More(Save):
        def on_train_batch_end(self, trainer, *_):
            data = trainer.datamodule
            state = data.state_dict()
            data.world_size = 3
            data.load_state_dict(state)

    with pytest.raises(LabError, match="1 processes trained this run; resume with as many, not 3"):
        train(More(tmp_path))


def test_noise_is_each_process_s_own():
    data = ReplayData("Pendulum-v1", **SHORT)
    agent = DDPG(**data.facts(), noise="ornstein_uhlenbeck")
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    data.trainer = SimpleNamespace(global_rank=1, world_size=2, lightning_module=agent, strategy=strategy)
    data.setup("fit")
    ignored = agent._ddp_params_and_buffers_to_ignore  # by DistributedDataParallel, which copies all other buffers
    assert NOISE in ignored
    assert "updates" not in ignored
    data.teardown("fit")


@pytest.mark.slow
def test_a_state_may_be_loaded_over_another(tmp_path):
    """As in the second of several processes, which gets the first one's and its weights, and then its own."""

    class Twice(Load):
        def on_load_checkpoint(self, trainer, module, checkpoint):
            other = torch.load(self.folder / "2.ckpt", weights_only=True)["ReplayData"]
            module.load_state_dict(torch.load(self.folder / "2.ckpt", weights_only=True)["state_dict"])
            trainer.datamodule.load_state_dict(other)
            module.load_state_dict(
                {name: value for name, value in checkpoint["state_dict"].items() if name != NOISE}, False
            )
            trainer.datamodule.load_state_dict(checkpoint["ReplayData"])
            super().on_load_checkpoint(trainer, module, checkpoint)

    agent, _ = train(Save(tmp_path, [2, 5]), noise="ornstein_uhlenbeck")
    again, _ = train(Twice(tmp_path), tmp_path / "5.ckpt", noise="ornstein_uhlenbeck")
    assert equal(weights(again), weights(agent))


class Broken(gym.Env):
    """Fails in one of its steps, or in one of its starts."""

    observation_space = gym.spaces.Box(-1, 1, (2,))
    action_space = gym.spaces.Box(-1, 1, (1,))

    def __init__(self, step=None, start=None):
        self.step_that_fails, self.start_that_fails, self.steps, self.starts = step, start, 0, 0

    def reset(self, *, seed=None, options=None):  # noqa: ARG002
        self.starts += 1
        if self.starts == self.start_that_fails:
            raise RuntimeError
        return np.zeros(2, np.float32), {}

    def step(self, action):  # noqa: ARG002
        self.steps += 1
        if self.steps == self.step_that_fails:
            raise ZeroDivisionError("division by zero\nin the middle of it")
        return np.zeros(2, np.float32), 0.0, False, self.steps % 20 == 0, {}


def register(monkeypatch, training, evaluation):
    """Environments made in this order: evaluation, which gives the facts, then training."""
    made = iter([evaluation, training])
    spec = gym.envs.registration.EnvSpec("Broken-v0", entry_point=lambda: next(made))
    monkeypatch.setitem(gym.registry, "Broken-v0", spec)


@pytest.mark.parametrize(
    ("training", "evaluation", "message"),
    [
        (
            Broken(step=117),
            Broken(),
            "environment Broken-v0 failed at env step 117, step 17 of episode 6: ZeroDivisionError: division by zero",
        ),
        (
            Broken(start=7),
            Broken(),
            "environment Broken-v0 failed in the reset after env step 120, episode 7: RuntimeError",
        ),
        (
            Broken(),
            Broken(step=7),
            "environment Broken-v0 failed at env step 7, step 7 of episode 1 (start seed 10000): ZeroDivisionError: "
            "division by zero",
        ),
        (
            Broken(),
            Broken(start=5),  # four resets show whether it keeps its generator
            "environment Broken-v0 failed in the reset after env step 0, episode 1 (start seed 10000): RuntimeError",
        ),
    ],
)
def test_a_fault_of_the_environment_is_one_line(training, evaluation, message, monkeypatch, tmp_path):
    register(monkeypatch, training, evaluation)
    with pytest.raises(LabError) as error:
        train(Save(tmp_path), env="Broken-v0")
    assert str(error.value) == message
    assert type(error.value.__cause__) in (ZeroDivisionError, RuntimeError)
