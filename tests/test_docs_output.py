"""The pages say what `lab` says: sessions in `console` blocks are run and compared, and so is what costs little.

A session has lines `$ lab ...`, each followed by lines of its output, in order; others between them may be left out.
Numbers, ids and spaces may differ, and `...` stands for anything. The files of a session are made as its page says:
by `lab cp` and `lab plugin new`, and by YAML and Python blocks that begin with the name of their file.
"""

import contextlib
import io
import os
import re
import shlex
from pathlib import Path
from unittest.mock import patch

import pytest

from lab.cli import main
from tests.test_docs import PAGES, REFERENCE, ROOT, commands, fences, page_name, parse, wrong_command

NUMBER = r"-?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?"
LONG = ("run", "compare")  # commands of sessions that train, or read what was trained
CHEAP = ("ls", "show", "check", "plugins", "schema", "data")  # commands that write nothing


def sessions(text):
    """The (command, output) pairs of the console blocks of a page."""
    found = []
    for block in (block for language, block in fences(text) if language == "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((shlex.split(command)[1:], output))
    return found


def trains(words, output):
    return (words[0] in LONG and "FINISHED" in output) or (words[0] == "compare" and "RUNS" in output)


LONG_TIME = re.compile(r"\d+ h \d+ min|\d+ min \d+ s")  # what a busy machine needs for what a page says in seconds


def only_reads(words):
    return words[0] in CHEAP and words[:2] != ["data", "fetch"]


def said(*words):
    """What `lab` prints on both streams, and its code."""
    lines = io.StringIO()
    quiet = contextlib.redirect_stdout(lines), contextlib.redirect_stderr(lines)
    with quiet[0], quiet[1], patch.dict(os.environ, {"COLUMNS": "200"}), pytest.raises(SystemExit) as leaving:
        main(words)
    return lines.getvalue(), leaving.value.code


def pattern(line):
    """What matches a line, whatever its numbers, ids and spaces."""
    line = re.sub(r"\b[0-9a-f]{8}\b", "0", " ".join(line.split()))
    parts = [re.escape(part) for part in re.split(rf"{NUMBER}|\.\.\.", line)]
    between = re.findall(rf"{NUMBER}|\.\.\.", line)
    joined = parts[0]
    for mark, part in zip(between, parts[1:], strict=True):
        joined += (".*" if mark == "..." else rf"(?:{NUMBER}|[0-9a-f]{{8}})") + part
    return re.compile(f"{joined}$")


def missing(expected, printed):
    """The lines of a page that were not printed in this order; empty if all were."""
    lines = iter([LONG_TIME.sub("0 s", " ".join(line.split())) for line in printed.splitlines()])
    wanted = [line for line in expected.splitlines() if line.strip() not in ("", "...")]
    return [line for line in wanted if not any(pattern(line).match(each) for each in lines)]


def make_files(text):
    """Makes the files that a page tells its reader to make."""
    for language, block in fences(text):
        name = re.match(r"# (?:lab run )?(\S+\.(?:yaml|py))\b", block)
        if language in ("yaml", "python") and name and "/" not in name[1]:
            Path(name[1]).write_text(block)
    for words in commands(text):
        if words[0] == "cp" and not wrong_command(words):
            said(*words, "--force")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def wrong_sessions(text, long=False):
    """The commands of a page that print something else than it shows."""
    make_files(text)
    found = []
    for words, output in sessions(text):
        if long or not trains(words, output):
            printed, _ = said(*words)
            if absent := missing(output, printed):
                found.append(f"$ lab {shlex.join(words)}: expected {absent[0]!r} in\n{printed}")
    return found


WITH_SESSIONS = [page for page in PAGES if sessions(page.read_text())]


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_SESSIONS, ids=page_name)
def test_every_session_prints_what_its_page_shows(page, folder):
    assert wrong_sessions(page.read_text()) == []


@pytest.mark.long
def test_every_command_that_only_reads_works(folder):
    """Each once, whichever pages have it."""
    done, failed = set(), []
    for page in PAGES:
        text = page.read_text()
        packages = set(re.findall(r"lab plugin new (\w+)", text))  # these would have to be installed first
        chosen = [words for words in commands(text) if only_reads(words) and not packages & set(words)]
        if page == REFERENCE or not chosen:
            continue
        make_files(text)
        for words in chosen:
            here = [str(ROOT / word) if (ROOT / word).is_file() else word for word in words]
            if tuple(here) in done:
                continue
            done.add(tuple(here))
            printed, code = said(*here)
            if code != 0:
                failed.append(f"{page_name(page)}: lab {shlex.join(words)}: {printed}")
    assert len(done) > 10
    assert failed == []


@pytest.mark.long
def test_the_first_page_can_be_walked(folder):
    text = (ROOT / "docs" / "index.md").read_text()
    make_files(text)
    mine = Path("mine.yaml")
    mine.write_text(mine.read_text().replace("gamma: 0.99", "gamma: 0.9 "))  # what the reader is told to change
    for words in commands(text):
        if words[0] not in ("ui", "cp", "doctor"):
            printed, code = said(*words)
            assert code == 0, printed
    assert wrong_sessions(text, long=True) == []
    assert Path("gamma.png").stat().st_size > 10_000
    assert Path("agent.mp4").stat().st_size > 1_000


def test_every_extra_on_a_page_exists():
    import tomllib

    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    for page in PAGES:
        named = re.findall(r"(?:torch-lab|['\" ]\.)\[([\w,]+)\]", page.read_text())
        assert {extra for each in named for extra in each.split(",")} <= extras, page_name(page)


# --------------------------------------------------------------------------------------------------- it can find faults


@pytest.mark.parametrize(
    ("expected", "printed", "absent"),
    [
        ("a 1.5\nb\n", "a 22\nc\nb\n", []),
        ("b\na\n", "a\nb\n", ["a"]),
        ("run 3b6a3aa4\n", "run 0f6a3aa4\n", []),
        ("took ... s\n", "took 3 min 4 s\n", []),
        ("trained in 9 s\n", "trained in 1 min 4 s\n", []),
        ("trained in 9 s\n", "trained in 1 min\n", ["trained in 9 s"]),
        ("error: no key 'a'\n", "error: no key 'b'\n", ["error: no key 'a'"]),
        ("  a   b\n...\nc", "a b\nx\nc\n", []),
        ("error: x\n", "error: x; more\n", ["error: x"]),
    ],
)
def test_lines_are_compared_in_order(expected, printed, absent):
    assert missing(expected, printed) == absent


def test_a_session_that_shows_something_else_is_found(folder):
    page = "```console\n$ lab ls nowhere_at_all\nerror: nothing fits\n```\n"
    (wrong,) = wrong_sessions(page)
    assert "expected 'error: nothing fits'" in wrong


def test_a_page_makes_its_files(folder):
    make_files("```yaml\n# lab run own.yaml\ntask: ddpg\n```\n```sh\nlab cp ddpg_pendulum mine.yaml\n```\n")
    assert {path.name for path in folder.iterdir()} == {"own.yaml", "mine.yaml"}
    assert parse(["run", "own.yaml"])["recipe"] == "own.yaml"
