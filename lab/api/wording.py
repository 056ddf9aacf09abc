"""Messages of the command line in the words of Python: `--metric` is `metric`, and `lab eval 7af3` a call."""

from __future__ import annotations

import re

FUNCTIONS = {name: name for name in ("run", "resume", "tune", "claim", "compare", "play", "collect")} | {
    "eval": "evaluate"
}
WORD = r"(?:\.\.\.|'[^']*'|[\w./:-]*[\w/])"
COMMAND = re.compile(rf"\blab ({'|'.join(FUNCTIONS)}) ({WORD}(?: [\w.]+=\S*[^\s;,)]| --offline)*)(?! --)")
TEXTS = "mode|name|launcher|video|storage|curve|uri"  # options whose value is a text
OTHERS = "metric|seeds|folds|workers|seed|checkpoint|episodes|experiment|last"


def in_python(message: str) -> str:
    """The message as somebody needs it who called a function of `lab`; commands without a function stay.

    >>> in_python("no run 'x'; lab runs lists them")
    "no run 'x'; lab.runs() lists them"
    >>> in_python("give --mode max or --mode min; lab eval 7af3 tests it")
    'give mode="max" or mode="min"; lab.evaluate("7af3") tests it'

    Args:
        message: of an error, or a sentence beside a result.
    """
    message = COMMAND.sub(lambda found: _call(found[1], found[2]), message)
    message = re.sub(r"\blab runs\b(?! --)", "lab.runs()", message)
    message = re.sub(rf"--({TEXTS}) ([^\s;,]*[^\s:;,.])(?=:? |[:;,]|$)(?<! needs)", r'\1="\2"', message)
    message = message.replace("--offline", "offline=True")
    return re.sub(rf"--({TEXTS}|{OTHERS})\b", r"`\1`", message)


def _call(command: str, words: str) -> str:
    arguments = [
        "offline=True" if word == "--offline" else word if word == "..." else '"' + word.strip("'") + '"'
        for word in re.findall(r"'[^']*'|\S+", words)
    ]
    return f"lab.{FUNCTIONS[command]}({', '.join(arguments)})"
