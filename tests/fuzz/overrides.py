"""Fuzz target: any words behind `lab run`. They are data, and what constructors refuse comes back as complaints.

An input is the words, with a zero byte between them, as a shell would hand them over. The base recipe and the
constructors are real ones; an independent look at what passed says whether the ranges held.
"""

from __future__ import annotations

import dataclasses
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import atheris

from tests.fuzz import harness

with atheris.instrument_imports(include=["yaml", "lab"]):
    from lab.errors import Problem, RecipeError
    from lab.recipe import load, schema
    from lab.recipe.signature import check

from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from lab.rl.data.replay import ReplayData
from lab.rl.ddpg import DDPG

BASE = b"""\
task: ddpg
model: {lr: 1.0e-3, hidden: [64, 64]}
data: {env: Pendulum-v1, total_steps: 6000}
trainer: {max_time: {hours: 1}, devices: 1}
callbacks:
  - {class_path: lightning.pytorch.callbacks.ModelCheckpoint, init_args: {monitor: loss}}
track: {tags: {by: me}}
"""
FACTS = ("observation_size", "action")
SEEDS = [
    b"model.lr=1e-4\0model.hidden=[32, 32]\0seed=3",
    b"model.hidden.1=-1\0model.noise=gausian\0model.gamma=1.5\0model.final_lr=.nan\0model.tau=[1]",
    b"data.train_freq=0\0data.storage=disk\0data.episode_steps=null\0data.updates_per_step=0.25\0data.capacity=1e6",
    b"trainer.precision=32-true\0trainer.devices=[0, 1]\0trainer.max_time.hours=2\0trainer.plugins=x",
    b"callbacks.0.init_args.train_time_interval=01:00:00\0callbacks.0.init_args.save_last=link",
    b"callbacks=[{class_path: c}]\0track.name=it's\0track.tags.by=1\0model={}\0modle.lr=1\0model.lr.x=1",
    b"model.lr=__import__('os').system('touch " + str(harness.MARKER).encode() + b"')\0data=",
    b"model.lr=!!python/object/apply:os.system [a]\0model.lr=*a\0model.lr=&a 1\0a\0=\0a..b=1\0model.lr=a: b",
    b"model.lr=" + b"9" * 400 + b"\0model.4=1\0model.x=\xff\0task={module: a, data: b, monitor: c}\0checkpoint.steps=1",
]
WORDS = [
    *("model.", "data.", "trainer.", "callbacks.0.", "init_args.", "track.tags.", "checkpoint.", "task.", "seed=", "="),
    *("lr", "final_lr", "gamma", "tau", "hidden", "noise", "sigma", "reward_scale", "env", "total_steps", "batch_size"),
    *("train_freq", "buffer_size", "storage", "updates_per_step", "episode_steps", "max_epochs", "max_time", "devices"),
    *("precision", "accelerator", "strategy", "limit_train_batches", "gradient_clip_val", "profiler", "monitor"),
    *("train_time_interval", "every_n_train_steps", "[", "]", "{", "}", ": ", ", ", "'", '"', "1e-3", "-1", "0x"),
    *(".inf", ".nan", "1e400", "9" * 320, "true", "null", "~", "P1DT1H", "-00:00:01", "1:30", "16-mixed"),
    *("!!python/name:os.system", "&a", "*a", "<<", "\n", "\t", "\ud7ff", "\u2028", "${HOME}", f"${harness.VARIABLE}"),
    *("__import__('os')", "lambda: 0", "open('/etc/passwd').read()", b"\xff", b"\xed\xa0\x80"),
]
folder = Path(tempfile.mkdtemp(prefix="lab-fuzz-"))
first, second = folder / "first.yaml", folder / "second.yaml"
watch = harness.Watch()


def one(data: bytes) -> None:
    """Puts words behind a recipe, and hands its sections to constructors."""
    words = data.decode("utf-8", "surrogateescape").split("\0")  # as Python reads the command line
    with watch.over(first):
        try:
            recipe = load(first, words)
        except RecipeError as error:
            said(error.problems)
            return
        said(recipe.problems)
        text = recipe.to_yaml()
        plain(recipe.resolved())
        model = judged(DDPG, recipe.model, FACTS)
        settings = judged(ReplayData, recipe.data)
        judged(Trainer, recipe.trainer, ("logger", "callbacks"))
        for callback in recipe.callbacks:
            judged(ModelCheckpoint, callback.init_args)
    in_range(model, settings)
    second.write_text(text, encoding="utf-8")
    again = load(second)
    assert again.problems == ()
    assert repr(again.resolved()) == repr(recipe.resolved())
    assert harness.SECRET not in text


def said(problems: tuple[Problem, ...]) -> None:
    """Each problem is one readable line that names its word or the file."""
    for problem in problems:
        assert str(problem).isprintable()
        assert problem.where.startswith(("override ", str(first)))
        assert len(problem.key) + len(problem.message) < 3000
        assert harness.SECRET not in str(problem)


def plain(value: Any) -> None:
    """Nothing but what YAML can say."""
    assert type(value) in (dict, list, tuple, str, int, float, bool, type(None)), type(value)
    for inner in [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []:
        plain(inner)


def judged(target: Callable[..., Any], values: dict[str, Any], given: tuple[str, ...] = ()) -> dict[str, Any]:
    """Each value is made or complained about, never both."""
    made, complaints = check(target, values, given=given, partial=True)
    refused = {key for key in values if any(f"{about}.".startswith(f"{key}.") for about, _ in complaints)}
    assert made.keys() | refused == values.keys()
    assert not made.keys() & {about for about, _ in complaints}
    for about, message in complaints:
        assert message.isprintable()
        assert len(about) + len(message) < 3000
    return made


def in_range(model: dict[str, Any], data: dict[str, Any]) -> None:
    """What the annotations of both constructors promise, said a second time in plain Python."""
    for key in ("lr", "final_lr", "gamma", "tau", "sigma", "reward_scale"):
        value = model.get(key, 1.0)
        assert type(value) is float
        assert math.isfinite(value)
        assert value >= 0 if key in ("sigma", "final_lr", "gamma") else value > 0
        assert value <= 1 or key in ("lr", "sigma", "reward_scale")
    assert model.get("noise", "gaussian") in ("gaussian", "ornstein_uhlenbeck")
    hidden = model.get("hidden", [1])
    assert type(hidden) is list
    assert hidden
    assert all(type(width) is int and width > 0 for width in hidden)
    for key in ("total_steps", "batch_size", "learning_starts", "train_freq", "buffer_size", "eval_every"):
        assert type(data.get(key, 1)) is int
        assert data.get(key, 1) > 0
    assert type(data.get("env", "")) is str


with watch.learning():
    first.write_bytes(BASE)
    for words in ([], ["model.lr=x", "data.env=3", "a=1"], ["callbacks.0.init_args.train_time_interval=01:00:00"]):
        recipe = load(first, words)
        recipe.to_yaml()
        check(DDPG, recipe.model)
        check(ModelCheckpoint, recipe.callbacks[0].init_args)
    records = [found for found in vars(schema).values() if dataclasses.is_dataclass(found)]
    for target in (*records, ReplayData, Trainer):  # their types are text, which Python compiles
        check(target, {})

if __name__ == "__main__":
    harness.start(one, SEEDS, WORDS, max_len=600)
