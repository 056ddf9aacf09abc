"""Observations in parts, images, memory and CrossQ by `lab run` and by Stable-Baselines3 and its contrib package."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from benchmarks.agents_vs_sb3 import COMPILED, ENVS, GAMMA, LR, MOVE_EVERY, OURS, THEIRS, comparison
from benchmarks.agents_vs_sb3 import speeds as speeds  # this benchmark has the same
from benchmarks.measure import BLOCK, RANDOM_STEPS, WARM_STEPS, Side, alternate, say
from benchmarks.sides import checked, trained

if TYPE_CHECKING:
    from lab.recipe import Recipe

HIDDEN, WIDE = 64, 512  # layers behind features, and the one behind convolutions
CRITICS, MEMORY = 256, 64  # layers of CrossQ's critics, size of an LSTM
EVERY = 4  # environment steps for each update of DQN


@dataclass(frozen=True)
class Job:
    """What both sides are asked to do.

    Args:
        title: what it is.
        recipe: the one of `lab` that it starts from.
        algorithm: as Stable-Baselines3 or its contrib package calls it.
        policy: the same.
        env: the environment, or one of `kinds_envs`.
        batch: transitions per update; with rollouts also the steps of each environment in one.
        steps: environment steps.
        epochs: passes over each rollout; 0 with replay.
        compile: whether `lab` compiles the update.
        shared: whether policy and critic of images share the encoder, as they do by default on both sides.
    """

    title: str
    recipe: str
    algorithm: str
    policy: str
    env: str
    batch: int
    steps: int
    epochs: int = 0
    compile: bool = False
    shared: bool = False

    @property
    def updates(self) -> int:
        if self.epochs:
            return math.ceil(self.steps / (ENVS * self.batch)) * self.epochs * ENVS
        return (self.steps - RANDOM_STEPS) // (EVERY if self.algorithm == "DQN" else 1)

    @property
    def hidden(self) -> list[int]:
        """Behind the features of images, of which the layer of `WIDE` is one for PPO, and behind the memory."""
        if self.policy == "CnnPolicy":
            return [WIDE] if self.algorithm == "DQN" else [HIDDEN]
        return [HIDDEN] * (1 if self.algorithm == "RecurrentPPO" else 2)


JOBS = (
    Job("PPO, observation in parts", "ppo_cartpole", "PPO", "MultiInputPolicy", "Parts", 128, 20_480, 10),
    Job("PPO, images", "ppo_cartpole", "PPO", "CnnPolicy", "Screens", 64, 2_048, 4),
    Job("PPO, images, one encoder", "ppo_cartpole", "PPO", "CnnPolicy", "Screens", 64, 2_048, 4, shared=True),
    Job("DQN, images", "dqn_cartpole", "DQN", "CnnPolicy", "Screens", 32, 2_000),
    Job(
        "Recurrent PPO, CartPole-v1", "recurrent_ppo_cartpole_hidden", "RecurrentPPO", "MlpLstmPolicy", "CartPole-v1",
        128, 8_192, 10,
    ),
    Job("CrossQ, Pendulum-v1", "crossq_pendulum", "CrossQ", "MlpPolicy", "Pendulum-v1", 128, 3_000),
)  # fmt: skip


def model(job: Job) -> Any:
    """Stable-Baselines3's, as its users make it, its settings given so that the work is the same."""
    import sb3_contrib
    import stable_baselines3 as sb3
    from stable_baselines3.common.env_util import make_vec_env

    from benchmarks import kinds_envs

    settings: dict[str, Any] = {"learning_rate": LR, "gamma": GAMMA, "batch_size": job.batch}
    networks: dict[str, Any] = {"net_arch": job.hidden}
    if job.policy == "CnnPolicy" and job.algorithm == "DQN":  # its extractor has the layer of 512
        networks["net_arch"] = []
    if job.epochs:
        settings |= {"n_steps": job.batch, "n_epochs": job.epochs}
        if job.policy == "CnnPolicy":
            networks["share_features_extractor"] = job.shared
        if job.algorithm == "RecurrentPPO":
            networks["lstm_hidden_size"] = MEMORY
    else:
        settings |= {"buffer_size": job.steps, "learning_starts": RANDOM_STEPS, "gradient_steps": 1, "train_freq": 1}
        if job.algorithm == "DQN":
            settings |= {"train_freq": EVERY, "target_update_interval": MOVE_EVERY, "exploration_fraction": 0.2}
        else:
            networks["net_arch"] = {"pi": job.hidden, "qf": [CRITICS, CRITICS]}
    env = make_vec_env(getattr(kinds_envs, job.env, job.env), ENVS if job.epochs else 1, seed=0)
    algorithm: Any = getattr(sb3 if hasattr(sb3, job.algorithm) else sb3_contrib, job.algorithm)
    return algorithm(job.policy, env, policy_kwargs=networks, device="cpu", seed=0, **settings)


def recipe(job: Job) -> Recipe:
    """That of `lab`, with the same settings."""
    from benchmarks import kinds_envs
    from lab.recipe import load
    from lab.registry import find_recipe

    settings: dict[str, Any] = {
        "model.lr": LR,
        "model.final_lr": 1.0,
        "model.gamma": GAMMA,
        "model.hidden": job.hidden,
        "data.env": f"{kinds_envs.__name__}:{job.env}" if hasattr(kinds_envs, job.env) else job.env,
        "data.total_steps": job.steps,
        "compile": str(job.compile).lower(),
        "trainer.limit_val_batches": 0,
        "trainer.limit_test_batches": 0,
    }
    if job.epochs:
        settings |= {"data.num_envs": ENVS, "data.num_steps": job.batch, "model.batch_size": job.batch}
        settings["model.update_epochs"] = job.epochs
        if job.policy == "CnnPolicy":
            settings |= {"model.share_features_extractor": str(job.shared).lower(), "model.features_dim": WIDE}
        if job.algorithm == "RecurrentPPO":
            settings |= {"model.cell": "lstm", "model.memory_size": MEMORY, "model.sequence_length": job.batch}
            settings |= {"data.wrappers": [], "model.normalize_observations": "false"}
            settings["model.normalize_rewards"] = "false"
    else:
        settings |= {"data.batch_size": job.batch, "data.learning_starts": RANDOM_STEPS, "data.train_freq": BLOCK}
        settings |= {"data.updates_per_step": 1.0, "data.episode_steps": "null"}
        if job.algorithm == "DQN":
            settings |= {"data.updates_per_step": 1 / EVERY, "model.double": "false", "model.max_grad_norm": 10}
            settings |= {"model.target_update_interval": MOVE_EVERY // EVERY, "model.tau": 1.0}
            settings |= {"model.observation_scale": "null", "model.exploration_fraction": 0.2}
        else:
            settings["model.critic_hidden"] = [CRITICS, CRITICS]
    return load(find_recipe(job.recipe), [f"{key}={value}" for key, value in settings.items()])


def theirs(job: Job) -> float:
    """Seconds of `learn`."""
    agent = model(job)
    start = time.perf_counter()
    agent.learn(job.steps)
    seconds = time.perf_counter() - start
    return checked(seconds, agent._n_updates * (ENVS if job.epochs else 1), job.updates)


def ours(job: Job) -> float:
    """All of `lab run`: recipe, Trainer, tracking, system metrics, progress, checkpoints; the seconds of its `fit`."""
    return trained(recipe(job), job.updates)


def measure(quick: bool) -> dict[str, Any]:
    """Seconds of both sides for every job."""
    found: list[dict[str, Any]] = []
    for job in JOBS:
        say(job.title)
        work = replace(job, steps=WARM_STEPS) if quick else job
        contest: dict[str, Side] = {THEIRS: (theirs, work), OURS: (ours, work)}
        if job.algorithm != "RecurrentPPO":  # whose batches change their shapes
            contest[COMPILED] = (ours, replace(work, compile=True))
        found.append({"title": work.title, "steps": work.steps, "sides": alternate(contest, 1 if quick else 3)})
    return {"jobs": found}


def report(found: dict[str, Any]) -> str:
    return "\n\n".join(
        [
            "## Parts, images and memory against Stable-Baselines3",
            "As above, with the same networks on both sides. An observation in parts is a dictionary of two vectors "
            "and a choice (`MultiInputPolicy`); images are four grey screens of 84 x 84 through the convolutions of "
            f"Mnih et al. 2015 and a layer of {WIDE} (`CnnPolicy`), of policy and critic each for themselves or with "
            f"one encoder, and a layer of {HIDDEN} of each behind it; DQN makes an update every {EVERY} steps and has "
            f"no other layer. Recurrent PPO has LSTMs of {MEMORY} "
            f"(`MlpLstmPolicy`), CrossQ critics of ({CRITICS}, {CRITICS}); both are compared with sb3-contrib. The "
            "environments of parts and of images cost next to nothing.",
            comparison(found),
        ]
    )
