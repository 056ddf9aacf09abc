"""Errors as lines on standard error."""

from __future__ import annotations

from lab.errors import LabError


def explain(error: LabError) -> str:
    """The text for standard error: one line, or for a recipe one line per problem and a count."""
    from lab.tracking.redaction import mask_addresses

    return mask_addresses("\n".join(error.lines()))


def surprise(error: Exception, debug: bool) -> str:
    """One line about an unexpected error."""
    from lab.tracking.redaction import mask_secrets

    first = mask_secrets(str(error).strip().partition("\n")[0])
    hint = "" if debug else " (set LAB_DEBUG=1 to see the traceback)"
    return f"error: {type(error).__name__}{': ' if first else ''}{first}{hint}"
