"""Who may import whom: the rooms of docs/architecture.md, read from the source. No circles, and no room too full."""

from __future__ import annotations

import ast
import functools
import statistics
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1] / "lab"
HEAVY = {"torch", "lightning", "torchrl", "tensordict", "torchvision", "torchmetrics", "mlflow", "optuna", "gymnasium"}
FIELDS = {"rl", "vision", "tabular", "series", "text", "multimodal"}
RL_ONLY = {"torchrl", "tensordict", "gymnasium"}
GROUND = {
    "errors",
    "task",
    "imports",
    "keywords",
    "recipe_files",
    "registry",
    "files",
    "fingerprint",
    "stats",
    "plots",
    "sentences",
    "stages",
    "exports",
    "startup",
}
FLOORS = {"data", "networks", "learning"}
FIELD_MAY = {"errors", "task", "files", "stats", "plots", *FLOORS}
# room -> rooms of lab it may import besides itself, and packages it may not; rooms not named here may import anything
RULES: dict[str, tuple[set[str], set[str]]] = {
    "errors": (set(), HEAVY | {"pydantic", "yaml", "numpy"}),
    "task": ({"errors"}, HEAVY | {"pydantic", "yaml", "numpy"}),
    "imports": ({"errors"}, HEAVY | {"pydantic", "yaml", "numpy"}),
    "keywords": (set(), HEAVY | {"pydantic", "yaml", "numpy"}),
    "recipe_files": ({"errors"}, HEAVY | {"pydantic", "yaml", "numpy"}),
    "registry": ({"errors", "task", "imports", "recipe_files"}, HEAVY | {"pydantic", "numpy"}),
    "files": ({"errors"}, HEAVY - {"torch"}),
    "fingerprint": (set(), HEAVY - {"torch"}),
    "stats": (set(), HEAVY),
    "exports": (set(), HEAVY | {"pydantic", "yaml", "numpy"}),
    "startup": (set(), HEAVY | {"pydantic", "yaml", "numpy"}),
    "sentences": (set(), HEAVY | {"pydantic", "yaml", "numpy"}),
    "stages": (set(), HEAVY | {"pydantic", "yaml", "numpy"}),
    "plots": ({"errors"}, {*RL_ONLY, "mlflow"}),
    "recipe": ({"errors", "task", "imports", "keywords"}, HEAVY),
    "data": ({"errors", "task", "files", "registry"}, {*RL_ONLY, "mlflow", "optuna"}),
    "networks": ({"errors", "task", "files", "data"}, {*RL_ONLY, "mlflow", "optuna"}),
    "learning": ({"errors", "task", "files", "stats", "plots", "data", "networks"}, {*RL_ONLY, "mlflow", "optuna"}),
    "tracking": (GROUND, {*RL_ONLY, "optuna", "torchvision"}),
    "engine": (GROUND, {*RL_ONLY, "optuna", "torchvision", "mlflow"}),
    "runner": (GROUND | {"recipe", "tracking", "engine", ""}, {*RL_ONLY, "optuna", "torchvision"}),
    "comparison": (
        {"errors", "files", "stats", "plots", "registry", "recipe", "runner", "tracking"},
        HEAVY - {"mlflow"},
    ),
    "study": (
        GROUND | {"recipe", "runner", "comparison", "tracking", "engine"},
        {*RL_ONLY, "torchvision", "torchmetrics"},
    ),
    "scaffold": ({"errors", "registry"}, HEAVY),
    **{field: (FIELD_MAY, {*RL_ONLY, "mlflow", "optuna"}) for field in FIELDS - {"rl", "multimodal"}},
    "rl": (FIELD_MAY | {"imports", "keywords", "exports"}, {"mlflow", "optuna"}),
    "multimodal": (FIELD_MAY | {"vision", "text"}, {*RL_ONLY, "mlflow", "optuna"}),
}
MOST_FILES = 15  # on one level of a room, `__init__.py` not counted
MOST_LINES = 300


class Import(NamedTuple):
    """One name that a file imports.

    Args:
        line: where.
        name: the module or the object in it, dotted.
        at_import: whether it is imported as soon as the file is.
        typing_only: whether it is imported for type checkers alone.
    """

    line: int
    name: str
    at_import: bool
    typing_only: bool


@functools.cache
def imports(source: str) -> tuple[Import, ...]:
    return tuple(_imports(source))


def _imports(source: str) -> Iterator[Import]:
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
        about = id(node) not in inside, id(node) in typing_only
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name, *about)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                yield Import(node.lineno, f"{node.module}.{alias.name}", *about)


def sources() -> dict[Path, str]:
    """Every file of lab, by its path within it."""
    files = [path for path in ROOT.rglob("*.py") if "template" not in path.parts]
    return {path.relative_to(ROOT): path.read_text() for path in files}


def room_of(path: Path) -> str:
    """The first part of a path: a room, or a file of the ground; empty for `lab/__init__.py`."""
    first = path.parts[0].removesuffix(".py")
    return "" if first.startswith("__") else first


def broken(path: Path, source: str) -> list[str]:
    """The imports of one file of lab that its room forbids."""
    room, found = room_of(path), []
    for line, module, at_import, typing_only in imports(source):
        top, _, rest = module.partition(".")
        inner = rest.partition(".")[0]
        if room in ("api", "cli") and at_import and not typing_only and top in HEAVY:
            found.append(f"lab/{path}:{line}: {room} imports {module} before it is needed")
        if room not in RULES:
            continue
        rooms, packages = RULES[room]
        known = (ROOT / inner).exists() or (ROOT / f"{inner}.py").exists()
        if top == "lab" and (inner if known else "") not in {room, *rooms}:
            found.append(f"lab/{path}:{line}: {room} may not import {module}")
        if top in packages and not typing_only:
            found.append(f"lab/{path}:{line}: {room} may not import {top}")
    return found


def edges(files: Mapping[Path, str]) -> dict[str, set[str]]:
    """Which file of lab imports which, for types or at run time, both by their dotted names."""
    dotted = {".".join(path.with_suffix("").parts).removesuffix(".__init__"): path for path in files}
    found: dict[str, set[str]] = defaultdict(set)
    for name, path in dotted.items():
        for each in imports(files[path]):
            target = each.name.removeprefix("lab.")
            if not each.name.startswith("lab."):
                continue
            while target and target not in dotted:  # an object of a module
                target = target.rpartition(".")[0]
            if target and target != name:
                found[name].add(target)
    return found


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """The groups of files that import each other (Tarjan's strongly connected components of more than one)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(group) > 1:
                found.append(sorted(group))

    for node in list(graph):
        if node not in index:
            visit(node)
    return found


def crowded(files: Mapping[Path, str]) -> list[str]:
    count = Counter(path.parent for path in files if path.name != "__init__.py")
    return [f"lab/{folder}: {number} files" for folder, number in count.items() if number > MOST_FILES]


def test_no_room_imports_what_it_may_not():
    files = sources()
    assert len(files) > 20
    assert [line for path, source in files.items() for line in broken(path, source)] == []


def table_rules(text: str) -> dict[str, tuple[set[str], set[str]]]:
    """The rules in the table of docs/architecture.md, by room; rooms that may import everything are left out."""
    groups = {"base": GROUND, "shared": FLOORS, "heavy": HEAVY, "RL": RL_ONLY, "nothing": set()}
    found = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 4 and cells[0].startswith("`") and not cells[2].startswith("everything"):
            room = cells[0].strip("`").removesuffix(".py").removesuffix("/")
            both: list[set[str]] = []
            for cell in cells[2:]:
                names: set[str] = set()
                for item in filter(None, cell.split(", ")):
                    name, _, without = item.partition(" except ")
                    names |= groups.get(name, {name}) - {without}
                both.append(names)
            found[room] = both[0], both[1]
    return found


def test_the_architecture_page_states_these_rules():
    stated = table_rules((ROOT.parent / "docs" / "architecture.md").read_text())
    here = {room for room in RULES if (ROOT / room).exists() or (ROOT / f"{room}.py").exists()}
    assert {room: stated.get(room) for room in here} == {room: (RULES[room][0] - {""}, RULES[room][1]) for room in here}


def test_a_planted_rule_is_found():
    row = "| `files.py` | text | errors, shared | heavy except torch |"
    assert table_rules(row) == {"files": ({"errors", *FLOORS}, HEAVY - {"torch"})}


def test_no_files_import_each_other():
    assert circles(edges(sources())) == []


def test_no_room_is_crowded():
    assert crowded(sources()) == []
    assert len([path for path in sources() if path.parts[:1] == ("runner",) and path.name != "__init__.py"]) <= 12


def unlisted(listed: list[str], root: Path) -> list[str]:
    """Packages under `root` that the list lacks, and entries of it that are no package; both as dotted names."""
    there = {".".join(file.parent.relative_to(root.parent).parts) for file in root.rglob("__init__.py")}
    there = {name for name in there if ".template." not in name}
    return sorted(there ^ {name for name in listed if name.split(".")[0] == root.name})


def test_every_package_is_in_pyproject():
    listed = tomllib.loads((ROOT.parent / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert unlisted(listed, ROOT) == []
    assert listed == sorted(set(listed))


def test_a_planted_package_is_found(tmp_path):
    for folder in ("lab", "lab/new"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").touch()
    assert unlisted(["lab", "lab.old", "lab_recipes"], tmp_path / "lab") == ["lab.new", "lab.old"]


def test_files_are_short():
    lengths = {path: len(source.splitlines()) for path, source in sources().items() if path.name != "__init__.py"}
    assert [f"lab/{path}: {length} lines" for path, length in lengths.items() if length > MOST_LINES] == []
    assert statistics.median(lengths.values()) <= 110


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("runner/fit.py", "from lab.rl.ddpg import DDPG"),
        ("runner/fit.py", "def late():\n    import torchrl"),
        ("engine/saver.py", "from lab.runner.fit import fit"),
        ("engine/saver.py", "if TYPE_CHECKING:\n    from lab.recipe import Recipe"),
        ("engine/saver.py", "import mlflow"),
        ("tracking/logger.py", "from lab.vision import classify"),
        ("tracking/logger.py", "from lab.engine import signals"),
        ("data/table.py", "from lab.networks.mlp import MLP"),
        ("networks/mlp.py", "from lab.learning.supervised import SupervisedModule"),
        ("learning/supervised.py", "from lab.vision import classify"),
        ("learning/supervised.py", "import mlflow"),
        ("rl/ddpg.py", "from lab.recipe import load"),
        ("rl/ddpg.py", "from lab.vision import classify"),
        ("rl/ddpg.py", "import mlflow"),
        ("vision/classify.py", "from torchrl.data import ReplayBuffer"),
        ("vision/classify.py", "import gymnasium"),
        ("vision/classify.py", "from lab.multimodal.clip import network"),
        ("vision/data/image_data.py", "from lab.runner import fit"),
        ("vision/data/real/folder.py", "from lab.rl import replay"),
        ("cli/data.py", "from torchvision import datasets"),
        ("recipe/load.py", "import torch"),
        ("recipe/load.py", "from lab import registry"),
        ("comparison/groups.py", "from lab.rl.ddpg import DDPG"),
        ("comparison/curves.py", "def late():\n    import torch"),
        ("stats.py", "from lab.errors import BadInput"),
        ("study/plan/plan.py", "from lab.rl import replay"),
        ("study/work/job.py", "import torchrl"),
        ("errors.py", "import yaml"),
        ("cli/train.py", "import torch"),
        ("api/training.py", "import torch"),
        ("cli/terminal/tables.py", "import torch"),
    ],
)
def test_a_planted_fault_is_found(path, source):
    assert len(broken(Path(path), source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("cli/train.py", "def run():\n    import torch\n    from lab.runner.fit import fit"),
        ("rl/ddpg.py", "import torch\nfrom lab.rl.common import adam\nfrom lab.task import Task"),
        ("vision/data/real/folder.py", "import torch\nfrom lab.vision.data import decode\nfrom lab import files"),
        ("multimodal/clip/clip.py", "from lab.vision.data import image_data\nfrom lab.learning import supervised"),
        ("learning/supervised.py", "import torchmetrics\nfrom lab.networks import mlp\nfrom lab.data import table"),
        ("recipe/load.py", "if TYPE_CHECKING:\n    import torch"),
    ],
)
def test_what_is_allowed_is_not_found(path, source):
    assert broken(Path(path), source) == []


def test_a_planted_circle_is_found():
    files = {
        Path("errors.py"): "",
        Path("rl/a.py"): "from lab.rl import b",
        Path("rl/b.py"): "if TYPE_CHECKING:\n    from lab.rl.c import C",
        Path("rl/c.py"): "def late():\n    from lab.rl.a import A\n    from lab.errors import LabError",
    }
    assert circles(edges(files)) == [["rl.a", "rl.b", "rl.c"]]


def test_a_planted_crowd_is_found():
    files = {Path("rl", f"{number}.py"): "" for number in range(MOST_FILES + 1)}
    assert crowded(files) == [f"lab/rl: {MOST_FILES + 1} files"]
