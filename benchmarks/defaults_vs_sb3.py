"""What agents reach with default settings, and Stable-Baselines3 with its own, after as many environment steps."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measure import process, say, table
from lab import stats
from lab.rl.data.loaders import TEST_SEEDS

SEEDS, EPISODES = 5, 20
KEPT = Path(__file__).parents[1] / "results" / "defaults_vs_sb3.json"
BELOW, ABOVE, OVERLAP = "**below**", "above", "overlap"


@dataclass(frozen=True)
class Contest:
    """An algorithm with all of its defaults, on an environment.

    Args:
        task: the algorithm, as `lab` calls it.
        env: the environment.
        steps: environment steps, which agents with rollouts round up to whole ones.
    """

    task: str
    env: str
    steps: int

    @property
    def title(self) -> str:
        return f"`{self.task}`, {self.env}, {self.steps:,}"


ON_POLICY, OFF_POLICY = ("a2c", "ppo"), ("ddpg", "td3", "sac")
CONTESTS = (  # the shortest first
    *(Contest(task, "CartPole-v1", 50_000) for task in ("dqn", *ON_POLICY)),
    *(Contest(task, "Acrobot-v1", 100_000) for task in ("dqn", *ON_POLICY)),
    *(Contest(task, "InvertedPendulum-v5", 50_000) for task in ON_POLICY),
    *(Contest(task, "Pendulum-v1", 50_000) for task in ON_POLICY),
    *(Contest(task, "LunarLander-v3", 50_000) for task in ("dqn", *ON_POLICY)),
    *(Contest(task, "InvertedPendulum-v5", 5_000) for task in OFF_POLICY),
    *(Contest(task, "Pendulum-v1", 5_000) for task in OFF_POLICY),
)
QUICK = Contest("a2c", "CartPole-v1", 500)


class Trained(NamedTuple):
    """What one training gave.

    Args:
        score: mean return of the last policy.
        seconds: CPU time of the training.
    """

    score: float
    seconds: float


def theirs(job: tuple[Contest, int]) -> Trained:
    """Stable-Baselines3 as its users call it."""
    import gymnasium
    import stable_baselines3 as sb3

    contest, seed = job
    model = getattr(sb3, contest.task.upper())("MlpPolicy", contest.env, device="cpu", seed=seed)
    start = time.process_time()
    model.learn(contest.steps)
    seconds = time.process_time() - start
    env, returns = gymnasium.make(contest.env), []
    for first in range(TEST_SEEDS, TEST_SEEDS + EPISODES):
        observation, over, total = env.reset(seed=first)[0], False, 0.0
        while not over:
            action, _ = model.predict(observation, deterministic=True)
            observation, reward, terminated, truncated, _ = env.step(action)
            total, over = total + float(reward), terminated or truncated
        returns.append(total)
    return Trained(statistics.fmean(returns), seconds)


def ours(job: tuple[Contest, int]) -> Trained:
    """`lab run` without validation and test, then `lab eval --checkpoint last`."""
    import yaml

    from lab.recipe import load_text
    from lab.runner.evaluate import evaluate
    from lab.runner.fit import fit

    contest, seed = job
    settings = {
        "task": contest.task,
        "seed": seed,
        "data": {"env": contest.env, "total_steps": contest.steps},
        "trainer": {"accelerator": "cpu", "limit_val_batches": 0, "limit_test_batches": 0},
    }
    recipe = load_text(yaml.safe_dump(settings), "defaults.yaml")
    start = time.process_time()
    result = fit(recipe)
    seconds = time.process_time() - start
    tested = evaluate(result.run_id, EPISODES, "last", ["trainer.limit_test_batches=1.0"])
    return Trained(tested["test/return"], seconds)


SIDES: dict[str, Callable[[tuple[Contest, int]], Trained]] = {"theirs": theirs, "ours": ours}


def measure(quick: bool) -> dict[str, Any]:
    """Both sides, seed by seed; trainings that an interrupted call finished are in the file `KEPT`."""
    kept: dict[str, list[float]] = json.loads(KEPT.read_text()) if KEPT.exists() and not quick else {}
    found = []
    with workers() as train:
        for contest in (QUICK,) if quick else CONTESTS:
            turns: dict[str, list[Trained]] = {name: [] for name in SIDES}
            for seed in range(2 if quick else SEEDS):
                for name in SIDES:
                    key = f"{name}, {contest.title}, seed {seed}"
                    if key not in kept:
                        kept[key] = list(train(name, contest, seed))
                        if not quick:
                            _keep(kept)
                    turns[name].append(Trained(*kept[key]))
                    say(f"{key}: {turns[name][-1].score:.1f} in {turns[name][-1].seconds:.0f} s")
            sides = {name: [turn._asdict() for turn in each] for name, each in turns.items()}
            found.append({"title": contest.title, **sides})
    return {"contests": found}


@contextmanager
def workers() -> Iterator[Callable[[str, Contest, int], Trained]]:
    """A process for each side, warmed up; call with a side, a contest and a seed."""
    with ExitStack() as stack:
        started = {}
        for name, side in SIDES.items():
            started[name] = stack.enter_context(process(Path(stack.enter_context(tempfile.TemporaryDirectory()))))
            started[name](side, (QUICK, 0))
        yield lambda name, contest, seed: started[name](SIDES[name], (contest, seed))


def _keep(kept: dict[str, list[float]]) -> None:
    """Writes the file in one piece, so that a kill leaves the old one or the new one."""
    KEPT.parent.mkdir(exist_ok=True)
    new = KEPT.with_suffix(".new")
    new.write_text(json.dumps(kept, indent=1))
    new.replace(KEPT)


def verdict(mine: stats.Interval, other: stats.Interval) -> str:
    """How our interval lies to theirs."""
    return BELOW if mine.high < other.low else ABOVE if mine.low > other.high else OVERLAP


def report(found: dict[str, Any]) -> str:
    rows = []
    for contest in found["contests"]:
        cells, intervals = [contest["title"]], []
        for name in SIDES:
            scores = [turn["score"] for turn in contest[name]]
            interval = stats.interval(scores)
            assert interval is not None
            cells.append(f"{stats.iqm(scores):.1f} ({interval.low:.1f} to {interval.high:.1f})")
            intervals.append(interval)
        cells += [f"{statistics.median(turn['seconds'] for turn in contest[name]):.0f}" for name in SIDES]
        rows.append([*cells, verdict(intervals[1], intervals[0])])
    below = sum(row[-1] == BELOW for row in rows)
    titles = ["agent, environment, steps", "theirs: return", "ours: return", "theirs: s", "ours: s", "ours is"]
    return "\n\n".join(
        [
            "## Defaults against Stable-Baselines3",
            "Both sides get the environment, its steps and a seed, and everything else is their own default. The last "
            f"policy plays {EPISODES} episodes with greedy actions, from the same start seeds on both sides, which "
            f"chose nothing. *return* is the interquartile mean over {len(found['contests'][0]['ours'])} seeds, with "
            f"its 95 % bootstrap interval. {BELOW}: our whole interval lies below theirs; *above*: it lies above. "
            "Intervals from so few seeds are too narrow, so both appear more often than they should. *s* is the "
            "median CPU time of a training in seconds: `learn` there, here all of `lab run`, tracking and recording "
            "the model included.",
            table(titles, rows),
            f"Significantly below: {below} of {len(rows)}.",
        ]
    )
