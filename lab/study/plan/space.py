"""The space of a study: which values each key may take, and how Optuna is asked for them."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

Complaint = tuple[str, str]  # key inside the space, what is wrong with it
RANGES: dict[str, type] = {"float": float, "int": int}
OPTIONS = ("log", "step")
ELSEWHERE = {
    "min",
    "max",
    "low",
    "high",
    "value",
    "values",
    "choice",
    "choices",
    "categorical",
    "uniform",
    "loguniform",
}
ENTRY = "a list of values, {float: [low, high]} or {int: [low, high]}, also with log: true"
PROBES = 32  # values of a range that are checked


@dataclass(frozen=True)
class Choice:
    """A key with a list of values, each of which may open a space of its own.

    Args:
        key: the dotted key of the recipe.
        values: what it may be.
        inner: for each value what varies only then.
    """

    key: str
    values: tuple[Any, ...]
    inner: tuple[tuple[Dimension, ...], ...]

    def suggest(self, trial: BaseTrial, where: str) -> dict[str, Any]:
        """The values Optuna chooses for this key and what it opens; `where` tells twins in different branches apart."""
        labels = [label(value) for value in self.values]
        chosen = trial.suggest_categorical(where + self.key, labels)
        place = next(i for i, known in enumerate(labels) if known == chosen and type(known) is type(chosen))
        found = {self.key: self.values[place]}
        for dimension in self.inner[place]:
            found |= dimension.suggest(trial, f"{where}{self.key}={chosen}/")
        return found

    def parameters(self, where: str) -> Iterator[dict[str, Any]]:
        """Every combination of this key and what it opens, by the names and categories that Optuna knows."""
        for value, inner in zip(self.values, self.inner, strict=True):
            chosen = label(value)
            for rest in combinations(inner, f"{where}{self.key}={chosen}/"):
                yield {where + self.key: chosen} | rest

    def probes(self) -> Iterator[tuple[str, str, Any]]:
        """Values that the recipe has to accept, as (key of the space, key of the recipe, value)."""
        for i, (value, inner) in enumerate(zip(self.values, self.inner, strict=True)):
            yield f"{self.key}.{value if any(self.inner) else i}", self.key, value
            for dimension in inner:
                yield from ((f"{self.key}.{value}.{place}", key, probe) for place, key, probe in dimension.probes())


@dataclass(frozen=True)
class Range:
    """A key with a lower and an upper limit, both of which it may take.

    Args:
        key: the dotted key of the recipe.
        kind: `float` or `int`.
        low: the lower limit.
        high: the upper limit.
        log: whether equal ratios are equally likely, instead of equal differences.
        step: the distance of two neighbouring values.
    """

    key: str
    kind: str
    low: float
    high: float
    log: bool = False
    step: float | None = None

    def suggest(self, trial: BaseTrial, where: str) -> dict[str, Any]:
        """The value Optuna chooses."""
        if self.kind == "int":
            step = 1 if self.step is None else int(self.step)
            low, high = int(self.low), int(self.high)
            return {self.key: trial.suggest_int(where + self.key, low, high, step=step, log=self.log)}
        found = trial.suggest_float(where + self.key, self.low, self.high, step=self.step, log=self.log)
        return {self.key: found}

    def probes(self) -> Iterator[tuple[str, str, Any]]:
        """Values that the recipe has to accept: both ends, and some between them, all if they are few."""
        make: type = RANGES[self.kind]  # Optuna gives a float even where a limit is written as a whole number
        step = self.step or (1 if self.kind == "int" else (self.high - self.low) / PROBES)
        count = max(1, int((self.high - self.low) / step + 1e-9))  # steps that fit: the upper limit may lie beyond
        high = self.high if self.step is None else self.low + count * step
        yield f"{self.key}.{self.kind}.0", self.key, make(self.low)
        yield f"{self.key}.{self.kind}.1", self.key, make(high)
        for i in range(1, count, -(-count // PROBES)):
            yield f"{self.key}.{self.kind}", self.key, make(self.low + i * step)


Dimension = Choice | Range


def parse(space: Mapping[str, Any]) -> tuple[tuple[Dimension, ...], list[Complaint]]:
    """The dimensions of a space, and what is wrong with the entries that make none."""
    dimensions: list[Dimension] = []
    complaints: list[Complaint] = []
    for key, entry in space.items():
        found = _dimension(str(key), entry, complaints)
        if found is not None:
            dimensions.append(found)
    return tuple(dimensions), complaints


def combinations(dimensions: tuple[Dimension, ...], where: str = "") -> Iterator[dict[str, Any]]:
    """Every combination of the values of choices, as Optuna's parameters, in the file's order, the last key fastest."""
    choices = [dimension for dimension in dimensions if isinstance(dimension, Choice)]
    for parts in itertools.product(*(list(choice.parameters(where)) for choice in choices)):
        yield {key: value for part in parts for key, value in part.items()}


def settings(dimensions: tuple[Dimension, ...], trial: BaseTrial) -> dict[str, Any]:
    """The settings of the recipe that a trial stands for."""
    found: dict[str, Any] = {}
    for dimension in dimensions:
        found |= dimension.suggest(trial, "")
    return found


def ranges(dimensions: tuple[Dimension, ...]) -> Iterator[str]:
    """The keys that have no list of values, which a table or a grid cannot go through."""
    for dimension in dimensions:
        if isinstance(dimension, Range):
            yield dimension.key
        else:
            for inner in dimension.inner:
                yield from ranges(inner)


def label(value: Any) -> Any:
    """The value as Optuna keeps a category: as it is, or a list or mapping as JSON."""
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value, sort_keys=True)


def identity(values: Mapping[str, Any]) -> str:
    """The same text for the same settings: 1 and 1.0 are one number, true is none."""
    return json.dumps({key: _plain(value) for key, value in values.items()}, sort_keys=True)


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _dimension(key: str, entry: Any, complaints: list[Complaint]) -> Dimension | None:
    if isinstance(entry, list):
        values = {identity({"": value}): value for value in entry}
        if not entry:
            complaints.append((key, "an empty list; give at least one value"))
        elif min(len(values), len({repr(label(value)) for value in entry})) < len(entry):
            complaints.append((key, "the same value twice"))
        else:
            return Choice(key, tuple(entry), ((),) * len(entry))
    elif isinstance(entry, dict) and set(entry) & set(RANGES):
        return _range(key, entry, complaints)
    elif isinstance(entry, dict) and set(map(str, entry)) & ELSEWHERE and not all(map(_opens, entry.values())):
        complaints.append((key, f"expected {ENTRY}"))  # as other programs write it
    elif isinstance(entry, dict) and entry:
        inner = []
        for value, opened in entry.items():
            dimensions, wrong = parse(opened if isinstance(opened, dict) else {})
            if not _opens(opened):
                wrong = [("", "expected the keys that vary under this value, or nothing")]
            complaints += [(f"{key}.{value}.{place}".rstrip("."), message) for place, message in wrong]
            inner.append(dimensions)
        return Choice(key, tuple(entry), tuple(inner))
    else:
        complaints.append((key, "expected a list of values, {float: [low, high]}, {int: [low, high]}, or value: space"))
    return None


def _opens(inner: Any) -> bool:
    """Whether this can stand behind a value: a space, or nothing."""
    return inner is None or isinstance(inner, dict)


def _range(key: str, entry: Mapping[str, Any], complaints: list[Complaint]) -> Range | None:
    kind = "float" if "float" in entry else "int"
    limits, log, step = entry[kind], entry.get("log", False), entry.get("step")
    before = len(complaints)
    unknown = [name for name in entry if name not in (kind, *OPTIONS)]
    complaints += [(f"{key}.{name}", f"unknown key; {kind} goes with {' or '.join(OPTIONS)}") for name in unknown]
    numbers = isinstance(limits, list) and len(limits) == 2 and all(_number(limit, kind) for limit in limits)
    if not numbers:
        complaints.append((f"{key}.{kind}", f"expected [low, high], two {'whole ' * (kind == 'int')}numbers"))
    elif limits[0] >= limits[1]:
        complaints.append((f"{key}.{kind}", f"the lower limit {limits[0]} is not below the upper limit {limits[1]}"))
    elif log is True and limits[0] <= 0:
        complaints.append((f"{key}.{kind}", f"a logarithmic range begins above 0, found {limits[0]}"))
    if not isinstance(log, bool):
        complaints.append((f"{key}.log", "expected true or false"))
    elif step is not None and (not _number(step, kind) or step <= 0 or log):
        complaints.append((f"{key}.step", "expected a positive number, and not together with log"))
    elif step is not None and numbers and step > limits[1] - limits[0]:
        complaints.append((f"{key}.step", f"a step of {step} leaves nothing but the lower limit {limits[0]}"))
    return None if len(complaints) > before else Range(key, kind, limits[0], limits[1], log, step)


def _number(value: Any, kind: str) -> bool:
    kinds = int if kind == "int" else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
