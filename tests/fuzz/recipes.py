"""Fuzz target: any bytes as a recipe file. They load and survive being written again, or say what is wrong."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import atheris

from tests.fuzz import harness

with atheris.instrument_imports(include=["yaml", "lab"]):
    from lab.errors import RecipeError
    from lab.recipe import load, schema, signature  # noqa: F401 - checking is imported late, and would not be measured

ROOT = Path(__file__).parents[2]
SEEDS = [
    *(path.read_bytes() for path in sorted((ROOT / "recipes").glob("**/*.yaml"))),
    b"task: {module: a:B, data: c:D, monitor: loss, mode: max}\nseed: 0x1F\nthreads: ~\n",
    b"task: x\ncallbacks:\n- class_path: a.b\n  init_args: {c: .inf, d: -.nan, e: 0o17}\n- a\n- {b: 1}\n",
    b"task: x\ntrack: {tags: {a: b, c: 1}, uri: 'it''s', name: \"\\x85\\u2028\", experiment: no}\n",
    b"task: x\nmodel:\n  a: |\n    text\n\n  b: >-\n    more\n  ? c\n  : - d\n    - - e\n  4: 1e3\n",
    b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n",
    b"task: !!python/object/apply:os.system [touch " + str(harness.MARKER).encode() + b"]\n",
    b"a: 1\n<<: {b: 1}\na: 2\n---\nb: 1\n...\n%YAML 1.1\n",
    b"\xef\xbb\xbftask: x\r\nmodel: {a: 1}\r\n",
    "task: x\nmodel: {a: 1}\n".encode("utf-16"),
    b'task: "\\ud800"\nseed: -1\ncompile: yes\nmodel: [[[[{}]]]]\n',
]
WORDS = [
    *("task: ", "seed: ", "threads: ", "compile: ", "model:", "data:", "trainer:", "callbacks:", "track:", "tags: "),
    *("checkpoint: ", "seconds: ", "class_path: ", "init_args: ", "module: ", "monitor: ", "mode: ", "---\n", "...\n"),
    *(
        "\n  ",
        "\n- ",
        ": ",
        "? ",
        "- ",
        "&a ",
        "*a",
        "<<: ",
        "!!map",
        "!!str",
        "!<a>",
        "%1B",
        "%YAML 1.1\n",
        "%TAG ! a\n",
    ),
    *(
        "!!python/name:os.system",
        "!!python/object/apply:eval",
        "!ENV ",
        "!include /etc/passwd",
        "|\n",
        ">-\n",
        "'",
        '"',
    ),
    *("[", "]", "{", "}", ",", "#", "\t", "\r", "\0", "\x85", "\u2028", "\ufeff", "\U0010ffff", "\\ud800", "\\x00"),
    *("1e400", "-0.0", ".nan", ".inf", "0x", "0o", "1_000", "1:30", "2020-01-01", "~", "null", "true", "=", "{{ 1 }}"),
    *("9" * 400, "[" * 40, "a" * 200, f"${harness.VARIABLE}", f"${{oc.env:{harness.VARIABLE}}}"),
    *(b"\xff\xfe", b"\xed\xa0\x80", b"\xc3\x28"),
]
folder = Path(tempfile.mkdtemp(prefix="lab-fuzz-"))
first, second = folder / "first.yaml", folder / "second.yaml"
watch = harness.Watch()


def one(data: bytes) -> None:
    """Loads bytes, and what they say once more."""
    first.write_bytes(data)
    with watch.over(first):
        try:
            recipe = load(first)
        except RecipeError as error:
            said(error.problems)
            return
        said(recipe.problems)
        text = recipe.to_yaml()
    second.write_text(text, encoding="utf-8")
    again = load(second)
    assert again.problems == ()
    assert repr(again.resolved()) == repr(recipe.resolved())
    assert harness.SECRET not in text


def said(problems: tuple[schema.Problem, ...]) -> None:
    """Each problem is one readable line that names the file."""
    for line in map(str, problems):
        assert line.isprintable()
        assert line.startswith(str(folder))
        assert harness.SECRET not in line
        assert len(line) < 3000


ALL_WRONG = b"seed: x\nmodle: 1\ncallbacks: [1]\nstart_from: {run: 1, parts: 1}\n"

with watch.learning():
    for harmless in (SEEDS[0], ALL_WRONG, b"a: \xff", b"a: [", b"a: \0"):
        first.write_bytes(harmless)
        with contextlib.suppress(RecipeError):
            load(first).to_yaml()

if __name__ == "__main__":
    harness.start(one, SEEDS, WORDS, max_len=2000)
