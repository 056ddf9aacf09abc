"""One run: assemble, train, test, publish; from the beginning, or on from a checkpoint."""

from __future__ import annotations

import signal
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import BadInput, BadSetting
from lab.recipe import Recipe
from lab.runner.assemble import assemble  # imports Lightning only once the recipe can be used
from lab.runner.assembly import Assembly
from lab.sentences import note
from lab.stages import say, stage

if TYPE_CHECKING:
    from lab.engine.pruning import PruningCallback
    from lab.runner.results import RunResult
    from lab.runner.training import Trained
    from lab.tracking.logger import Tracker

BFLOAT16 = ("amx_bf16", "avx512_bf16", "bf16", "sve_bf16")  # what torch calls its instructions
USUAL_BATCH = 64  # rows, where neither data nor module say how many a batch has


def fit(recipe: Recipe, offline: bool = False, watch: PruningCallback | None = None) -> RunResult:
    """Trains what the recipe says, tests the best checkpoint, and records everything in MLflow.

    Under a strategy with several processes only the first returns; the others end here.

    Args:
        recipe: what to train.
        offline: track in this folder, for `lab sync` to send to the server later.
        watch: hears how the run goes.

    Raises:
        RecipeError: the recipe cannot be used; nothing was started.
        BadInput: it cannot, as only a set-up hook or the sanity check could see; the run is marked FAILED.
        LabError: the tracking server cannot be reached, or training failed.
        KeyboardInterrupt: the user interrupted; the run is marked KILLED and can be resumed.
        SystemExit: with 143, the same after SIGTERM.
        Pruned: `watch` wanted no more of it; the run is marked KILLED, with the tag `pruned`.
    """
    if recipe.measures_precision:
        recipe = _with_precision(recipe)
    assembly = assemble(recipe, tracked=True)
    _say_if_emulated(assembly)
    stage("opening the tracking database")
    from lab.runner import record
    from lab.runner.weights import begin
    from lab.tracking.logger import Tracker
    from lab.tracking.server import DEFAULT_URI, tracking_uri

    uri = tracking_uri(recipe.track.uri)
    there = tracking_uri(DEFAULT_URI) if offline else uri
    assembly = begin(assembly, there)
    tracker = Tracker(
        there,
        recipe.track.experiment or assembly.name,
        recipe.track.name or recipe.name,
        record.tags(assembly),
        offline_for=uri if there != uri else None,
    )
    say(f"run {tracker.run_id[:8]} of {recipe.track.name or recipe.name} in experiment {tracker.name}")
    return execute(assembly, tracker, None, watch)


def _say_if_emulated(assembly: Assembly) -> None:
    """Says that this processor has no instructions for the bfloat16 of the recipe."""
    trainer = assembly.trainer
    if trainer.strategy.root_device.type != "cpu" or not str(trainer.precision).startswith("bf16"):
        return
    import torch

    if not any(torch.cpu.get_capabilities().get(name) for name in BFLOAT16):
        note(
            f"trainer.precision={trainer.precision}: this processor has no instructions for bfloat16, so that products "
            "of matrices take several times as long; trainer.precision=32-true is faster here"
        )


def _with_precision(recipe: Recipe) -> Recipe:
    """The recipe with the precision in which its network computes faster on this machine, by a measurement."""
    assembly = assemble(recipe, tracked=True)
    from lab.engine.project.measured_precision import faster_precision
    from lab.runner.export import call, example_inputs

    stage("measuring the precisions")
    device = assembly.trainer.strategy.root_device
    module = assembly.module.to(device)
    sizes = (getattr(part, "batch_size", None) for part in (assembly.data, module))
    inputs = example_inputs(module, size=next((size for size in sizes if isinstance(size, int)), USUAL_BATCH)) or {}
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    found = faster_precision(lambda: call(module, inputs), weights, device)
    note(
        f"trainer.precision: auto takes {found.precision}: this network computes {found.speed:.2f} times as fast in "
        "bf16-mixed as in 32-true on this machine"
    )
    return replace(recipe, measures_precision=False, trainer=recipe.trainer | {"precision": found.precision})


def execute(
    assembly: Assembly, tracker: Tracker, checkpoint: Path | None, watch: PruningCallback | None = None
) -> RunResult:
    """Trains, tests and publishes, from `checkpoint` on if there is one; what it raises, `fit` says."""
    from lab.engine.pruning import Pruned
    from lab.engine.signals import EXIT_CODES, Stopped
    from lab.runner import failures, record
    from lab.runner.training import test, train
    from lab.tracking.global_functions.phases import training

    recipe, saver, status = assembly.recipe, assembly.saver, "FAILED"
    if watch is not None:
        watch.started(tracker.run_id)
        assembly.trainer.callbacks.insert(0, watch)  # type: ignore[attr-defined]
    interrupted = saver.signals.installed(on_second=lambda: tracker.finish("KILLED"))
    parts = [assembly.module, assembly.data, *assembly.trainer.callbacks]  # type: ignore[attr-defined]
    with interrupted, training(tracker, parts):
        try:
            tracker.mirror(recipe.track.mirror)
            if checkpoint is None:
                record.start(tracker, assembly)
            with record.system_metrics(tracker) if recipe.track.system_metrics else nullcontext():
                folder = tracker.checkpoints if tracker.run_id else None
                trained = train(assembly, tracker, folder, checkpoint)
                tested = test(assembly, trained.best)
                result = publish(assembly, tracker, trained, tested)
            status = "FINISHED"
        except BadSetting as error:  # one that only a set-up hook or a first validation could see
            raise BadInput(str(assembly.problem(error))) from None
        except Stopped as stopped:
            status = "KILLED"
            run = tracker.run_id[:8]
            if run:  # the first process
                note(f"{stopped}: run {run} is marked KILLED; lab resume {run} continues it")
            if stopped.signum == signal.SIGINT:
                raise KeyboardInterrupt from None
            raise SystemExit(EXIT_CODES[signal.Signals(stopped.signum)]) from None
        except Pruned:
            status = "KILLED"
            tracker.set_tag("pruned", "true")
            raise
        except (Exception, SystemExit) as error:  # a project's own code may leave where it fails
            raise failures.explained(error, assembly, tracker.run_id) from error
        finally:
            saver.signals.deferred = saver.signals.ending = True  # what is left takes a moment, and must not be torn
            tracker.finish(status)
    if not assembly.trainer.is_global_zero:
        raise SystemExit(0)
    return result


def publish(assembly: Assembly, tracker: Tracker, trained: Trained, tested: dict[str, float]) -> RunResult:
    """Records what was trained: the score, the model as a file that loads without `lab`, and the checkpoints.

    Args:
        assembly: the run's objects.
        tracker: the run in MLflow.
        trained: what the training left behind.
        tested: the test's metrics.
    """
    from lab.runner import record
    from lab.runner.export import log_model
    from lab.runner.results import BEST, RunResult, score_name

    stage("recording the model")
    monitor, best = assembly.task.monitor, trained.best_score
    at_best = {} if best is None else {f"{BEST}{monitor}": best}
    name = score_name(assembly.task, tested) or next(iter(at_best), None)
    score = None if name is None else (tested | at_best)[name]
    if assembly.trainer.is_global_zero:
        tracker.log_metrics(at_best | {"seconds/fit": trained.seconds}, step=0)
        if name is None:  # nothing else says how good it is, and a short training may have logged no step
            rest = {key: value for key, value in trained.metrics.items() if not tracker.has_metric(key)}
            tracker.log_metrics(rest, step=assembly.trainer.global_step)
        record.score(tracker, assembly.recipe, assembly.task, name, score)
        recipe = assembly.recipe
        log_model(tracker, assembly.module, recipe.track.tags.get("recipe", recipe.name))  # a study names its recipe so
        assembly.saver.clean_up()
        if tracker.folder is None:  # the artifacts lie on another machine
            tracker.experiment.log_artifacts(tracker.run_id, str(assembly.saver.folder), "checkpoints")
    return RunResult(
        run_id=tracker.run_id,
        name=assembly.recipe.track.name or assembly.recipe.name,
        task=assembly.name,
        status="FINISHED",
        monitor=name,
        score=score,
        metrics=trained.metrics | at_best | tested,
        tested=tested,
        best=trained.best,
        last=trained.last,
        uri=tracker.uri,
        seconds=trained.seconds,
    )
