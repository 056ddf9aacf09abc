"""Files that are whole or not there: nothing half written is seen, nothing damaged is read, no code of theirs runs."""

from __future__ import annotations

import errno
import io
import os
import pickle
import resource
import subprocess
import sys
import threading
import tracemalloc
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lab import files
from lab.errors import LabError
from tests.archives import Planted, archive_of, described, records, tarred, written

same_folder = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=50
)
SMALL = {"w": torch.arange(6.0).view(2, 3), "steps": [1, -2.5, True, None, 2**70], "é": (b"bytes", {"x"}, 1j)}


def forged(pickled: bytes, value: Any = SMALL) -> bytes:
    """The file of a value with another pickle in it, its checksum set right."""
    return archive_of({n: pickled if n.endswith("/data.pkl") else c for n, c in records(written(value)).items()})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refusal(raw: bytes, path: Path) -> str:
    """What `load` says about a file, without the file's name."""
    path.write_bytes(raw)
    with pytest.raises(files.Corrupt) as caught:
        files.load(path)
    line = str(caught.value)
    assert line.isprintable()
    assert len(line) < 1000
    return line.removeprefix(f"{path} cannot be used: ")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("small") / "small.ckpt"
    files.save(SMALL, path)
    return path.read_bytes()


# -------------------------------------------------------------------------------------------------------- save and load

kept = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers()
kept |= st.sampled_from([torch.zeros(2, dtype=torch.bfloat16), torch.tensor(3), torch.ones(0, 2), torch.nn.Parameter()])
values = st.recursive(
    kept,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
        | st.dictionaries(st.text(), inner, max_size=3).map(OrderedDict)
    ),
    max_leaves=8,
)


@pytest.mark.slow
@same_folder
@given(values)
@example(b"")
@example(2**3000)
@example(frozenset())
def test_what_is_saved_can_be_loaded(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "x.ckpt"
    files.save("before", path)
    try:
        files.save(value, path)
    except LabError:  # which is better said now than when the run is to be resumed
        value = "before"
    assert described(files.load(path)) == described(value)
    assert names(tmp_path) == ["x.ckpt"]


@pytest.mark.parametrize("value", [Path("a"), torch.nn.Linear(1, 1), bytearray(b"a"), lambda: None, open, slice(1)])
def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path, value: Any) -> None:
    with pytest.raises(LabError, match=r"x\.ckpt is not written"):
        files.save({"a": value}, tmp_path / "x.ckpt")
    assert names(tmp_path) == []


@pytest.mark.filterwarnings("ignore::UserWarning")  # what torch thinks of sparse tensors
def test_sparse_tensors(tmp_path: Path) -> None:
    files.save([torch.eye(3).to_sparse(), torch.eye(3).to_sparse_csr()], tmp_path / "x.ckpt")
    assert [torch.equal(tensor.to_dense(), torch.eye(3)) for tensor in files.load(tmp_path / "x.ckpt")] == [True, True]


def test_what_is_missing_is_not_corrupt(tmp_path: Path) -> None:
    for read in (files.load, files.check):
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "x.ckpt")
        with pytest.raises(files.Corrupt):
            read(tmp_path)


# --------------------------------------------------------------------------------------------------------------- damage


def same_or_corrupt(raw: bytes, path: Path) -> None:
    path.write_bytes(raw)
    try:
        value = files.load(path)
    except files.Corrupt:
        return
    assert described(value) == described(SMALL)


def flipped(raw: bytes, place: int, bit: int) -> bytes:
    return raw[:place] + bytes([raw[place] ^ 1 << bit]) + raw[place + 1 :]


@same_folder
@given(st.data(), st.integers(0, 7))
def test_a_flipped_bit(small: bytes, tmp_path: Path, data: st.DataObject, bit: int) -> None:
    place = data.draw(st.integers(0, len(small) - 1))
    same_or_corrupt(flipped(small, place, bit), tmp_path / "x.ckpt")


@pytest.mark.long
@pytest.mark.parametrize("bits", [1, 8])
def test_flipped_bits_of_every_byte_and_every_cut(bits: int, small: bytes, tmp_path: Path) -> None:
    for place in range(len(small)):
        for bit in range(place, place + bits):
            same_or_corrupt(flipped(small, place, bit % 8), tmp_path / "x.ckpt")
        refusal(small[:place], tmp_path / "x.ckpt")


@same_folder
@given(st.data())
def test_a_file_cut_short(small: bytes, tmp_path: Path, data: st.DataObject) -> None:
    refusal(small[: data.draw(st.integers(0, len(small) - 1))], tmp_path / "x.ckpt")


@same_folder
@given(st.binary(min_size=1, max_size=100))
@example(b"PK\5\6" + bytes(18))
def test_bytes_appended(small: bytes, tmp_path: Path, more: bytes) -> None:
    same_or_corrupt(small + more, tmp_path / "x.ckpt")


@same_folder
@given(st.binary())
@example(b"PK\3\4")
def test_any_bytes(tmp_path: Path, raw: bytes) -> None:
    refusal(raw, tmp_path / "x.ckpt")


def test_a_changed_weight_is_noticed(small: bytes, tmp_path: Path) -> None:
    place = small.index(torch.arange(6.0).numpy().tobytes()) + 7
    assert refusal(flipped(small, place, 0), tmp_path / "x.ckpt") == "Bad CRC-32 for file 'archive/data/0'"
    with pytest.raises(files.Corrupt, match="CRC-32"):
        files.check(tmp_path / "x.ckpt")
    assert torch.load(tmp_path / "x.ckpt", weights_only=True)["w"][0, 1] != 1.0, "torch itself does not notice"


def test_a_record_that_pretends_to_be_a_folder(small: bytes, tmp_path: Path) -> None:
    """One flipped bit in the archive's directory, and torch would return memory nobody wrote to."""
    with zipfile.ZipFile(io.BytesIO(small)) as archive:
        index = [info.filename for info in archive.infolist()].index("archive/data/0")
    place = -1
    for _ in range(index + 1):
        place = small.index(b"PK\1\2", place + 1)
    assert refusal(flipped(small, place + 38, 4), tmp_path / "x.ckpt") == "a record is marked as a folder"


def test_what_a_file_says_about_itself_cannot_reach_the_terminal(small: bytes, tmp_path: Path) -> None:
    raw = small.replace(b"archive/version", b"archive/vers\x1b[2", 1)
    assert "\\x1b[2" in refusal(raw, tmp_path / "x.ckpt")


def test_the_ending_of_a_name_means_nothing(small: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(small)
    assert described(files.load(tmp_path / "x.safetensors")) == described(SMALL)


# --------------------------------------------------------------------------------------------------------------- forged


def test_no_code_runs(small: bytes, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    pickles = [pickle.dumps({"a": Planted(marker)}, protocol) for protocol in range(6)]
    zipped, legacy = (written(Planted(marker), _use_new_zipfile_serialization=new) for new in (True, False))
    planted = [*pickles, *map(forged, pickles), *map(tarred, pickles), zipped, legacy, legacy + small]
    for raw in planted:
        refusal(raw, tmp_path / "x.ckpt")
    nested = archive_of(records(small) | {"archive/inner.ckpt": zipped})
    (tmp_path / "x.ckpt").write_bytes(nested)
    assert described(files.load(tmp_path / "x.ckpt")) == described(SMALL), "a record that nobody asks for is not read"
    assert not marker.exists()
    pickle.loads(pickles[2])
    assert marker.exists(), "it would have run"
    assert "system" in refusal(zipped, tmp_path / "x.ckpt")


@pytest.mark.filterwarnings("ignore")  # torch on TorchScript, which it means to give up
def test_a_program_is_not_a_value(tmp_path: Path) -> None:
    script = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), script)
    assert "torchscript" in refusal(archive_of(records(script.getvalue())), tmp_path / "x.ckpt")


def test_older_formats_of_torch_have_no_checksums(tmp_path: Path, small: bytes) -> None:
    legacy = written(SMALL, _use_new_zipfile_serialization=False)
    for raw in (legacy, legacy + small):
        assert refusal(raw, tmp_path / "x.ckpt") == "it is not a file of torch.save"


def test_archives_that_are_more_than_they_seem(small: bytes, tmp_path: Path) -> None:
    contents, path = records(small), tmp_path / "x.ckpt"
    bomb = archive_of(contents | {"archive/data/9": bytes(10_000_000)}, zipfile.ZIP_DEFLATED)
    assert refusal(bomb, path) == "it is compressed"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/big", bytes(1000))
        for i in range(1000):
            info = zipfile.ZipInfo(f"archive/{i}")
            info.header_offset, info.file_size, info.compress_size, info.CRC = 0, 1000, 1000, archive.infolist()[0].CRC
            archive.filelist.append(info)
        archive._didModify = True  # type: ignore[attr-defined]
    assert refusal(path.read_bytes(), path) == "its records overlap"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/version", contents["archive/version"])
        archive.writestr("archive/VERSION", contents["archive/version"])  # torch looks names up without regard to case
    assert refusal(path.read_bytes(), path) == "two of its records have the same name"


def test_a_forged_size_takes_no_memory(tmp_path: Path) -> None:
    tracemalloc.start()
    raw = forged(b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.")
    assert refusal(raw, tmp_path / "x.ckpt") == "it holds more than tensors and plain values: bytearray"
    numbered = records(written(SMALL))["archive/data.pkl"].replace(b"K\x06t", b"J\xff\xff\xff\x7ft")
    refusal(forged(numbered), tmp_path / "x.ckpt")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50_000_000


def test_a_bad_file_does_not_spoil_the_next(small: bytes, tmp_path: Path) -> None:
    """torch keeps sparse tensors in a list until a load ends well, and looks at them when the next one does."""
    good, sparse = tmp_path / "good.ckpt", [torch.eye(3).to_sparse()]
    good.write_bytes(small)
    pickled = records(written(sparse))["archive/data.pkl"]
    refusal(forged(pickled[:-1].replace(b"K\x03K\x03", b"K\x01K\x01") + b"\xff.", sparse), tmp_path / "x.ckpt")
    refusal(forged(pickled[:-1].replace(b"K\x03K\x03", b"K\x01K\x01") + b"R.", sparse), tmp_path / "x.ckpt")
    assert described(files.load(good)) == described(SMALL)


# ------------------------------------------------------------------------------------------------------------ replacing


@same_folder
@given(st.binary(max_size=50), st.binary(max_size=50), st.sampled_from([OSError, ValueError, KeyboardInterrupt]))
def test_what_fails_leaves_the_old_file_alone(tmp_path: Path, old: bytes, new: bytes, error: type) -> None:
    path = tmp_path / "x"
    with files.replacing(path) as file:
        file.write(old)

    def write() -> None:
        with files.replacing(path) as file:
            file.write(new)
            file.flush()
            raise error

    with pytest.raises(error):
        write()
    assert path.read_bytes() == old
    assert names(tmp_path) == ["x"]


def test_a_power_cut_is_reckoned_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, synced, sync = tmp_path / "x", [], os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(("folder" if os.path.sameopenfile(descriptor, folder) else "file", path.exists()))
        sync(descriptor)

    folder = os.open(tmp_path, os.O_RDONLY)
    monkeypatch.setattr(os, "fsync", fsync)
    with files.replacing(path) as file:
        file.write(b"x")
    os.close(folder)
    assert synced == [("file", False), ("folder", True)], "the content first, then the name"


def test_folders_are_made_and_an_old_draft_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x.ckpt"
    files.save(1, path)
    (draft,) = _drafts(path)
    draft.write_bytes(b"left by a process that was killed" * 1000)
    files.save(2, path)
    assert files.load(path) == 2
    assert names(path.parent) == ["x.ckpt"]


def _drafts(path: Path) -> list[Path]:
    with files.replacing(path) as file:
        file.write(path.read_bytes())
        return [other for other in path.parent.iterdir() if other != path]


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "x.ckpt").mkdir()
    with pytest.raises(OSError, match="directory"):
        files.save(1, tmp_path / "x.ckpt")
    assert names(tmp_path) == ["x.ckpt"]


@pytest.mark.slow
def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    files.save(torch.full((1000,), 0), path)
    seen, done = set(), threading.Event()

    def write() -> None:
        for i in range(1, 100):
            files.save(torch.full((1000 * i,), i), path)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        tensor = files.load(path)
        assert (tensor == tensor[0]).all()
        assert len(tensor) == 1000 * max(1, int(tensor[0]))
        seen.add(int(tensor[0]))
    writer.join()
    assert len(seen) > 1


# ------------------------------------------------------------------------------------------------------------ full disk


def fill(folder: Path, number: int, limit: int) -> int:
    """Saves ever larger values beside a small file until none fits; returns how many failed."""
    kept, path, failed = folder / "kept.ckpt", folder / "x.ckpt", 0
    files.save(SMALL, kept)
    for size in range(0, limit, limit // 50):
        path.unlink(missing_ok=True)
        files.save("old", path)
        try:
            files.save(
                [torch.zeros(size // 4, dtype=torch.uint8), torch.zeros(size, dtype=torch.uint8), "x" * 99], path
            )
        except OSError as error:
            found, failed = error.errno, failed + 1
        else:
            found = None
        assert found in (None, number)
        assert (files.load(path) == "old") is (found is not None)
        assert names(folder) == ["kept.ckpt", "x.ckpt"]
    assert described(files.load(kept)) == described(SMALL)
    return failed


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(tiny_disk: Path) -> None:
    assert 5 < fill(tiny_disk, errno.ENOSPC, 150_000) < 45


def test_a_file_that_may_not_grow_any_more(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        failed = fill(tmp_path, errno.EFBIG, 150_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert 5 < failed < 45


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_device_that_is_full(tmp_path: Path) -> None:
    path = tmp_path / "x.ckpt"
    files.save(1, path)
    (draft,) = _drafts(path)
    draft.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device") as caught:
        files.save(2, path)
    assert caught.value.errno == errno.ENOSPC
    assert files.load(path) == 1
    assert names(tmp_path) == ["x.ckpt"]
