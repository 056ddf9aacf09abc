"""`lab plugins`, `lab plugin new` and `lab doctor`: what is installed, and whether it works."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lab.cli.terminal import words
from lab.cli.terminal.output import emit
from lab.cli.terminal.tables import table
from lab.cli.terminal.working import working


def plugins(as_json: words.Json = False) -> None:
    """List the tasks, recipes and datasets of every installed package, with errors."""
    with working("importing the plugins"):
        from lab import registry

        found = registry.plugins()
    if as_json:
        emit(found)
        return
    titles = ("NAME", "KIND", "DISTRIBUTION", "VERSION", "STATE", "ERROR")
    cells = [[str(getattr(plugin, title.lower()) or "") for title in titles] for plugin in found]
    table(titles, cells, wrap=("ERROR",), drop=("VERSION", "DISTRIBUTION"))


def new_plugin(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the package, such as my_task.")],
    into: Annotated[Path, typer.Option(metavar="DIR", help="The folder to write it into.")] = Path(),
) -> None:
    """Create a plugin package from a working template."""
    from lab.scaffold import create

    folder = create(name, into)
    print(f"wrote {folder}")
    print("next")
    package = folder.name.removeprefix("lab-").replace("-", "_")
    for command in (f"pip install -e '{folder}[dev]'", f"lab show {package}", f"lab run {package}", f"pytest {folder}"):
        print(f"  {command}")


def doctor(as_json: words.Json = False) -> None:
    """Check installation, devices and tracking, with the next step for every problem."""
    with working("importing the packages"):
        from lab.cli.doctor import examine

        findings = examine()
    if as_json:
        emit(findings)
    else:
        table(
            ["CHECK", "STATE", "FOUND", "NEXT STEP"],
            [[finding.check, finding.state, finding.found, finding.next_step] for finding in findings],
            wrap=("FOUND", "NEXT STEP"),
        )
    if any(finding.state == "failed" for finding in findings):
        raise typer.Exit(1)
