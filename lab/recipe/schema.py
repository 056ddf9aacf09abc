"""The schema of a recipe: the envelope around the keywords of its task, and how it is written back to YAML."""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal
from unicodedata import category

import yaml
from annotated_types import Gt, Interval

from lab.errors import Problem

# The plain scalars that are not text, by YAML 1.2's core schema: `yes`, `on` and `1:30` are text, `1e-4` is a number.
SCALARS = {
    "null": re.compile(r"^(?:null|Null|NULL|~|)$"),
    "bool": re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"),
    "int": re.compile(r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$"),
    "float": re.compile(
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
}

MAX_RUN_NAME, MAX_EXPERIMENT, MAX_TAG, MAX_TAG_VALUE = 250, 500, 250, 8000  # characters that MLflow takes


@dataclass(frozen=True)
class InlineTask:
    """A task written out in the recipe instead of named: any importable Lightning classes.

    Args:
        module: the LightningModule, as `package.module:Name`, or a function with that return type.
        data: the LightningDataModule, likewise; by default none, for a module with its own dataloaders.
        monitor: the validation metric that selects the best checkpoint; without it the last checkpoint is the best.
        mode: whether a smaller or a larger value of it is better.
        score: the test metric that is the run's score; by default the one that corresponds to `monitor`.
    """

    module: str
    data: str | None = None
    monitor: str | None = None
    mode: Literal["min", "max"] = "min"
    score: str | None = None


@dataclass(frozen=True)
class ClassSpec:
    """A class and its keywords, in Lightning's own spelling.

    Args:
        class_path: the importable class, such as `lightning.pytorch.callbacks.EarlyStopping` or `torch.optim.AdamW`.
        init_args: its keywords.
    """

    class_path: str
    init_args: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Track:
    """Server, experiment, names and tags under which MLflow records a run.

    Args:
        experiment: the experiment's name; by default the task's.
        uri: the tracking server or database; by default MLflow's own choice.
        name: the run's name; by default the recipe's.
        tags: further tags of the run.
        system_metrics: record CPU, memory and GPU usage.
        mirror: loggers to which the run is copied: tensorboard, wandb, csv.
    """

    experiment: str | None = None
    uri: str | None = None
    name: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    system_metrics: bool = True
    mirror: tuple[Literal["tensorboard", "wandb", "csv"], ...] = ()


@dataclass(frozen=True)
class StartFrom:
    """Weights to begin with: those of another run's best checkpoint.

    Args:
        run: id, first digits of the id, or name of the run; by default none.
        parts: prefixes in the state dict to copy; by default everything.
    """

    run: str | None = None
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Schedule:
    """The schedule of the checkpoints that a run can be resumed from. Writing never takes more than 2 % of the time.

    Args:
        seconds: after so many seconds; `null` for no such rule.
        steps: after so many steps, counted as the progress display does: batches, or environment steps for an agent.
    """

    seconds: Annotated[float, Gt(0)] | None = 10.0
    steps: Annotated[int, Gt(0)] | None = None


AUTO_PRECISION = {"precision": "auto"}  # of the Trainer: that in which the network computes faster on this machine


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """The keys of a recipe file.

    Args:
        task: the name of an installed task (`lab ls`), or a mapping with module, data, monitor, mode and score.
        seed: seed of all random generators.
        threads: torch threads of this process; by default torch's own choice.
        compile: whether to run the module through `torch.compile`; `auto` does it for agents whose run is long enough.
        model: keyword arguments of the task's LightningModule.
        data: keyword arguments of the task's LightningDataModule.
        trainer: keyword arguments of Lightning's Trainer.
        callbacks: further callbacks.
        optimizer: the optimizer, for a task written out; by default the module's own.
        lr_scheduler: its learning-rate schedule, which steps once an epoch.
        start_from: another run whose weights initialise this one.
        checkpoint: how often checkpoints for resuming are saved.
        track: where the run is recorded.
    """

    task: str | InlineTask
    seed: Annotated[int, Interval(ge=0, le=2**32 - 1)] = 0
    threads: Annotated[int, Interval(ge=1, le=4096)] | None = None
    compile: bool | Literal["auto"] = "auto"
    model: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    trainer: dict[str, Any] = field(default_factory=dict)
    callbacks: tuple[ClassSpec, ...] = ()
    optimizer: ClassSpec | None = None
    lr_scheduler: ClassSpec | None = None
    start_from: StartFrom | None = None
    checkpoint: Schedule = field(default_factory=Schedule)
    track: Track = field(default_factory=Track)


@dataclass(frozen=True, kw_only=True)
class Document:
    """Name, path and line numbers of a YAML file.

    Args:
        name: the file's name without its ending.
        path: the file.
        overrides: the `a.b=value` settings that won over the file.
        problems: what is wrong with the envelope.
        origins: for each dotted key the `file:line` or the override that set it.
        header: the comment at the head of the file.
        measures_precision: whether it leaves `trainer.precision` to a measurement, by the word `auto`.
    """

    name: str
    path: Path
    overrides: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    header: tuple[str, ...] = field(default=(), repr=False, compare=False)
    measures_precision: bool = False

    @property
    def description(self) -> str:
        """The comment at the head of the file, without the command that runs it; empty where there is none."""
        lines = [line for line in self.header if not line.startswith("lab ")]
        paragraphs = "\n".join(lines).strip().split("\n\n")
        return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)

    def problem(self, key: str, message: str) -> Problem:
        """Something wrong with the value at `key`, located where that value or its nearest parent was set."""
        nearest = key
        while nearest and nearest not in self.origins:
            nearest = nearest.rpartition(".")[0]
        if not nearest:  # overrides such as model.lr=1 also made the mapping `model`
            inner = [origin for known, origin in self.origins.items() if known.startswith(f"{key}.")]
            place = "overrides" if len(inner) > 1 else next(iter(inner), str(self.path))
            return Problem(place, printable(key), message)
        return Problem(self.origins[nearest], printable(key), message)


@dataclass(frozen=True, kw_only=True)
class Recipe(Document, Envelope):
    """A recipe as it was read, overrides merged; a key with a problem holds its default."""

    def resolved(self) -> dict[str, Any]:
        """The whole recipe as plain data, with its overrides and defaults, as it would be written to YAML."""
        plain = asdict(self)
        plain["callbacks"] = list(plain["callbacks"])
        plain["track"] = {key: value for key, value in plain["track"].items() if value is not None}
        plain["track"]["mirror"] = list(plain["track"]["mirror"])
        if self.measures_precision:
            plain["trainer"] = plain["trainer"] | AUTO_PRECISION
        return {key.name: plain[key.name] for key in fields(Envelope) if plain[key.name] is not None}

    def to_yaml(self) -> str:
        """The resolved recipe as YAML, which loads back to the same recipe, below its comment without the command."""
        comment = [f"# {line}".rstrip() for line in self.header if not line.startswith("lab ")]
        return "".join(f"{line}\n" for line in comment) + to_yaml(self.resolved())


def build(data: Mapping[Any, Any], **about: Any) -> Recipe:
    """A recipe from the plain data of its file.

    Args:
        data: what the file and the overrides say.
        about: `name`, `path`, `overrides`, `origins`, and the `problems` met so far.
    """
    from lab.recipe.signature import check  # pydantic takes 0.1 s to import, and only reading a recipe needs it

    sections = {key.name for key in fields(Envelope)} - {"task", "seed", "threads", "compile"}
    said = {key: value for key, value in data.items() if value is not None or key not in sections}  # `model:` is empty
    trainer = said.get("trainer")
    if isinstance(trainer, Mapping) and AUTO_PRECISION.items() <= trainer.items():  # no word of Lightning's
        said["trainer"] = {key: value for key, value in trainer.items() if key not in AUTO_PRECISION}
        about["measures_precision"] = True
    values, complaints = check(Envelope, said)
    recipe = Recipe(**{"task": "", **values, **about})
    complaints += _tracking(recipe.track)
    return replace(recipe, problems=(*recipe.problems, *(recipe.problem(*complaint) for complaint in complaints)))


def override(key: str, value: Any) -> str:
    """The override that sets `key` to this plain value."""
    text = yaml.dump([value], Dumper=_Dumper, default_flow_style=True, allow_unicode=True, width=math.inf)
    return f"{key}={text[1:-2]}"


def name_problem(name: str, most: int) -> str | None:
    """The problem of the name of a run, an experiment or a study, or None; `most` is the longest length."""
    if not name.strip():
        return "empty; a name has at least one character"
    if len(name) > most:
        return f"{len(name):,} characters; MLflow takes at most {most}"
    if bad := next((character for character in name if category(character) in ("Cc", "Zl", "Zp", "Cs")), None):
        return f"a name is one line of text, and here is the character U+{ord(bad):04X}"
    return None


def _tracking(track: Track) -> Iterator[tuple[str, str]]:
    """Names and tags that MLflow would refuse."""
    for key, name, most in (("name", track.name, MAX_RUN_NAME), ("experiment", track.experiment, MAX_EXPERIMENT)):
        if name is not None and (wrong := name_problem(name, most)):
            yield f"track.{key}", wrong
    for tag, value in track.tags.items():
        if wrong := name_problem(tag, MAX_TAG):
            yield f"track.tags.{tag:.40}", f"as a key {wrong}"
        elif not re.fullmatch(r"[/\w.\- :]+", tag):
            yield f"track.tags.{tag}", "MLflow takes letters, digits, and _ - . / : and spaces in the name of a tag"
        elif posixpath.normpath(tag) != tag or tag == "." or tag.startswith(("/", "..")):
            yield f"track.tags.{tag}", "MLflow takes no name of a tag that begins with / or .., or has an empty part"
        elif len(value) > MAX_TAG_VALUE:
            yield f"track.tags.{tag}", f"{len(value):,} characters; MLflow takes at most {MAX_TAG_VALUE:,}"


def to_yaml(data: Mapping[Any, Any]) -> str:
    """Plain data as YAML, which loads back to the same data."""
    text: str = yaml.dump(data, Dumper=_Dumper, default_flow_style=None, allow_unicode=True, sort_keys=False, width=120)
    return text


def printable(text: Path | str) -> str:
    """The text on one line: a path or a key may hold line breaks and worse."""
    return str(text) if str(text).isprintable() else ascii(str(text))


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.2 would read as a number (`1e-4`) as well as what older readers would (`yes`)."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # Between single quotes PyYAML writes unusual line breaks as they are, and reads them back as spaces.
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _text)
for _kind, _pattern in SCALARS.items():
    _Dumper.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", _pattern, None)
