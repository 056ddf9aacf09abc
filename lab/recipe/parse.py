"""YAML as recipes have it: by the 1.2 core schema, and without aliases, tags, merge keys and duplicate keys."""

from __future__ import annotations

import re
from copy import deepcopy
from functools import lru_cache
from typing import Any

import yaml

from lab.recipe.schema import SCALARS, printable

MAX_VALUES = 10_000
MAX_DEPTH = 40
MAX_KEY = 1000  # characters of a dotted key
MAX_DIGITS = 1000
LONG_KEY = f"a key of more than {MAX_KEY:,} characters, counted with those it stands in"

Key = str | int


class ReadError(Exception):
    """The reason for which some text cannot be read, and its line (0 when no line is to blame)."""

    def __init__(self, message: str, line: int = 0, key: str = "") -> None:
        super().__init__(message)
        self.message, self.line, self.key = message, line, key


def parse(text: str, depth: int = 0) -> tuple[Any, dict[str, int]]:
    """The plain data in some YAML, and the line of each dotted key; `depth` is how deep inside the recipe it stands."""
    data, lines = _parsed(text, depth)
    return deepcopy(data), dict(lines)


@lru_cache(maxsize=64)
def _parsed(text: str, depth: int) -> tuple[Any, dict[str, int]]:
    """A study reads the same file with other overrides for each trial, and PyYAML needs milliseconds for a page."""
    try:
        loader = _Loader(text, depth)
        node = loader.get_single_node()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ReadError(f"a character that is not allowed: U+{error.character:04X}", line) from None
    except yaml.MarkedYAMLError as error:
        raise _explained(error) from None
    if node is None:
        raise ReadError("empty; a recipe needs at least `task:`")
    lines: dict[str, int] = {}
    return _data(node, "", lines), lines


def comment(text: str) -> bool:
    """Whether a comment follows the value in `key: value`, which can be read."""
    if "#" not in text:
        return False
    node: Any = _Loader(text, 0).get_single_node()
    value = node.value[0][1]
    return text[value.end_mark.index :].lstrip().startswith("#")


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
            raise ReadError(f"alias *{_cut(event.anchor)}: write the value out, or put quotes around the text", line)
        if event.anchor is not None:
            raise ReadError(f"anchor &{_cut(event.anchor)}: write the value out, or put quotes around the text", line)
        if event.tag is not None:
            tag = _cut(event.tag.replace("tag:yaml.org,2002:", "!!"))
            raise ReadError(f"tag {tag}: a recipe holds plain data; put quotes around the text", line)
        if self.depth >= MAX_DEPTH:
            raise ReadError(f"nested more than {MAX_DEPTH} deep", line)
        self.values += 1
        if self.values > MAX_VALUES:
            raise ReadError(f"more than {MAX_VALUES:,} values", line)
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
            raise ReadError(LONG_KEY, line)
        if key in data:
            raise ReadError(f"duplicate key {key!r}; first set on line {first[key]}", line, f"{path}{key}")
        if {":", "="} & set(str(key)) and key_node.style is None and _is_empty(value_node):
            name, value = re.split("[:=]", str(key), maxsplit=1)
            raise ReadError(f"{key!r} is one word; write `{name}: {value}`, with a space after the colon", line)
        first[key] = line
        data[key] = _child(key_node, value_node, path, str(key), lines)
    return data


def _is_empty(node: yaml.Node) -> bool:
    """Whether nothing at all stands behind a key, as in `{lr:0.1}`."""
    return isinstance(node, yaml.ScalarNode) and node.value == "" and node.style is None


def _child(start: yaml.Node, node: yaml.Node, path: str, key: str, lines: dict[str, int]) -> Any:
    lines[f"{path}{key}"] = start.start_mark.line + 1
    return _data(node, f"{path}{key}.", lines)


def _key(node: Any) -> Key:
    line = node.start_mark.line + 1
    key = _scalar(node) if isinstance(node, yaml.ScalarNode) else None
    if key == "<<" and node.style is None:
        raise ReadError("merge key <<: write the values out", line)
    if isinstance(key, bool) or not isinstance(key, str | int):
        raise ReadError("a key must be text or a whole number; put quotes around it", line)
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
            raise ReadError(f"a number of {len(text):,} digits", node.start_mark.line + 1)
        return number
    if kind == "float":
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    check_text(text, node.start_mark.line + 1)
    return text


def check_text(text: str, line: int = 0) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:  # an escape such as "\ud800", or an argument that was not UTF-8
        raise ReadError("text that cannot be encoded as UTF-8 (half of a surrogate pair)", line) from None


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


def _explained(error: yaml.MarkedYAMLError) -> ReadError:
    mark, opened = error.problem_mark, error.context_mark
    message = " ".join((error.problem or "not YAML").split())
    for pattern, meaning in _MEANINGS.items():
        message = re.sub(f"^{pattern}$", meaning, message)
    if mark and opened and opened.line != mark.line:
        message += f" (it began on line {opened.line + 1})"
    return ReadError(message, mark.line + 1 if mark else 0)
