"""The journal: what was written is read back, whatever the process or the disk did in between."""

import json
import math
import os
import signal
import subprocess
import sys

import pytest

from lab.errors import BadInput
from lab.tracking.journal import Journal

FIRST = {"op": "params", "params": {"lr": "0.1"}}
SECOND = {"op": "metrics", "metrics": [["loss", 0.1, 1, 0], ["ünïcode", 1e300, 2, 1]]}


@pytest.fixture
def journal(tmp_path):
    opened = Journal(tmp_path / "run")
    yield opened
    opened.close()


def operations(journal, start=0):
    return [operation for operation, _ in journal.read(start)]


def test_what_was_appended_is_read_back_in_order(journal):
    journal.append(FIRST)
    position = journal.sync()
    journal.append(SECOND, {"op": "end", "status": "KILLED", "time": 5})
    assert operations(journal) == [FIRST, SECOND, {"op": "end", "status": "KILLED", "time": 5}]
    assert operations(journal, position)[0] == SECOND
    assert [end for _, end in journal.read()][-1] == journal.length == journal.path.stat().st_size
    assert list(journal.points()) == SECOND["metrics"]


def test_what_is_no_number_survives(journal):
    journal.append(
        {"op": "metrics", "metrics": [["a", value, 0, 0] for value in (math.nan, math.inf, -math.inf, 5e-324)]}
    )
    nan, *others = [value for _, value, _, _ in journal.points()]
    assert math.isnan(nan)
    assert others == [math.inf, -math.inf, 5e-324]


def test_a_torn_last_line_is_cut_off_wherever_it_is_torn(tmp_path):
    journal = Journal(tmp_path / "run")
    journal.append(FIRST)
    whole = journal.length
    journal.append(SECOND)
    everything = journal.path.read_bytes()
    journal.close()
    for cut in range(whole, len(everything)):
        journal.path.write_bytes(everything[:cut])
        again = Journal(tmp_path / "run")
        assert (again.length, again.path.stat().st_size) == (whole, whole)
        again.append(SECOND)
        assert operations(again) == [FIRST, SECOND]
        again.close()


def test_a_long_torn_line_is_cut_off_too(tmp_path):
    (tmp_path / "run").mkdir()
    line = json.dumps(FIRST).encode() + b"\n"
    (tmp_path / "run/journal.jsonl").write_bytes(line + b"\0" * 200_000)
    journal = Journal(tmp_path / "run")
    assert operations(journal) == [FIRST]
    journal.close()


class Fails:
    """A file whose write stops half way."""

    def __init__(self, file, error):
        self.file, self.error, self.failing = file, error, True

    def write(self, data):
        if not self.failing:
            return self.file.write(data)
        self.file.write(data[: len(data) // 2])
        raise self.error

    def __getattr__(self, name):
        return getattr(self.file, name)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_append_that_fails_half_way_leaves_nothing(journal, error):
    journal.append(FIRST)
    journal._file = Fails(journal._file, error)
    with pytest.raises(type(error)):
        journal.append({"op": "tag", "key": "long", "value": "x" * 1000})
    assert operations(journal) == [FIRST]
    journal._file.failing = False
    journal.append(SECOND)
    assert operations(journal) == [FIRST, SECOND]
    assert journal.path.stat().st_size == journal.length


def test_a_line_that_the_disk_spoilt_hides_no_other(tmp_path):
    journal = Journal(tmp_path / "run")
    journal.append(FIRST, SECOND, FIRST)
    journal.close()
    lines = journal.path.read_bytes().splitlines(keepends=True)
    journal.path.write_bytes(lines[0] + b"\0" * 20 + b"\n" + lines[2])
    again = Journal(tmp_path / "run")
    assert operations(again) == [FIRST, {"op": "unreadable"}, FIRST]
    again.close()


def test_the_cursor_remembers_how_far_each_receiver_is(journal):
    journal.append(FIRST, SECOND)
    (_, end), _ = journal.read()
    journal.advance("server", end)
    assert (journal.cursor("server"), journal.cursor("later")) == (end, 0)
    assert (journal.waiting("server"), journal.waiting("later")) == (1, 2)


def test_a_cursor_that_is_no_use_means_sending_again(journal):
    journal.append(FIRST)
    (journal.folder / "server.cursor").write_text("")
    assert journal.cursor("server") == 0
    (journal.folder / "server.cursor").write_text("10000000")  # the journal's end was lost with the power
    assert journal.cursor("server") == journal.length


def test_the_end_is_the_last_one(journal):
    assert journal.ended() is None
    journal.append({"op": "end", "status": "KILLED"})
    assert journal.ended() == "KILLED"
    journal.append({"op": "resume"})
    assert journal.ended() is None


def test_removing_it_takes_only_what_is_its_own(tmp_path):
    journal = Journal(tmp_path / "run")
    journal.append(FIRST)
    journal.advance("server", journal.length)
    (journal.folder / "artifacts").mkdir()
    (journal.folder / "artifacts/mine.txt").touch()
    journal.remove()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["artifacts"]
    Journal(tmp_path / "other").remove()
    assert not (tmp_path / "other").exists()


HOLD = """\
import os, sys, time
from pathlib import Path
from lab.tracking.journal import Journal
journal = Journal(Path(sys.argv[1]))
if os.fork() == 0:
    print(os.getpid(), flush=True)
time.sleep(60)
"""


def test_one_process_at_a_time_and_no_longer_than_it_lives(tmp_path):
    """Also if a child that it forked, such as a loader's worker, lives on for a while."""
    holder = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / "run"], stdout=subprocess.PIPE, text=True)
    child = int(holder.stdout.readline())
    try:
        with pytest.raises(BadInput, match=rf"^run run is still running \(process {holder.pid}\)$"):
            Journal(tmp_path / "run")
        holder.kill()
        holder.wait()
        Journal(tmp_path / "run").close()
        os.kill(child, 0)  # it still lives
    finally:
        holder.kill()
        os.kill(child, signal.SIGKILL)
