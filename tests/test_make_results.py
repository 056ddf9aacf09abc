"""The page of results: which trainings count, what stands beside them, and that a second call trains nothing."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from lab.errors import LabError
from lab.recipe import load
from lab.registry import task_names
from tests.comparison.test_groups import run

DOCS = Path(__file__).parents[1] / "docs"
PARAMS = {"task": "ddpg", "data.env": "Pendulum-v1", "data.total_steps": "4000", "model.lr": "0.1"}


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """docs/make_results.py, in a folder of its own with one recipe."""
    monkeypatch.syspath_prepend(DOCS)
    import make_results

    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "ddpg_pendulum.yaml").write_text("task: ddpg\ndata: {env: Pendulum-v1}")
    monkeypatch.setattr(make_results, "DOCS", tmp_path)
    monkeypatch.setattr(make_results, "RECIPES", tmp_path / "recipes")
    monkeypatch.setattr(make_results, "STORE", tmp_path / "results" / "mlflow.db")
    return make_results


def trained(seed: int, score: float, **params: str) -> Any:
    metrics = {"seconds/fit": 60.0 * (seed + 2)}
    if params.get("data__env", "Pendulum-v1") == "Pendulum-v1":
        metrics["test/optimality_gap"] = -100.0 - score
    given = {"data__total_steps": "4000", "model__lr": "0.1", **params}
    return run(
        seed, score, metrics=metrics, tags={"hardware": "a machine", "mlflow.source.git.commit": "1234567890"}, **given
    )


def agent(name: str, scores: list[float], task: str = "ddpg", env: str = "Pendulum-v1", **params: str) -> Any:
    from results_page import Agent

    recipe = SimpleNamespace(name=name, task=task, seed=0)
    given = PARAMS | {"task": task, "data.env": env} | params
    return Agent(recipe, given, [trained(i, x, data__env=env) for i, x in enumerate(scores)])


def row(*arguments: Any, **named: Any) -> Any:
    return agent(*arguments, **named).result()


# ------------------------------------------------------------------------------------------------ which trainings count


def test_a_training_counts_if_its_parameters_are_those_of_the_recipe_now(results: Any) -> None:
    runs = [
        trained(0, -150.0),
        trained(0, -160.0),  # older
        trained(1, -151.0, threads="2"),
        trained(2, -152.0, model__lr="0.2"),  # before the recipe was changed
        trained(3, -153.0, model__new="1"),
        trained(7, -154.0),  # more than was asked for
        trained(4, -155.0, model__added="None", trainer__log_every_n_steps="9"),  # which change no score
    ]
    asked = []

    def search_runs(experiments: list[str], condition: str, **_: Any) -> list[Any]:
        asked.append((experiments, condition))
        return runs

    server = SimpleNamespace(search_experiments=lambda: [SimpleNamespace(experiment_id="4")], search_runs=search_runs)
    assert results.recorded(agent("ddpg_pendulum", []), server).runs == [runs[0], runs[2], runs[6]]
    assert asked == [(["4"], 'tags.recipe = "ddpg_pendulum" AND attributes.status = "FINISHED"')]


@pytest.mark.slow
def test_the_agents_are_the_recipes_with_an_environment(
    results: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipes" / "moons.yaml").write_text("task: {module: a:B, data: a:C, monitor: x}")
    good = "task: ddpg\nseed: 3\ndata: {env: Pendulum-v1, total_steps: 1200, batch_size: 8}\n"
    (tmp_path / "recipes" / "ddpg_pendulum.yaml").write_text(good)
    (tmp_path / "recipes" / "odd.yaml").write_text(good.replace("Pendulum-v1", "Pendulm-v1"))
    planned = "task: dynamic_programming\nseed: 0\ndata: {env: FrozenLake-v1}\n"
    (tmp_path / "recipes" / "planned.yaml").write_text(planned)
    (found,) = results.agents()
    assert (found.name, found.params["data.env"], found.steps) == ("ddpg_pendulum", "Pendulum-v1", 1200)
    assert found.params["model.gamma"] == "0.99", "defaults count too"
    assert not {"seed", "threads"} & set(found.params)
    assert "odd is left out" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------------- the page


def test_a_figure_is_that_of_the_recipe_or_of_its_task(results: Any) -> None:
    from results_page import published

    assert published(row("noisy_dqn_pendulum", [-1.0], "dqn"))["notebooks"].score == -1367.53
    assert published(row("dqn_pendulum", [-1.0], "dqn"))["notebooks"].score == -838.13
    rainbow = published(row("rainbow_cartpole", [1.0], "dqn", "CartPole-v1"))
    assert (rainbow["rl-baselines3-zoo"].score, rainbow["rl-baselines3-zoo"].steps) == (500.0, "50k")
    assert published(row("sac_cheetah", [1.0], "sac", "HalfCheetah-v5"))["rl-baselines3-zoo"].env == "HalfCheetah-v3"
    grid = published(row("ppo_minigrid", [1.0], "ppo", "minigrid:MiniGrid-Empty-Random-5x5-v0"))
    assert grid["rl-baselines3-zoo"].score == 0.968
    assert published(row("reinforce_cartpole", [1.0], "reinforce", "CartPole-v1")) == {}


def test_the_page(results: Any) -> None:
    from results_page import page

    worse = row("td3_pendulum", [-160.0, -162.0, -161.0], "td3")
    validated = agent("ddpg_pendulum", [-140.0, -141.0, -142.0])
    for each, last in zip(validated.runs, (-142.0, -143.0, -144.0), strict=True):
        each.data.metrics["val/return"] = last
    better = validated.result()
    cheetah = row("sac_cheetah", [9500.0, 9600.0], "sac", "HalfCheetah-v5", **{"data.total_steps": "300000"})
    one = row("a2c_cartpole", [300.0], "a2c", "CartPole-v1")
    text = page(
        [worse, better, cheetah, one], [agent("sac_hopper", [], "sac", **{"data.total_steps": "1000000"})], True
    )
    assert "Significantly below: `td3_pendulum`." in text
    assert "Not trained yet: `sac_hopper` (1M steps)." in text
    assert "a machine" in text
    assert "(images/agents.png)" in text
    assert "No episode earns more than 500." in text
    assert "The optimal mean return on these starts is -100.0" in text
    assert "- 1234567, on a machine: all rows\n" in text
    assert re.findall("^## (.*)", text, re.M)[:3] == ["CartPole-v1", "HalfCheetah-v5", "Pendulum-v1"]
    rows = {row.split(" | ")[1]: row.strip("| ").split(" | ") for row in text.splitlines() if "../recipes/" in row}
    first, second = (f"[{name}](../recipes/{name}.yaml)" for name in ("ddpg_pendulum", "td3_pendulum"))
    assert list(rows)[2:] == [first, second], "the best one first"
    assert rows[first][0] == "[ddpg](ddpg.md)"
    assert rows[first][2:] == [
        *("3", "4k", "**-141**", "-142 to -140", "-143", "41", "3 min", "1234567"),
        *("-152.1 (20k): above", "-627.5: above"),
    ]
    assert rows[second][6] == "-", "a row from before the last policy's return was kept"
    assert rows[second][-2:] == ["-151.9 (20k): **below**", "-"]
    assert rows["[sac_cheetah](../recipes/sac_cheetah.yaml)"][-1] == "9535 (1M, HalfCheetah-v3): within"
    assert rows["[a2c_cartpole](../recipes/a2c_cartpole.yaml)"][-1] == "500 (500k): one seed"


def test_a_recipe_without_runs_keeps_its_earlier_row(results: Any, tmp_path: Path) -> None:
    from dataclasses import replace

    from results_page import load_results, page, save_results

    assert load_results(tmp_path / "results.json") == {}
    rows = {name: row(name, [-140.0, -141.0]) for name in ("td3_pendulum", "ddpg_pendulum")}
    rows["sac_pendulum"] = replace(row("sac_pendulum", [-150.0, -152.0], "sac"), commits=["abcdefg"], hardware=["old"])
    save_results(tmp_path / "results.json", rows)
    assert load_results(tmp_path / "results.json") == rows
    text = page(list(rows.values()), [], False)
    assert "- 1234567, on a machine: all other rows\n- abcdefg, on old: `sac_pendulum`\n" in text
    assert re.search(r"sac_pendulum.*\| abcdefg \|", text)
    assert re.search(r"td3_pendulum.*\| 1234567 \|", text)


def test_published_figures_are_of_tasks_and_numbers() -> None:
    published = yaml.safe_load((DOCS / "published.yaml").read_text())
    recipes = {path.stem.rpartition("_")[0] for path in (DOCS.parent / "recipes").glob("*.yaml")}
    for returns in published["sources"]["rl-baselines3-zoo"]["returns"].values():
        assert set(returns) <= {*task_names(), *recipes}
        for score, steps in returns.values():
            assert isinstance(score, float)
            assert re.fullmatch(r"\d+[kM]", steps)


# ---------------------------------------------------------------------------------------------------------- the command


@pytest.fixture
def pretended(results: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """The command with agents, a server and trainings that are made up; `there` are the scores by name."""
    state = SimpleNamespace(there={"ddpg_pendulum": [-150.0] * 5}, begun=[], fails=())
    file = load(tmp_path / "recipes" / "ddpg_pendulum.yaml")
    names = {"ddpg_pendulum": "4000", "td3_pendulum": "4000", "sac_night": "3000000"}

    def agents() -> Any:
        for name, steps in names.items():
            (tmp_path / "recipes" / f"{name}.yaml").write_text("task: ddpg")
            found = agent(name, [], **{"data.total_steps": steps})
            yield type(found)(SimpleNamespace(name=name, task="ddpg", seed=0, path=file.path), found.params)

    def train(found: Any, workers: int | None) -> None:
        state.begun.append((found.name, workers))
        if found.name in state.fails:
            raise state.fails[found.name]
        state.there[found.name] = [-150.0] * 5

    monkeypatch.setattr(results, "agents", agents)
    monkeypatch.setattr(results, "client", lambda _: None)
    monkeypatch.setattr(results, "recorded", lambda a, _: agent(a.name, state.there.get(a.name, []), **a.params))
    monkeypatch.setattr(results, "train", train)
    for name in names:
        (tmp_path / "recipes" / f"{name}.yaml").touch()
    return state


def test_only_what_is_missing_is_trained(pretended: SimpleNamespace, results: Any, tmp_path: Path) -> None:
    assert results.main(["--workers", "3"]) == 0
    assert pretended.begun == [("td3_pendulum", 3)]
    assert "`sac_night` (3M steps)" in (tmp_path / "results.md").read_text(), "which nobody asked for by name"
    assert results.main([]) == 0
    assert len(pretended.begun) == 1
    assert results.main(["--only", "sac_night"]) == 0
    assert pretended.begun[1:] == [("sac_night", None)]


def test_what_takes_a_night_is_known_by_its_steps(results: Any) -> None:
    for steps, replay, night in [
        ("100000", True, False),
        ("100001", True, True),
        ("800000", False, False),
        ("3000000", False, True),
    ]:
        more = {"data.total_steps": steps} | ({"data.updates_per_step": "1.0"} if replay else {})
        assert results.takes_a_night(agent("x_y", [], **more)) is night


def test_a_training_that_fails_holds_up_no_other(
    pretended: SimpleNamespace, results: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pretended.there, pretended.fails = {}, {"ddpg_pendulum": LabError("not every seed was trained: no luck")}
    assert results.main([]) == 1
    assert [name for name, _ in pretended.begun] == ["ddpg_pendulum", "td3_pendulum"]
    assert "error: not every seed was trained: no luck\n" in capsys.readouterr().err
    assert "`ddpg_pendulum` (4k steps)" in (tmp_path / "results.md").read_text()


def test_an_interruption_leaves_the_page_alone(pretended: SimpleNamespace, results: Any, tmp_path: Path) -> None:
    pretended.fails = {"td3_pendulum": KeyboardInterrupt()}
    assert results.main([]) == 130
    assert not (tmp_path / "results.md").exists()


def test_an_earlier_row_stays_until_its_recipe_is_trained(
    pretended: SimpleNamespace, results: Any, tmp_path: Path
) -> None:
    from results_page import load_results, save_results

    save_results(tmp_path / "results.json", {"sac_night": row("sac_night", [-170.0]), "gone": row("gone", [-1.0])})
    assert results.main([]) == 0
    assert set(load_results(tmp_path / "results.json")) == {"ddpg_pendulum", "td3_pendulum", "sac_night"}
    assert "**-170**" in (tmp_path / "results.md").read_text()
    assert "Not trained yet" not in (tmp_path / "results.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "dpg_pendulum"], "--only dpg_pendulum: no such recipe; did you mean 'ddpg_pendulum'?"),
        (["--table"], "no runs in .*mlflow.db yet; `make results` trains them"),
    ],
)
def test_bad_input_is_one_line(
    results: Any, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert results.main(arguments) == 2
    assert re.fullmatch(f"error: {re.escape(message).replace(re.escape('.*'), '.*')}\n", capsys.readouterr().err)
