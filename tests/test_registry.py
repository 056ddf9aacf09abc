"""Entry points: listed without importing, loaded without harming a neighbour, named when two bring the same."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest

from lab import registry
from lab.errors import BadInput
from lab.registry import find_recipe, find_task, plugins, recipes, task_names
from lab.task import Task

GOOD = """\
from lab.task import Task
class Net: pass
class Data: pass
TASK = Task(module=Net, data=Data, monitor="val/loss", mode="min")
NOT_A_TASK = 3
"""

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a distribution on the path: `install("name", "1.0", tasks={...}, recipes={...}, files={...})`."""

    def install(
        name: str, version: str = "1.0", *, folder: str = "site", files: dict[str, str] | None = None, **groups: dict
    ) -> Path:
        site = tmp_path / folder
        text = "".join(
            f"[lab.{group}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
            for group, entries in groups.items()
        )
        about = {
            "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            "entry_points.txt": text,
        }
        info = f"{name.replace('-', '_')}-{version}.dist-info"
        for path, content in {**{f"{info}/{key}": value for key, value in about.items()}, **(files or {})}.items():
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_text(content)
        if str(site) not in sys.path:
            monkeypatch.syspath_prepend(str(site))
        return site

    def only_ours() -> Iterable[Distribution]:
        return distributions(path=[path for path in sys.path if path.startswith(str(tmp_path))])

    monkeypatch.setattr(registry, "distributions", only_ours)  # loading the real tasks takes seconds
    yield install
    for module in [module for module in sys.modules if module.startswith("my_")]:
        del sys.modules[module]


def states() -> dict[str, tuple[str, str]]:
    return {plugin.name: (plugin.state, plugin.error) for plugin in plugins()}


# --------------------------------------------------------------------------------------------------------------- tasks


def test_a_strangers_task_is_listed_without_import_and_found(install: Install) -> None:
    install("my-moons", "2.1", tasks={"moons_": "my_moons:TASK"}, files={"my_moons.py": GOOD})
    assert task_names() == ["moons_"]
    assert [plugin.state for plugin in plugins(load=False)] == ["ok"]
    assert "my_moons" not in sys.modules
    task = find_task("moons_")
    assert isinstance(task, Task)
    assert task.monitor == "val/loss"
    (plugin,) = plugins()
    assert (plugin.kind, plugin.value, plugin.source, plugin.state) == ("task", "my_moons:TASK", "my-moons 2.1", "ok")


def test_a_strangers_task_stands_beside_our_own(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "distributions", distributions)
    install("my-moons", tasks={"moons_": "my_moons:TASK"}, files={"my_moons.py": GOOD})
    assert {"ddpg", "moons_"} <= set(task_names())
    assert find_task("moons_").mode == "min"


def test_an_unknown_task_gets_the_nearest_name(install: Install) -> None:
    install("my-moons", tasks={"moons_": "my_moons:TASK"})
    with pytest.raises(BadInput, match=r"^no task 'mons_'; did you mean 'moons_'\?$"):
        find_task("mons_")
    with pytest.raises(BadInput, match=r"^no task 'zzzz'; installed: moons_$"):
        find_task("zzzz")


@pytest.mark.parametrize(
    ("value", "source", "error"),
    [
        ("my_bad:TASK", "1 / 0", "importing 'my_bad' failed: ZeroDivisionError: division by zero"),
        ("my_bad:TASK", "import sys; sys.exit(3)", "importing 'my_bad' failed: SystemExit: 3"),
        (
            "my_bad:TASK",
            "import nowhere_",
            "importing 'my_bad' failed: ModuleNotFoundError: No module named 'nowhere_'",
        ),
        ("my_bad:TASK", "def f(:", r"importing 'my_bad' failed: SyntaxError: .*"),
        ("my_bad:TASK", "raise ValueError('a\\n  b')", "importing 'my_bad' failed: ValueError: a b"),
        ("my_bad:TSAK", GOOD, r"module 'my_bad' has no 'TSAK'; did you mean 'TASK'\?"),
        ("my_bad:NOT_A_TASK", GOOD, r"'my_bad:NOT_A_TASK' is of type int, not lab\.task\.Task"),
        ("my_bad.none:TASK", GOOD, r"no module 'my_bad\.none' \(for 'my_bad\.none:TASK'\); is it installed, .*"),
        ("not a value!", GOOD, "expected `package.module:Name`, found 'not a value!'"),
    ],
)
def test_a_broken_plugin_is_a_line_and_harms_nobody(install: Install, value: str, source: str, error: str) -> None:
    install("my-bad", tasks={"bad_": value}, files={"my_bad.py": source})
    install("my-moons", tasks={"moons_": "my_moons:TASK"}, files={"my_moons.py": GOOD})
    found = states()
    assert found["moons_"] == ("ok", "")
    assert found["bad_"][0] == "broken"
    with pytest.raises(BadInput, match=rf"^task 'bad_' of my-bad 1\.0 is broken: {error}$") as caught:
        find_task("bad_")
    assert str(caught.value).endswith(found["bad_"][1])
    assert "\n" not in str(caught.value)
    assert find_task("moons_")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("entry_points.txt", b"[lab.tasks]\nno equals sign\n"),
        ("entry_points.txt", b"[lab.tasks]\nbad_ = \xff\n"),
        ("METADATA", b""),
    ],
)
def test_a_damaged_installation_hides_only_itself(install: Install, file: str, content: bytes) -> None:
    site = install("my-bad", tasks={"bad_": "my_bad:TASK"})
    install("my-moons", tasks={"moons_": "my_moons:TASK"}, files={"my_moons.py": GOOD})
    (site / "my_bad-1.0.dist-info" / file).write_bytes(content)
    assert "moons_" in task_names()
    assert states()["moons_"] == ("ok", "")


def test_two_distributions_with_one_name_are_refused_and_both_named(install: Install) -> None:
    install("my-moons", tasks={"moons_": "my_moons:TASK"}, files={"my_moons.py": GOOD})
    install("my-other", "3.0", tasks={"moons_": "my_moons:TASK", "suns_": "my_moons:TASK"})
    both = r"task 'moons_' is in my-moons 1\.0 \(my_moons:TASK\) and my-other 3\.0 \(my_moons:TASK\)"
    with pytest.raises(BadInput, match=rf"^{both}; uninstall one of them$"):
        find_task("moons_")
    assert [plugin.state for plugin in plugins() if plugin.name == "moons_"] == ["duplicate", "duplicate"]
    assert states()["suns_"] == ("ok", "")
    assert task_names().count("moons_") == 1


def test_one_distribution_seen_twice_is_no_duplicate(install: Install) -> None:
    install("my-moons", tasks={"moons_": "my_moons:TASK"}, files={"my_moons.py": GOOD})
    install("My_Moons", folder="checkout", tasks={"moons_": "my_moons:TASK"})
    assert find_task("moons_")
    assert [plugin.state for plugin in plugins() if plugin.name == "moons_"] == ["ok"]


# ------------------------------------------------------------------------------------------------------------- recipes

RECIPE = "# lab run recipes/{0}.yaml\n# {0}: expect 0.9\ntask: x\n"


def test_recipes_are_found_without_importing_their_package(install: Install) -> None:
    site = install(
        "my-moons",
        recipes={"moons": "my_moons.recipes"},
        files={
            "my_moons/__init__.py": "1 / 0",
            "my_moons/recipes/moons_small.yaml": RECIPE.format("moons_small"),
            "my_moons/recipes/studies/moons_table.yaml": "recipe: ../moons_small.yaml\nspace: {}\n",
        },
    )
    found = recipes()["moons_small"]
    assert (found.distribution, found.summary) == ("my-moons", "moons_small: expect 0.9")
    assert found.path == site / "my_moons" / "recipes" / "moons_small.yaml"
    assert "moons_table" not in recipes()
    assert recipes("study")["moons_table"].summary == ""
    found.path.unlink()
    found.path.symlink_to("nowhere")
    assert recipes()["moons_small"].summary == ""
    assert find_recipe("moons_table", "study") == site / "my_moons" / "recipes" / "studies" / "moons_table.yaml"
    assert states()["moons"] == ("ok", "")
    assert "my_moons" not in sys.modules


def test_a_file_wins_over_an_installed_name(install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = install("my-moons", recipes={"m": "my_moons"}, files={"my_moons/moons_.yaml": RECIPE.format("moons_")})
    monkeypatch.chdir(tmp_path)
    (tmp_path / "moons_").mkdir()
    assert find_recipe("moons_") == site / "my_moons" / "moons_.yaml"
    (tmp_path / "moons_").rmdir()
    (tmp_path / "moons_").write_text("task: x")
    assert find_recipe("moons_") == Path("moons_")


def test_an_unknown_recipe_gets_the_nearest_name(install: Install) -> None:
    install("my-moons", recipes={"m": "my_moons"}, files={"my_moons/moons_.yaml": RECIPE.format("moons_")})
    for given in ("mons_", "recipes/mons_.yaml", "MOONS_"):
        with pytest.raises(BadInput) as caught:
            find_recipe(given)
        assert str(caught.value) == f"no recipe file {given!r}, and none installed; did you mean 'moons_'?"
    with pytest.raises(BadInput, match="'/' is a folder, not a recipe file"):
        find_recipe("/")
    for odd in ("", "\0", "x" * 5000, "/nowhere"):
        with pytest.raises(BadInput):
            find_recipe(odd)


def test_recipes_of_one_name_are_told_apart(install: Install) -> None:
    files = {f"{package}/moons_.yaml": RECIPE.format("moons_") for package in ("my_a", "my_b/inner")}
    site = install("my-moons", recipes={"a": "my_a"}, files=files)
    install("my-other", recipes={"b": "my_b"})
    with pytest.raises(BadInput, match=r"several .* 'moons_'; use one of: my-moons/moons_, my-other/inner/moons_$"):
        find_recipe("moons_")
    assert find_recipe("my-other/inner/moons_") == site / "my_b" / "inner" / "moons_.yaml"


def test_a_missing_folder_of_recipes_is_a_line(install: Install) -> None:
    install("my-bad", recipes={"gone": "my_bad.recipes", "odd": "..", "none": "nowhere_"}, files={"my_bad.py": ""})
    install("my-moons", recipes={"m": "my_moons"}, files={"my_moons/moons_.yaml": RECIPE.format("moons_")})
    assert states() == {
        "gone": ("broken", "no package 'my_bad.recipes'"),
        "odd": ("broken", "no package '..'"),
        "none": ("broken", "no package 'nowhere_'"),
        "m": ("ok", ""),
    }
    assert "moons_" in recipes()


def test_our_own_recipes_are_installed() -> None:
    shelves = [recipes(shelf) for shelf in ("recipe", "study", "claim")]
    own = [file for shelf in shelves for file in shelf.values() if file.distribution == "torch-lab"]
    files = Path(registry.__file__).parents[1].joinpath("recipes").rglob("*.yaml")
    assert {file.stem for file in files} == {file.name for file in own}
    assert all(file.summary for file in own)
