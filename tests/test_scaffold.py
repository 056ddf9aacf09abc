"""`lab plugin new`: what it writes works at once, and what cannot work is refused in one line."""

import json
import subprocess
import sys

import pytest
from test_plugins import Environment

from lab.errors import BadInput
from lab.scaffold import TEMPLATE, create

# Its tests, then its run, in one process: the imports take longer than either.
BOTH = """
import sys
import pytest
from lab.cli import main
with open("pytest.log", "w") as log:
    sys.stdout, stdout = log, sys.stdout
    assert pytest.main(["-q", sys.argv[1]]) == 0
sys.stdout = stdout
main(["run", "fresh_task", "--json"])
"""
NAMES = ["x", "my-task", "a_stranger_s_task_with_quite_a_long_name"]


@pytest.mark.parametrize("name", NAMES)
def test_every_trace_of_the_template_is_renamed(name, tmp_path):
    folder = create(name, tmp_path / "new")
    package = name.replace("-", "_")
    assert folder == tmp_path / "new" / f"lab-{package.replace('_', '-')}"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    code = {f"{package}/{part}" for part in ("__init__.py", "data.py", "module.py", f"recipes/{package}.yaml")}
    assert files == code | {"pyproject.toml", "README.md", f"tests/test_{package}.py"}
    if package != "my_task":
        text = "".join(path.read_text() for path in folder.rglob("*") if path.is_file())
        assert not [word for word in ("my_task", "my-task", "MyTask") if word in text]


@pytest.mark.parametrize("name", NAMES)
def test_what_it_writes_is_clean(name, tmp_path):
    folder = create(name, tmp_path)
    for command in (["check"], ["format", "--check"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, "--no-cache", folder], check=True)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("2moons", "is not a valid package name"),
        ("my task", "is not a valid package name"),
        ("../escape", "is not a valid package name"),
        ("Moons", "is not a valid package name"),
        ("trailing-", "is not a valid package name"),
        ("", "is not a valid package name"),
        ("class", "is not a valid package name"),
        ("ddpg", "already a task"),
        ("ddpg-pendulum", "already a task or a recipe"),
        ("torch", "would hide the package 'torch'"),
        ("json", "would hide the package 'json'"),
    ],
)
def test_a_bad_name_is_refused_in_one_line(name, reason, tmp_path):
    with pytest.raises(BadInput, match=reason) as refused:
        create(name, tmp_path)
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_left_alone(tmp_path):
    folder = create("my-task", tmp_path)
    (folder / "README.md").write_text("mine")
    with pytest.raises(BadInput, match="exists already"):
        create("my-task", tmp_path)
    assert (folder / "README.md").read_text() == "mine"


def test_leftovers_of_installers_and_linters_are_not_copied(tmp_path, monkeypatch):
    template = tmp_path / "template"
    for leftover in ("lab-my-task/my_task/__pycache__/data.pyc", "lab-my-task/.ruff_cache/x/1"):
        (template / leftover).parent.mkdir(parents=True)
        (template / leftover).write_bytes(b"\xff\x00")
    (template / "lab-my-task" / "README.md").write_text("my_task")
    monkeypatch.setattr("lab.scaffold.TEMPLATE", template)
    folder = create("mine", tmp_path / "new")
    assert [path.name for path in folder.rglob("*")] == ["README.md"]


def test_the_template_holds_text_only():
    for path in TEMPLATE.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert path.read_text(encoding="utf-8").endswith("\n"), path


@pytest.mark.long
def test_a_new_plugin_passes_its_own_test_and_reaches_its_expected_score(tracked):
    environment = Environment(tracked / "environment")
    environment.lab("plugin", "new", "fresh-task", "--into", str(tracked), cwd=tracked)
    folder = tracked / "lab-fresh-task"
    environment.install("-e", folder)
    result = json.loads(environment.run("-c", BOTH, folder, cwd=tracked))
    assert result["monitor"] == "test/loss"
    assert 0.009 < result["score"] < 0.012
