"""What all fuzz targets share: their start under atheris, the limits on one input, and a watch over what it does."""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

SECRET = "the content of a variable that no input may read"
VARIABLE = "LAB_FUZZ_SECRET"  # inputs may name it
MARKER = Path(tempfile.gettempdir()) / "lab-fuzz-code-ran"  # what the planted code would make
SECONDS = 5.0  # of processor time for one input
MEGABYTES = 500  # that one input may add to the peak of the process
HANG = 30  # seconds after which libFuzzer ends an input that does not come back
QUIET = ("object.", "builtins.id", "sys._getframe", "gc.")

LIBRARIES = sysconfig.get_paths()["purelib"]
READERS = (
    "yaml/constructor.py",
    "torch/_weights_only_unpickler.py",
    "torch/serialization.py",
)  # import what files name


class Failure(AssertionError):
    """An input did what none may do."""


class Watch:
    """Notices what an input makes the process do, by Python's audit events: code, files, processes, the network."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.known: set[str] = set()
        self.reads: set[str] = set()
        self.active = False
        sys.addaudithook(self._hook)

    @contextlib.contextmanager
    def learning(self) -> Iterator[None]:
        """What harmless inputs do is no offence later: imports inside functions, types in quotes."""
        self.seen, self.reads, self.active = [], set(), True
        try:
            yield
        finally:
            self.active = False
        self.known |= set(self.seen)

    @contextlib.contextmanager
    def over(self, *reads: Path) -> Iterator[None]:
        """Fails if the block does more than open the files `reads`."""
        self.seen, self.reads, self.active = [], {str(path) for path in reads}, True
        try:
            yield
        finally:
            self.active = False
            if bad := [event for event in self.seen if event not in self.known]:
                raise Failure(f"the input caused {bad[0]}")

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.active or event.startswith(QUIET):
            return
        if event == "open" and str(args[0]) in self.reads and args[1] in ("r", "rb", None):
            return
        if event == "import" and args[0].startswith("encodings."):  # text in a codec of any name
            return
        if _late_import(event):
            return
        self.active = False  # what is said about an event may cause further ones
        what = args[0] if args else ""
        if event == "exec":
            what = f"{what.co_filename} {what.co_name}"
        elif event == "compile" and isinstance(what, bytes):
            what = what.decode(errors="replace")
        what = str(what)[:500]
        self.seen.append(f"{event} {what}")
        self.active = True


def _late_import(event: str) -> bool:
    """Whether a library's own import statement, inside one of its functions, is at work."""
    frame, importing = sys._getframe(2), event == "import"
    while frame is not None:
        file = frame.f_code.co_filename
        if importing and not file.startswith("<frozen importlib"):
            return file.startswith(LIBRARIES) and not file.endswith(READERS)
        importing = importing or file.startswith("<frozen importlib")
        frame = frame.f_back
    return False


def start(one: Callable[[bytes], None], seeds: Iterable[bytes], words: Iterable[str | bytes], max_len: int) -> None:
    """Runs a target; the command line's options are libFuzzer's, and a file among them is tried alone.

    Args:
        one: raises if an input breaks the target's promise.
        seeds: inputs to start from.
        words: what mutations may insert.
        max_len: bytes of an input.
    """
    import atheris

    os.environ[VARIABLE] = SECRET
    MARKER.unlink(missing_ok=True)

    def kept(data: bytes) -> None:
        try:
            limited(data)
        except BaseException:  # libFuzzer keeps it as well, but not when Python ends the process in its own way
            prefix = next((word.partition("=")[2] for word in sys.argv if word.startswith("-artifact_prefix=")), "")
            path = Path(f"{prefix}failed-{hashlib.sha1(data).hexdigest()}")
            path.write_bytes(data)
            print(f"Test unit written to {path}", flush=True)
            raise

    def limited(data: bytes) -> None:
        began, peak = time.process_time(), _peak()
        one(data)
        if MARKER.exists():
            raise Failure("code from the input ran")
        if (spent := time.process_time() - began) > SECONDS:
            raise Failure(f"the input took {spent:.1f} s")
        if (added := _peak() - peak) > MEGABYTES:
            raise Failure(f"the input took {added} MB")

    with tempfile.TemporaryDirectory() as folder:
        arguments = [sys.argv[0], f"-max_len={max_len}", f"-timeout={HANG}", "-rss_limit_mb=4000", *sys.argv[1:]]
        if not any(Path(argument).is_file() for argument in sys.argv[1:]):
            corpus, dictionary = Path(folder) / "corpus", Path(folder) / "words"
            corpus.mkdir()
            for i, seed in enumerate(seeds):
                (corpus / f"seed{i}").write_bytes(seed)
            dictionary.write_text("".join(f'"{_escaped(word)}"\n' for word in words))
            arguments += [f"-dict={dictionary}", str(corpus)]
        atheris.Setup(arguments, kept)
        atheris.Fuzz()


def _peak() -> int:
    """The most memory that this process ever had, in MB."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:  # not Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    return int(status.partition("VmHWM:")[2].split()[0]) >> 10  # getrusage would begin with the parent's


def _escaped(word: str | bytes) -> str:
    raw = word.encode() if isinstance(word, str) else word
    return "".join(f"\\x{byte:02x}" for byte in raw)
