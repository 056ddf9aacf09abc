"""What the pages say is so: links lead somewhere, commands and recipes exist, YAML loads, Python parses."""

import ast
import functools
import importlib
import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import lab
from lab.cli import app
from lab.cli.group import DEFAULT
from lab.errors import BadInput, RecipeError
from lab.recipe import load
from lab.registry import find_recipe, recipes, task_names
from lab.runner.assemble import assemble
from lab.study.claim import load_claim
from lab.study.plan.schema import load_study
from lab.study.plan.space import parse as parse_space

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("plugins/*/*.md"), *ROOT.glob("benchmarks/*.md")]
)
REFERENCE = ROOT / "docs" / "reference.md"  # its commands are patterns such as `lab run [OPTIONS] RECIPE`
TEXTS = {".md", ".py", ".yaml", ".toml", ""}
GENERATED = {"mlruns", "results", "build", "dist", "data"}
CLI = get_command(app)


def page_name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def fences(text: str) -> Iterator[tuple[str, str]]:
    """Language and content of every fenced block."""
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield found[1], found[2]


def code_lines(text: str) -> list[str]:
    """The lines of fenced and of indented blocks, and commands in the cells of tables.

    Those of sessions are run by tests/test_docs_output.py.
    """
    blocks = [block for language, block in fences(text) if language != "console"]
    fenced = [line.strip() for block in blocks for line in block.splitlines()]
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    cells = re.findall(r"^\|.*\| `(lab run [a-z0-9_]+(?: [^`]*)?)` \|$", prose, re.MULTILINE)
    return fenced + cells + [line.strip() for line in prose.splitlines() if line.startswith("    ")]


def commands(text: str) -> list[list[str]]:
    """The words after `lab` of every command line, without `$ `, variables, a loop around it, comment and `> FILE`."""
    found = []
    for line in code_lines(text):
        line = re.sub(r"^\$ |^# (?=.*\blab run )|^for .*; do | > [\w.]+", "", line)
        words = (
            shlex.split(line.partition("; done")[0], comments=True) if re.match(r"([A-Z_]+=\S* )*lab ", line) else []
        )
        if "lab" in words:
            found.append([word.replace("$seed", "0") for word in words[words.index("lab") + 1 :]])
    return found


def broken_links(page: Path, text: str) -> list[str]:
    """Relative links and images that lead to no file, or to no heading of it."""
    found = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        if not file.exists():
            found.append(f"{page_name(page)}: no file {target}")
        elif anchor and anchor not in anchors(text if file == page else file.read_text(encoding="utf-8")):
            found.append(f"{page_name(page)}: no heading {target}")
    return found


def anchors(text: str) -> set[str]:
    """What links to headings are called on the usual hosts."""
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in re.findall(r"(?m)^#+ (.+)$", text)}


def parse(words: list[str]) -> dict[str, Any]:
    """The parameters that the command line makes of these words; nothing is run."""
    command, rest = CLI, list(words)
    if words and any(words[0] in option.opts for option in CLI.params):
        return {}  # an option of `lab` itself
    while hasattr(command, "commands"):
        named = bool(rest) and rest[0] in command.commands
        if not rest or not (named or DEFAULT in command.commands):
            raise LookupError("no such command")
        command = command.commands[rest.pop(0) if named else DEFAULT]
    found: dict[str, Any] = command.make_context("lab", rest).params
    return found


def wrong_command(words: list[str]) -> str:
    """Why the command line refuses these words; empty if it does not."""
    try:
        parse(words)
    except Exception as error:  # typer has exceptions of its own, and converters raise any
        return f"lab {' '.join(words)}: {error}"
    return ""


def made(text: str) -> set[str]:
    """Names that the page itself brings into being: by `lab plugin new`, by `lab cp`, or by a recipe's first line."""
    names = set(re.findall(r"lab plugin new (\w+)", text)) | set(re.findall(r"lab cp \w+ (\S+\.yaml)", text))
    return names | {name for _, block in fences(text) for name in re.findall(r"^# .*lab run (\S+\.yaml)$", block, re.M)}


def unknown_names(text: str) -> list[str]:
    """Recipes and tasks in commands that are neither installed, nor in the repository, nor made on the page."""
    found = []
    for words in commands(text):
        if words[0] not in ("run", "check", "cp", "show", "schema") or wrong_command(words):
            continue
        settings = parse(words)
        known = made(text) | set(task_names() if words[0] in ("show", "schema") else ())
        if words[0] in ("check", "show"):
            known |= {*recipes("study"), *recipes("claim")}
        names = settings.get("files") or [settings.get("recipe") or settings["name"]]
        own = settings.get("overrides") or settings.get("override") or ()
        for name in names:
            try:
                if name not in known:
                    find_recipe(str(ROOT / name) if name.endswith(".yaml") else name, settings=own)
            except BadInput as error:
                found.append(f"lab {' '.join(words)}: {error}")
    return found


def bad_recipes(text: str, folder: Path) -> list[str]:
    """Problems of the envelope in every YAML block with a `task:`."""
    found: list[str] = []
    file = folder / "recipe.yaml"
    for block in (block for language, block in fences(text) if language == "yaml" and "task:" in block):
        file.write_text(block)
        try:
            found += [str(problem) for problem in load(file).problems]
        except RecipeError as error:
            found.append(str(error))
    return found


def bad_studies(text: str, folder: Path) -> list[str]:
    """Problems of every YAML block that is a whole study or a claim; a space is one that can be sampled."""
    found: list[str] = []
    file = folder / "study.yaml"
    for block in (block for language, block in fences(text) if language == "yaml" and "recipe:" in block):
        file.write_text(block)
        try:
            if "claim:" in block:
                load_claim(file)
                continue
            study = load_study(file)
        except RecipeError as error:
            found.append(str(error))
            continue
        found += [str(problem) for problem in study.problems]
        found += [f"space.{key}: {message}" for key, message in parse_space(study.space)[1]]
    return found


def bad_python(text: str) -> list[str]:
    """Python blocks that do not parse, or import from lab what is not there."""
    found = []
    for block in (block for language, block in fences(text) if language == "python"):
        try:
            nodes = list(ast.walk(ast.parse(block)))
        except SyntaxError as error:
            found.append(f"{error}: {block}")
            continue
        for node in nodes:
            if isinstance(node, ast.Call):
                found += wrong_call(node)
            if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "lab":
                module = importlib.import_module(str(node.module))
                found += [f"{node.module} has no {name.name}" for name in node.names if not hasattr(module, name.name)]
    return found


def wrong_call(node: ast.Call) -> list[str]:
    """Why `lab.run(...)` and its like would refuse these arguments by their number or names; empty if not."""
    called = node.func
    if not (isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "lab"):
        return []
    try:
        function = getattr(lab, called.attr)
        inspect.signature(function).bind(*node.args, **{str(word.arg): word.value for word in node.keywords})
    except (AttributeError, TypeError) as error:
        return [f"{ast.unparse(node)}: {error}"]
    return []


def unfinished(text: str) -> list[str]:
    """Commands named anywhere, in code, comments or prose, that the command line does not have."""
    named = re.findall(r"(?:[`\"'#$>] ?|^ *)lab ([a-z]+)\b", text, re.MULTILINE)
    return sorted({name for name in named if name not in CLI.commands})


def unknown_targets(text: str) -> list[str]:
    known = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for line in code_lines(text) for name in re.findall(r"^make ([a-z]+)", line)}
    return sorted((named | set(re.findall(r"`make ([a-z]+)`", text))) - known)


# ------------------------------------------------------------------------------------------------------------ the pages


def test_there_are_pages():
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/architecture.md"} <= set(map(page_name, PAGES))
    assert len([words for page in PAGES for words in commands(page.read_text())]) > 30


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_link_and_picture_leads_to_a_file(page):
    assert broken_links(page, page.read_text()) == []


@pytest.mark.parametrize("page", [page for page in PAGES if page != REFERENCE], ids=page_name)
def test_every_command_is_one_that_lab_accepts(page):
    text = page.read_text()
    assert [wrong for words in commands(text) if (wrong := wrong_command(words))] == []
    assert unknown_names(text) == []
    assert unknown_targets(text) == []


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_recipe_on_a_page_loads(page, tmp_path):
    assert bad_recipes(page.read_text(), tmp_path) == []
    assert bad_studies(page.read_text(), tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_every_python_block_parses_and_imports_what_there_is(page):
    assert bad_python(page.read_text()) == []


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if page != REFERENCE], ids=page_name)
def test_every_run_on_a_page_would_start(page):
    text = page.read_text()
    shown_as_wrong = re.findall(r"^\$ lab (run .*)\n(?:(?!\$ ).*\n)*?\d+ problems? in", text, re.MULTILINE)
    for words in commands(text):
        if words[0] == "run" and words[1] not in made(text) and shlex.join(words) not in shown_as_wrong:
            settings = parse(words)
            if settings["overrides"]:  # the recipe alone is one of those that all assemble
                would_start(str(settings["recipe"]), *settings["overrides"])
            else:
                find_recipe(str(settings["recipe"]))


@functools.cache  # many pages name the same run
def would_start(recipe, *overrides):
    try:
        assemble(load(find_recipe(recipe, settings=overrides), [*overrides, "trainer.accelerator=cpu"]))
    except RecipeError as error:
        missing = (
            "with an internet connection run: ",
            "No such file or directory",
            "there is no folder or CSV file",
            "nothing says in which environment",
            "pip install 'torch-lab[envpool]'",  # of 700 MB
        )  # of the reader's own
        assert all(any(words in problem.message for words in missing) for problem in error.problems)  # noqa: PT017


def test_no_file_names_a_command_that_does_not_exist():
    tops = [path for path in ROOT.iterdir() if path.name not in GENERATED and not path.name.startswith(".")]
    files = [path for top in tops for path in (top, *top.rglob("*")) if path.is_file() and path.suffix in TEXTS]
    named = {page_name(path): unfinished(path.read_text(errors="replace")) for path in files if path != Path(__file__)}
    assert {page: names for page, names in named.items() if names} == {}


def test_the_architecture_names_every_room():
    text = (ROOT / "docs" / "architecture.md").read_text()
    rooms = [path.name for path in (ROOT / "lab").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    assert [room for room in rooms if room != "__main__.py" and f"| `{room}" not in text] == []


# --------------------------------------------------------------------------------------------------- it can find faults


@pytest.mark.parametrize(
    "line",
    [
        "[a](docs/nowhere.md)",
        "![a](docs/images/nowhere.png)",
        "[a](docs/reference.md#no-such-heading)",
        "[a](#nowhere)",
    ],
)
def test_a_planted_link_is_found(line):
    assert len(broken_links(ROOT / "README.md", line)) == 1


@pytest.mark.parametrize(
    "line",
    [
        "lab tune ddpg_pendulum --trials x",
        "lab tune apply",
        "lab run",
        "lab run ddpg_pendulum --sede 3",
        "lab ui --port x",
        "lab eval last --checkpoint third",
        "MLFLOW_TRACKING_URI=http://x lab rnu ddpg_pendulum",
        "$ lab rnu ddpg_pendulum",
        "for seed in 0 1; do lab rnu ddpg_pendulum seed=$seed; done",
    ],
)
@pytest.mark.parametrize("block", ["```sh\n{}\n```\n", "Like this:\n\n    {}\n"], ids=["fenced", "indented"])
def test_a_planted_command_is_found(line, block):
    (words,) = commands(block.format(line))
    assert wrong_command(words)


@pytest.mark.parametrize(
    "line", ["lab run ddpg_pendulm", "lab show ddgp", "lab run recipes/nowhere.yaml", "lab check a ddpg_pendulum"]
)
def test_a_planted_name_is_found(line):
    assert len(unknown_names(f"```sh\n{line}\n```\n")) == 1


def test_a_name_that_the_page_makes_is_known():
    assert (
        unknown_names(
            "```sh\nlab plugin new my_own\nlab run my_own\nlab cp ddpg_pendulum b.yaml\nlab run b.yaml\n```\n"
        )
        == []
    )


@pytest.mark.parametrize("block", ["task: ddpg\nmodle: {}", "task: {data: a.b:C}", "task: ddpg\nseed: -1", "task: [x"])
def test_a_planted_recipe_is_found(block, tmp_path):
    assert bad_recipes(f"```yaml\n{block}\n```\n", tmp_path)


@pytest.mark.parametrize(
    "block",
    [
        "recipe: a.yaml\nsampler: tpee",
        "recipe: a.yaml\nclaim: x",
        "recipe: a.yaml\nspace: {model.lr: {float: [1, 0]}}",
        "recipe: [x",
    ],
)
def test_a_planted_study_is_found(block, tmp_path):
    assert bad_studies(f"```yaml\n{block}\n```\n", tmp_path)


@pytest.mark.parametrize(
    "block",
    [
        "def f(:",
        "from lab import walk",
        "from lab.errors import BadInputs",
        "lab.run()",
        "lab.tune('a', seeds=3)",
        "lab.walk(1)",
    ],
)
def test_a_planted_python_block_is_found(block):
    assert len(bad_python(f"```python\n{block}\n```\n")) == 1


@pytest.mark.parametrize(
    "text", ["`lab tuna`", "# lab contrast a b", '"lab study "', "lab tnue x.yaml", "`lab tnue study`"]
)
def test_a_planted_mention_is_found(text):
    assert len(unfinished(text)) == 1


@pytest.mark.parametrize(
    "text", ["`lab` runs", "`lab run x`", "from lab import run", "# lab show ddpg", "the lab tune"]
)
def test_what_exists_is_not_found(text):
    assert unfinished(text) == []


def test_a_planted_target_is_found():
    assert unknown_targets("`make tea` and `make test`") == ["tea"]
