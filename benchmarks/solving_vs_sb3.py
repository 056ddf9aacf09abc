"""How long until an environment is solved: recipes by `lab run`, Stable-Baselines3 with the settings of its zoo."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure import process, say, spread, table

SEEDS = (0, 1, 2)
EPISODES, FIRST_SEED = 20, 10_000  # of a validation: the starts that `lab` validates on


@dataclass(frozen=True)
class Problem:
    """An algorithm on an environment, and when it counts as solved.

    Args:
        recipe: the shipped recipe.
        env: the environment, the recipe's.
        goal: mean return of a validation that counts as solved.
        every: environment steps between two validations.
        steps: environment steps after which the zoo's settings give up; the recipe has its own.
        envs: environments side by side, in the zoo's settings.
        settings: the zoo's keywords.
    """

    recipe: str
    env: str
    goal: float
    every: int
    steps: int
    envs: int = 1
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def task(self) -> str:
        return self.recipe.partition("_")[0]


EPISODE = {"train_freq": (1, "episode"), "gradient_steps": -1, "learning_starts": 10_000}
DETERMINISTIC = {
    "learning_rate": 1e-3,
    "gamma": 0.98,
    "buffer_size": 200_000,
    "noise": 0.1,
    "policy_kwargs": {"net_arch": [400, 300]},
    **EPISODE,
}
PROBLEMS = (
    Problem(
        "dqn_cartpole", "CartPole-v1", 490, 2_000, 50_000,
        settings={
            "learning_rate": 2.3e-3, "batch_size": 64, "buffer_size": 100_000, "learning_starts": 1_000, "gamma": 0.99,
            "target_update_interval": 10, "train_freq": 256, "gradient_steps": 128, "exploration_fraction": 0.16,
            "exploration_final_eps": 0.04, "policy_kwargs": {"net_arch": [256, 256]},
        },
    ),
    Problem("ddpg_pendulum", "Pendulum-v1", -160, 1_000, 20_000, settings=DETERMINISTIC),
    Problem("td3_pendulum", "Pendulum-v1", -160, 1_000, 20_000, settings=DETERMINISTIC),
    Problem("sac_pendulum", "Pendulum-v1", -160, 1_000, 20_000, settings={"learning_rate": 1e-3}),
    Problem("a2c_cartpole", "CartPole-v1", 490, 10_000, 500_000, envs=8, settings={"ent_coef": 0.0}),
    Problem(
        "ppo_cartpole", "CartPole-v1", 490, 10_000, 100_000, envs=8,
        settings={
            "n_steps": 32, "batch_size": 256, "gae_lambda": 0.8, "gamma": 0.98, "n_epochs": 20, "ent_coef": 0.0,
            "learning_rate": 1e-3, "clip_range": 0.2, "linear": True,
        },
    ),
)  # fmt: skip


def theirs(job: tuple[Problem, int]) -> dict[str, float]:
    """Seconds of `learn`, validations included, and whether the goal was reached."""
    import gymnasium
    import numpy as np
    import stable_baselines3 as sb3
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.noise import NormalActionNoise

    problem, seed = job
    settings = dict(problem.settings)
    if "noise" in settings:
        settings["action_noise"] = NormalActionNoise(np.zeros(1), np.full(1, settings.pop("noise")))
    if settings.pop("linear", False):  # learning rate and clipped range fall to zero
        for key in ("learning_rate", "clip_range"):
            first = settings[key]
            settings[key] = lambda left, first=first: first * left
    validation = gymnasium.make(problem.env)

    class UntilSolved(BaseCallback):
        due, value = problem.every, -np.inf

        def _on_step(self) -> bool:
            if self.num_timesteps < self.due:
                return True
            self.due += problem.every
            returns = []
            for start in range(FIRST_SEED, FIRST_SEED + EPISODES):
                observation, over, total = validation.reset(seed=start)[0], False, 0.0
                while not over:
                    action, _ = self.model.predict(observation, deterministic=True)
                    observation, reward, terminated, truncated, _ = validation.step(action)
                    total, over = total + float(reward), terminated or truncated
                returns.append(total)
            self.value = float(np.mean(returns))
            return bool(self.value < problem.goal)

    env: Any = make_vec_env(problem.env, problem.envs, seed=seed) if problem.envs > 1 else problem.env
    model = getattr(sb3, problem.task.upper())("MlpPolicy", env, device="cpu", seed=seed, **settings)
    watch = UntilSolved()
    start = time.perf_counter()
    model.learn(problem.steps, callback=watch)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "steps": float(model.num_timesteps), "solved": float(watch.value >= problem.goal)}


def ours(job: tuple[Problem, int]) -> dict[str, float]:
    """Seconds of `fit`, validations included: the recipe as shipped, stopped by Lightning's callback at the goal."""
    from lab.recipe import load
    from lab.registry import find_recipe
    from lab.runner.fit import fit

    problem, seed = job
    stop = (
        "callbacks=[{class_path: lightning.pytorch.callbacks.EarlyStopping, init_args: "
        f"{{monitor: val/return, mode: max, patience: 1000000, stopping_threshold: {problem.goal}}}}}]"
    )
    settings = [stop, f"data.eval_every={problem.every}", f"data.eval_episodes={EPISODES}", f"seed={seed}"]
    result = fit(load(find_recipe(problem.recipe), [*settings, "trainer.limit_test_batches=0"]))
    last = result.metrics["val/return"]
    return {"seconds": result.seconds, "steps": result.metrics["env_steps"], "solved": float(last >= problem.goal)}


def measure(quick: bool) -> dict[str, Any]:
    """Both sides, seed by seed, in processes that have loaded their libraries before."""
    found = []
    for problem in PROBLEMS[1:2] if quick else PROBLEMS:
        turns: dict[str, list[dict[str, float]]] = {"theirs": [], "ours": []}
        with ExitStack() as stack:
            folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in turns]
            other, mine = (stack.enter_context(process(folder)) for folder in folders)
            for seed in SEEDS[:1] if quick else SEEDS:
                for name, worker, side in (("theirs", other, theirs), ("ours", mine, ours)):
                    turns[name].append(worker(side, (problem, seed)))
                    say(f"{problem.recipe}, seed {seed}, {name}: {turns[name][-1]}")
        found.append({"recipe": problem.recipe, "env": problem.env, "goal": problem.goal, **turns})
    return {"problems": found}


def report(found: dict[str, Any]) -> str:
    rows = []
    for problem in found["problems"]:
        cells = [f"`{problem['recipe']}`, {problem['goal']:g}"]
        for side in ("theirs", "ours"):
            solved = sum(int(turn["solved"]) for turn in problem[side])
            cells += [
                spread([turn["seconds"] for turn in problem[side]], 1),
                spread([turn["steps"] for turn in problem[side]], 0),
                f"{solved} of {len(problem[side])}",
            ]
        pairs = zip(problem["theirs"], problem["ours"], strict=True)
        speeds = [other["seconds"] / mine["seconds"] for other, mine in pairs]
        rows.append([*cells, spread(speeds, 1, "x")])
    titles = ["recipe, goal", "theirs: seconds", "env steps", "solved", "ours: seconds", "env steps", "solved", "speed"]
    return "\n\n".join(
        [
            "## Time until solved, against Stable-Baselines3",
            "`lab run` uses the recipe of this package, Stable-Baselines3 the settings that its zoo publishes for "
            "the algorithm on this environment. It is solved when a validation (20 episodes, same starts for both) "
            "reaches the goal; then the training ends. A run that never reaches it counts with its whole "
            f"time. Seconds of training and validations, seeds {', '.join(map(str, SEEDS))}; medians (least to most).",
            table(titles, rows),
        ]
    )
