"""Writes docs/reference.md from the code: `python docs/make_reference.py`; `--check` says whether it is up to date."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from typer.main import get_command

from lab.cli import app
from lab.cli.group import DEFAULT
from lab.cli.terminal.card import TITLES, card, rows
from lab.recipe.schema import ClassSpec, Envelope, InlineTask, StartFrom, Track
from lab.recipe.signature import parameters
from lab.registry import plugins

FILE = Path(__file__).with_name("reference.md")
HEADER = """\
# Reference

Written by `python docs/make_reference.py` from the code: change that, not this file.
"""
RECIPE = """\
## Recipe

A recipe is a YAML file with these keys; only `task` is required. On the command line `a.b=value` sets the dotted key
`a.b`, such as `model.lr=1e-4`.
"""


def reference() -> str:
    """The whole page."""
    return "\n".join([HEADER, *commands(), *recipe(), *tasks()])


def commands() -> Iterator[str]:
    """Every command with its arguments and options."""
    yield "## Commands\n"
    root: Any = get_command(app)
    for name, command in root.commands.items():
        group = getattr(command, "commands", None)
        inside = [(name if sub == DEFAULT else f"{name} {sub}", each) for sub, each in (group or {}).items()]
        for path, leaf in inside or [(name, command)]:
            context = leaf.context_class(leaf, info_name=path)
            usage = " ".join(leaf.collect_usage_pieces(context)).replace("{", "").replace("}", "")
            yield f"### lab {path}\n\n    lab {path} {usage}\n\n{leaf.help}\n"
            records = [parameter.get_help_record(context) or ("", "") for parameter in leaf.params]
            yield table(
                ["argument or option", "meaning"], [(f"`{word}`", meaning) for word, meaning in records if word]
            )


def recipe() -> Iterator[str]:
    """The envelope around a task's parameters."""
    yield RECIPE
    parts = {
        "": Envelope,
        "### task, written out": InlineTask,
        "### callbacks, each": ClassSpec,
        "### start_from": StartFrom,
        "### track": Track,
    }
    for title, part in parts.items():
        if title:
            yield f"{title}\n"
        yield parameter_table(rows(parameters(part)))


def tasks() -> Iterator[str]:
    """The tasks of this distribution."""
    yield "## Tasks\n"
    for plugin in plugins(load=False):
        if plugin.kind == "task" and plugin.distribution == "torch-lab":
            page = card(plugin.name)
            best = "largest" if page.mode == "max" else "smallest"
            yield f"### {page.name}\n\n{page.about}\n\nThe best checkpoint has the {best} `{page.monitor}`.\n"
            for section in ("model", "data"):
                yield f"`{section}:`\n"
                yield parameter_table(rows(getattr(page, section)))


def parameter_table(cells: Sequence[Sequence[str]]) -> str:
    """Parameters with the type and the default as code."""
    return table(
        [title.lower() for title in TITLES],
        [
            (f"`{name}`", f"`{kind}`", bounds, default.replace("<factory>", "empty"), meaning)
            for name, kind, bounds, default, meaning in cells
        ],
    )


def table(titles: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [titles, ["---"] * len(titles), *([cell.replace("|", "\\|") for cell in row] for row in cells)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def main() -> None:
    """Write the file, or check it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit with 1 if the file is out of date")
    text = reference()
    if not parser.parse_args().check:
        FILE.write_text(text, encoding="utf-8")
    elif not FILE.exists() or FILE.read_text(encoding="utf-8") != text:
        sys.exit("docs/reference.md is out of date; run: python docs/make_reference.py")


if __name__ == "__main__":
    main()
