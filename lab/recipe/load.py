"""From a YAML file and `a.b=value` overrides to a Recipe, with the line of every key.

YAML is read by the 1.2 core schema and without its surprises: aliases, tags, merge keys and duplicate keys are error.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from lab.errors import Problem, RecipeError, nearest
from lab.recipe.schema import SCALARS, Recipe, build, printable

MAX_BYTES = 1_000_000
MAX_VALUES = 10_000
MAX_DEPTH = 40
MAX_KEY = 1000  # characters of a dotted key
MAX_DIGITS = 1000
_LONG_KEY = f"a key of more than {MAX_KEY:,} characters, counted with those it stands in"

Key = str | int


def load(path: Path | str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        path: the YAML file.
        overrides: `a.b=value` settings that win over the file, the later over the earlier.

    Raises:
        RecipeError: if the file or an override cannot be read. What they say may still be wrong: see `Recipe.problems`.
    """
    data, about = read(path, overrides)
    return build(data, **about)


def read(path: Path | str, overrides: Sequence[str] = ()) -> tuple[dict[str | int, Any], dict[str, Any]]:
    """The plain data of a YAML file with its overrides, and what a `Document` knows about it.

    Raises:
        RecipeError: if the file or an override cannot be read.
    """
    path = Path(path)
    data, lines = _read(path)
    origins = {"": printable(path), **{key: f"{printable(path)}:{line}" for key, line in lines.items()}}
    unreadable: list[Problem] = []
    problems: list[Problem] = []
    for override in overrides:
        where = f"override {printable(override)}"
        try:
            keys, value = _parse_override(override)
        except _ReadError as error:
            unreadable.append(Problem(where, "", error.message))
            continue
        dotted = ".".join(map(str, keys))
        try:
            _put(data, keys, value)
        except _ReadError as error:
            problems.append(Problem(where, printable(dotted), error.message))
            continue
        origins = {key: origin for key, origin in origins.items() if not f"{key}.".startswith(f"{dotted}.")}
        origins[dotted] = where
    if unreadable:
        raise RecipeError(unreadable)
    about = {"path": path, "overrides": tuple(overrides), "problems": tuple(problems), "origins": origins}
    return data, {"name": path.stem, **about}


class _ReadError(Exception):
    """Why some text cannot be read, and on which of its lines (0 when no line is to blame)."""

    def __init__(self, message: str, line: int = 0, key: str = "") -> None:
        super().__init__(message)
        self.message, self.line, self.key = message, line, key


def _read(path: Path) -> tuple[dict[Key, Any], dict[str, int]]:
    try:
        data, lines = _parse(_text(path))
        if not isinstance(data, dict):
            raise _ReadError(f"expected keys and values such as `task: ddpg`, found {_kind(data)}", 1)
    except _ReadError as error:
        where = f"{printable(path)}:{error.line}" if error.line else printable(path)
        raise RecipeError([Problem(where, printable(error.key), error.message)]) from None
    return data, lines


def _text(path: Path) -> str:
    try:
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):
            raise _ReadError("a folder, not a recipe file" if stat.S_ISDIR(info.st_mode) else "not an ordinary file")
        if info.st_size > MAX_BYTES:
            raise _ReadError(f"{info.st_size:,} bytes; a recipe has at most {MAX_BYTES:,}")
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        siblings = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        raise _ReadError(f"no such file{nearest(path.name, siblings)}") from None
    except (OSError, ValueError) as error:
        raise _ReadError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _ReadError("not UTF-8 text", raw.count(b"\n", 0, error.start) + 1) from None


# ----------------------------------------------------------------------------------------------------------- overrides


def _parse_override(override: str) -> tuple[list[Key], Any]:
    name, equals, text = override.partition("=")
    keys: list[Key] = [int(part) if re.fullmatch("[0-9]{1,9}", part) else part for part in name.strip().split(".")]
    if not equals or "" in keys:
        raise _ReadError("expected a dotted key and a value, such as model.lr=1e-3")
    _check_text(name)
    data, lines = _parse(f"x: {text}", depth=len(keys))  # read as if it stood in the file behind its key
    if not isinstance(data, dict) or data.keys() != {"x"}:
        raise _ReadError("more than one value; put quotes around the text")
    if len(name) + max(map(len, lines)) - len("x") > MAX_KEY:
        raise _ReadError(_LONG_KEY)
    return keys, data["x"]


def _put(data: dict[Key, Any], keys: list[Key], value: Any) -> None:
    here: Any = data
    for depth, key in enumerate(keys, start=1):
        parent = printable(".".join(map(str, keys[: depth - 1])))
        if isinstance(here, list):
            if not isinstance(key, int) or key >= len(here):
                count = f"{len(here)} item{'s' * (len(here) != 1)}"
                raise _ReadError(f"{parent} is a list of {count}, numbered from 0; it has no item {key!r}")
        elif not isinstance(here, dict):
            raise _ReadError(f"{parent} is {_kind(here)}; nothing can be set inside it")
        if depth == len(keys):
            here[key] = value
        elif isinstance(here, dict) and here.get(key) is None:
            here[key] = {}
        here = here[key]


def _kind(data: Any) -> str:
    if data is None:
        return "null"
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "a mapping"}
    return kinds[type(data)]


# ---------------------------------------------------------------------------------------------------------------- YAML


def _parse(text: str, depth: int = 0) -> tuple[Any, dict[str, int]]:
    """The plain data in some YAML, and the line of each dotted key; `depth` is how deep inside the recipe it stands."""
    try:
        loader = _Loader(text, depth)
        node = loader.get_single_node()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _ReadError(f"a character that text cannot hold: U+{error.character:04X}", line) from None
    except yaml.MarkedYAMLError as error:
        raise _explained(error) from None
    if node is None:
        raise _ReadError("empty; a recipe says at least `task:`")
    lines: dict[str, int] = {}
    return _data(node, "", lines), lines


class _Loader(yaml.SafeLoader):
    """Resolves scalars by YAML 1.2, and refuses what makes a node mean something other than it says."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  PyYAML's own spelling

    def __init__(self, text: str, depth: int) -> None:
        super().__init__(text)
        self.depth, self.values = depth, 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise _ReadError(f"alias *{_cut(event.anchor)}: write the value out, or put quotes around the text", line)
        if event.anchor is not None:
            raise _ReadError(f"anchor &{_cut(event.anchor)}: write the value out, or put quotes around the text", line)
        if event.tag is not None:
            tag = _cut(event.tag.replace("tag:yaml.org,2002:", "!!"))
            raise _ReadError(f"tag {tag}: a recipe holds plain data; put quotes around the text", line)
        if self.depth >= MAX_DEPTH:
            raise _ReadError(f"nested more than {MAX_DEPTH} deep", line)
        self.values += 1
        if self.values > MAX_VALUES:
            raise _ReadError(f"more than {MAX_VALUES:,} values", line)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


for _tag, _pattern in SCALARS.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, None)


def _data(node: yaml.Node, path: str, lines: dict[str, int]) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return [_child(item, item, path, str(i), lines) for i, item in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    data: dict[Key, Any] = {}
    first: dict[Key, int] = {}
    for key_node, value_node in node.value:
        key, line = _key(key_node), key_node.start_mark.line + 1
        if len(path) + len(str(key)) > MAX_KEY:  # each value keeps the whole of its own
            raise _ReadError(_LONG_KEY, line)
        if key in data:
            raise _ReadError(f"duplicate key {key!r}; first set on line {first[key]}", line, f"{path}{key}")
        first[key] = line
        data[key] = _child(key_node, value_node, path, str(key), lines)
    return data


def _child(start: yaml.Node, node: yaml.Node, path: str, key: str, lines: dict[str, int]) -> Any:
    lines[f"{path}{key}"] = start.start_mark.line + 1
    return _data(node, f"{path}{key}.", lines)


def _key(node: Any) -> Key:
    line = node.start_mark.line + 1
    key = _scalar(node) if isinstance(node, yaml.ScalarNode) else None
    if key == "<<" and node.style is None:
        raise _ReadError("merge key <<: write the values out", line)
    if isinstance(key, bool) or not isinstance(key, str | int):
        raise _ReadError("a key must be text or a whole number; put quotes around it", line)
    return key


def _scalar(node: yaml.ScalarNode) -> Any:
    kind, text = node.tag.rpartition(":")[2], str(node.value)
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int":
        number = int(text, {"0o": 8, "0x": 16}.get(text[:2], 10)) if len(text) <= MAX_DIGITS else None
        if number is None or len(str(number)) > MAX_DIGITS:  # as it would be written
            raise _ReadError(f"a number of {len(text):,} digits", node.start_mark.line + 1)
        return number
    if kind == "float":
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    _check_text(text, node.start_mark.line + 1)
    return text


def _check_text(text: str, line: int = 0) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:  # an escape such as "\ud800", or an argument that was not UTF-8
        raise _ReadError("text that UTF-8 cannot hold (half of a surrogate pair)", line) from None


# What PyYAML says, and what that means to the author of a recipe.
_MEANINGS = {
    r"found character '\\t'.*": "tab; YAML indents with spaces",
    r"found character ('.*') that cannot start.*": r"text that starts with \1 needs quotes",
    r"mapping values are not allowed here": "': ' inside a value (such text needs quotes), or a line indented too far",
    r"could not find expected ':'": "expected `key: value`",
    r"expected <block end>.*": "does not line up with the lines above it",
    r"expected ',' or ('[]}]').*": r"a bracket is not closed: expected ',' or \1",
    r"found unexpected (end of stream|document separator)": "a quote is not closed",
    r"sequence entries are not allowed here": "text that starts with '- ' needs quotes",
    r"expected the node content, but found ('.*')": r"unexpected \1",
    r"found unknown escape character '(.*)'": r"unknown escape \\\1; single quotes take a backslash as it is",
    r"but found another document": "a second document (`---`); a recipe is one",
    r"expected alphabetic or numeric character.*": "text that starts with '*' or '&' needs quotes",
}


def _cut(text: str | None) -> str:
    return printable(f"{text:.57}..." if text and len(text) > 60 else f"{text}")


def _explained(error: yaml.MarkedYAMLError) -> _ReadError:
    mark, opened = error.problem_mark, error.context_mark
    message = " ".join((error.problem or "not YAML").split())
    for pattern, meaning in _MEANINGS.items():
        message = re.sub(f"^{pattern}$", meaning, message)
    if mark and opened and opened.line != mark.line:
        message += f" (it began on line {opened.line + 1})"
    return _ReadError(message, mark.line + 1 if mark else 0)
