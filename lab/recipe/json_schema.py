"""JSON schemas of recipes for editors, made from the same signatures as the check of a recipe."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, get_args

from pydantic import TypeAdapter

from lab.keywords import REQUIRED, keywords, meanings
from lab.recipe.offers import members, offer, takes_objects
from lab.recipe.schema import AUTO_PRECISION, Envelope
from lab.recipe.types import adapter, plain

DRAFT = "https://json-schema.org/draft/2020-12/schema"
OBJECT = {"type": "object", "anyOf": [{"required": ["class_path"]}, {"required": ["_target_"]}]}


def recipe_schema(
    task: Mapping[str, Any] | None = None,
    sections: Mapping[str, Callable[..., Any] | None] | None = None,
    without: Mapping[str, Collection[str]] | None = None,
) -> dict[str, Any]:
    """The JSON schema of a recipe file.

    Args:
        task: the schema of the value of `task`; by default any task.
        sections: what receives the keywords of `model`, `data` and `trainer`; None where nothing does. A section that
            is not named takes any keywords.
        without: keywords of a section that a recipe cannot set.
    """
    found = keyword_schema(Envelope)
    properties: dict[str, Any] = found["properties"]
    if task is not None:
        properties["task"] = {"description": properties["task"]["description"], **task}
    receivers = sections or {}
    for name in properties.keys() - {"task", "seed", "threads", "compile"}:  # a section may be empty
        about = {"description": properties[name].pop("description")}
        if name not in receivers:
            properties[name] = about | {"anyOf": [properties[name], {"type": "null"}]}
            continue
        target = receivers[name]
        inside: dict[str, Any] = {"maxProperties": 0}
        if target is not None:
            inside = keyword_schema(target, (without or {}).get(name, ()), f"#/properties/{name}")
            if name == "trainer":
                own = inside["properties"]["precision"]
                inside["properties"]["precision"] = {"anyOf": [own, {"const": AUTO_PRECISION["precision"]}]}
        properties[name] = about | inside | {"type": ["object", "null"]}
    return {"$schema": DRAFT, "title": "a recipe of lab", **found}


def keyword_schema(target: Callable[..., Any], without: Collection[str] = (), place: str = "#") -> dict[str, Any]:
    """The JSON schema of the keywords of a class or a function that a recipe can set.

    Args:
        target: the class or the function.
        without: keywords that a recipe cannot set.
        place: where this schema will stand in its file.
    """
    known, extra = keywords(target)
    meaning = meanings(target)
    hints = {name: keyword.hint for name, keyword in known.items() if name not in without}
    simple = {name: expressible for name, hint in hints.items() if (expressible := plain(hint)) is not None}
    found, shared = TypeAdapter.json_schemas(
        [(name, "validation", adapter(hint)) for name, hint in simple.items()], ref_template=place + "/$defs/{model}"
    )
    properties: dict[str, dict[str, Any]] = {}
    for name, hint in hints.items():
        if name not in simple and not takes_objects(hint):
            continue  # no value in YAML is one for it
        entry = _with_objects(hint, dict(found[name, "validation"]["items"])) if name in simple else {}
        default = known[name].default
        if isinstance(default, bool | int | str | None) or (isinstance(default, float) and math.isfinite(default)):
            entry["default"] = default
        if name in meaning:
            entry["description"] = meaning[name]
        properties[name] = entry
    required = [name for name in properties if known[name].default is REQUIRED]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": extra, **shared}


def _with_objects(hint: Any, simple: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type's plain values, widened by the objects that a recipe may describe in their place."""
    if any(_made(part) for member in members(hint) for part in get_args(member) if part is not ...):
        return {}
    others = [OBJECT] if _made(hint) else []
    others += [{"type": "string"}] if offer(hint).names else []
    return {"anyOf": [simple, *others]} if others else simple


def _made(hint: Any) -> bool:
    """Whether a type, or that of one of its parts, takes objects that YAML has no plain value for."""
    wanted = offer(hint)
    parts = (part for member in members(hint) for part in get_args(member) if part is not ...)
    return wanted.names or any(plain(base) is None for base in wanted.bases) or any(map(_made, parts))
