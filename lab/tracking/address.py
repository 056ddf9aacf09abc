"""Checks of a tracking address, with the corrected form in the message."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import urlsplit

from lab.errors import nearest
from lab.tracking.redaction import without_password

WEB = ("http", "https")
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
OTHERS = ("databricks", "databricks-uc", "uc")  # MLflow's own
HOST = re.compile(r"[\w.-]+:\d+|localhost|\[[\da-f:]+\](:\d+)?|\d+(\.\d+){3}|(\w[\w-]*\.)+[a-z]{2,}", re.I)
SQLITE = b"SQLite format 3\0"  # the first bytes of a database's file
FILE = re.compile(r"\.(db|sqlite3?)$", re.I)


def problem(uri: str) -> str | None:
    """The reason why MLflow cannot use the address, with the correct form; None if it may be right."""
    shown = without_password(uri)
    scheme, colon, rest = uri.partition("://")
    if not colon:
        return _without_scheme(uri, shown)
    kind = scheme.partition("+")[0].lower()
    if kind == "file":
        return _folder(shown)
    if kind in WEB:
        try:
            host, _ = urlsplit(uri).hostname, urlsplit(uri).port
            return None if host else f"{shown} names no server; write http://host:5000"
        except ValueError as error:  # a port that is none, half of an IPv6 address
            return f"{shown} is no address: {str(error)[:1].lower()}{str(error)[1:]}; write http://host:5000"
    if kind == "postgres":
        return f"{shown}: the scheme is called postgresql; write {without_password(f'postgresql://{rest}')}"
    if kind == "sqlite":
        return _sqlite(rest, shown)
    if kind in (*DATABASES, *OTHERS) or kind in entry_points(group="mlflow.tracking_store").names:
        return None
    known = (*WEB, *DATABASES)
    return f"{shown}: there is no {scheme}://{nearest(kind, known)}; expected {', '.join(known)}"


def _without_scheme(uri: str, shown: str) -> str:
    name, _, rest = uri.partition(":")
    if name.lower() == "file":
        return _folder(shown)
    if name.lower() == "sqlite":
        return f"{shown}: an SQLite database has three slashes; write sqlite:///{rest.lstrip('/') or 'mlflow.db'}"
    if name.lower() in (*WEB, *DATABASES):
        right = f"{name}://{rest.lstrip('/')}"
        return f"{shown}: two slashes are missing; write {without_password(right)}"
    if FILE.search(uri):
        return f"{shown}: a database of this machine is named by sqlite:///; write sqlite:///{uri}"
    host = re.split(r"[/?#]", uri.rpartition("@")[2])[0]
    if "@" in uri or HOST.fullmatch(host):
        right = without_password(f"http://{uri}")
        return f"{right.removeprefix('http://')} has no scheme; write {right}"
    return _folder(shown)


def _folder(shown: str) -> str:
    return f"tracking in a folder ({shown}) is gone from MLflow; use sqlite:///mlflow.db or a server"


def _holds_sqlite(path: Path) -> bool:
    """Whether a file can be a database: an empty one becomes one, and of one that cannot be read nobody knows."""
    try:
        with path.open("rb") as file:
            return file.read(len(SQLITE)) in (b"", SQLITE)
    except OSError:
        return True


def _sqlite(rest: str, shown: str) -> str | None:
    if not rest.startswith("/"):
        return f"{shown}: an SQLite database has three slashes; write sqlite:///{rest or 'mlflow.db'}"
    path = Path(rest[1:].partition("?")[0])
    if rest == "/":
        return f"{shown} names no file; write sqlite:///mlflow.db"
    if path.is_dir():
        return f"{shown} is a folder and no database; move it away, or name another file: sqlite:///runs.db"
    if path.is_file() and not _holds_sqlite(path):
        return f"{shown} is no SQLite database; move the file away, or name another: sqlite:///runs.db"
    if str(path) != ":memory:" and not path.parent.is_dir():
        return f"{shown}: there is no folder {path.parent}; make it first"
    return None
