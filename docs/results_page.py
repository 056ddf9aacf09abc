"""docs/results.md, which make_results.py writes: tables of agents and their trainings beside published figures."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lab import stats
from lab.cli.output import number
from lab.compare import grouped, report

if TYPE_CHECKING:
    from mlflow.entities import Run

    from lab.compare import Row
    from lab.recipe import Recipe

DOCS = Path(__file__).resolve().parent
PUBLISHED: dict[str, Any] = yaml.safe_load((DOCS / "published.yaml").read_text(encoding="utf-8"))
BELOW = "**below**"
HEADER = """\
# Results

Written by `make results` from what MLflow recorded: change a recipe and train it again, not this page.

Every recipe as it is, trained with {seeds} seeds. The checkpoint that was best in validation then plays the test
greedily, from starts that are the same for all and were not part of validation. IQM is the interquartile mean of
these returns over the seeds, beside its 95 % bootstrap interval ([what they mean](compare.md#what-the-figures-mean)).
*Training* is the median time of one training, without the test, with one on each processor: {hardware}. Commit:
{commits}.

Figures from elsewhere, in parentheses with their environment steps, where these are known:

{sources}

Such a figure is one number and is taken as exact: **below** says that our whole interval lies below it, *above* that
it lies above, and *within* that it holds the figure. Another training would have given them another number, and an
interval from five seeds is too narrow, so both words come sooner than they should. Significantly below: {below}.
"""
PICTURE = """\
## Three agents side by side

At each step the interquartile mean over the same trainings with its 95 % interval: the return in validation, the mean
value of the actions taken, which is that of scaled rewards, the loss of the network that learns these values, and the
length of its gradient ([how it is drawn](compare.md#what-the-figures-mean)).

![Returns, values, losses and gradients of three agents over environment steps](images/agents.png)
"""


@dataclass(frozen=True)
class Agent:
    """A recipe and its trainings.

    Args:
        recipe: as it is now.
        params: what MLflow has of a run of it, without what differs between its seeds.
        runs: those of its finished trainings that count, one a seed.
    """

    recipe: Recipe
    params: Mapping[str, str]
    runs: Sequence[Run] = field(default=())

    @property
    def name(self) -> str:
        return self.recipe.name

    @property
    def env(self) -> str:
        return self.params["data.env"]

    @property
    def steps(self) -> int:
        return int(self.params["data.total_steps"])

    @cached_property
    def scores(self) -> Row:
        """What `lab compare` says of its runs."""
        chosen = grouped({self.name: self.runs})
        return report(chosen.groups, chosen.mode).rows[0]

    def measured(self, metric: str) -> list[float]:
        """What its runs say about a metric; empty if one of them says nothing."""
        values = [run.data.metrics[metric] for run in self.runs if metric in run.data.metrics]
        return values if len(values) == len(self.runs) else []


@dataclass(frozen=True)
class Figure:
    """A published mean return.

    Args:
        env: where it was earned.
        score: the mean return.
        steps: of the training, as the source writes it; empty if it does not say.
    """

    env: str
    score: float
    steps: str = ""

    def held_against(self, agent: Agent) -> str:
        """The cell of the table."""
        said = ", ".join(filter(None, [self.steps, self.env if self.env != agent.env else ""]))
        return f"{number(self.score)}{f' ({said})' if said else ''}: {self.verdict(agent.scores)}"

    def verdict(self, ours: Row) -> str:
        if ours.interval is None:
            return "one seed"
        return BELOW if ours.interval.high < self.score else "above" if ours.interval.low > self.score else "within"


def published(agent: Agent) -> dict[str, Figure]:
    """By source: the figure of the recipe's name without its last word, or else of its task.

    Another version of the environment counts too, since sources are older than ours; the cell names it.
    """
    found = {}
    for source, about in PUBLISHED["sources"].items():
        for env, returns in about["returns"].items():
            known = returns if env.partition("-v")[0] == agent.env.partition("-v")[0] else {}
            word = next((word for word in (agent.name.rpartition("_")[0], agent.recipe.task) if word in known), None)
            if word is not None:
                found[source] = Figure(env, *known[word])
    return found


def page(trained: Sequence[Agent], waiting: Sequence[Agent], picture: bool) -> str:
    """The whole page.

    Args:
        trained: agents with at least one run.
        waiting: agents without.
        picture: whether there is one of the three agents.
    """
    below = [
        f"`{agent.name}`"
        for agent in trained
        if BELOW in [figure.verdict(agent.scores) for figure in published(agent).values()]
    ]
    header = HEADER.format(
        seeds=" or ".join(sorted({str(agent.scores.runs) for agent in trained})),
        hardware=_tags(trained, "hardware"),
        commits=_tags(trained, "mlflow.source.git.commit", 7),
        sources="\n".join(f"- **{source}**: {about['about']}." for source, about in PUBLISHED["sources"].items()),
        below=", ".join(below) or "none",
    )
    tables: dict[str, list[Agent]] = defaultdict(list)
    for agent in sorted(trained, key=lambda agent: agent.scores.iqm, reverse=True):
        tables[agent.env].append(agent)
    parts = [header, *(table(env, tables[env]) for env in sorted(tables))]
    if picture:
        parts.append(PICTURE)
    if waiting:
        parts.append(f"Not trained yet: {', '.join(f'`{a.name}` ({_short(a.steps)} steps)' for a in waiting)}.\n")
    return "\n".join(parts)


def table(env: str, agents: Sequence[Agent]) -> str:
    """One environment's agents."""
    figures = [published(agent) for agent in agents]
    sources = [source for source in PUBLISHED["sources"] if any(source in found for found in figures)]
    optimum = any(agent.measured("test/optimality_gap") for agent in agents)
    titles = ["algorithm", "recipe", "seeds", "steps", "IQM of `test/return`", "95 % interval"]
    titles += [*(["behind the optimum"] if optimum else []), "training", *sources]
    lines = [titles, ["---"] * len(titles)]
    for agent, found in zip(agents, figures, strict=True):
        scores, task, behind = agent.scores, f"{agent.recipe.task}", agent.measured("test/optimality_gap")
        line = [
            f"[{task}]({task}.md)" if (DOCS / f"{task}.md").exists() else task,
            f"[{agent.name}](../recipes/{agent.name}.yaml)",
            str(scores.runs),
            _short(agent.steps),
            f"**{number(scores.iqm)}**",
            f"{number(scores.interval.low)} to {number(scores.interval.high)}" if scores.interval else "-",
        ]
        line += [number(float(stats.iqm(behind))) if behind else "-"] if optimum else []
        line += [_duration(agent.measured("seconds/fit"))]
        line += [found[source].held_against(agent) if source in found else "-" for source in sources]
        lines.append(line)
    return f"## {env}\n\n{_limit(env, agents)}" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _limit(env: str, agents: Sequence[Agent]) -> str:
    """The best that can be earned: on the starts of the test, where the runs know how far they were from it."""
    best = {
        f"{earned + behind:.1f}"
        for agent in agents
        for earned, behind in zip(agent.measured("test/return"), agent.measured("test/optimality_gap"), strict=False)
    }
    if len(best) == 1:
        return f"Nothing earns more than {best.pop()} on these starts ([why](ddpg.md#the-limit-on-pendulum-v1)).\n\n"
    limit = PUBLISHED["limits"].get(env)
    return f"{limit}\n\n" if limit else ""


def _tags(agents: Sequence[Agent], tag: str, length: int | None = None) -> str:
    """What the runs say about where they come from."""
    return ", ".join(sorted({run.data.tags.get(tag, "unknown")[:length] for agent in agents for run in agent.runs}))


def _short(steps: int) -> str:
    return f"{steps / 1e6:g}M" if steps >= 1_000_000 else f"{steps / 1e3:g}k"


def _duration(seconds: Sequence[float]) -> str:
    middle = statistics.median(seconds) if seconds else 0.0
    return "-" if not seconds else f"{middle:.0f} s" if middle < 120 else f"{middle / 60:.0f} min"
