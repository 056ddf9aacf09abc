"""docs/results.md, which make_results.py writes: a table of agents for each environment, beside published scores."""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lab import stats
from lab.comparison import grouped, report
from lab.stages import number

if TYPE_CHECKING:
    from mlflow.entities import Run

    from lab.recipe import Recipe

DOCS = Path(__file__).resolve().parent
PUBLISHED: dict[str, Any] = yaml.safe_load((DOCS / "published.yaml").read_text(encoding="utf-8"))
BELOW = "**below**"
OPTIONAL = {"last policy": "last", "optimality gap": "gap"}  # columns of tables with a row that knows them
HEADER = """\
# Results

`make results` writes this page from the runs in MLflow. Do not edit it: change a recipe and run the command again.

Each row is a recipe, trained with {seeds} seeds. The checkpoint that was best in validation is tested with greedy
actions on start states that are the same for every agent and are not used in validation. IQM is the interquartile mean
of the test return over the seeds, with its 95 % bootstrap interval ([definitions](compare.md#statistics)). *Last
policy* is the interquartile mean of the return in the last validation: nobody chose that policy, and its start states
are those of validation. *Training* is the median time of one training run without its test, with one run per CPU core.
*Commit* is the version of the code that trained the row:

{commits}

Published scores, with their number of environment steps in parentheses where it is known:

{sources}

A published score is a single number and is treated as exact: **below** means that our whole interval lies below it,
*above* that our whole interval lies above it, and *within* that the interval contains it. With another seed the
published score would differ, and intervals from five seeds are too narrow, so *above* and *below* appear more often
than they should. Significantly below: {below}.
"""
PLOT = """\
## Three agents side by side

The plot shows the interquartile mean over the same training runs with its 95 % interval, at each environment step: the
validation return, the mean action value (of scaled rewards), the loss of the critic, and its gradient norm
([how it is computed](compare.md#statistics)).

![Validation return, action value, loss and gradient norm of three agents](images/agents.png)
"""


@dataclass(frozen=True)
class Agent:
    """A recipe and its training runs.

    Args:
        recipe: the recipe in the repository now.
        params: the parameters that MLflow has of a run of it, without those that differ between seeds.
        runs: its finished training runs with these parameters, one for each seed.
    """

    recipe: Recipe
    params: Mapping[str, str]
    runs: Sequence[Run] = field(default=())

    @property
    def name(self) -> str:
        return self.recipe.name

    @property
    def steps(self) -> int:
        return int(self.params["data.total_steps"])

    def measured(self, metric: str) -> list[float]:
        """The values of a final metric, one for each run; empty if a run lacks it."""
        values = [run.data.metrics[metric] for run in self.runs if metric in run.data.metrics]
        return values if len(values) == len(self.runs) else []

    def result(self) -> Result:
        """Its row of the table; there has to be a run."""
        chosen = grouped({self.name: self.runs})
        scores = report(chosen.groups, chosen.mode).rows[0]
        gaps, seconds = self.measured("test/optimality_gap"), self.measured("seconds/fit")
        last = self.measured("val/return")
        best = {float(f"{score + gap:.4g}") for score, gap in zip(self.measured("test/return"), gaps, strict=False)}
        return Result(
            name=self.name,
            task=str(self.recipe.task),
            env=self.params["data.env"],
            steps=self.steps,
            seeds=scores.runs,
            iqm=scores.iqm,
            interval=(scores.interval.low, scores.interval.high) if scores.interval else None,
            gap=float(stats.iqm(gaps)) if gaps else None,
            optimum=best.pop() if len(best) == 1 else None,
            seconds=statistics.median(seconds) if seconds else None,
            commits=self._tags("mlflow.source.git.commit", 7),
            hardware=self._tags("hardware"),
            last=float(stats.iqm(last)) if last else None,
        )

    def _tags(self, tag: str, length: int | None = None) -> list[str]:
        return sorted({run.data.tags.get(tag, "unknown")[:length] for run in self.runs})


@dataclass(frozen=True)
class Result:
    """One row of the page; docs/results.json keeps it, so that a recipe that is not trained again keeps its row.

    Args:
        name: of the recipe.
        task: its task.
        env: its environment.
        steps: environment steps of a training run.
        seeds: number of training runs.
        iqm: interquartile mean of their test returns.
        interval: 95 % interval of the interquartile mean; None for a single seed.
        gap: interquartile mean of the distance to the optimal return, where this is known.
        optimum: the optimal mean return on the start states of the test, where this is known.
        seconds: median time of a training run.
        commits: of the code that trained it.
        hardware: of the machines that trained it.
        last: interquartile mean of the return in the last validation, of the policy after the last step; None for rows
            that do not have it.
    """

    name: str
    task: str
    env: str
    steps: int
    seeds: int
    iqm: float
    interval: tuple[float, float] | None
    gap: float | None
    optimum: float | None
    seconds: float | None
    commits: list[str]
    hardware: list[str]
    last: float | None = None


def load_results(path: Path) -> dict[str, Result]:
    """The rows of earlier calls by recipe; empty if there is no such file."""
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return {row["name"]: Result(**row | {"interval": row["interval"] and tuple(row["interval"])}) for row in rows}


def save_results(path: Path, results: Mapping[str, Result]) -> None:
    """Writes the rows, sorted by recipe, for `load_results`."""
    rows = [asdict(results[name]) for name in sorted(results)]
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class PublishedScore:
    """A published mean return.

    Args:
        env: the environment it was measured in.
        score: the mean return.
        steps: environment steps of the training, as the source writes them; empty if it does not say.
    """

    env: str
    score: float
    steps: str = ""

    def cell(self, ours: Result) -> str:
        """The cell of the table, with the verdict."""
        details = ", ".join(filter(None, [self.steps, self.env if self.env != ours.env else ""]))
        return f"{number(self.score)}{f' ({details})' if details else ''}: {self.verdict(ours)}"

    def verdict(self, ours: Result) -> str:
        if ours.interval is None:
            return "one seed"
        low, high = ours.interval
        return BELOW if high < self.score else "above" if low > self.score else "within"


def published(result: Result) -> dict[str, PublishedScore]:
    """The published scores by source: those of the recipe's name without its last word, or else of its task.

    Another version of the environment counts too, because the sources are older; the cell names it.
    """
    ours = result.env.rpartition(":")[2].partition("-v")[0]  # without the module that registers it
    scores = {}
    for source, about in PUBLISHED["sources"].items():
        for env, returns in about["returns"].items():
            known = returns if env.partition("-v")[0] == ours else {}
            algorithm = next((name for name in (result.name.rpartition("_")[0], result.task) if name in known), None)
            if algorithm is not None:
                scores[source] = PublishedScore(env, *known[algorithm])
    return scores


def page(results: Sequence[Result], waiting: Sequence[Agent], plot: bool) -> str:
    """The whole page.

    Args:
        results: the rows, at least one.
        waiting: agents that have no row.
        plot: whether there is a plot of three agents.
    """
    below = [f"`{r.name}`" for r in results if BELOW in [score.verdict(r) for score in published(r).values()]]
    header = HEADER.format(
        seeds=" or ".join(str(seeds) for seeds in sorted({result.seeds for result in results})),
        commits="\n".join(_commits(results)),
        sources="\n".join(f"- **{source}**: {about['about']}." for source, about in PUBLISHED["sources"].items()),
        below=", ".join(below) or "none",
    )
    tables: dict[str, list[Result]] = defaultdict(list)
    for result in sorted(results, key=lambda result: (-result.iqm, result.name)):
        tables[result.env].append(result)
    parts = [header, *(table(env, tables[env]) for env in sorted(tables))]
    if plot:
        parts.append(PLOT)
    if waiting:
        parts.append(f"Not trained yet: {', '.join(f'`{a.name}` ({_short(a.steps)} steps)' for a in waiting)}.\n")
    return "\n".join(parts)


def table(env: str, results: Sequence[Result]) -> str:
    """The section of one environment."""
    scores = [published(result) for result in results]
    sources = [source for source in PUBLISHED["sources"] if any(source in found for found in scores)]
    optional = {title: key for title, key in OPTIONAL.items() if any(getattr(row, key) is not None for row in results)}
    titles = ["algorithm", "recipe", "seeds", "steps", "IQM of `test/return`", "95 % interval"]
    titles += [*optional, "training", "commit", *sources]
    lines = [titles, ["---"] * len(titles)]
    for result, found in zip(results, scores, strict=True):
        line = [
            f"[{result.task}]({result.task}.md)" if (DOCS / f"{result.task}.md").exists() else result.task,
            f"[{result.name}](../recipes/{result.name}.yaml)",
            str(result.seeds),
            _short(result.steps),
            f"**{number(result.iqm)}**",
            " to ".join(map(number, result.interval)) if result.interval else "-",
        ]
        values = [getattr(result, key) for key in optional.values()]
        line += ["-" if value is None else number(value) for value in values]
        line += ["-" if result.seconds is None else _duration(result.seconds), ", ".join(result.commits)]
        line += [found[source].cell(result) if source in found else "-" for source in sources]
        lines.append(line)
    return f"## {env}\n\n{_limit(env, results)}" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _limit(env: str, results: Sequence[Result]) -> str:
    """The best possible return: on the test's start states where the runs know it, else from published.yaml."""
    best = {result.optimum for result in results if result.optimum is not None}
    if len(best) == 1:
        why = "ddpg.md#the-limit-on-pendulum-v1" if env == "Pendulum-v1" else "tabular.md"
        return f"The optimal mean return on these starts is {best.pop()} ([why]({why})).\n\n"
    limit = PUBLISHED["limits"].get(env)
    return f"{limit}\n\n" if limit else ""


def _commits(results: Sequence[Result]) -> list[str]:
    """A line for each set of commits: its recipes and machines."""
    groups: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        groups[", ".join(result.commits)].append(result)
    rows = sorted(groups.items(), key=lambda group: -len(group[1]))
    lines = []
    for place, (commit, members) in enumerate(rows):
        names = "all other rows" if place == 0 and len(rows) > 1 else ", ".join(f"`{r.name}`" for r in members)
        machines = ", ".join(sorted({machine for result in members for machine in result.hardware}))
        lines.append(f"- {commit}, on {machines}: {names if len(rows) > 1 else 'all rows'}")
    return lines


def _short(steps: int) -> str:
    return f"{steps / 1e6:g}M" if steps >= 1_000_000 else f"{steps / 1e3:g}k"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
