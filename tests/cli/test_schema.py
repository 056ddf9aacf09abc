"""`lab schema`: printed, written beside a recipe, and named in it once."""

import json

import pytest

from lab.recipe import load


@pytest.mark.slow
def test_the_schema_of_a_task_and_of_any_recipe(lab):
    found = json.loads(lab("schema", "ddpg").out)
    assert found["properties"]["task"]["const"] == "ddpg"
    assert "gamma" in found["properties"]["model"]["properties"]
    assert json.loads(lab("schema", "ddpg_pendulum").out) == found
    assert "ddpg" in json.loads(lab("schema").out)["properties"]["task"]["anyOf"][0]["enum"]


@pytest.mark.slow
def test_a_schema_is_written_beside_a_recipe_that_names_it_once(lab, tmp_path):
    lab("cp", "ddpg_pendulum", "mine.yaml")
    before = load(tmp_path / "mine.yaml")
    outcome = lab("schema", "mine.yaml", "--write")
    assert outcome.out == "wrote ddpg.schema.json; editors with the YAML language server now check mine.yaml\n"
    assert json.loads((tmp_path / "ddpg.schema.json").read_text())["properties"]["task"]["const"] == "ddpg"
    text = (tmp_path / "mine.yaml").read_text()
    assert text.partition("\ntask:")[0].endswith("\n# yaml-language-server: $schema=ddpg.schema.json")
    after = load(tmp_path / "mine.yaml")
    assert (after, after.header) == (before, before.header)
    lab("schema", "mine.yaml", "--write")
    assert (tmp_path / "mine.yaml").read_text() == text


@pytest.mark.slow
@pytest.mark.parametrize("head", ["", "# lab run mine.yaml\n", "# lab run mine.yaml\n\n"])
def test_the_line_stands_before_the_first_key(lab, tmp_path, head):
    (tmp_path / "mine.yaml").write_text(f"{head}task: ddpg\n")
    assert lab("schema", "mine.yaml", "--write").code == 0
    lines = (tmp_path / "mine.yaml").read_text().splitlines()
    assert lines.index("# yaml-language-server: $schema=ddpg.schema.json") < lines.index("task: ddpg")


def test_a_modeline_at_the_head_is_no_description(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("# yaml-language-server: $schema=x.json\n# lab run mine.yaml\n# About it.\ntask: ddpg\n")
    assert load(file).header == ("lab run mine.yaml", "About it.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ddpgg"], "error: no recipe or task 'ddpgg'; did you mean 'ddpg'?\n"),
        (["nowhere.yaml"], "error: no recipe or task 'nowhere.yaml'\n"),
        (["ddpg", "--write"], "error: --write: expected a recipe file, such as one that `lab cp` made\n"),
        (["--write"], "error: --write: expected a recipe file, such as one that `lab cp` made\n"),
    ],
)
def test_a_wrong_name_is_one_line(lab, arguments, message):
    outcome = lab("schema", *arguments)
    assert (outcome.code, outcome.out, outcome.err) == (2, "", message)


def test_a_task_that_does_not_exist_is_said_with_its_line(lab, tmp_path):
    (tmp_path / "mine.yaml").write_text("task: ddgp\n")
    outcome = lab("schema", "mine.yaml")
    assert outcome.code == 2
    assert "mine.yaml:1: task: " in outcome.err
    assert "did you mean 'ddpg'?" in outcome.err
