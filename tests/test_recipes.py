"""Every recipe in the tree can be used: found by glob, so that none is forgotten."""

import socket
from pathlib import Path

import pytest
import yaml

from lab.errors import LabError, RecipeError
from lab.recipe import load
from lab.registry import find_recipe, recipes
from lab.runner.assemble import assemble
from lab.testing.clauses import check_facts, check_header
from lab.vision.data.real.downloads import DOWNLOADS

ROOT = Path(__file__).parents[1]
RECIPES = sorted([*ROOT.glob("recipes/*.yaml"), *ROOT.glob("plugins/*/**/recipes/*.yaml")])
FETCHED = [path for path in RECIPES if load(path).data.get("name") in DOWNLOADS]


def name(path: Path) -> str:
    return path.stem


def test_there_are_recipes():
    assert {path.stem for path in RECIPES} >= {"ddpg_pendulum", "two_moons"}


@pytest.mark.slow
@pytest.mark.parametrize("path", RECIPES, ids=name)
def test_every_recipe_assembles_and_says_how_it_is_run(path):
    check_header(path)
    if check_facts(path) is None:
        pytest.skip("needs a package that is not installed")


@pytest.mark.slow
@pytest.mark.parametrize("path", FETCHED, ids=name)
def test_a_set_that_is_not_here_and_cannot_be_had_is_one_line(path, tmp_path, monkeypatch):
    def offline(*_):
        raise OSError("no network")

    monkeypatch.setenv("LAB_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(socket.socket, "connect", offline)
    recipe = load(path)
    with pytest.raises(
        LabError, match=f"with an internet connection run: lab data fetch {recipe.data['name']}$"
    ) as error:
        assemble(recipe).data.prepare_data()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("path", RECIPES, ids=name)
def test_every_recipe_is_installed_under_its_name(path):
    assert path.stem in recipes()
    assert find_recipe(path.stem).read_text() == path.read_text()


@pytest.mark.parametrize("path", RECIPES, ids=name)
def test_every_recipe_names_its_experiment_and_starts_with_its_command(path):
    text = path.read_text()
    assert text.startswith("# lab run ")
    assert yaml.safe_load(text)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [("lr:", "lrr:", "unknown key 'lrr'"), ("gamma: 0.99", "gamma: 99", "model.gamma"), ("ddpg", "dpg", "task")],
)
def test_a_planted_fault_is_found(tmp_path, old, new, problem):
    planted = tmp_path / "planted.yaml"
    planted.write_text((ROOT / "recipes/ddpg_pendulum.yaml").read_text().replace(old, new))
    with pytest.raises(RecipeError, match=problem):
        assemble(load(planted))
