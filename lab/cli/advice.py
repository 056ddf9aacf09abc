"""Words that are no command or option of `lab`: what other programs call a command, and settings with dashes."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

# what a command is called elsewhere -> what it is called here
COMMANDS = {
    "train": "run",
    "fit": "run",
    "start": "run",
    "launch": "run",
    "exec": "run",
    "continue": "resume",
    "restart": "resume",
    "test": "eval",
    "evaluate": "eval",
    "validate": "check",
    "lint": "check",
    "verify": "check",
    "list": "ls",
    "recipes": "ls",
    "tasks": "ls",
    "info": "show",
    "describe": "show",
    "cat": "show",
    "copy": "cp",
    "search": "tune",
    "sweep": "tune",
    "optimize": "tune",
    "hpo": "tune",
    "study": "tune",
    "study-list": "studies",
    "history": "runs",
    "experiments": "runs",
    "log": "runs",
    "diff": "compare",
    "plot": "compare",
    "watch": "play",
    "render": "play",
    "record": "play",
    "video": "play",
    "enjoy": "play",
    "rollout": "collect",
    "dataset": "data",
    "datasets": "data",
    "download": "data fetch",
    "fetch": "data fetch",
    "dashboard": "ui",
    "mlflow": "ui",
    "gui": "ui",
    "server": "ui",
    "push": "sync",
    "upload": "sync",
    "new": "plugin new",
    "init": "plugin new",
    "create": "plugin new",
    "health": "doctor",
    "version": "--version",
    "help": "--help",
}

# what an option is called elsewhere -> what to do here, for each command
_RUNS = "runs are recorded in MLflow, and lab ui shows them; track.mirror=[tensorboard] copies one"
_WORKERS = "--workers N is the number of parallel trainings"
_OPTIONS = {
    "run": {
        "config config_file config_name config_path cfg file recipe c f": "the recipe comes first: lab run mine.yaml",
        "multirun m sweep grid": "several values are a study: lab tune STUDY",
        "resume resume_from continue restore ckpt ckpt_path checkpoint load": (
            "lab resume RUN continues a run, and start_from.run=RUN begins with its weights"
        ),
        "logdir log_dir output output_dir out o save_dir logger track no_track wandb tensorboard mlflow": _RUNS,
        "repeat repeats n_runs num_runs": "--seeds N trains with N seeds",
        "cv k_fold kfold n_splits": "--folds N cross-validates with N folds",
        "jobs n_jobs j parallel": _WORKERS,
        "cuda use_cuda": "settings have no dashes: trainer.accelerator=gpu",
        "cpu": "settings have no dashes: trainer.accelerator=cpu",
        "debug traceback": "LAB_DEBUG=1 before the command shows the traceback of an unexpected error",
        "list": "lab ls lists the recipes",
    },
    "tune": {"jobs n_jobs j parallel": _WORKERS},
    "runs": {"limit n head tail max all": "--last N lists the N latest runs"},
    "eval": {"n n_episodes n_eval_episodes": "--episodes N tests on N start states"},
    "collect": {"n n_episodes": "--episodes N records N episodes"},
    "play": {"render render_mode out output o file": "--video FILE.mp4 is the file to write"},
}
OPTIONS = {
    command: {word: advice for words, advice in rows.items() for word in words.split()}
    for command, rows in _OPTIONS.items()
}


def for_command(word: str, rest: Sequence[str], commands: Collection[str]) -> str | None:
    """The line to type for a word that is no command; None if nothing is known about it."""
    from lab.errors import BadInput, closest
    from lab.recipe_files import VERBS
    from lab.registry import find_file

    if word in commands or word.startswith("-"):
        return None
    if word.lower() == "help" and rest[:1] and rest[0] in commands:
        return f"lab {' '.join(rest)} --help"
    if (meant := COMMANDS.get(word.lower())) is not None:
        return _line(meant, rest)
    try:
        kind, _ = find_file(word, settings=rest)  # somebody forgot the verb
    except BadInput:
        near = closest(word, [*commands, *COMMANDS])
        return None if near is None else _line(COMMANDS.get(near, near), rest)
    return _line(f"{VERBS[kind]} {word}", rest)


def for_other_option(command: str, option: str) -> str | None:
    """The counterpart of an option that other programs have; None if nothing is known about it.

    Args:
        command: the last word of the command, such as `run`.
        option: such as `--config`.
    """
    return OPTIONS.get(command, {}).get(option.lstrip("-").replace("-", "_").lower())


def for_option(option: str, arguments: Sequence[str]) -> str | None:
    """The setting of a recipe that an unknown option may mean, as one types it; None if there is none.

    Args:
        option: such as `--lr`.
        arguments: everything that follows the command.
    """
    from lab.errors import LabError
    from lab.recipe import load
    from lab.recipe.levels import levels, meant
    from lab.registry import find_file, task_entry

    name = option.lstrip("-").replace("-", "_")
    place = next((i for i, each in enumerate(arguments) if each.partition("=")[0] == option), None)
    if place is None or not re.fullmatch(r"[\w.]+", name):
        return None
    _, equals, value = arguments[place].partition("=")
    if not equals:
        following = arguments[place + 1 : place + 2]
        value = following[0] if following and not following[0].startswith("--") else "VALUE"
        value = "true" if value == "VALUE" and name == "fast_dev_run" else value
    if name == "device" and not value[:1].isdigit():
        name = "accelerator"
    for word in arguments:
        try:
            kind, path = find_file(word, ("recipe", "study"), arguments)
            recipe = load(path if kind == "recipe" else _recipe_of(path))
        except (LabError, ValueError):
            continue
        known = levels(recipe, task_entry(recipe.task))
        section, _, last = name.rpartition(".")
        keys = [name] if last in known.get(section, ()) else meant(name, known)
        if kind == "recipe":
            return f"{keys[0]}={value}" if keys else None
        return _of_study(name, keys, value, path)
    return f"{name}={value}" if "." in name else None


def _recipe_of(study: Path) -> Path:
    """The recipe of a study's file."""
    from lab.study.plan.schema import load_study
    from lab.study.plan.static import find_recipe_of

    said = load_study(study)
    return find_recipe_of(study, said.recipe, [*said.set])


def _of_study(name: str, keys: Sequence[str], value: str, study: Path) -> str | None:
    """The key of a study, or the line of its file for a setting of its recipe."""
    from dataclasses import fields

    from lab.recipe.levels import meant
    from lab.study.plan.schema import StudyKeys

    own = [key.name for key in fields(StudyKeys)]
    if found := [name] if name in own else meant(name, {"": own}):
        return f"{found[0]}={value}"
    return f"in {study.name} for every trial, `set: {{{keys[0]}: {value}}}`" if keys else None


def _line(command: str, rest: Sequence[str]) -> str:
    shown = " ".join(rest) if len(rest) < 4 else f"{' '.join(rest[:3])} ..."
    return f"lab {command} {shown}".strip()
