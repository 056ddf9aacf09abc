"""From a YAML file and `a.b=value` overrides to a Recipe, with the line of every key."""

from __future__ import annotations

import re
import stat
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from lab.errors import Problem, RecipeError, nearest
from lab.recipe.parse import LONG_KEY, MAX_KEY, Key, ReadError, check_text, comment, parse
from lab.recipe.schema import Recipe, build, printable

MAX_BYTES = 1_000_000


def load(path: Path | str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        path: the YAML file; a name such as `ppo` that is no file's is a recipe of the task alone.
        overrides: `a.b=value` settings that win over the file, the later over the earlier.

    Raises:
        RecipeError: if the file or an override cannot be read. What they say may still be wrong: see `Recipe.problems`.
    """
    data, about = read(path, overrides)
    return build(data, **about)


def load_text(text: str, place: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe that is no file of the user's, such as the one that a run recorded.

    Args:
        text: the YAML.
        place: where it is from, as messages name it: `recipe of run 3b766504`.
        overrides: `a.b=value` settings that win over the text.

    Raises:
        RecipeError: if the text or an override cannot be read.
    """
    data, about = read(Path(place), overrides, text)
    return build(data, **about)


def read(
    path: Path | str, overrides: Sequence[str] = (), text: str | None = None
) -> tuple[dict[str | int, Any], dict[str, Any]]:
    """The plain data of a YAML file with its overrides, and what a `Document` knows about it.

    Args:
        path: the file.
        overrides: `a.b=value` settings that win over the file.
        text: the file's content; by default it is read.

    Raises:
        RecipeError: if the file or an override cannot be read.
    """
    path = Path(path)
    data, lines, header = _read(path, text)
    origins = {"": printable(path), **{key: f"{printable(path)}:{line}" for key, line in lines.items()}}
    unreadable: list[Problem] = []
    problems: list[Problem] = []
    for i, override in enumerate(overrides):
        where = f"override {printable(override)}"
        if i and _is_torn(*overrides[i - 1 : i + 1]):
            continue  # the value of the one before, which says so
        try:
            if _is_torn(*overrides[i : i + 2]):
                whole = f"{override.strip()}={overrides[i + 1].lstrip('=').strip()}"
                raise ReadError(f"the value is missing; write {printable(whole)}, without spaces")
            keys, value = _parse_override(override)
        except ReadError as error:
            unreadable.append(Problem(where, "", error.message))
            continue
        dotted = ".".join(map(str, keys))
        try:
            _put(data, keys, value)
        except ReadError as error:
            problems.append(Problem(where, printable(dotted), error.message))
            continue
        origins = {key: origin for key, origin in origins.items() if not f"{key}.".startswith(f"{dotted}.")}
        origins[dotted] = where
    if unreadable:
        raise RecipeError(unreadable)
    about = {"path": path, "overrides": tuple(overrides), "problems": tuple(problems), "origins": origins}
    return data, {"name": path.stem, "header": header, **about}


def _read(path: Path, text: str | None) -> tuple[dict[Key, Any], dict[str, int], tuple[str, ...]]:
    """The data of a file, the line of each key, and the comment at its head."""
    try:
        if text is None:
            text = f"task: {path}\n" if _is_task(path) else _text(path)
        data, lines = parse(text)
        if not isinstance(data, dict):
            raise ReadError(f"expected keys and values such as `task: ddpg`, found {_kind(data)}", 1)
    except ReadError as error:
        where = f"{printable(path)}:{error.line}" if error.line else printable(path)
        raise RecipeError([Problem(where, printable(error.key), error.message)]) from None
    head = takewhile(lambda line: line.startswith("#"), text.splitlines())
    comment = [line.lstrip("#").strip() for line in head]
    return data, lines, tuple(line for line in comment if not line.startswith("yaml-language-server:"))


def _is_task(path: Path) -> bool:
    """Whether it is the name of a task, by its looks, and no file."""
    return re.fullmatch(r"[\w-]{1,100}", str(path)) is not None and not path.is_file()


def _text(path: Path) -> str:
    try:
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):
            raise ReadError("a folder, not a recipe file" if stat.S_ISDIR(info.st_mode) else "not an ordinary file")
        if info.st_size > MAX_BYTES:
            raise ReadError(f"{info.st_size:,} bytes; a recipe has at most {MAX_BYTES:,}")
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        siblings = [file.name for file in path.parent.iterdir()] if path.parent.is_dir() else []
        raise ReadError(f"no such file{nearest(path.name, siblings)}") from None
    except (OSError, ValueError) as error:
        raise ReadError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReadError("not UTF-8 text", raw.count(b"\n", 0, error.start) + 1) from None


# ----------------------------------------------------------------------------------------------------------- overrides


def _is_torn(override: str, following: str | None = None) -> bool:
    """Whether these are a key and its value: `model.lr 0.1` and `model.lr =0.1` arrive as two words."""
    if following is None or not re.fullmatch(r"\s*[A-Za-z_][\w.-]*\s*", override):
        return False
    return following.lstrip().startswith("=") or "=" not in following


def _parse_override(override: str) -> tuple[list[Key], Any]:
    name, equals, text = override.partition("=")
    keys: list[Key] = [int(part) if re.fullmatch("[0-9]{1,9}", part) else part for part in name.strip().split(".")]
    advice = _other_spelling(name, text if equals else None)
    if advice is not None and advice.isprintable():
        raise ReadError(advice)
    if not equals or "" in keys:
        raise ReadError("expected a dotted key and a value, such as model.lr=1e-3")
    check_text(name)
    try:
        data, lines = parse(f"x: {text}", depth=len(keys))  # read as if it stood in the file behind its key
    except ReadError:
        if len(text.splitlines()) > 1:
            raise ReadError("a line break in the value; put quotes around text, or brackets around a list") from None
        raise
    if not isinstance(data, dict) or data.keys() != {"x"}:
        raise ReadError("more than one value; put quotes around the text")
    if comment(f"x: {text}"):  # a line of a shell has no comments: `#` is part of what was meant
        if isinstance(data["x"], dict | list) or text.lstrip()[:1] in "'\"":
            raise ReadError("text after the value; put quotes around all of it")
        check_text(text)
        data["x"] = text.strip()
    if len(name) + max(map(len, lines)) - len("x") > MAX_KEY:
        raise ReadError(LONG_KEY)
    return keys, data["x"]


def _other_spelling(name: str, value: str | None) -> str | None:
    """The spelling here of a setting that is written as other programs have it; None for all else."""
    if value is None:
        if name.endswith((".yaml", ".yml")):
            return "one recipe at a time; the words behind it are settings, such as model.lr=1e-3"
        if name.startswith("~"):
            return f"a key is not taken away but set; write {name[1:]}=null"
        pair = re.fullmatch(r"([A-Za-z_][\w.]*):\s*(\S+)", name)
        return f"write {pair[1]}={pair[2]}" if pair else None
    plain = name.lstrip("+").replace("/", ".")
    return f"write {plain}={value}" if plain != name and re.fullmatch(r"\w+(\.\w+)*", plain) else None


def _put(data: dict[Key, Any], keys: list[Key], value: Any) -> None:
    here: Any = data
    for depth, key in enumerate(keys, start=1):
        parent = printable(".".join(map(str, keys[: depth - 1])))
        if isinstance(here, list):
            if not isinstance(key, int) or key >= len(here):
                count = f"{len(here)} item{'s' * (len(here) != 1)}"
                raise ReadError(f"{parent} is a list of {count}, numbered from 0; it has no item {key!r}")
        elif not isinstance(here, dict):
            raise ReadError(f"{parent} is {_kind(here)}; nothing can be set inside it")
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
