"""Small tables for notebooks: no scripts, and no colours of their own, so that they fit light and dark pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.stats import Interval

CELL = "text-align:left;padding:0.15em 1.2em 0.15em 0;border:none;background:none;color:inherit"
NUMBER = f"{CELL};font-variant-numeric:tabular-nums"
RULE = "border-bottom:1px solid color-mix(in srgb, currentColor 35%, transparent)"


def page(title: str, *parts: str) -> str:
    """A block with a headline."""
    head = f'<div style="margin-bottom:0.3em"><b>{escape(title)}</b></div>'
    return f'<div style="color:inherit">{head}{"".join(parts)}</div>'


def table(rows: Iterable[Sequence[str]], titles: Sequence[str] = ()) -> str:
    """Rows of texts, the first column of which are names.

    Args:
        rows: as many texts each as there are titles.
        titles: of the columns; none for pairs of a name and a value.
    """
    head = "".join(f'<th style="{CELL};{RULE}">{escape(title)}</th>' for title in titles)
    body = "".join(f"<tr>{''.join(_cell(text) for text in row)}</tr>" for row in rows)
    return f'<table style="border-collapse:collapse;margin:0">{f"<tr>{head}</tr>" if head else ""}{body}</table>'


def span(interval: Interval | None) -> str:
    """The bounds of an interval, on one line."""
    return f"[{interval.low:.4g},\N{NO-BREAK SPACE}{interval.high:.4g}]" if interval else "-"


def note(text: str) -> str:
    """A sentence under a table."""
    return f'<div style="opacity:0.75;margin-top:0.3em">{escape(text)}</div>'


def link(address: str) -> str:
    """An address to click on; opens beside the notebook."""
    return f'<a href="{escape(address, quote=True)}" target="_blank" rel="noopener">{escape(address)}</a>'


def _cell(text: str) -> str:
    return f'<td style="{NUMBER}">{text if text.startswith("<a ") else escape(text)}</td>'
