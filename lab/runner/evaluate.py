"""A finished run again: test its checkpoint once more, watch it play, record its episodes, or let it write."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.errors import BadInput, LabError, RecipeError, error_text
from lab.runner.assemble import assemble
from lab.runner.assembly import Assembly
from lab.runner.recorded import artifact, recipe_of, with_moved_data
from lab.runner.results import final_metrics, find_run
from lab.stages import stage
from lab.task import hook
from lab.tracking.global_functions.phases import looking_again
from lab.tracking.server import client, tracking_uri

if TYPE_CHECKING:
    from lightning import LightningModule
    from mlflow.entities import Run


EPISODES = "data.test_episodes"  # of data that plays


def evaluate(
    run: str, episodes: int | None, checkpoint: str, overrides: Sequence[str] = (), uri: str | None = None
) -> dict[str, float]:
    """The test metrics of a run's checkpoint; nothing is recorded.

    Args:
        run: id, unique start of one, name, or `last`.
        episodes: how many episodes to play, for a task that plays; the recipe's `data.test_episodes` by default.
        checkpoint: `best` or `last`.
        overrides: settings that win over the run's own recipe.
        uri: the tracking server.

    Raises:
        BadInput: no such run or checkpoint, or an override that does not fit.
    """
    length = [] if episodes is None else [f"{EPISODES}={episodes}"]
    try:
        found, assembly, path = _restore(run, checkpoint, [*length, *overrides], uri, "lab eval")
    except RecipeError as error:
        if episodes is not None and any(problem.key == EPISODES for problem in error.problems):
            raise BadInput(
                "--episodes: the data of this run has no test_episodes, as agents have; leave it out"
            ) from None
        raise
    stage(f"testing the {checkpoint} checkpoint")
    with looking_again(found):
        assembly.trainer.test(
            assembly.module, datamodule=assembly.datamodule, ckpt_path=str(path), verbose=False, weights_only=True
        )
    return final_metrics(assembly.trainer)


def play(run: str, video: Path, seed: int, checkpoint: str, uri: str | None = None) -> tuple[Path, float]:
    """Writes a video of one episode of a run's agent; returns the file and the episode's return.

    Args:
        run: id, unique start of one, name, or `last`.
        video: the MP4 to write.
        seed: the episode's start seed.
        checkpoint: `best` or `last`.
        uri: the tracking server.

    Raises:
        BadInput: no such run or checkpoint, or its task has nothing to play.
    """
    if video.suffix != ".mp4":
        raise BadInput(f"--video {video}: a video ends in .mp4")
    if not video.parent.is_dir():
        raise BadInput(f"--video {video}: no folder {video.parent}")
    found, assembly, path = _restore(run, checkpoint, [], uri)
    if hook(assembly.module, "play") is None:
        raise BadInput(f"task {assembly.name!r} has no method `play`; lab eval {run} tests it")
    stage("playing an episode")
    with looking_again(found):
        return video, float(_trained(assembly, path).play(video, seed))


def collect(
    run: str, name: str | None, episodes: int, noise: float, seed: int, checkpoint: str, uri: str | None = None
) -> tuple[str, dict[str, float]]:
    """Writes episodes of a run's agent as a data set; returns its name and some numbers about it.

    Args:
        run: id, unique start of one, name, or `last`.
        name: of the data set; the agent chooses one by default.
        episodes: how many, from 1.
        noise: added to the actions, from 0.
        seed: the first start seed.
        checkpoint: `best` or `last`.
        uri: the tracking server.

    Raises:
        BadInput: no such run or checkpoint, the name cannot be used, or its task has no episodes.
    """
    if not 0 <= noise < math.inf:
        raise BadInput(f"noise {noise}: expected a number from 0")
    found, assembly, path = _restore(run, checkpoint, [], uri)
    if hook(assembly.module, "collect") is None:
        raise BadInput(f"task {assembly.name!r} has no method `collect`; only agents record episodes")
    stage(f"recording {episodes} episodes")
    with looking_again(found):
        written, numbers = _trained(assembly, path).collect(name, episodes, noise, seed)
    return str(written), dict(numbers)


def sample(
    run: str,
    prompt: str,
    max_tokens: int,
    temperature: float,
    top_k: int | None,
    seed: int,
    checkpoint: str,
    uri: str | None = None,
) -> str:
    """A text by a run's language model.

    Args:
        run: id, unique start of one, name, or `last`.
        prompt: what the text begins with.
        max_tokens: how many tokens are added, at least 1.
        temperature: above 0; below 1 probable tokens are taken more often than the model says, above 1 less often.
        top_k: only the so many most probable tokens are sampled from; None for all.
        seed: the same seed gives the same text.
        checkpoint: `best` or `last`.
        uri: the tracking server.

    Raises:
        BadInput: no such run or checkpoint, its task writes no text, or it cannot read the prompt.
    """
    if not 0 < temperature < math.inf:
        raise BadInput(f"temperature {temperature}: expected a number above 0")
    found, assembly, path = _restore(run, checkpoint, [], uri)
    if hook(assembly.module, "sample") is None:
        raise BadInput(f"task {assembly.name!r} has no method `sample`; only language models write text")
    stage("sampling a text")
    with looking_again(found):
        return str(_trained(assembly, path).sample(prompt, max_tokens, temperature, top_k, seed))


def load_module(run: str, checkpoint: str, uri: str | None = None) -> LightningModule:
    """The module of a run with the weights of a checkpoint, on the CPU, in eval mode.

    Args:
        run: id, unique start of one, name, or `last`.
        checkpoint: `best` or `last`.
        uri: the tracking server.

    Raises:
        BadInput: no such run or checkpoint, or its recipe cannot be used any more.
    """
    _, assembly, path = _restore(run, checkpoint, [], uri)
    module: LightningModule = _trained(assembly, path)
    return module


def _trained(assembly: Assembly, path: Path) -> Any:
    """The assembly's module with the weights of a checkpoint."""
    from lab.engine.checkpoint import Files

    module: Any = assembly.module.eval()
    saved = Files(module).load_checkpoint(path)
    module.configure_model()  # where Lightning's modules may make their layers
    module.on_load_checkpoint(saved)  # first, as Lightning does: a part may be made by what it finds there
    try:
        module.load_state_dict(saved["state_dict"])
    except RuntimeError as error:
        advice = "layers have to be made in its constructor or in configure_model, and not while it trains"
        raise LabError(f"{path} does not fit {type(module).__name__}: {error_text(error)}; {advice}") from None
    return module


def _restore(
    run: str, checkpoint: str, overrides: Sequence[str], uri: str | None, command: str = ""
) -> tuple[Run, Assembly, Path]:
    """The run, its own recipe assembled again, and the checkpoint on this machine; `command` takes overrides."""
    found = find_run(run, uri)
    server = client(tracking_uri(uri))
    if checkpoint not in ("best", "last"):
        raise BadInput(f"checkpoint {checkpoint!r}: expected best or last")
    recipe = recipe_of(found, server, overrides)
    try:
        assembly = assemble(recipe)
    except RecipeError as error:
        raise with_moved_data(error, recipe, command and f"{command} {found.info.run_id[:8]}") from None
    return found, assembly, artifact(found, server, f"checkpoints/{checkpoint}.ckpt")
