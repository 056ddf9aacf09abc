"""The command line. Nothing heavy is imported here or above a command's body: `lab --help` stays fast."""

from __future__ import annotations

import functools
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, NoReturn

import typer

import lab
from lab.cli import browse, check, compare, data, install, results, schema, tracking, train, tune
from lab.cli.group import Command, Group, Subgroup
from lab.cli.terminal.messages import explain, surprise
from lab.cli.terminal.output import keep_stdout_for_data
from lab.cli.terminal.working import is_first_process
from lab.errors import BadInput, LabError
from lab.sentences import note
from lab.startup import defer

app = typer.Typer(
    cls=Group,
    help="Train, evaluate and track models from YAML recipes.",
    epilog="Start with: lab run ddpg_pendulum",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
plugin = typer.Typer(cls=Subgroup, help="Create a plugin package.", no_args_is_help=True)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"lab {lab.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Train, evaluate and track models from YAML recipes."""


COMMANDS: dict[str, dict[str, Callable[..., None]]] = {
    "Train": {"run": train.run, "resume": train.resume, "check": check.check},
    "Recipes and tasks": {"ls": browse.ls, "show": browse.show, "cp": browse.cp, "schema": schema.schema},
    "Results": {
        "runs": results.runs,
        "compare": compare.compare,
        "studies": tune.studies,
        "claim": tune.claim,
        "eval": results.evaluate,
        "play": results.play,
        "collect": results.collect,
        "sample": results.sample,
        "sync": tracking.sync,
        "ui": tracking.ui,
    },
    "Installation": {"plugins": install.plugins, "doctor": install.doctor},
}
for group, commands in COMMANDS.items():
    for name, command in commands.items():
        app.command(name, cls=Command, rich_help_panel=group)(command)
app.add_typer(tune.app, name="tune", rich_help_panel="Train")
app.add_typer(data.app, name="data", rich_help_panel="Recipes and tasks")
plugin.command("new")(install.new_plugin)
app.add_typer(plugin, name="plugin", rich_help_panel="Installation")


@functools.cache
def _command() -> Group:
    """The commands as click has them, which typer would read from the signatures again at each call."""
    command = typer.main.get_command(app)
    assert isinstance(command, Group)
    return command


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and leave with 0 fine, 1 failed, 2 bad input, 130 interrupted.

    Args:
        arguments: the words after `lab`; those of this process by default.
    """
    if arguments is None:  # else this is somebody else's process
        defer()
        keep_stdout_for_data()
    code = 0
    try:
        try:
            code = _command()(args=arguments, prog_name="lab", standalone_mode=False) or 0
        except Exception as error:
            code = _report(error)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # `lab ls | head -1`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


def _report(error: Exception) -> int:
    """Say what went wrong on standard error, and with which code to leave."""
    debug = os.environ.get("LAB_DEBUG") == "1"
    if debug:
        traceback.print_exc()
    if isinstance(error, LabError):
        if is_first_process() or not isinstance(error, BadInput):  # what all processes refuse, one says
            note(explain(error))
        return error.exit_code
    if hasattr(error, "format_message"):  # typer's own: a word of the command line that it does not know
        from lab.cli.terminal.usage import usage

        if type(error).__name__ != "NoArgsIsHelpError":  # which has printed the help
            note(f"error: {usage(error)}")
        return BadInput.exit_code
    note(surprise(error, debug))
    return 1
