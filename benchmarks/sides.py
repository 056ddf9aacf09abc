"""The sides: the same work done by Stable-Baselines3, by `lab run`, by parts of it, and by a loop by hand.

Each does a `Work`, checks that it made all the updates, and returns the seconds of training. Libraries are imported
inside the functions: each side runs in its own process and loads only what it needs.
"""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from benchmarks.measure import BLOCK, RANDOM_STEPS, Work

if TYPE_CHECKING:
    from lab.recipe import Recipe

GAMMA, LR, TAU, SIGMA = 0.98, 1e-3, 0.005, 0.1


def sb3(work: Work) -> float:
    """Stable-Baselines3 as its users call it; its buffer is as large as the one of `lab`."""
    import numpy as np
    from stable_baselines3 import DDPG
    from stable_baselines3.common.noise import NormalActionNoise

    noise = NormalActionNoise(np.zeros(1), np.full(1, SIGMA))  # of actions scaled to [-1, 1], as SIGMA is
    model = DDPG(
        "MlpPolicy",
        "Pendulum-v1",
        learning_rate=LR,
        gamma=GAMMA,
        tau=TAU,
        batch_size=work.batch,
        buffer_size=work.steps,
        learning_starts=RANDOM_STEPS,
        train_freq=1,
        gradient_steps=1,
        action_noise=noise,
        policy_kwargs={"net_arch": [work.hidden, work.hidden]},
        device="cpu",
        seed=0,
    )
    start = time.perf_counter()
    model.learn(work.steps)
    seconds = time.perf_counter() - start
    return checked(seconds, model._n_updates, work.updates)


def walk(work: Work) -> float:
    """All of `lab run`: recipe, Trainer, tracking, system metrics, progress, checkpoints; the seconds of its `fit`."""
    return trained(_recipe(work), work.updates)


def trainer(work: Work) -> float:
    """The same without tracking: Lightning's Trainer with progress and checkpoints."""
    from lab.runner.assemble import assemble

    run = assemble(_recipe(work))
    run.saver.folder = Path("checkpoints").resolve()
    run.best.dirpath = str(run.saver.folder)
    start = time.perf_counter()
    run.trainer.fit(run.module, datamodule=run.data)
    seconds = time.perf_counter() - start
    return checked(seconds, run.module.updates, work.updates)  # type: ignore[arg-type]


def bare(work: Work) -> float:
    """The same data module and module without a Trainer: collect, extend, sample, update, and nothing else."""
    import torch

    from lab.runner.assemble import assemble

    run = assemble(_recipe(work))
    agent: Any = updating(run.module)
    data: Any = run.data
    optimizer = agent.configure_optimizers()
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    start = time.perf_counter()
    data.trainer = SimpleNamespace(global_rank=0, world_size=1, lightning_module=agent, strategy=strategy)
    data.setup("fit")
    while data.env_steps < work.steps:
        for block in data.blocks():
            agent.update_on_batch(block, optimizer.tensors())
    data.teardown("fit")
    seconds = time.perf_counter() - start
    return checked(seconds, agent.updates, work.updates)


def floor(work: Work) -> float:
    """A loop by hand: gymnasium, replay in NumPy arrays, and the update that `lab` makes, in the same blocks."""
    import gymnasium
    import numpy as np
    import torch

    from lab.runner.assemble import assemble

    agent = updating(assemble(_recipe(work)).module)
    state = agent.configure_optimizers().tensors()
    env = gymnasium.make("Pendulum-v1", disable_env_checker=True)
    rng, updates = np.random.default_rng(0), 0
    start = time.perf_counter()
    widths = (3, 1, 1, 3)
    columns = [*(np.empty((work.steps, n), np.float32) for n in widths), np.empty((work.steps, 1), np.bool_)]
    observation, _ = env.reset(seed=0)
    for step in range(work.steps):
        if step < RANDOM_STEPS:
            action = rng.uniform(-2, 2, 1)
        else:
            with torch.inference_mode():
                greedy = agent(torch.from_numpy(observation)).numpy()
            action = np.clip(greedy + 2 * SIGMA * rng.standard_normal(1), -2, 2)
        successor, reward, terminated, truncated, _ = env.step(action)
        for column, value in zip(columns, (observation, action, reward, successor, terminated), strict=True):
            column[step] = value
        observation = env.reset()[0] if terminated or truncated else successor
        if step >= RANDOM_STEPS and (step + 1) % BLOCK == 0:
            chosen = rng.integers(step + 1, size=(BLOCK, work.batch))
            for batch in zip(*(torch.from_numpy(column[chosen]) for column in columns), strict=True):
                agent.update(state, *batch, measure=False)
                updates += 1
    seconds = time.perf_counter() - start
    return checked(seconds, updates, work.updates)


def updating(agent: Any) -> Any:
    """The agent with the update that a training makes: one that is not compiled is recorded."""
    from lab.rl.recording.recorder import Recorder

    if not agent.compiled:
        agent.update = Recorder(agent, agent._update)
    return agent


def _recipe(work: Work) -> Recipe:
    """The recipe that `lab` ships, with this work's settings; no validation and no test, which the others lack too."""
    from lab.recipe import load
    from lab.registry import find_recipe

    settings = {
        "model.lr": LR,
        "model.gamma": GAMMA,
        "model.tau": TAU,
        "model.sigma": SIGMA,
        "model.hidden": [work.hidden, work.hidden],
        "data.batch_size": work.batch,
        "data.total_steps": work.steps,
        "data.learning_starts": RANDOM_STEPS,
        "data.train_freq": BLOCK,
        "compile": str(work.compile).lower(),
        "trainer.limit_val_batches": 0,
        "trainer.limit_test_batches": 0,
    }
    return load(find_recipe("ddpg_pendulum"), [f"{key}={value}" for key, value in settings.items()])


def trained(recipe: Recipe, updates: int) -> float:
    """The seconds of a recipe's `fit`, which has to make so many updates."""
    return run(recipe, updates)[0]


def run(recipe: Recipe, updates: int) -> tuple[float, str]:
    """Runs a recipe as `lab run` does; the seconds of its `fit`, with so many updates, and the run's id."""
    import torch

    from lab.runner.fit import fit

    result = fit(recipe)
    assert result.last is not None
    done = torch.load(result.last, weights_only=True)["state_dict"]["updates"]
    return checked(result.seconds, done, updates), result.run_id


def checked(seconds: float, updates: int, expected: int) -> float:
    """The seconds, if the work was done: without its updates an agent is fast."""
    if updates != expected:
        raise RuntimeError(f"{int(updates)} updates were made, not {expected}")
    return seconds
