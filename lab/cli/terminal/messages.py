"""Errors as lines on standard error."""

from __future__ import annotations

import dataclasses
import re

from lab.errors import LabError, RecipeError

LONGEST = 200  # characters of an override in a message


def explain(error: LabError) -> str:
    """The text for standard error: one line, or for a recipe one line per problem and a count."""
    from lab.tracking.redaction import mask_addresses

    if not isinstance(error, RecipeError):
        return mask_addresses(f"error: {error}")
    short = [dataclasses.replace(each, where=shorten(each.where)) for each in error.problems]
    lines = [" ".join(str(problem).splitlines()) for problem in short]
    places = [problem.where for problem in error.problems if not problem.where.startswith("override ")]
    file = " ".join(re.sub(r":\d+$", "", places[0]).splitlines()) if places else "the overrides"
    count = f"{len(lines)} problem{'s' if len(lines) > 1 else ''}"
    return mask_addresses("\n".join([*lines, f"{count} in {file}; nothing was started"]))


def shorten(text: str) -> str:
    """A text of which the beginning is enough, such as an override of ten thousand characters."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def surprise(error: Exception, debug: bool) -> str:
    """One line about an unexpected error."""
    from lab.tracking.redaction import mask_secrets

    first = mask_secrets(str(error).strip().partition("\n")[0])
    hint = "" if debug else " (set LAB_DEBUG=1 to see the traceback)"
    return f"error: {type(error).__name__}{': ' if first else ''}{first}{hint}"
