"""A stranger's package, built as a wheel and installed in an environment of its own beside a broken one."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

TWO_MOONS = Path(__file__).parents[1] / "plugins" / "two_moons"


class Environment:
    """A new virtual environment that borrows this one's packages, so that torch need not be installed again."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, symlinks=True)
        self.python = folder / "bin" / "python"
        self.packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
        borrowed = sysconfig.get_path("purelib")
        (self.packages / "borrowed.pth").write_text(f"import site; site.addsitedir({borrowed!r})\n")

    def install(self, *what: str | Path) -> None:
        """Install wheels, or folders after `-e`, and nothing they depend on."""
        offline = ("--no-deps", "--no-index", "--no-build-isolation", "--ignore-installed")
        self.run("-m", "pip", "install", "--quiet", *offline, *what)

    def lab(self, *words: str, cwd: Path) -> str:
        """What `lab WORDS` prints on standard output."""
        return self.run("-m", "lab", *words, cwd=cwd)

    def run(self, *words: str | Path, cwd: Path | None = None) -> str:
        clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "MLFLOW_TRACKING_URI")}
        done = subprocess.run([self.python, *words], cwd=cwd, env=clean, capture_output=True, text=True)
        assert done.returncode == 0, f"{words}:\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of two_moons, built from a copy: a build leaves folders behind."""
    folder = tmp_path_factory.mktemp("wheel")
    source = shutil.copytree(TWO_MOONS, folder / "source", ignore=shutil.ignore_patterns("build", "*.egg-info"))
    build = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, source)
    subprocess.run(build, check=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def broken(tmp_path_factory) -> Path:
    """A plugin that raises as soon as it is imported."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "pyproject.toml").write_text("""
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "lab-broken"
version = "0.0.7"
[project.entry-points."lab.tasks"]
broken = "broken_task:TASK"
[tool.setuptools]
py-modules = ["broken_task"]
""")
    (folder / "broken_task.py").write_text("raise RuntimeError('out of order')\n")
    return folder


@pytest.fixture(scope="module")
def environment(tmp_path_factory, wheel, broken) -> Environment:
    environment = Environment(tmp_path_factory.mktemp("environment"))
    environment.install(wheel, broken)
    return environment


def test_the_wheel_carries_the_recipe_and_no_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "two_moons/recipes/two_moons.yaml" in names
    assert not [name for name in names if name.startswith("tests")]


def test_ls_finds_its_task_and_its_recipe_without_importing_either_plugin(environment, tmp_path):
    listed = json.loads(environment.lab("ls", "--json", cwd=tmp_path))
    recipe = next(recipe for recipe in listed["recipes"] if recipe["name"] == "two_moons")
    assert recipe["distribution"] == "lab-two-moons"
    assert "expect a test/accuracy" in recipe["summary"]
    assert {"name": "two_moons", "field": "two_moons", "distribution": "lab-two-moons"} in listed["tasks"]
    assert {"name": "broken", "field": "broken_task", "distribution": "lab-broken"} in listed["tasks"]
    assert "two_moons" in environment.lab("ls", cwd=tmp_path)


def test_the_broken_plugin_is_one_line_with_distribution_version_and_error(environment, tmp_path):
    lines = [line.split(maxsplit=5) for line in environment.lab("plugins", cwd=tmp_path).splitlines()]
    (broken,) = [line for line in lines if "broken" in " ".join(line)]
    assert broken[:5] == ["broken", "task", "lab-broken", "0.0.7", "broken"]
    assert "RuntimeError: out of order" in broken[5]
    states = {line[0]: line[4] for line in lines if line[1] == "task"}
    assert states["two_moons"] == states["ddpg"] == "ok"


@pytest.mark.long
def test_it_runs_to_its_expected_score_beside_the_broken_one(environment, tracked):
    result = json.loads(environment.lab("run", "two_moons", "trainer.accelerator=cpu", "--json", cwd=tracked))
    assert (result["status"], result["monitor"]) == ("FINISHED", "test/accuracy")
    assert 0.96 <= result["score"] <= 0.98
    assert Path(result["best"]).is_file()
    assert Path(result["best"]).is_relative_to(tracked)


@pytest.mark.long
def test_its_own_tests_pass_on_the_installed_wheel(environment, tmp_path):
    shutil.copytree(TWO_MOONS / "tests", tmp_path / "tests")
    assert " passed" in environment.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", cwd=tmp_path)
    where = environment.run("-c", "import two_moons; print(two_moons.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(environment.packages)
