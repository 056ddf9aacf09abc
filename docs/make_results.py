"""Trains every agent with five seeds, where runs are missing, and writes docs/results.md from MLflow: `make results`.

A run counts if its parameters are those that the recipe has now: a changed recipe is trained again, and a second call
trains nothing. After an interruption the same command continues. docs/results.json keeps the rows of the page, so a
recipe that has no runs in the database keeps its earlier row, with the commit that trained it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from results_page import Agent, load_results, page, save_results

from lab.cli.terminal.messages import explain
from lab.comparison import curves, draw, grouped, report
from lab.errors import BadInput, LabError, nearest
from lab.recipe import load
from lab.registry import find_task
from lab.tracking.server import client

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

DOCS = Path(__file__).resolve().parent
RECIPES, STORE = DOCS.parent / "recipes", DOCS.parent / "results" / "mlflow.db"
SEEDS = 5
THREE = ("dqn_pendulum", "noisy_dqn_pendulum", "ddpg_pendulum")  # side by side in one plot
CURVES = ("val/return", "q/mean", "loss/critic,loss/q", "gradient_norm/critic,gradient_norm/q")


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains and writes; returns the exit code, with the same meaning as for `lab`."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="train this recipe; repeatable")
    parser.add_argument("--table", action="store_true", help="write the page and train nothing")
    parser.add_argument("--workers", type=int, metavar="N", help="training runs at a time; one per CPU core by default")
    options = parser.parse_args(arguments)
    try:
        return make(options.only, options.table, options.workers)
    except LabError as error:
        print(explain(error), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("results.md is unchanged; run the same command to continue", file=sys.stderr)
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
    current = {agent.name: recorded(agent, server) for agent in agents()}
    wanted = [name for name, agent in current.items() if name in only or (not only and not takes_a_night(agent))]
    failed = 0
    for place, name in enumerate([] if table else wanted, start=1):
        print(
            f"[{place}/{len(wanted)}] {name}: {len(current[name].runs)} of {SEEDS} seeds are trained", file=sys.stderr
        )
        if len(current[name].runs) < SEEDS:
            try:
                train(current[name], workers)
            except LabError as error:
                failed = 1
                print(explain(error), file=sys.stderr)
            current[name] = recorded(current[name], server)
    trained = {name: agent for name, agent in current.items() if agent.runs}
    earlier = {name: row for name, row in load_results(DOCS / "results.json").items() if name in known}
    results = earlier | {name: agent.result() for name, agent in trained.items()}
    if not results:
        raise BadInput(f"no run in {STORE} has the parameters of a recipe; `make results` trains them")
    plot = draw_three(trained, server)
    waiting = [agent for agent in current.values() if agent.name not in results]
    (DOCS / "results.md").write_text(page(list(results.values()), waiting, plot), encoding="utf-8")
    save_results(DOCS / "results.json", results)
    print(f"wrote {DOCS / 'results.md'}", file=sys.stderr)
    return failed


def agents() -> Iterator[Agent]:
    """The recipes that learn in an environment and are scored by their return.

    One that cannot be assembled here is left out with a message.
    """
    from lab.runner.assemble import assemble
    from lab.runner.record import parameters

    for path in sorted(RECIPES.glob("*.yaml")):
        try:
            recipe = load(path)
            if "env" in recipe.data:
                params = {key: str(value) for key, value in parameters(assemble(recipe))}
                is_scored = isinstance(recipe.task, str) and find_task(recipe.task).monitor == "val/return"
                if is_scored and "data.total_steps" in params:  # planning in a known environment takes none
                    yield Agent(recipe, _settings(params))
        except LabError as error:
            print(f"{path.stem} is left out\n{explain(error)}", file=sys.stderr)


def takes_a_night(agent: Agent) -> bool:
    """Whether it is trained only with `--only`; with replay an agent makes an update at every step."""
    return agent.steps > (100_000 if "data.updates_per_step" in agent.params else 2_000_000)


def recorded(agent: Agent, server: MlflowClient) -> Agent:
    """The agent with its training runs, the newest one of each seed."""
    experiments = [experiment.experiment_id for experiment in server.search_experiments()]
    seeds = range(agent.recipe.seed, agent.recipe.seed + SEEDS)
    newest: dict[int, Run] = {}
    condition = f'tags.recipe = "{agent.name}" AND attributes.status = "FINISHED"'
    for run in server.search_runs(experiments, condition, max_results=5_000, order_by=["attributes.end_time DESC"]):
        if _settings(run.data.params) == agent.params and int(run.data.params["seed"]) in seeds:
            newest.setdefault(int(run.data.params["seed"]), run)
    return replace(agent, runs=[newest[seed] for seed in sorted(newest)])


def train(agent: Agent, workers: int | None) -> None:
    """All seeds in parallel; seeds that an interrupted call finished are kept.

    Raises:
        LabError: one of them failed.
    """
    from lab.study.seeds import repeat

    trial = repeat(agent.recipe.path, (), SEEDS, workers=workers, uri=f"sqlite:///{STORE}").trials[0]
    if trial.state != "complete":
        raise LabError(f"not every seed of {agent.name} was trained: {trial.reason}")


def draw_three(trained: Mapping[str, Agent], server: MlflowClient) -> bool:
    """Plots three agents, if all of them have runs; returns whether there is a plot now, this or an earlier one."""
    file = DOCS / "images" / "agents.png"
    missing = [name for name in THREE if name not in trained]
    if missing:
        print(f"the plot is unchanged: there are no runs of {', '.join(missing)}", file=sys.stderr)
        return file.exists()
    chosen = grouped({name: trained[name].runs for name in THREE}, curves=CURVES)
    lines = [line for metric in chosen.curves for line in curves(chosen.groups, metric, server)]
    draw(file, chosen, report(chosen.groups, chosen.mode), lines)
    return True


def _settings(params: Mapping[str, str]) -> dict[str, str]:
    """The parameters that decide the scores of a recipe's runs.

    `threads` and the logging interval do not change them. A parameter that is None is not used, so a run from before
    the parameter existed has the same settings.
    """
    without = ("seed", "threads", "trainer.log_every_n_steps")
    return {key: value for key, value in params.items() if key not in without and value != "None"}


if __name__ == "__main__":
    sys.exit(main())
