"""`python -m lab.rl.offline.train_behavior`: trains the agents of the built-in data sets, and writes `behavior.pt`.

Each is trained from seed 0 on one core, for a minute, or five of Hopper. Ten times, evenly spaced, its greedy policy is
kept with its mean return over 20 episodes.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer, seed_everything
from torch import Tensor, nn

from lab import files
from lab.rl.data.replay import ReplayData
from lab.rl.dqn import DQN
from lab.rl.offline.behavior import FILE
from lab.rl.sac import SAC

SEED, SNAPSHOTS = 0, 10
PENDULUM = {"lr": 2e-3, "final_lr": 0.0, "gamma": 0.98, "tau": 0.02, "alpha_init": 0.1, "reward_scale": 0.1}
CARTPOLE = {
    "lr": 2e-3, "final_lr": 0.0, "gamma": 0.98, "tau": 0.05, "target_update_interval": 1, "double": True,
    "exploration_fraction": 0.2, "final_epsilon": 0.1, "observation_scale": [2.4, 2.5, 0.21, 2.5], "reward_scale": 0.1,
    "max_grad_norm": None,
}  # fmt: skip
HOPPER = {"lr": 1e-3, "final_lr": 0.0, "gamma": 0.99}
TRAININGS: dict[str, tuple[type[Any], dict[str, Any], dict[str, Any]]] = {
    "Pendulum-v1": (
        SAC,
        PENDULUM | {"hidden": [32, 32]},
        {"total_steps": 6_000, "batch_size": 128, "train_freq": 25, "episode_steps": 100, "learning_starts": 500},
    ),
    "CartPole-v1": (
        DQN,
        CARTPOLE | {"hidden": [32, 32]},
        {"total_steps": 12_000, "batch_size": 64, "learning_starts": 1_000},
    ),
    "Hopper-v5": (
        SAC,
        HOPPER | {"hidden": [64, 64]},
        {"total_steps": 200_000, "batch_size": 128, "learning_starts": 5_000},
    ),
}


class Snapshots(Callback):
    """Keeps the greedy policy and its mean return at every validation."""

    def __init__(self) -> None:
        self.returns: list[float] = []
        self.layers: list[list[tuple[Tensor, Tensor]]] = []

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.returns.append(float(trainer.callback_metrics["val/return"]))
        self.layers.append(
            [(w.detach().half().clone(), b.detach().half().clone()) for w, b in linear_layers(pl_module)]
        )
        print(f"{trainer.datamodule.progress()} {self.returns[-1]:.1f}", flush=True)  # type: ignore[attr-defined]


def linear_layers(agent: Any) -> list[tuple[Tensor, Tensor]]:
    """Weights and biases of the greedy policy, whose layers have ReLU between them."""
    if isinstance(agent, DQN):
        *first, last = [each for each in agent.network.modules() if isinstance(each, nn.Linear)]
        scaled = first[0].weight / torch.tensor(agent.hparams["observation_scale"])
        return [(scaled, first[0].bias), *((each.weight, each.bias) for each in first[1:]), (last.weight, last.bias)]
    *first, last = [each for each in agent.actor.net if isinstance(each, nn.Linear)]
    size = len(last.bias) // 2  # the other half are deviations
    return [*((each.weight, each.bias) for each in first), (last.weight[:size], last.bias[:size])]


def train(env: str) -> dict[str, Any]:
    """The snapshots of one training."""
    module, model, data = TRAININGS[env]
    seed_everything(SEED, verbose=False)
    torch.set_num_threads(1)
    collected = ReplayData(env, eval_every=data["total_steps"] // SNAPSHOTS, eval_envs=20, **data)
    agent, kept = module(**collected.facts(), **model), Snapshots()
    trainer = Trainer(
        **collected.trainer_defaults(), accelerator="cpu", callbacks=[kept], logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(agent, datamodule=collected)
    layers = [
        tuple(torch.stack(parts) for parts in zip(*layer, strict=True)) for layer in zip(*kept.layers, strict=True)
    ]
    return {"returns": kept.returns, "layers": layers}


if __name__ == "__main__":
    stored = files.load(FILE) if FILE.exists() else {}
    for name in sys.argv[1:] or TRAININGS:
        stored[name] = train(name)
        files.save(stored, FILE)
