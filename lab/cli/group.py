"""A group of commands of which one needs no name: `lab tune STUDY` beside `lab tune apply STUDY`."""

from __future__ import annotations

import copy
from typing import Any

from typer.core import TyperGroup

DEFAULT = "STUDY"  # what stands in the place of a subcommand belongs to the one of this name


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
