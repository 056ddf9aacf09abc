"""The storage of a study's trials: a journal file on this machine, or a database that several machines share."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import socket
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from lab.errors import BadInput, one_line
from lab.sentences import note
from lab.tracking.address import problem
from lab.tracking.names import safe_file_name
from lab.tracking.redaction import keep_secret, mask_secrets, without_password
from lab.tracking.server import local_folder

if TYPE_CHECKING:
    import optuna
    from optuna.storages import BaseStorage

CONNECT_SECONDS = 5
HEARTBEAT_SECONDS, DEAD_SECONDS = 15.0, 90.0  # between two heartbeats, and until a process without one counts as dead


def folder(uri: str) -> Path:
    """The folder of this machine that holds the studies of a tracking server."""
    return local_folder(uri) / "studies"


def journal(name: str, uri: str) -> Path:
    """The journal file of a study."""
    return folder(uri) / f"{safe_file_name(name)}.journal"


def logs(name: str, uri: str) -> Path:
    """The folder in which the workers of a study write what libraries print."""
    return folder(uri) / safe_file_name(name)


def names(uri: str) -> list[str]:
    """The names of the studies that lie on this machine."""
    return sorted(_name(path) for path in folder(uri).glob("*.journal"))


def _name(path: Path) -> str:
    """The name of the study in a journal; one with other characters than a file's is in its first line only."""
    stem = path.name.removesuffix(".journal")
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError), path.open("rb") as file:
        name = json.loads(file.readline())["study_name"]
        return name if safe_file_name(name) == stem else stem
    return stem


def open_storage(address: str | None, name: str, uri: str) -> BaseStorage:
    """The storage of a study.

    Args:
        address: of a database, such as postgresql://user@host/database; a journal file on this machine by default.
        name: the study's.
        uri: the tracking server, beside whose artifacts the journal lies.

    Raises:
        BadInput: the address cannot be used, or the database cannot be reached.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if address is None:
        from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

        path = journal(name, uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = JournalFileSymlinkLock(str(path), grace_period=5)  # held for milliseconds, unless its holder was killed
        _mend(path, lock)
        try:
            return optuna.storages.JournalStorage(JournalFileBackend(str(path), lock_obj=lock))
        except Exception as error:  # lines that are well and contradict each other
            raise BadInput(
                f"{path} cannot be read ({one_line(error)}); move it away to begin the study again"
            ) from None
    keep_secret(address)
    if address.startswith("sqlite"):
        raise BadInput("--storage: SQLite cannot be shared by several processes; leave it out, or use postgresql://...")
    if address.startswith("postgres://"):
        raise BadInput(f"--storage {problem(address)}")
    if not address.startswith(("postgresql", "mysql")):
        raise BadInput(f"--storage {without_password(address)}: expected postgresql://user@host/database")
    os.environ.setdefault("PGCONNECT_TIMEOUT", str(CONNECT_SECONDS))  # PostgreSQL's own way; it would wait for minutes
    # which driver a bare address means depends on SQLAlchemy's version; this is the one of the extra `postgres`
    driven = re.sub("^postgresql://", "postgresql+psycopg2://", address)
    try:
        return _database(driven)
    except ImportError as error:
        step = "pip install 'torch-lab[postgres]'"
        raise BadInput(f"--storage needs a driver: {mask_secrets(str(error), address)}; {step}") from None
    except Exception as error:  # of SQLAlchemy, of the driver
        reason = mask_secrets(str(error).strip().splitlines()[0], address)
        raise BadInput(f"storage {without_password(address)} cannot be reached: {reason}") from None


def _database(address: str) -> BaseStorage:
    """Two processes may make the tables at the same moment; one of them fails then, and finds them at the next try."""
    from optuna.storages import RDBStorage
    from sqlalchemy.exc import IntegrityError, ProgrammingError

    tries = 0
    while True:
        try:
            return RDBStorage(address, engine_kwargs={"pool_pre_ping": True})
        except (IntegrityError, ProgrammingError):
            tries += 1
            if tries == 5:
                raise
            time.sleep(0.5)


def _mend(path: Path, lock: Any) -> None:
    """Cuts a damaged journal off after its last whole line: Optuna would read nothing of it, or append to half a line.

    Trials that are lost by that are trained again. More than a torn last line is said, and kept in another file.

    Raises:
        BadInput: it does not even begin as a journal.
    """
    if not path.exists():
        return
    from optuna.storages.journal._file import get_lock_file

    with get_lock_file(lock), path.open("rb+") as file:
        text = file.read()
        whole = 0
        for line in io.BytesIO(text):  # by line feeds alone
            if not _is_entry(line):
                break
            whole += len(line)
        if whole == len(text):
            return
        if whole == 0 and text.count(b"\n"):
            raise BadInput(f"{path} is damaged from its first line on, or no journal of a study; move it away")
        if b"\n" in text[whole:] or b"\0" in text[whole:]:
            rest = path.with_name(f"{path.name}.damaged")
            rest.write_bytes(text)
            line_number = text.count(b"\n", 0, whole) + 1
            note(f"{path}: line {line_number} is damaged; the trials up to there are kept, and all of it is in {rest}")
        file.truncate(whole)


def _is_entry(line: bytes) -> bool:
    """Whether a line of a journal is whole."""
    if not line.endswith(b"\n"):
        return False
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(entry, dict) and isinstance(entry.get("op_code"), int) and "worker_id" in entry


# ------------------------------------------------------------------------------------------------- who is still alive


@cache
def _machine() -> str:
    """A name of this machine since its last boot."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
        return f"{socket.gethostname()}-{boot}-{os.stat('/proc/self/ns/pid').st_ino}"  # noqa: PTH116
    except OSError:  # no Linux
        return f"{socket.gethostname()}-{psutil.boot_time():.0f}"


def owner() -> str:
    """A unique name of this process."""
    return f"{_machine()}:{os.getpid()}:{psutil.Process().create_time():.2f}"


def heartbeat(study: optuna.Study) -> None:
    """Writes a heartbeat of this process for other machines; call it every `HEARTBEAT_SECONDS`."""
    study.set_user_attr(f"alive {owner()}", time.time())


def alive(name: str | None, heartbeats: dict[str, Any]) -> bool:
    """Whether the process that owns a trial is still running.

    Args:
        name: what `owner` said there.
        heartbeats: the study's attributes.
    """
    if name is None:
        return False
    machine, pid, created = name.rsplit(":", 2)
    if machine == _machine():
        try:
            process = psutil.Process(int(pid))
            dead = process.status() == psutil.STATUS_ZOMBIE  # nobody has asked yet how it ended
            return not dead and abs(process.create_time() - float(created)) < 1
        except psutil.NoSuchProcess:
            return False
    return time.time() - float(heartbeats.get(f"alive {name}", 0)) < DEAD_SECONDS
