"""What a name of an environment leads to is checked before it is called, and so are the keywords of its constructor."""

import functools
import inspect
import os
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import pytest
from gymnasium.envs.registration import EnvSpec, WrapperSpec

from lab.errors import BadSetting
from lab.rl.envs.async_stepper import _sendable
from lab.rl.envs.environment import describe, make
from tests.rl.points import Point, Sized

MODULE = """
import gymnasium as gym
from tests.rl.points import Point

class Mine(Point):
    pass

class Loose(Point):
    pass

gym.register("Other/Mine-v0", entry_point=Mine)
gym.register("Other/Made-v0", entry_point=lambda **keywords: Mine(**keywords))
"""


@pytest.fixture
def registered(monkeypatch):
    def add(entry_point, name="Named-v0", **settings):
        monkeypatch.setitem(gym.registry, name, EnvSpec(name, entry_point=entry_point, **settings))
        return name

    return add


def refusal(env, env_kwargs=None):
    with pytest.raises(BadSetting) as error:
        make(env, env_kwargs)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "entry_point",
    [
        "subprocess:Popen",
        "os:system",
        subprocess.Popen,
        subprocess.run,
        os.system,
        functools.partial(subprocess.run, shell=True),
        functools.partial(Path, "x"),
        dict,
        Path,
        exec,
        "lab.errors:BadInput",
        "lab.errors:nothing",
        3,
        None,
    ],
)
def test_only_environments_are_called(entry_point, registered, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = refusal(registered(entry_point, kwargs={"args": ["touch", "made"]}))
    assert message.startswith("env: 'Named-v0' ")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_no_module_of_python_s_own_is_imported():
    for module in sorted(sys.stdlib_module_names):  # `antigravity` opens a browser, `idlelib.idle` a window
        before = set(sys.modules)
        assert "is in Python's standard library" in refusal(f"{module}:Named-v0")
        assert set(sys.modules) == before


def test_neither_are_other_things_than_wrappers(registered):
    wrapper = WrapperSpec("Wrapper", "subprocess:Popen", {"args": ["true"]})
    assert "is in Python's standard library" in refusal(registered(Point, additional_wrappers=(wrapper,)))


@pytest.mark.parametrize(
    "entry_point", [Point, "tests.rl.points:Point", lambda **_: Point(), functools.partial(Sized, size=2)]
)
def test_classes_functions_and_partials_make_environments(entry_point, registered):
    assert describe(registered(entry_point))["observation_size"] == 2


def test_names_in_a_module_are_suggested(tmp_path, monkeypatch):
    (tmp_path / "other_envs.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert describe("other_envs:Other/Mine-v0")["env"] == "other_envs:Other/Mine-v0"
    assert refusal("other_envs:Other/Min-v0").endswith("; did you mean 'other_envs:Other/Mine-v0'?")
    assert describe("other_envs:Loose")["env"] == "other_envs:Loose"  # a class needs no name in the registry
    everything = ("Other/Mine-v0", "Other/Made-v0", "Mine", "Loose")
    assert refusal("other_envs:xyz").endswith(
        f"; other_envs has {', '.join(f'other_envs:{each}' for each in everything)}"
    )
    assert _sendable("other_envs:Other/Made-v0") is None
    with pytest.raises(BadSetting, match=r"vectorization: .*name its module \(data.env=my_module:Other/Made-v0\)"):
        _sendable("Other/Made-v0")
    assert _sendable("CartPole-v1").id == "CartPole-v1"


KEYWORDS = [
    (None, "env_kwargs: 'Named-v0' needs size; set data.env_kwargs={size: ...}"),
    ({"size": 3, "sped": 2}, "env_kwargs.sped: unknown keyword 'sped' of 'Named-v0'; did you mean 'speed'?"),
    ({"size": 3, "weight": 2}, "unknown keyword 'weight' of 'Named-v0'; known keywords: size, speed"),
    ({"size": "big"}, "env_kwargs.size: expected a whole number, found 'big'"),
    ({"size": True}, "env_kwargs.size: expected a whole number, found True"),
    ({"size": 3, "speed": "1"}, "env_kwargs.speed: expected a number, found '1'"),
    ({"size": 3, "render_mode": "human"}, "env_kwargs.render_mode: opens a window for every environment; watch"),
    ({"size": 3, "max_episode_steps": 3}, "cannot be set here: set data.episode_steps"),
]


@pytest.mark.parametrize(("env_kwargs", "words"), KEYWORDS)
def test_keywords_are_those_of_the_constructor(env_kwargs, words, registered):
    assert words in refusal(registered(Sized), env_kwargs)


def test_keywords_that_fit_are_passed_on(registered):
    env = make(registered(Sized), {"size": 3, "speed": 2})
    assert (env.unwrapped.size, env.unwrapped.speed) == (3, 2)
    assert make(registered(Sized, kwargs={"size": 7})).unwrapped.size == 7


def test_a_constructor_that_takes_any_keyword_decides_itself(registered):
    class Free(Point):
        def __init__(self, **keywords):
            self.size = keywords.pop("size", 1)
            super().__init__(**keywords)

    assert make(registered(Free), {"size": 5}).unwrapped.size == 5
    assert refusal("Named-v0", {"render": 5}).startswith("env_kwargs.render: unknown keyword 'render'")


def test_keywords_that_a_constructor_refuses_are_named(registered):
    class Picky(Point):
        def __init__(self, name="4x4"):
            {"4x4": 4}[name]
            super().__init__()

    assert refusal(registered(Picky), {"name": "7x7"}) == (
        "env_kwargs: 'Named-v0', name='7x7' could not be created: KeyError: '7x7'"
    )


def test_an_error_without_a_text_has_its_place(registered):
    class Silent(Point):
        def __init__(self):
            raise AssertionError

    line = inspect.getsourcelines(Silent)[1] + 2
    said = refusal(registered(Silent))
    assert said.startswith("env: 'Named-v0' could not be created: AssertionError (")
    assert said.endswith(f"test_entry_point.py:{line})")


def test_an_exit_in_a_constructor_is_no_exit(registered):
    def leave(**_):
        sys.exit(3)

    assert refusal(registered(leave)) == "env: 'Named-v0' could not be created: SystemExit: 3"


def test_a_space_that_is_missing_is_named(registered):
    class Bare(gym.Env):
        pass

    assert "TypeError: its observation_space is missing, expected a gymnasium.Space" in refusal(registered(Bare))


def test_looking_at_a_class_runs_no_code_of_its_metaclass(tmp_path, monkeypatch):
    (tmp_path / "guarded.py").write_text(
        "class Guard(type):\n"
        "    def __getattribute__(cls, name):\n"
        "        if name.startswith('_'):\n"
        "            return super().__getattribute__(name)\n"
        "        raise ImportError('needs another package')\n"
        "class Placeholder(metaclass=Guard):\n"
        "    pass\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BadSetting, match="no environment 'guarded:Placeholder'; guarded has no environments"):
        describe("guarded:Placeholder")


def test_a_class_of_the_folder_is_found_by_a_word_that_is_close(tmp_path, monkeypatch):
    (tmp_path / "close_envs.py").write_text("import gymnasium as gym\n\n\nclass Corridor(gym.Env):\n    pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert refusal("close_envs:Coridor").endswith(
        "no environment 'close_envs:Coridor'; did you mean 'close_envs:Corridor'?"
    )
    assert refusal("close_envs:Xylophone").endswith("; close_envs has close_envs:Corridor")
