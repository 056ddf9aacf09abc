"""`lab.run`, `lab.resume`, `lab.evaluate`, `lab.play` and `lab.sample`."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, overload

from lab.api import html
from lab.api.records import address_of, run_word
from lab.api.repeated import RepeatedRuns
from lab.api.session import reading, training
from lab.api.settings import Override, at_least, refuses_other_keywords, texts
from lab.api.training_run import TrainingRun
from lab.errors import BadInput
from lab.runner.results import RunResult

LARGEST = 20_000_000  # bytes of a video that is written into a notebook


@overload
def run(
    recipe: str | Path,
    *overrides: Override,
    name: str | None = None,
    seeds: None = None,
    folds: None = None,
    workers: None = None,
    offline: bool = False,
) -> TrainingRun: ...


@overload
def run(
    recipe: str | Path,
    *overrides: Override,
    name: str | None = None,
    seeds: int,
    folds: None = None,
    workers: int | None = None,
) -> RepeatedRuns: ...


@overload
def run(
    recipe: str | Path,
    *overrides: Override,
    name: str | None = None,
    seeds: None = None,
    folds: int,
    workers: int | None = None,
) -> RepeatedRuns: ...


@refuses_other_keywords
def run(
    recipe: str | Path,
    *overrides: Override,
    name: str | None = None,
    seeds: int | None = None,
    folds: int | None = None,
    workers: int | None = None,
    offline: bool = False,
) -> TrainingRun | RepeatedRuns:
    """Train, evaluate and track one recipe, as `lab run RECIPE [a.b=value ...]` does.

    >>> result = run("ddpg_pendulum", "data.total_steps=600", {"data.learning_starts": 200, "data.eval_every": 300})
    >>> result.monitor, result.status
    ('test/return', 'FINISHED')

    Args:
        recipe: a YAML file, or the name of an installed recipe (`lab ls` lists them); with settings also of a task.
        overrides: settings that win over the file: texts `a.b=value`, or mappings such as `{"model.lr": 1e-4}`.
        name: the run's name in MLflow; by default the recipe's.
        seeds: train so many times with different seeds, in parallel, for statistics over them.
        folds: cross-validate with so many folds.
        workers: trainings at a time, of several; by default one for each core.
        offline: track in this folder, for `lab sync` to send to the server later.

    Returns:
        the run's result; with `seeds` or `folds` the results of all of them.

    Raises:
        LabError: with the lines that the command prints: `BadInput` before anything was started, or a failed training.
        KeyboardInterrupt: the user interrupted; `lab.resume("last")` continues the run, and the same call several runs.
    """
    settings = texts(overrides)
    if not isinstance(recipe, str | Path):
        raise BadInput(f"recipe {recipe!r}: expected the path of a YAML file, or the name of an installed recipe")
    if seeds is not None or folds is not None:
        if seeds is not None and folds is not None:
            raise BadInput("folds cannot be combined with seeds: all folds use the recipe's seed")
        what = "seeds" if folds is None else "folds"
        if offline:
            raise BadInput(f"{what} cannot be combined with offline")
        at_least(2, what, seeds if folds is None else folds)
        at_least(1, "workers", workers)
        return _repeat(recipe, settings, seeds, folds, name, workers)
    if workers is not None:
        raise BadInput("workers needs seeds or folds: a single run uses one process")

    from lab.recipe import load, override
    from lab.registry import find_recipe
    from lab.runner.fit import fit

    if name is not None:
        settings.append(override("track.name", name))
    with reading():
        loaded = load(find_recipe(str(recipe), settings=settings), settings)
    with training():
        return TrainingRun.of(fit(loaded, offline))


@refuses_other_keywords
def resume(run: str | RunResult, *overrides: Override, uri: str | None = None) -> TrainingRun:
    """Resume an interrupted run, with the same result as without the interruption, as `lab resume` does.

    Args:
        run: an id, its first digits, a name, `last`, or a result.
        overrides: settings that may change, such as `{"data.path": "/new/folder"}`.
        uri: the tracking server or database; MLFLOW_TRACKING_URI or sqlite:///mlflow.db by default.

    Raises:
        LabError: it has finished, a process is still working on it, or it cannot be continued.
        KeyboardInterrupt: the user interrupted; the same call continues.
    """
    from lab.runner.resume import resume as go_on

    settings = texts(overrides)
    with training():
        return TrainingRun.of(go_on(run_word(run), address_of(run, uri), overrides=settings))


@refuses_other_keywords
def evaluate(
    run: str | RunResult,
    *overrides: Override,
    episodes: int | None = None,
    checkpoint: Literal["best", "last"] = "best",
    uri: str | None = None,
) -> dict[str, float]:
    """Test a run's checkpoint again, as `lab eval` does; nothing is recorded.

    >>> sorted(evaluate("last", episodes=3))
    ['test/optimality_gap', 'test/overestimation', 'test/return', 'test/return_std']

    Args:
        run: an id, its first digits, a name, `last`, or a result.
        overrides: settings that win over the run's own recipe.
        episodes: how many test episodes, for agents.
        checkpoint: the one with the best monitored metric, or the one at the end of training.
        uri: the tracking server or database; MLFLOW_TRACKING_URI or sqlite:///mlflow.db by default.

    Returns:
        the metrics of the test, by name.

    Raises:
        LabError: no such run or checkpoint, or an override that does not fit.
    """
    from lab.runner import evaluate as evaluation

    settings = texts(overrides)
    at_least(1, "episodes", episodes)
    with training():
        return evaluation.evaluate(run_word(run), episodes, checkpoint, settings, address_of(run, uri))


@dataclass(frozen=True)
class PlayedEpisode:
    """One episode of an agent; in a notebook its video.

    Args:
        video: the MP4 file.
        seed: of the start state.
        score: the episode's return, the sum of its rewards.
    """

    video: Path
    seed: int
    score: float

    def _repr_html_(self) -> str:
        from lab.stages import number

        title = f"{self.video}: return {number(self.score)} from start seed {self.seed}"
        if not self.video.is_file() or self.video.stat().st_size > LARGEST:
            return html.page(title)
        content = base64.b64encode(self.video.read_bytes()).decode()
        return html.page(
            title, f'<video controls loop style="max-width:24em" src="data:video/mp4;base64,{content}"></video>'
        )


@refuses_other_keywords
def play(
    run: str | RunResult,
    video: str | Path,
    *,
    seed: int = 0,
    checkpoint: Literal["best", "last"] = "best",
    uri: str | None = None,
) -> PlayedEpisode:
    """Record a video of one episode of a run's agent, as `lab play` does.

    >>> play("last", "agent.mp4").video
    PosixPath('agent.mp4')

    Args:
        run: an id, its first digits, a name, `last`, or a result.
        video: the MP4 file to write.
        seed: of the start state.
        checkpoint: the one with the best monitored metric, or the one at the end of training.
        uri: the tracking server or database; MLFLOW_TRACKING_URI or sqlite:///mlflow.db by default.

    Raises:
        LabError: no such run or checkpoint, the file cannot be written, or the task has nothing to play.
    """
    from lab.runner import evaluate as evaluation

    at_least(0, "seed", seed)
    with training():
        file, score = evaluation.play(run_word(run), Path(video), seed, checkpoint, address_of(run, uri))
    return PlayedEpisode(file, seed, score)


@refuses_other_keywords
def sample(
    run: str | RunResult,
    prompt: str = "",
    *,
    max_tokens: int = 200,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int = 0,
    checkpoint: Literal["best", "last"] = "best",
    uri: str | None = None,
) -> str:
    """Let a run's language model write a text, as `lab sample` does.

    Args:
        run: an id, its first digits, a name, `last`, or a result.
        prompt: what the text begins with.
        max_tokens: how many tokens are added.
        temperature: above 0; below 1 probable tokens are sampled more often, above 1 less often.
        top_k: sample from the so many most probable tokens only.
        seed: of the text.
        checkpoint: the one with the best monitored metric, or the one at the end of training.
        uri: the tracking server or database; MLFLOW_TRACKING_URI or sqlite:///mlflow.db by default.

    Raises:
        LabError: no such run or checkpoint, its task writes no text, or it cannot read the prompt.
    """
    from lab.runner import evaluate as evaluation

    for name, least, value in (("max_tokens", 1, max_tokens), ("top_k", 1, top_k), ("seed", 0, seed)):
        at_least(least, name, value)
    with training():
        return evaluation.sample(
            run_word(run), prompt, max_tokens, temperature, top_k, seed, checkpoint, address_of(run, uri)
        )


def _repeat(
    recipe: str | Path,
    settings: list[str],
    seeds: int | None,
    folds: int | None,
    name: str | None,
    workers: int | None,
) -> RepeatedRuns:
    from lab.registry import find_recipe

    with reading():
        file = find_recipe(str(recipe), settings=settings)
    with training():
        from lab.study.repeated import train_repeatedly

        found = train_repeatedly(file, settings, seeds=seeds, folds=folds, name=name, workers=workers)
    return RepeatedRuns.of(found)
