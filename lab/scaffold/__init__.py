"""`lab plugin new NAME`: a small plugin that works at once, for its author to change piece by piece.

The template is itself such a plugin, called `my_task`; a new one is a copy under another name.
"""

from __future__ import annotations

import importlib.util
import keyword
import re
from pathlib import Path

from lab.errors import BadInput
from lab.registry import recipes, task_names

TEMPLATE = Path(__file__).parent / "template"


def create(name: str, into: Path) -> Path:
    """Write a new plugin package and return its folder, `INTO/lab-NAME`.

    Args:
        name: of the task, its recipe and its package, such as `my-task` or `my_task`.
        into: the folder to write in; made if it is missing.

    Raises:
        BadInput: if the name cannot be a package, is taken, or the folder exists.
    """
    package = name.replace("-", "_")
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", package) or keyword.iskeyword(package):
        raise BadInput(
            f"{name!r} is not a valid package name; use lower-case words joined by - or _, such as 'my-task'"
        )
    if package in task_names() or package in recipes():
        raise BadInput(f"{name!r} is already a task or a recipe here; `lab ls` lists them")
    if importlib.util.find_spec(package) is not None:
        raise BadInput(f"{name!r} would hide the package {package!r} that is already installed; use another name")
    words = {
        "my_task": package,
        "my-task": package.replace("_", "-"),
        "MyTask": "".join(word.capitalize() for word in package.split("_")),
    }
    folder = into / _rename("lab-my-task", words)
    if folder.exists():
        raise BadInput(f"{folder} exists already; use another name or another folder")
    for source in sorted(TEMPLATE.rglob("*")):
        path = source.relative_to(TEMPLATE)
        cache = any(part.startswith((".", "__pycache__")) for part in path.parts)  # left by installers and linters
        if source.is_file() and not cache:
            target = into / _rename(str(path), words)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_rename(source.read_text(encoding="utf-8"), words), encoding="utf-8")
    return folder


def _rename(text: str, words: dict[str, str]) -> str:
    for old, new in words.items():
        text = text.replace(old, new)
    return text
