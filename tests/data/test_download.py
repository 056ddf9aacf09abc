"""Downloads: checked, whole or not there, and never something else in the place of what is missing."""

import hashlib

import pytest

from lab.data import download_file, fetch_into, root
from lab.errors import LabError

CONTENT = bytes(range(256)) * 20_000  # several blocks
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_DATA", str(tmp_path / "data"))


@pytest.fixture
def url(tmp_path):
    file = tmp_path / "there" / "rows.bin"
    file.parent.mkdir()
    file.write_bytes(CONTENT)
    return file.as_uri()


def test_a_file_is_had_once(url, tmp_path):
    target = tmp_path / "here" / "rows.bin"
    download_file(url, target, DIGEST)
    assert target.read_bytes() == CONTENT
    (tmp_path / "there" / "rows.bin").unlink()
    download_file(url, target, DIGEST)  # it is there, so nobody asks
    target.write_bytes(b"changed")
    with pytest.raises(OSError, match="No such file"):
        download_file(url, target, DIGEST)


def test_another_checksum_leaves_nothing(url, tmp_path):
    with pytest.raises(OSError, match=f"has the checksum {DIGEST}, expected {'0' * 64}"):
        download_file(url, tmp_path / "here" / "rows.bin", "0" * 64)
    assert list((tmp_path / "here").iterdir()) == []


def test_progress_is_shown_on_a_terminal_alone(url, tmp_path, capsys, monkeypatch):
    download_file(url, tmp_path / "a", DIGEST)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    download_file(url, tmp_path / "b", DIGEST)
    assert capsys.readouterr().err.endswith("b: 5 of 5 MB, 100%\n")


def test_a_folder_shows_when_it_is_whole(url):
    def fill(folder):
        download_file(url, folder / "raw" / "rows.bin", DIGEST)
        assert not (root() / "rows").exists()

    assert fetch_into("rows", fill) == root() / "rows"
    assert (root() / "rows" / "raw" / "rows.bin").read_bytes() == CONTENT
    assert [each.name for each in root().iterdir()] == ["rows"]
    fetch_into("rows", lambda _: pytest.fail("it is there"))


def test_what_fails_is_one_line_and_goes_on_next_time(url):
    def fill(folder):
        download_file(url, folder / "rows.bin", DIGEST)
        raise OSError("the line is cut")

    with pytest.raises(LabError) as error:
        fetch_into("rows", fill)
    where = f"rows is not in {root()} and cannot be downloaded (the line is cut)"
    assert str(error.value) == f"{where}; with an internet connection run: lab data fetch rows"
    assert not (root() / "rows").exists()
    fetch_into("rows", lambda folder: (folder / "rows.bin").stat())  # what was had before is kept
