"""Reading a recipe: what loads, where each problem is found, and that nothing but RecipeError ever comes out."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lab.errors import RecipeError
from lab.recipe import ClassSpec, InlineTask, Recipe, Track, load, override

RECIPE = """\
# lab run recipes/x.yaml
task: ddpg
seed: 3
threads: 1
model:
  lr: 3.0e-3
  hidden: [64, 64]
data: {env: Pendulum-v1}
callbacks:
  - class_path: lightning.pytorch.callbacks.EarlyStopping
    init_args: {monitor: loss}
track: {experiment: pendulum, tags: {by: me}}
"""

LONG_KEY = "a key of more than 1,000 characters, counted with those it stands in"
same_folder = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=20
)


@pytest.fixture
def read(tmp_path: Path):
    """Load a text (or bytes) as `x.yaml`, with overrides."""

    def read(content: str | bytes, *overrides: str) -> Recipe:
        path = tmp_path / "x.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return load(path, overrides)

    return read


@pytest.fixture
def problems(read, tmp_path: Path):
    """What is wrong with a text, whether it stops the reading or not, without the folder's name."""

    def problems(content: str | bytes, *overrides: str) -> list[str]:
        try:
            found = read(content, *overrides).problems
        except RecipeError as error:
            found = error.problems
        lines = [str(problem).replace(f"{tmp_path}{os.sep}", "") for problem in found]
        assert all(line.isprintable() for line in lines), "a problem is one line"
        return lines

    return problems


def test_a_whole_recipe(read) -> None:
    recipe = read(RECIPE)
    assert (recipe.name, recipe.task, recipe.seed, recipe.threads, recipe.compile) == ("x", "ddpg", 3, 1, "auto")
    assert recipe.model == {"lr": 0.003, "hidden": [64, 64]}
    assert recipe.data == {"env": "Pendulum-v1"}
    assert recipe.trainer == {}
    assert recipe.callbacks == (ClassSpec("lightning.pytorch.callbacks.EarlyStopping", {"monitor": "loss"}),)
    assert recipe.track == Track(experiment="pendulum", tags={"by": "me"})
    assert recipe.problems == ()


def test_a_task_written_out(read) -> None:
    recipe = read("task: {module: my.pkg:Net, data: my.pkg:Data, monitor: val_loss}")
    assert recipe.task == InlineTask("my.pkg:Net", "my.pkg:Data", "val_loss", "min")
    assert recipe.problems == ()


def test_an_empty_section_is_an_empty_mapping(read) -> None:
    recipe = read("task: x\nmodel:\ndata:\ntrainer:\ncallbacks:\ntrack:\n")
    assert recipe.problems == ()
    assert (recipe.model, recipe.callbacks, recipe.track) == ({}, (), Track())


def test_a_comment_is_one_in_a_file_and_text_in_an_override(read) -> None:
    assert read("task: x\nmodel:\n  a: foo # comment").model == {"a": "foo"}
    for text in ("exp #1", "#1", "# 🔥", "a#b", "'exp #1'"):
        assert read("task: x", f"model.a={text}").model == {"a": text.strip("'")}
    with pytest.raises(RecipeError, match="text after the value; put quotes around all of it"):
        read("task: x", "model.a=[1, 2] # two")


@pytest.mark.parametrize(
    "value", ["exp #1", "🔥", "a: b", "1e-3", "'", '"', "\\n", "", [1.5, None, {"a": "#"}], math.inf, 16.0]
)
def test_an_override_says_what_it_was_made_of(read, value: Any) -> None:
    found = read("task: x", override("model.a", value)).model["a"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("track", "message"),
    [
        ({"name": "x" * 251}, "track.name: 251 characters; MLflow takes at most 250"),
        ({"experiment": "x" * 600}, "track.experiment: 600 characters; MLflow takes at most 500"),
        ({"name": "a\nb"}, "track.name: a name is one line of text, and here is the character U+000A"),
        ({"experiment": " "}, "track.experiment: empty; a name has at least one character"),
        ({"tags": {"a#b": "c"}}, "track.tags.a#b: MLflow takes letters"),
        ({"tags": {"../a": "c"}}, "track.tags.../a: MLflow takes no name"),
        ({"tags": {"a": "c" * 8001}}, "track.tags.a: 8,001 characters; MLflow takes at most 8,000"),
    ],
)
def test_names_that_mlflow_would_refuse(read, track: dict[str, Any], message: str) -> None:
    recipe = read("task: x", override("track", track))
    assert message in str(recipe.problems[0])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("1e-4", 1e-4), ("1.0e-4", 1e-4), (".5", 0.5), ("5.", 5.0), ("-3", -3), ("+1", 1), ("1E3", 1000.0)],
        *[("010", 10), ("0o17", 15), ("0x1F", 31), ("1_000", "1_000"), ("1:30", "1:30"), ("2020-01-01", "2020-01-01")],
        *[("yes", "yes"), ("on", "on"), ("No", "No"), ("y", "y"), ("true", True), ("False", False), ("'1'", "1")],
        *[("null", None), ("~", None), ("", None), (".inf", math.inf), ("-.INF", -math.inf), ("32-true", "32-true")],
        *[("=", "="), ("[1, [a]]", [1, ["a"]]), ("{a: {4: b}}", {"a": {4: "b"}})],
    ],
)
def test_scalars_are_those_of_yaml_1_2_in_files_and_overrides(read, text: str, value: Any) -> None:
    for recipe in (read(f"task: x\nmodel:\n  a: {text}\n"), read("task: x", f"model.a={text}")):
        assert recipe.model == {"a": value}
        assert type(recipe.model["a"]) is type(value)


def test_not_a_number_is_a_number(read) -> None:
    assert math.isnan(read("task: x\nmodel: {a: .nan}").model["a"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "x.yaml: empty; a recipe needs at least `task:`"),
        ("# only a comment\n", "x.yaml: empty; a recipe needs at least `task:`"),
        ("- a", "x.yaml:1: expected keys and values such as `task: ddpg`, found a list"),
        ("task", "x.yaml:1: expected keys and values such as `task: ddpg`, found text"),
        ("task: x\n\tseed: 1", "x.yaml:2: tab; YAML indents with spaces"),
        ("model:\n\tlr: 1", "x.yaml:2: tab; YAML indents with spaces"),
        ("a: {lr:0.1}", "x.yaml:1: 'lr:0.1' is one word; write `lr: 0.1`, with a space after the colon"),
        ("a:\n  - {b: 1, c:d}", "x.yaml:2: 'c:d' is one word; write `c: d`, with a space after the colon"),
        ("seed: 1\ntask: x\nseed: 2", "x.yaml:3: seed: duplicate key 'seed'; first set on line 1"),
        ("model:\n  lr: 1\n  b: 2\n  lr: 3", "x.yaml:4: model.lr: duplicate key 'lr'; first set on line 2"),
        ("a: &x 1", "x.yaml:1: anchor &x: write the value out, or put quotes around the text"),
        ("a: 1\nb: *x", "x.yaml:2: alias *x: write the value out, or put quotes around the text"),
        ("a: 1\n<<: {b: 1}", "x.yaml:2: merge key <<: write the values out"),
        (
            "a: !!python/object/apply:os.getcwd []",
            "x.yaml:1: tag !!python/object/apply:os.getcwd: a recipe holds plain data; put quotes around the text",
        ),
        ("a: !%1B%0A 1", "x.yaml:1: tag '!\\x1b\\n': a recipe holds plain data; put quotes around the text"),
        ("a: 1\n---\nb: 2", "x.yaml:2: a second document (`---`); a recipe is one (it began on line 1)"),
        ("a: [1,\n  2", "x.yaml:2: a bracket is not closed: expected ',' or ']' (it began on line 1)"),
        ("a: 'x", "x.yaml:1: a quote is not closed"),
        ("a: @x", "x.yaml:1: text that starts with '@' needs quotes"),
        ("a: *.png", "x.yaml:1: text that starts with '*' or '&' needs quotes"),
        ("a: b: c", "x.yaml:1: ': ' inside a value (such text needs quotes), or a line indented too far"),
        ("a: 1\nb", "x.yaml:2: expected `key: value`"),
        ("true: 1", "x.yaml:1: a key must be text or a whole number; put quotes around it"),
        ("? [a]\n: 1", "x.yaml:1: a key must be text or a whole number; put quotes around it"),
        ('a: "\\ud800"', "x.yaml:1: text that cannot be encoded as UTF-8 (half of a surrogate pair)"),
        (b"task: x\nname: \xff", "x.yaml:2: not UTF-8 text"),
        ("task: x\nname: \0", "x.yaml:2: a character that is not allowed: U+0000"),
        ("a: " + "9" * 5000, "x.yaml:1: a number of 5,000 digits"),
        ("a: 0x" + "f" * 900, "x.yaml:1: a number of 902 digits"),  # 1,084 when it is written as a decimal number
        ("a: [" + "1," * 400_000 + "]", "x.yaml:1: more than 10,000 values"),
        ("a:\n  ? " + "k" * 500_000 + f"\n  : [{'1,' * 9000}]", f"x.yaml:2: {LONG_KEY}"),  # gigabytes of keys
        (
            "a: &" + "x" * 100_000,
            f"x.yaml:1: anchor &{'x' * 57}...: write the value out, or put quotes around the text",
        ),
        (
            "a: !" + "x" * 100_000,
            f"x.yaml:1: tag !{'x' * 56}...: a recipe holds plain data; put quotes around the text",
        ),
        ("a:\n  " + "[" * 100_000, "x.yaml:2: nested more than 40 deep"),
        ("- " * 100_000, "x.yaml:1: nested more than 40 deep"),
        ("# " + "x" * 1_000_000, "x.yaml: 1,000,002 bytes; a recipe has at most 1,000,000"),
    ],
)
def test_what_cannot_be_read_says_where_and_why(read, problems, text: str | bytes, expected: str) -> None:
    with pytest.raises(RecipeError):
        read(text)
    assert problems(text) == [expected]


def test_a_byte_order_mark_and_windows_lines_are_fine(read) -> None:
    assert read(b"\xef\xbb\xbftask: x\r\nmodel: {a: 1}\r\n").model == {"a": 1}


def test_a_path_that_is_no_recipe(tmp_path: Path) -> None:
    (tmp_path / "pendulum.yaml").write_text("task: x")
    (tmp_path / "folder").mkdir()
    for name, expected in [
        ("pendulm.yaml", "no such file; did you mean 'pendulum.yaml'?"),
        ("missing/x.yaml", "no such file"),
        ("pendulum.yaml/x.yaml", "no such file"),
        ("folder", "a folder, not a recipe file"),
    ]:
        with pytest.raises(RecipeError) as caught:
            load(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name}: {expected}"
    for name in ("\0", "x" * 5000, "/dev/null/\n"):
        with pytest.raises(RecipeError) as caught:
            load(name)
        assert "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(RecipeError, match="not an ordinary file"):
        load(tmp_path / "pipe.yaml")


def test_every_problem_of_the_envelope_comes_with_its_line(problems) -> None:
    text = """\
modle: {}
task: 3
seed: -1
threads: 0
compile: 1
model: 4
callbacks:
  - {class_path: 3}
  - {init_arg: {}}
  - 5
track:
  expriment: a
  tags: {fold: 1}
zzzzzz: 1
2: 1
"""
    assert problems(text) == [
        "x.yaml:1: modle: unknown key 'modle'; did you mean 'model'?",
        "x.yaml:2: task: expected text or a mapping with module, data, monitor, mode, score, found 3",
        "x.yaml:3: seed: expected a whole number from 0 to 4294967295, found -1",
        "x.yaml:4: threads: expected a whole number from 1 to 4096 or null, found 0",
        "x.yaml:5: compile: expected true or false or 'auto', found 1",
        "x.yaml:6: model: expected a mapping, found 4",
        "x.yaml:8: callbacks.0.class_path: expected text, found 3",
        "x.yaml:9: callbacks.1.init_arg: unknown key 'init_arg'; did you mean 'init_args'?",
        "x.yaml:9: callbacks.1.class_path: missing; expected text: the importable class, such as "
        "`lightning.pytorch.callbacks.EarlyStopping` or `torch.optim.AdamW`",
        "x.yaml:10: callbacks.2: expected a mapping with class_path, init_args, found 5",
        "x.yaml:12: track.expriment: unknown key 'expriment'; did you mean 'experiment'?",
        "x.yaml:13: track.tags.fold: expected text, found 1",
        *[
            f"x.yaml:{line}: {key}: unknown key {key!r}; known keys: task, seed, threads, compile, model, data, "
            "trainer, callbacks, optimizer, lr_scheduler, start_from, checkpoint, track"
            for line, key in [(14, "zzzzzz")]
        ],
        "x.yaml:15: 2: unknown key 2; known keys: task, seed, threads, compile, model, data, trainer, callbacks, "
        "optimizer, lr_scheduler, start_from, checkpoint, track",
    ]


def test_a_misspelt_written_out_task(problems) -> None:
    assert problems("task: {module: a, data: b, monitor: c, mode: mn}") == [
        "x.yaml:1: task.mode: expected 'min' or 'max', found 'mn'; did you mean 'min'?"
    ]
    assert problems("seed: 1") == [
        "x.yaml: task: missing; expected text or a mapping with module, data, monitor, mode, score: the name of an "
        "installed task (`lab ls`), or a mapping with module, data, monitor, mode and score"
    ]


def test_what_is_wrong_keeps_its_default(read) -> None:
    recipe = read("task: 3\nseed: x\nmodel: {lr: 1}\ntrack: {nope: 1}")
    assert (recipe.task, recipe.seed, recipe.model, recipe.track) == ("", 0, {"lr": 1}, Track())
    assert len(recipe.problems) == 3


def test_a_problem_is_placed_at_its_key_or_the_nearest_parent(read, tmp_path: Path) -> None:
    recipe = read(RECIPE + 'trainer: {"a.b": 1}\n', "model.lr=1", "data={env: x}", "fresh.key=1")
    where = {
        "model.hidden": "x.yaml:7",
        "model.hidden.1": "x.yaml:7",
        "model.missing.deep": "x.yaml:5",
        "callbacks.0.init_args.monitor": "x.yaml:11",
        "trainer.a.b": "x.yaml:13",
        "absent": "x.yaml",
        "model.lr": "override model.lr=1",
        "data.env": "override data={env: x}",
        "fresh": "override fresh.key=1",
    }
    for key, expected in where.items():
        problem = recipe.problem(key, "no")
        assert (problem.where.replace(f"{tmp_path}{os.sep}", ""), problem.key) == (expected, key)


# ----------------------------------------------------------------------------------------------------------- overrides


def test_overrides_win_over_the_file_and_the_later_over_the_earlier(read) -> None:
    recipe = read(
        RECIPE,
        *["model.lr=1e-4", "model.lr=1e-5", "model.hidden.1=32", "callbacks.0.init_args.patience=2", "seed=9"],
        *["trainer.max_epochs=1", "track.name=foo", "data.sizes.4=8", "track.uri=sqlite:///a.db", "data.env="],
    )
    assert recipe.problems == ()
    assert recipe.model == {"lr": 1e-5, "hidden": [64, 32]}
    assert recipe.callbacks[0].init_args == {"monitor": "loss", "patience": 2}
    assert recipe.seed == 9
    assert recipe.trainer == {"max_epochs": 1}
    assert (recipe.track.name, recipe.track.uri) == ("foo", "sqlite:///a.db")
    assert recipe.data == {"env": None, "sizes": {4: 8}}
    assert recipe.overrides[:2] == ("model.lr=1e-4", "model.lr=1e-5")


def test_an_override_makes_the_mappings_it_needs(read) -> None:
    recipe = read("task: x\nmodel:\n", "model.lr=1", "trainer.a.b=[2]", "callbacks=[{class_path: c}]")
    assert recipe.problems == ()
    assert (recipe.model, recipe.trainer, recipe.callbacks) == ({"lr": 1}, {"a": {"b": [2]}}, (ClassSpec("c"),))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("model.lr", "expected a dotted key and a value, such as model.lr=1e-3"),
        ("=1", "expected a dotted key and a value, such as model.lr=1e-3"),
        ("model..lr=1", "expected a dotted key and a value, such as model.lr=1e-3"),
        ("model.lr=[1", "a bracket is not closed: expected ',' or ']'"),
        ("model.lr=a: b", "': ' inside a value (such text needs quotes), or a line indented too far"),
        ("model.lr=- a", "text that starts with '- ' needs quotes"),
        ("model.lr=*.png", "text that starts with '*' or '&' needs quotes"),
        ("model.lr=!!python/name:os.system", "tag !!python/name:os.system: a recipe holds plain data; put quotes "
         "around the text"),
        ("data.env_kwargs={size=3}", "'size=3' is one word; write `size: 3`, with a space after the colon"),
        ("callbacks=[{class_path:x.Y}]",
         "'class_path:x.Y' is one word; write `class_path: x.Y`, with a space after the colon"),
        ("a." * 60 + "b=1", "nested more than 40 deep"),
        (f"model.{'k' * 1000}=1", LONG_KEY),
        (f"model.{'k' * 900}={{{'j' * 100}: 1}}", LONG_KEY),
    ],
)  # fmt: skip
def test_an_override_that_cannot_be_read(read, problems, override: str, expected: str) -> None:
    with pytest.raises(RecipeError):
        read(RECIPE, override)
    assert problems(RECIPE, override) == [f"override {override}: {expected}"]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("model.lr.x=1", "model.lr.x: model.lr is a number; nothing can be set inside it"),
        ("task.module=1", "task.module: task is text; nothing can be set inside it"),
        ("model.hidden.2=1", "model.hidden.2: model.hidden is a list of 2 items, numbered from 0; it has no item 2"),
        ("callbacks.x.y=1", "callbacks.x.y: callbacks is a list of 1 item, numbered from 0; it has no item 'x'"),
        ("modle.lr=1", "modle: unknown key 'modle'; did you mean 'model'?"),
        ("seed=-1", "seed: expected a whole number from 0 to 4294967295, found -1"),
        ("model.4=1", "model.4: as a key expected text, found 4"),
    ],
)
def test_an_override_that_does_not_fit(problems, override: str, expected: str) -> None:
    assert problems(RECIPE, override) == [f"override {override}: {expected}"]


def test_all_unreadable_overrides_come_together_on_one_line_each(problems) -> None:
    assert problems(RECIPE, "a", "model.lr=\t1", "model.lr=a\nx: 2", "model.a\udc80=1") == [
        "override a: expected a dotted key and a value, such as model.lr=1e-3",
        "override 'model.lr=\\t1': tab; YAML indents with spaces",
        "override 'model.lr=a\\nx: 2': a line break in the value; put quotes around text, or brackets around a list",
        "override 'model.a\\udc80=1': text that cannot be encoded as UTF-8 (half of a surrogate pair)",
    ]


@pytest.mark.parametrize(
    "text",
    [
        *[
            "__import__('os').system('true')",
            "lambda:0",
            "open('/etc/passwd').read()",
            "1 + 1",
            "f'{seed}'",
            "exec('')",
        ],
        *["$HOME", "${HOME}", "${oc.env:HOME}", "%(seed)s", "{{ seed }}", "$(true)", "`true`", "~/a", "../*.yaml"],
    ],
)
def test_nothing_is_evaluated(read, text: str) -> None:
    quoted = text.replace("'", "''")
    assert read("task: x", f"model.a='{quoted}'").model == {"a": text}
    if not text.startswith(("{", "`", "%")):  # YAML's own signs
        assert read("task: x", f"model.a={text}").model == {"a": text}


@pytest.mark.slow
def test_long_but_honest_values_load_and_come_back(read) -> None:
    text = f"task: x\nmodel:\n  n: {'9' * 1000}\n  m: -{'9' * 999}\n  {'k' * 993}: {'x y ' * 1000}\n  s: {[1] * 9000}\n"
    recipe = read(text)
    assert read(recipe.to_yaml()).resolved() == recipe.resolved()


# ---------------------------------------------------------------------------------------------------------- properties

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | text
tricky = st.sampled_from(["1e-4", "010", "yes", "~", "1:30", "<<", "=", "*a", "- b", "a: b", "#", "0x1f", ".5", "+1"])
values = st.recursive(
    scalars | tricky,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text | st.integers() | tricky, inner, max_size=3),
    max_leaves=12,
)
words = st.dictionaries(st.text(st.characters(categories=["L"]), min_size=1, max_size=8), values, max_size=4)


def same(left: Any, right: Any) -> bool:
    """Equal in value and type, and not-a-number equal to itself."""
    return repr(left) == repr(right)


@pytest.mark.slow
@same_folder
@given(words, words)
@example({"a": "1e-4", "b": "\x85\u2028\ufeff"}, {"c": {"\x85": None, "\n": " \n"}})
def test_plain_data_comes_back_from_yaml_and_from_to_yaml(read, model: dict[str, Any], data: dict[str, Any]) -> None:
    recipe = read(yaml.dump({"task": "x", "model": model, "data": data}, Dumper=_Quoting, sort_keys=False))
    assert same((recipe.model, recipe.data), (model, data))
    again = read(recipe.to_yaml())
    assert same(again.resolved(), recipe.resolved())
    assert list(again.model) == list(model), "the order is the author's"


class _Quoting(yaml.SafeDumper):
    """Writes all text in quotes and nothing as an alias, so that the file says exactly what was meant."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


_Quoting.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def test_a_whole_recipe_comes_back_from_to_yaml(read, tmp_path: Path) -> None:
    recipe = read(RECIPE, "model.lr=1e-5", "task={module: a.b:C, data: d:E, monitor: val/x, mode: max}")
    assert read(recipe.to_yaml()).resolved() == recipe.resolved()
    assert "lr: 1.0e-05" in recipe.to_yaml()
    assert "&" not in load(tmp_path / "x.yaml").to_yaml()


@pytest.mark.slow
@same_folder
@given(st.text() | st.text("task: model\n\t -[]{}'\"#&*!|>%@`?,1.e<=", max_size=60))
@example("task: x\nmodel: {a: '\ud800'}")
def test_any_text_loads_or_says_why(problems, text: str) -> None:
    problems(text.encode("utf-8", "surrogatepass"))


@same_folder
@given(st.binary())
def test_any_bytes_load_or_say_why(problems, raw: bytes) -> None:
    problems(raw)


@same_folder
@given(
    st.text() | st.text("model.data0=\n\t -[]{}'\"#&*!|>%:", max_size=40), st.sampled_from(["", "model.a=", "seed="])
)
@example("model.lr:\x91", "")
@example("~\x91=1", "")
def test_any_override_loads_or_says_why(problems, override: str, key: str) -> None:
    problems(RECIPE, key + override)


@same_folder
@given(values)
def test_an_override_equals_writing_it_in_the_file(read, value: Any) -> None:
    written = (
        yaml.dump(value, Dumper=_Quoting, sort_keys=False, default_flow_style=True, width=10**9)
        .removesuffix("\n...\n")
        .strip()
    )
    in_file, overridden = read(f"task: x\nmodel:\n  a: {written}\n"), read("task: x", f"model.a={written}")
    assert same(in_file.resolved(), overridden.resolved())
    assert same(overridden.model["a"], value)


def test_reading_recipes_starts_nothing_heavy() -> None:
    code = (
        "import lab.recipe, lab.registry, sys; print(*{'torch', 'lightning', 'mlflow', 'pydantic'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == []
