"""Who may import whom: the rooms of docs/architecture.md, read from the source."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "lab"
FIELDS = {"rl", "vision", "basics", "language", "offline"}
HEAVY = {"torch", "lightning", "torchrl", "tensordict", "torchvision", "torchmetrics", "mlflow", "optuna", "gymnasium"}
# room -> rooms of lab it may import, and packages it may not; rooms not named here may import anything
RULES: dict[str, tuple[set[str], set[str]]] = {
    "errors": (set(), HEAVY | {"pydantic", "yaml"}),
    "task": (set(), HEAVY | {"pydantic", "yaml"}),
    "files": ({"errors"}, HEAVY - {"torch"}),
    "registry": ({"errors", "task"}, HEAVY),
    "recipe": ({"recipe", "errors", "task"}, HEAVY),
    "plots": ({"errors"}, {"torchrl", "mlflow"}),
    "stats": (set(), HEAVY),
    "split": ({"errors"}, HEAVY - {"torch"}),
    "adamw": (set(), HEAVY - {"torch"}),
    "descent": ({"adamw", "errors"}, HEAVY - {"torch", "lightning"}),
    "compare": (
        {"compare", "stats", "plots", "files", "recipe", "registry", "runner", "errors"},
        HEAVY - {"mlflow"},
    ),
    "runner": ({"runner", "recipe", "registry", "files", "task", "errors", ""}, {"torchrl", "tensordict", "gymnasium"}),
    "study": (
        {"study", "runner", "recipe", "registry", "stats", "plots", "errors"},
        {"torchrl", "tensordict", "gymnasium", "torchvision", "torchmetrics"},
    ),
    "scaffold": ({"scaffold", "errors", "registry"}, HEAVY),
    **{
        field: ({field, "plots", "files", "descent", "split", "errors", "task"}, {"mlflow", "optuna", "torchrl"})
        for field in FIELDS
    },
}
for _field in ("rl", "offline"):
    RULES[_field][1].remove("torchrl")
RULES["vision"][1].update({"tensordict", "gymnasium"})


def imports(source: str) -> Iterator[tuple[int, str, bool]]:
    """Line, module, and whether it is imported as soon as the file is."""
    tree = ast.parse(source)
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    inside = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, id(node) not in inside
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}", id(node) not in inside


def broken(path: Path, source: str) -> list[str]:
    """The imports of one file of lab that its room forbids."""
    room = path.parts[0].removesuffix(".py")
    room = "" if room == "__init__" else room
    found = []
    for line, module, at_import in imports(source):
        top, _, rest = module.partition(".")
        inner = rest.partition(".")[0]
        if room == "cli" and at_import and top in HEAVY:
            found.append(f"lab/{path}:{line}: the command line imports {module} before it is needed")
        if room not in RULES:
            continue
        rooms, packages = RULES[room]
        if top == "lab" and (inner if (ROOT / inner).exists() or (ROOT / f"{inner}.py").exists() else "") not in rooms:
            found.append(f"lab/{path}:{line}: {room} may not import {module}")
        if top in packages:
            found.append(f"lab/{path}:{line}: {room} may not import {top}")
    return found


def test_no_room_imports_what_it_may_not():
    files = [path for path in ROOT.rglob("*.py") if "template" not in path.parts]
    assert len(files) > 20
    assert [line for path in files for line in broken(path.relative_to(ROOT), path.read_text())] == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("runner/fit.py", "from lab.rl.ddpg import DDPG"),
        ("runner/fit.py", "def late():\n    import torchrl"),
        ("rl/ddpg.py", "from lab.recipe import load"),
        ("rl/ddpg.py", "from lab.vision import classify"),
        ("rl/ddpg.py", "import mlflow"),
        ("vision/classify.py", "from torchrl.data import ReplayBuffer"),
        ("vision/classify.py", "import gymnasium"),
        ("vision/data/image_data.py", "from lab.runner import fit"),
        ("vision/data/real/folder.py", "from lab.rl import replay"),
        ("cli/data.py", "from torchvision import datasets"),
        ("recipe/load.py", "import torch"),
        ("recipe/load.py", "from lab import registry"),
        ("compare/groups.py", "from lab.rl.ddpg import DDPG"),
        ("compare/curves.py", "def late():\n    import torch"),
        ("stats.py", "from lab.errors import BadInput"),
        ("study/plan.py", "from lab.rl import replay"),
        ("study/job.py", "import torchrl"),
        ("errors.py", "import yaml"),
        ("cli/train.py", "import torch"),
    ],
)
def test_a_planted_fault_is_found(path, source):
    assert len(broken(Path(path), source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("cli/train.py", "def run():\n    import torch\n    from lab.runner.fit import fit"),
        ("rl/ddpg.py", "import torch\nfrom lab.rl import adam\nfrom lab.task import Task"),
        ("vision/data/real/folder.py", "import torch\nfrom lab.vision.data import decode\nfrom lab import files"),
        ("recipe/load.py", "if TYPE_CHECKING:\n    import torch"),
    ],
)
def test_what_is_allowed_is_not_found(path, source):
    assert broken(Path(path), source) == []
