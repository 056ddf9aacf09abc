"""Words of the command line that a command does not take, each as one line that says what it does take."""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from lab.errors import nearest


def usage(error: Any) -> str:
    """The mistakes in the words of a command.

    Args:
        error: one of typer's errors of usage.
    """
    command = getattr(error.ctx, "command_path", "lab")
    more = f"{command} --help shows what it takes"
    param: Any = getattr(error, "param", None)
    match type(error).__name__:
        case "MissingParameter":
            return f"{command} needs {_name(param)}: {(param.help or '').partition('; ')[0].rstrip('.')}; {more}"
        case "BadParameter" if param is not None:
            return f"{_name(param)} {_value(error)}: {_expected(param, _value(error)) or error.message}"
        case "NoSuchOption":
            known = [
                option.removeprefix("--")  # or else all short names are alike
                for each in error.ctx.command.get_params(error.ctx)
                for option in each.opts
                if option.startswith("--")
            ]
            hint = nearest(error.option_name.removeprefix("--"), known, prefix="--") or f"; {more}"
            return f"{command} has no option {error.option_name}{hint}"
        case "BadOptionUsage":
            return f"{error.option_name}: {'takes no value' if 'not take' in error.message else 'the value is missing'}"
        case _:
            _, extra, words = error.format_message().partition("unexpected extra argument(s) (")
            return f"{command} takes no {words[:-1]!r}; {more}" if extra else f"{error.format_message()}; {more}"


def _name(param: Any) -> str:
    """A parameter as one types it: `--seeds`, or the placeholder of an argument."""
    return str(max(param.opts, key=len) if param.opts[0].startswith("-") else param.metavar or param.name.upper())


def _value(error: Any) -> str:
    """The value that was typed; pydantic knows it."""
    problems: list[Any] = getattr(error.__cause__, "errors", list)()
    return str(problems[0]["input"]) if problems else ""


def _expected(param: Any, value: str) -> str | None:
    """The values that a parameter takes; None for a kind that no command has."""
    annotation = param.type_descriptor.annotation
    kinds = [each for each in get_args(annotation) or (annotation,) if each is not type(None)]
    choices = [choice for each in (annotation, *kinds) if get_origin(each) is Literal for choice in get_args(each)]
    if choices:
        return f"expected {' or '.join(choices)}{nearest(value, choices)}"
    if int not in kinds:
        return None
    bounds = f"of {param.min} or more" if param.max is None else f"from {param.min} to {param.max}"
    return f"expected a whole number {bounds}"
