"""The weights a run begins with, out of another run: `start_from:` of a recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from lab import files
from lab.errors import BadSetting, LabError, Problem, RecipeError, nearest
from lab.task import hook

if TYPE_CHECKING:
    from torch import Tensor

    from lab.recipe import Recipe
    from lab.runner.assembly import Assembly

    Weights = Mapping[str, Tensor]

WHOLE = ""  # the part that is everything


def begin(assembly: Assembly, uri: str | None = None) -> Assembly:
    """Copies into the module what its recipe says of another run, if it does; the recipe then names that run by its id.

    Args:
        assembly: of a run that has not begun.
        uri: the tracking server.

    Raises:
        RecipeError: there is no such run, it has no checkpoint, a part differs, or the module refuses it.
    """
    recipe, copied = chosen(assembly, uri)
    if not copied:
        return assembly
    if (pretrain := hook(assembly.module, "pretrain")) is not None:
        pretrain()  # first, so that it does not write over them
    assembly.module.load_state_dict(copied, strict=False)
    return replace(assembly, recipe=recipe)


def chosen(assembly: Assembly, uri: str | None = None) -> tuple[Recipe, Weights]:
    """The recipe with the id of the run it begins with, and what `begin` would copy; changes nothing, raises as it."""
    recipe, wanted = assembly.recipe, assembly.recipe.start_from
    if wanted is None or wanted.run is None:
        return recipe, {}
    if wanted.run == "last":  # to every further process and every trial it would be the run that has just begun
        raise RecipeError(
            [recipe.problem("start_from.run", "`last` changes with every run; give an id or a name from lab runs")]
        )
    try:
        run_id, theirs = _kept(wanted.run, uri)
    except LabError as error:
        raise RecipeError([recipe.problem("start_from.run", str(error))]) from None
    ours = assembly.module.state_dict()
    problems: list[Problem] = []
    for i, part in enumerate(wanted.parts or (WHOLE,)):
        message = _difference(part, ours, theirs, f"run {run_id[:8]}", type(assembly.module).__name__)
        if message:
            key = f"start_from.parts.{i}" if wanted.parts else "start_from.parts"
            problems.append(recipe.problem(key, message))
    copied = {name: theirs[name] for part in wanted.parts or (WHOLE,) for name in _below(part, theirs)}
    if not problems and (check := hook(assembly.module, "check_weights")) is not None:
        try:
            check(copied)
        except BadSetting as error:
            problems.append(recipe.problem("start_from.parts", f"run {run_id[:8]}: {error.message}"))
    if problems:
        raise RecipeError(problems)
    return replace(recipe, start_from=replace(wanted, run=run_id)), copied


def _kept(run: str, uri: str | None) -> tuple[str, Weights]:
    """The whole id of a run, and the weights in its best checkpoint."""
    from lab.runner.recorded import artifact
    from lab.runner.results import find_run
    from lab.tracking.server import client, tracking_uri

    found = find_run(run, uri)
    weights: Weights = files.load(artifact(found, client(tracking_uri(uri)), "checkpoints/best.ckpt"))["state_dict"]
    return found.info.run_id, weights


def _difference(part: str, ours: Weights, theirs: Weights, run: str, module: str) -> str:
    """The reason for which a part cannot be copied, with what could be; empty if it can."""
    here, there = _below(part, ours), _below(part, theirs)
    for found, whose in ((here, module), (there, run)):
        if not found:
            lacking = f"{whose} has no" if here or there else f"neither {module} nor {run} has a"
            return f"{lacking} part {part!r}{nearest(part, _common(ours, theirs)) or _named(ours, theirs)}"
    if alone := sorted(here.keys() ^ there.keys()):
        return f"{alone[0]} is in {module if alone[0] in here else run} alone{_named(ours, theirs)}"
    for name, tensor in here.items():
        if tensor.shape != there[name].shape and not _is_asset(name):
            shapes = [" x ".join(map(str, each.shape)) or "a number" for each in (tensor, there[name])]
            return f"{name} is {shapes[0]} here and {shapes[1]} in {run}{_named(ours, theirs)}"
    return ""


def _named(ours: Weights, theirs: Weights) -> str:
    """Parts that can be copied, in words."""
    common = _common(ours, theirs)
    return f"; the same in both: {', '.join(common[:3])}" if common else "; they have no part in common"


def _common(ours: Weights, theirs: Weights) -> list[str]:
    """The largest parts that have the same names and shapes in both."""
    found: list[str] = []
    for part in _parts(ours):
        inside = any(part.startswith(f"{larger}.") for larger in found)
        if not inside and _shapes(part, ours) == _shapes(part, theirs):
            found.append(part)
    return found


def _parts(weights: Weights) -> Iterator[str]:
    """Everything that can be named in a state dict, each before what is below it."""
    seen: dict[str, None] = {}
    for name in weights:
        words = name.split(".")
        seen |= dict.fromkeys(".".join(words[: i + 1]) for i in range(len(words)))
    yield from seen


def _below(part: str, weights: Weights) -> Weights:
    return {name: kept for name, kept in weights.items() if part in (WHOLE, name) or name.startswith(f"{part}.")}


def _shapes(part: str, weights: Weights) -> dict[str, tuple[int, ...]]:
    return {name: () if _is_asset(name) else tuple(kept.shape) for name, kept in _below(part, weights).items()}


def _is_asset(name: str) -> bool:
    """Whether it is the result of a submodule's `get_extra_state`, such as a vocabulary, which may have any length."""
    return name.rpartition(".")[2] == "_extra_state"
