"""The replay buffer on disk: whatever was written and lost between, what is read back is what was there."""

import logging

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as some
from tensordict import TensorDict
from torchrl.data import LazyMemmapStorage, LazyTensorStorage, TensorDictReplayBuffer

from lab.errors import LabError
from lab.rl.data.buffers.segments import Segments

STORAGES = {"memory": LazyTensorStorage, "memmap": LazyMemmapStorage}


@pytest.fixture(autouse=True)
def quiet(caplog):
    caplog.set_level(logging.WARNING, "torchrl")


def empty(buffer_size, storage="memory"):
    return Segments(TensorDictReplayBuffer(storage=STORAGES[storage](buffer_size), batch_size=4))


def collect(segments, rows):
    """Adds rows that say which they are."""
    first = segments.replay.write_count
    numbers = torch.arange(first, first + rows)
    following = {"reward": numbers[:, None] / 2, "terminated": numbers[:, None] % 3 == 0}
    segments.replay.extend(
        TensorDict({"observation": numbers[:, None].repeat(1, 3).float(), "next": following}, [rows])
    )


def read(folder, names, state, buffer_size, storage="memory"):
    segments = empty(buffer_size, storage)
    segments.read(folder, names, state)
    return segments


def same(one, other):
    rows = len(one.replay)
    if rows != len(other.replay) or one.state_dict() != other.state_dict():
        return False
    return not rows or bool((one.replay[:] == other.replay[:]).all())


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("storage", STORAGES)
@given(
    buffer_size=some.integers(1, 40), steps=some.lists(some.tuples(some.integers(0, 60), some.booleans()), max_size=12)
)
@settings(max_examples=20)
def test_what_is_read_is_what_was_there(storage, buffer_size, steps, tmp_path_factory):
    """Any numbers of rows between two writes, several times around the ring, with resumes between."""
    folder = tmp_path_factory.mktemp("buffers")
    segments = empty(buffer_size, storage)
    for rows, resume in steps:
        while rows:
            collect(segments, min(rows, buffer_size))
            rows -= min(rows, buffer_size)
        before = contents(folder)
        names, state = segments.write(folder), segments.state_dict()
        after = contents(folder)
        assert before.items() <= after.items(), "files are added, never changed"
        copy = read(folder, names, state, buffer_size, storage)
        assert same(segments, copy)
        if resume:
            segments = copy


def test_only_new_rows_are_written(tmp_path):
    segments = empty(100)
    collect(segments, 30)
    first = segments.write(tmp_path)
    collect(segments, 3)
    second = segments.write(tmp_path)
    assert segments.write(tmp_path) == second
    assert second[:-1] == first
    assert len(list(tmp_path.iterdir())) == 2
    assert len(torch.load(tmp_path / second[-1], weights_only=True)["rows"]["observation"]) == 3


def test_an_empty_buffer_needs_no_file(tmp_path):
    segments = empty(10)
    assert segments.write(tmp_path) == []
    assert same(read(tmp_path, [], segments.state_dict(), 10), segments)


def test_what_a_dead_process_left_is_neither_believed_nor_changed(tmp_path):
    segments = empty(100)
    collect(segments, 20)
    names, state = segments.write(tmp_path), segments.state_dict()
    collect(segments, 10)
    (left,) = set(segments.write(tmp_path)) - set(names)
    (tmp_path / left).write_bytes(b"other rows of the same numbers")
    resumed = read(tmp_path, names, state, 100)
    collect(resumed, 10)
    written = resumed.write(tmp_path)
    assert left not in written
    assert (tmp_path / left).read_bytes() == b"other rows of the same numbers"
    assert same(read(tmp_path, written, resumed.state_dict(), 100), resumed)


def test_another_folder_gets_all_the_rows(tmp_path):
    segments = empty(100)
    collect(segments, 20)
    segments.write(tmp_path / "one")
    collect(segments, 20)
    names = segments.write(tmp_path / "two")
    assert same(read(tmp_path / "two", names, segments.state_dict(), 100), segments)


def test_a_write_that_fails_is_made_good_by_the_next(tmp_path):
    segments = empty(100)
    collect(segments, 20)
    blocked = tmp_path / "buffers"
    blocked.write_text("a file where the folder should be")
    with pytest.raises(OSError, match="buffers"):
        segments.write(blocked)
    blocked.unlink()
    assert same(read(blocked, segments.write(blocked), segments.state_dict(), 100), segments)


@pytest.mark.slow
def test_many_writes_leave_few_files_and_write_each_row_a_few_times(tmp_path):
    segments, written = empty(1200), 0
    for _ in range(300):
        collect(segments, 5)
        names = segments.write(tmp_path)
        newest = torch.load(tmp_path / names[-1], weights_only=True)
        written += len(newest["rows"]["observation"])
    assert len(names) < 25
    assert written < 4 * 1500


@pytest.mark.slow
def test_files_that_become_one_leave_out_the_rows_that_are_gone(tmp_path):
    segments = empty(22)
    for _ in range(40):
        collect(segments, 3)
        names = segments.write(tmp_path)
        assert len(torch.load(tmp_path / names[-1], weights_only=True)["rows"]["observation"]) <= 22
        assert same(read(tmp_path, names, segments.state_dict(), 22), segments)


def test_a_capacity_that_changed_keeps_the_newest_rows(tmp_path):
    segments = empty(40)
    collect(segments, 30)
    collect(segments, 30)
    names, state = segments.write(tmp_path), segments.state_dict()
    newest = torch.arange(20, 60).float()
    for buffer_size in (25, 100):
        resumed = read(tmp_path, names, state, buffer_size)
        kept = resumed.replay[:]["observation"][:, 0].sort().values
        assert torch.equal(kept, newest[-buffer_size:])
        collect(resumed, 10)
        again = read(tmp_path, resumed.write(tmp_path), resumed.state_dict(), buffer_size)
        assert torch.equal(
            again.replay[:]["observation"][:, 0].sort().values, torch.arange(20, 70).float()[-buffer_size:]
        )


def test_missing_and_damaged_files_are_named(tmp_path):
    segments = empty(100)
    collect(segments, 20)
    segments.write(tmp_path)
    collect(segments, 20)
    names, state = segments.write(tmp_path), segments.state_dict()
    with pytest.raises(LabError, match="rows 20 to 40 of the replay buffer are missing"):
        read(tmp_path, names[:1], state, 100)
    with pytest.raises(LabError, match="rows 0 to 40 of the replay buffer are missing"):
        read(tmp_path, names[1:], state, 100)
    damaged = tmp_path / names[1]
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LabError, match=names[1]):
        read(tmp_path, names, state, 100)
    damaged.unlink()
    with pytest.raises(FileNotFoundError, match=names[1]):
        read(tmp_path, names, state, 100)
