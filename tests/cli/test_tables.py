"""Tables fit the terminal: whole words, whole ids, and columns left out by name."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.cli.terminal import tables

Lab = Callable[..., Any]
WORD = r"[\w.-]+"


@pytest.fixture
def screen(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Calls `lab` on a terminal of a width; without colours."""

    def call(width: int, *arguments: str) -> Any:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setattr(shutil, "get_terminal_size", lambda *_: os.terminal_size((width, 50)))
        outcome = lab(*arguments)
        return replace(outcome, out=re.sub(r"\x1b\[[0-9;]*m", "", outcome.out))

    return call


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize(
    "command",
    [
        ["ls"],
        ["ls", "--long"],
        ["data", "ls"],
        ["plugins"],
        ["doctor"],
        ["show", "ddpg"],
        ["show", "two_moons"],
        ["data", "show", "two_moons"],
        ["runs", "--uri", "RUNS"],
        ["compare", "slow", "recipe:fast", "--uri", "RUNS"],
        ["compare", "rates", "--uri", "RUNS"],
    ],
    ids=" ".join,
)
def test_no_line_is_wider_and_no_word_is_cut(
    screen: Callable[..., Any], recorded_runs: str, width: int, command: list[str]
) -> None:
    words = [recorded_runs if word == "RUNS" else word for word in command]
    narrow, wide = screen(width, *words).out, screen(100_000, *words).out
    assert narrow.strip()
    assert not [line for line in narrow.splitlines() if len(line) > width]
    whole = set(re.findall(WORD, wide))
    cut = {word for word, shortened in re.findall(rf"({WORD})(…?)", narrow) if not shortened} - whole
    assert not {word for word in cut if not word.isdigit()}  # seconds go on while the test runs


def test_ids_stay_whole_and_columns_are_left_out_by_name(screen: Callable[..., Any], recorded_runs: str) -> None:
    outcome = screen(60, "runs", "--uri", recorded_runs)
    titles, first, *_ = outcome.out.splitlines()
    assert titles.split() == ["RUN", "NAME", "STUDY", "STATUS", "SCORE", "STARTED"]
    assert re.match(r"[0-9a-f]{8}  \w+ +- +\w+ +-?[\d.]+ +\d+ (s|min) ago$", first)
    assert re.search(r"^[0-9a-f]{8}  rates-0 +rates +FINISHED", outcome.out, re.M), "its study tells it apart"
    assert "hidden at this width: EXPERIMENT, TASK, SEED, METRIC, WALL TIME" in " ".join(outcome.err.split())


def test_a_pipe_gets_everything(lab: Lab, recorded_runs: str) -> None:
    outcome = lab("runs", "--uri", recorded_runs)
    titles, first, *_ = outcome.out.splitlines()
    assert titles.split()[-3:] == ["WALL", "TIME", "STARTED"]
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d$", first)
    assert not outcome.err


def test_a_long_setting_is_broken_behind_its_signs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "26")
    group = "mine model.encoder.class_path=my_project.networks.Residual model.lr=0.01"
    tables.table(["GROUP"], [[group]], wrap=("GROUP",))
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()[1:]
    assert "".join(lines) == group.replace(" ", "")
    assert all(len(line) <= 26 for line in lines)


@pytest.mark.slow
@settings(max_examples=30)
@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=6),
    st.integers(30, 200),
    st.data(),
)
def test_what_is_chosen_fits(lengths: list[int], width: int, data: st.DataObject) -> None:
    titles, cells = [f"T{i}" for i in range(len(lengths))], ["x" * length for length in lengths]
    drop = data.draw(st.permutations(titles[1:]))
    wrap = data.draw(st.sets(st.sampled_from(titles)))
    chosen, widths = tables.fit(titles, [cells], width, wrap, drop)
    assert 0 in chosen
    total = sum(widths[i] for i in chosen) + tables.GAP * (len(chosen) - 1)
    assert total <= width or len(chosen) == 1
    left_out = [title for i, title in enumerate(titles) if i not in chosen]
    assert sorted(left_out) == sorted(drop[: len(left_out)])  # the least important first


@pytest.mark.parametrize(
    ("since", "text"),
    [
        (timedelta(seconds=4), "4 s ago"),
        (timedelta(minutes=5, seconds=1), "5 min ago"),
        (timedelta(hours=23), "23 h ago"),
        (timedelta(days=1, hours=3), "1 day ago"),
        (timedelta(days=12), "12 days ago"),
    ],
)
def test_how_long_ago(monkeypatch: pytest.MonkeyPatch, since: timedelta, text: str) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert tables.ago(datetime.now() - since) == text


def test_filters(lab: Lab) -> None:
    outcome = lab("ls", "pendulum", "--task", "td3")
    assert [line.split()[0] for line in outcome.out.splitlines() if line.startswith("td3")] == ["td3_pendulum"]
    assert "ddpg" not in outcome.out
    assert "two_moons" not in lab("ls", "--field", "rl").out
    assert "expect" in lab("ls", "ddpg", "--long").out
    assert "expect" not in lab("ls", "ddpg").out


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["pendulun"], "nothing matches 'pendulun'"),
        (["ddgp"], "did you mean 'ddpg'?"),
        (["--task", "dppg"], "--task dppg: not found; did you mean 'ddpg'?"),
        (["--field", "vison"], "did you mean 'vision'?"),
    ],
)
def test_a_filter_that_fits_nothing(lab: Lab, command: list[str], said: str) -> None:
    outcome = lab("ls", *command)
    assert outcome.code == 2
    assert said in outcome.err
    assert not outcome.out


def test_a_copy_of_a_list_for_programs(lab: Lab, tmp_path: Path) -> None:
    found = json.loads(lab("ls", "ddpg", "--json").out)
    assert {each["field"] for each in found["recipes"]} == {"rl"}
    assert [each["name"] for each in found["tasks"]] == ["ddpg"]
    assert {each["name"].partition("_")[0] for each in found["claims"]} == {"ddpg"}
