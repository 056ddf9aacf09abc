"""Trains what is missing of every agent with five seeds, and writes docs/results.md from MLflow: `make results`.

A training counts if its parameters are those of the recipe as it is now: a changed recipe is trained again, and a
second call trains nothing. Interrupted, the same command goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from results_page import Agent, page

from lab.cli.output import explain
from lab.compare import curves, draw, grouped, report
from lab.errors import BadInput, LabError, nearest
from lab.recipe import load
from lab.tracking.server import client

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

DOCS = Path(__file__).resolve().parent
RECIPES, STORE = DOCS.parent / "recipes", DOCS.parent / "results" / "mlflow.db"
SEEDS = 5
THREE = ("dqn_pendulum", "noisy_dqn_pendulum", "ddpg_pendulum")  # side by side in a picture
CURVES = ("val/return", "q/mean", "loss/critic,loss/q", "gradient_norm/critic,gradient_norm/q")


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains and writes; returns the exit code, which means what it does for `lab`."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="train this recipe; repeatable")
    parser.add_argument("--table", action="store_true", help="train nothing, write the page from what there is")
    parser.add_argument("--workers", type=int, metavar="N", help="trainings at a time; by default one for each core")
    said = parser.parse_args(arguments)
    try:
        return make(said.only, said.table, said.workers)
    except LabError as error:
        print(explain(error), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("results.md is as it was; the same command goes on", file=sys.stderr)
        return 130


def make(only: Sequence[str], table: bool, workers: int | None) -> int:
    """1 if a training failed, else 0.

    Raises:
        BadInput: nothing was trained, or a name is unknown.
    """
    known = {path.stem for path in RECIPES.glob("*.yaml")}
    for name in set(only) - known:
        raise BadInput(f"--only {name}: no such recipe{nearest(name, known)}")
    if table and not STORE.exists():
        raise BadInput(f"no runs in {STORE} yet; `make results` trains them")
    STORE.parent.mkdir(exist_ok=True)
    server = client(f"sqlite:///{STORE}")
    found = {agent.name: recorded(agent, server) for agent in agents()}
    wanted = [name for name, agent in found.items() if name in only or (not only and not takes_a_night(agent))]
    failed = 0
    for place, name in enumerate([] if table else wanted, start=1):
        print(f"[{place}/{len(wanted)}] {name}: {len(found[name].runs)} of {SEEDS} seeds are there", file=sys.stderr)
        if len(found[name].runs) < SEEDS:
            try:
                train(found[name], workers)
            except LabError as error:
                failed = 1
                print(explain(error), file=sys.stderr)
            found[name] = recorded(found[name], server)
    trained = {name: agent for name, agent in found.items() if agent.runs}
    if not trained:
        raise BadInput(f"no run in {STORE} is of a recipe as it is now; `make results` trains them")
    picture = draw_three(trained, server)
    waiting = [agent for agent in found.values() if not agent.runs]
    (DOCS / "results.md").write_text(page(list(trained.values()), waiting, picture), encoding="utf-8")
    print(f"wrote {DOCS / 'results.md'}", file=sys.stderr)
    return failed


def agents() -> Iterator[Agent]:
    """The recipes whose data come from an environment; one that cannot be used here is left out, and said why."""
    from lab.runner.assemble import assemble
    from lab.runner.record import parameters

    for path in sorted(RECIPES.glob("*.yaml")):
        try:
            recipe = load(path)
            if "env" in recipe.data:
                params = {key: str(value) for key, value in parameters(assemble(recipe))}
                yield Agent(recipe, _without_seed(params))
        except LabError as error:
            print(f"{path.stem} is left out\n{explain(error)}", file=sys.stderr)


def takes_a_night(agent: Agent) -> bool:
    """Whether it is trained only if it is named: an agent that learns from replay makes an update at every step."""
    return agent.steps > (100_000 if "data.updates_per_step" in agent.params else 2_000_000)


def recorded(agent: Agent, server: MlflowClient) -> Agent:
    """The agent with its trainings, the newest one of each seed."""
    everywhere = [experiment.experiment_id for experiment in server.search_experiments()]
    seeds = range(agent.recipe.seed, agent.recipe.seed + SEEDS)
    found: dict[int, Run] = {}
    meant = f'tags.recipe = "{agent.name}" AND attributes.status = "FINISHED"'
    for run in server.search_runs(everywhere, meant, max_results=5_000, order_by=["attributes.end_time DESC"]):
        if _without_seed(run.data.params) == agent.params and int(run.data.params["seed"]) in seeds:
            found.setdefault(int(run.data.params["seed"]), run)
    return replace(agent, runs=[found[seed] for seed in sorted(found)])


def train(agent: Agent, workers: int | None) -> None:
    """All seeds, side by side; what an interrupted call has trained is kept.

    Raises:
        LabError: one of them failed.
    """
    from lab.study.seeds import repeat

    trial = repeat(agent.recipe.path, (), SEEDS, workers=workers, uri=f"sqlite:///{STORE}").trials[0]
    if trial.state != "complete":
        raise LabError(f"not every seed of {agent.name} was trained: {trial.reason}")


def draw_three(trained: Mapping[str, Agent], server: MlflowClient) -> bool:
    """The picture of three agents, if all of them are there."""
    missing = [name for name in THREE if name not in trained]
    if missing:
        print(f"no picture without runs of {', '.join(missing)}", file=sys.stderr)
        return False
    chosen = grouped({name: trained[name].runs for name in THREE}, curves=CURVES)
    lines = [line for metric in chosen.curves for line in curves(chosen.groups, metric, server)]
    draw(DOCS / "images" / "agents.png", chosen, report(chosen.groups, chosen.mode), lines)
    return True


def _without_seed(params: Mapping[str, str]) -> dict[str, str]:
    """What runs of one recipe have in common; how many threads they had is a matter of speed."""
    return {key: value for key, value in params.items() if key not in ("seed", "threads")}


if __name__ == "__main__":
    sys.exit(main())
