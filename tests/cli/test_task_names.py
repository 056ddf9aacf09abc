"""The name of a task in the place of a recipe: all its settings are overrides."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import lab as package
from lab.errors import BadInput
from lab.recipe import load

Lab = Callable[..., Any]
SHORT = ("data.env=CartPole-v1", "data.total_steps=256", "data.num_envs=2", "data.num_steps=64", "data.eval_episodes=1")


@pytest.mark.slow
def test_a_task_is_trained_and_evaluated_without_a_file(lab: Lab) -> None:
    done = lab("run", "ppo", *SHORT, "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert (result["name"], result["task"], result["metrics"]["env_steps"]) == ("ppo", "ppo", 256)
    recorded = load(next(Path().rglob("recipe.yaml")))
    assert (recorded.task, recorded.data["env"], recorded.seed) == ("ppo", "CartPole-v1", 0)
    again = lab("eval", "last", "--json")
    assert json.loads(again.out)["test/return"] == result["score"]


@pytest.mark.slow
def test_it_is_repeated_and_tuned_like_a_recipe(lab: Lab) -> None:
    repeated = lab("run", "ppo", *SHORT, "--seeds", "2", "--workers", "1", "--json")
    assert repeated.code == 0, repeated.err
    assert [*json.loads(repeated.out)["results"]] == ["0", "1"]
    settings = dict(setting.split("=") for setting in SHORT)
    study = {"recipe": "ppo", "set": {key: yaml.safe_load(value) for key, value in settings.items()}}
    Path("study.yaml").write_text(yaml.safe_dump(study | {"space": {"model.lr": [0.001, 0.01]}, "trials": 2}))
    assert lab("check", "study.yaml").code == 0


def test_what_is_missing_is_said_by_name(lab: Lab) -> None:
    done = lab("check", "ppo", "-o", "data.num_envs=2")
    assert done.code == 2
    assert "ppo: data.env: missing" in done.err
    assert lab("check", "ppo", *(word for each in SHORT for word in ("-o", each))).code == 0
    printed = lab("run", "sac", "data.env=Pendulum-v1", "data.total_steps=1000", "--dry-run")
    assert yaml.safe_load(printed.out)["task"] == "sac"


def test_without_settings_its_recipes_are_named() -> None:
    with pytest.raises(BadInput, match=r"its recipes are ppo_\w+, .*, or with settings of your own: lab\.run"):
        package.run("ppo")


def test_a_file_of_that_name_wins(lab: Lab) -> None:
    Path("ppo").write_text("task: sac\n")
    done = lab("run", "ppo", "data.env=Pendulum-v1", "data.total_steps=1000", "--dry-run")
    assert yaml.safe_load(done.out)["task"] == "sac"
    Path("ddpg").mkdir()  # a folder is no recipe
    done = lab("run", "ddpg", "data.env=Pendulum-v1", "data.total_steps=1000", "--dry-run")
    assert yaml.safe_load(done.out)["task"] == "ddpg"


def test_a_packages_task_may_have_a_dash_in_its_name() -> None:
    assert load("my-agent", ["data.env=CartPole-v1"]).task == "my-agent"


def test_an_option_that_is_a_setting_is_answered_with_the_setting(lab: Lab) -> None:
    done = lab("run", "ppo", "data.env=CartPole-v1", "--gamma", "0.9")
    assert (done.code, "settings have no dashes: model.gamma=0.9" in done.err) == (2, True)
    Path("study.yaml").write_text("recipe: ppo\nset: {data.env: CartPole-v1}\nspace: {model.lr: [0.001, 0.01]}\n")
    assert "`set: {model.gamma: 0.9}`" in lab("tune", "study.yaml", "--gamma", "0.9").err
    assert "lab run ppo data.env=CartPole-v1" in lab("ppo", "data.env=CartPole-v1").err
