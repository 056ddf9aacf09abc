"""The commands as typer has them, with advice where a word is none; and a group of which one needs no name."""

from __future__ import annotations

import copy
from collections.abc import Collection
from typing import Any

from typer.core import TyperCommand, TyperGroup

from lab.cli import advice
from lab.errors import BadInput, suggestion

DEFAULT = "STUDY"  # what stands in the place of a subcommand belongs to the one of this name


class Command(TyperCommand):
    """A command that says how a setting is written where one stands as an option: `--lr 0.1` is `model.lr=0.1`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            option = getattr(error, "option_name", None)
            if type(error).__name__ != "NoSuchOption":
                raise
            if (instead := advice.for_other_option(ctx.command_path.split()[-1], str(option))) is not None:
                raise BadInput(f"{ctx.command_path} has no option {option}; {instead}") from None
            if any(each.name == "overrides" for each in self.params):
                setting = advice.for_option(str(option), given)
                if setting is not None:
                    raise BadInput(
                        f"{ctx.command_path} has no option {option}; settings have no dashes: {setting}"
                    ) from None
            raise


class Group(TyperGroup):
    """The commands of `lab`; a word that is none gets the line to type instead."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        if line := advice.for_command(args[0], args[1:], self.commands):
            raise BadInput(f"no command {args[0]!r}; did you mean: {line}")
        _refuse_unknown(ctx, args[0], self.commands)
        return super().resolve_command(ctx, args)


class Subgroup(TyperGroup):
    """The commands of a group such as `lab data`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        _refuse_unknown(ctx, args[0], self.commands)
        return super().resolve_command(ctx, args)


def _refuse_unknown(ctx: Any, word: str, commands: Collection[str]) -> None:
    """Raises with the nearest command, or all of them."""
    if word not in commands and not word.startswith("-"):
        known = suggestion(word, commands, "it has") if ctx.parent else f"; {ctx.command_path} --help lists them"
        raise BadInput(f"{ctx.command_path} has no command {word!r}{known}")


class DefaultGroup(TyperGroup):
    """Hands everything that begins with no subcommand's name to the command called `DEFAULT`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name == DEFAULT and command is not None:  # its messages say what one types
            command.context_class = type("Nameless", (type(ctx),), {"command_path": ctx.command_path})
        return name, command, rest

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The help of the command without a name, followed by the others."""
        shown = copy.copy(self)
        shown.commands = {name: command for name, command in self.commands.items() if name != DEFAULT}
        shown.params, shown.help = self.commands[DEFAULT].params, self.commands[DEFAULT].help
        shown.subcommand_metavar = ""
        TyperGroup.format_help(shown, ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Subcommands, and what the first argument of the command without a name may be."""
        found = [item for item in super().shell_complete(ctx, incomplete) if item.value != DEFAULT]
        return found + self.commands[DEFAULT].params[0].shell_complete(ctx, incomplete)
