"""Journals of studies: their names, and what is left of damaged ones."""

import json
from dataclasses import replace

import pytest
import works

from lab.errors import BadInput
from lab.study.work import storage
from lab.study.work.record import every, find
from lab.tracking.names import safe_file_name
from lab.tracking.server import tracking_uri


def journal_of(tuned, planned):
    _, jobs = tuned(planned("sampler: grid", "space: {model.lr: [0.001, 0.01, 0.1]}"), works.instant)
    assert len(jobs) == 3
    return storage.journal("study", tracking_uri())


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["cut", "nul", "garbage", "middle", "json"])
def test_a_damaged_journal_is_cut_off_after_its_last_whole_line(tuned, planned, damage, capsys):
    path = journal_of(tuned, planned)
    text = path.read_bytes()
    lines = text.splitlines(keepends=True)
    middle = 1 + next(
        i for i, line in enumerate(lines) if json.loads(line).get("values")
    )  # the first trial is complete
    half = b"".join(lines[:middle])
    rest = {"cut": lines[middle][:-9], "nul": b"\0" * 512, "garbage": b"\xff\xfe\n{}\n", "json": b"[]\n"}
    path.write_bytes(half + rest.get(damage, b"\0\n" + b"".join(lines[middle:])))
    capsys.readouterr()
    study, _ = tuned(planned("sampler: grid", "space: {model.lr: [0.001, 0.01, 0.1]}"), works.instant)
    assert [trial.state for trial in study.trials] == ["complete"] * 3
    assert [trial.values for trial in study.trials] == [(-1.0,), (0.0,), (-1.0,)]
    said = f"{path}: line {middle + 1} is damaged" in capsys.readouterr().err
    assert said == (damage != "cut") == path.with_name("study.journal.damaged").exists()


@pytest.mark.slow
def test_a_file_that_is_no_journal_is_named(tuned, planned):
    path = journal_of(tuned, planned)
    path.write_bytes(b"something else\n")
    with pytest.raises(BadInput, match=r"study\.journal is damaged from its first line on, or no journal of a study"):
        find("study")
    path.write_bytes(b"")
    with pytest.raises(BadInput, match=r"'study' has no trials yet, or its journal is empty"):
        find("study")
    study, _ = tuned(planned("sampler: grid", "space: {model.lr: [0.001, 0.01, 0.1]}"), works.instant)
    assert len(study.trials) == 3


@pytest.mark.parametrize("name", ["a/b c", "../out", "..", "ünï 🔥", "a%2Fb", "x" * 215, "a'\"b", "-", "a.journal"])
def test_a_study_of_any_name_is_kept_and_found(tuned, planned, name):
    made = replace(planned("sampler: none"), name=name)
    study, _ = tuned(made, works.instant)
    assert [trial.state for trial in study.trials] == ["complete"]
    assert find(name).name == name
    assert [each.name for each in every()] == [name]
    path = storage.journal(name, tracking_uri())
    assert path.is_file()
    assert path.resolve().parent == storage.folder(tracking_uri())
    assert storage.logs(name, tracking_uri()).resolve().parent == storage.folder(tracking_uri())


def test_names_that_look_alike_have_files_of_their_own():
    names = ["a/b", "a_b", "a b", "a:b", "a/b ", "A/b", safe_file_name("a/b")]
    assert len({safe_file_name(name) for name in names}) == len(names)
