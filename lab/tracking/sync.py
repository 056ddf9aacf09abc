"""The journals that wait on this machine for their server, and sending them: what `lab sync` does."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import BadInput, LabError
from lab.tracking.journal import OFFLINE_TARGET, OWN_SERVER, Journal, Operation
from lab.tracking.names import INTERNAL
from lab.tracking.redaction import without_password
from lab.tracking.remote_run import RemoteRun
from lab.tracking.sender import ServerUnavailable, deliver
from lab.tracking.server import client, connecting, experiment_id, local_artifacts, local_folder, tracking_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient

HEADER = {"op", "run_id", "name", "time", "uri", "offline_for"}  # of the first line of a journal
OFFLINE_ID = f"{INTERNAL}offline_id"  # tag on the server: the id that the run has in the folder where it was made


@dataclass(frozen=True)
class Report:
    """Counts of the operations of one run that were sent.

    Args:
        run_id: the run, as this machine knows it.
        name: the run's name.
        uri: the server, without a password.
        sent: operations delivered now.
        waiting: operations that still wait.
        note: why they do; None if all went well.
        failed: whether the server is the reason.
    """

    run_id: str
    name: str
    uri: str
    sent: int
    waiting: int
    note: str | None = None
    failed: bool = False


def sync(run: str | None = None, uri: str | None = None) -> Iterator[Report]:
    """Sends every journal that waits in this folder, or beside the database at `uri`, oldest run first.

    Args:
        run: only this one: its id, the start of it, its name, or `last`.
        uri: the server to send to, if it has moved or its address holds a password; else the recorded one.
    """
    folders = {folder: _header(folder) for folder in _folders(uri)}
    for folder, header in folders.items():
        if header is None and b"\n" in (folder / "journal.jsonl").read_bytes():  # else it ended before it began
            note = f"{folder / 'journal.jsonl'} is damaged in its first line, and cannot be sent; move it away"
            yield Report(folder.name, folder.name, "", 0, 0, note, failed=True)
    found = [(header, folder) for folder, header in folders.items() if header is not None]
    found.sort(key=lambda pair: pair[0]["time"])
    if run == "last":
        found = found[-1:]
    elif run is not None:
        found = [pair for pair in found if pair[0]["run_id"].startswith(run) or pair[0]["name"] == run]
    unavailable: dict[str, str] = {}  # servers that did not answer, so that nobody waits for them twice
    for header, folder in found:
        yield from _sent(header, folder, uri, unavailable)


def _sent(header: Operation, folder: Path, uri: str | None, unavailable: dict[str, str]) -> Iterator[Report]:
    run_id, name = header["run_id"], header["name"]
    try:
        journal = Journal(folder)
    except BadInput as running:
        yield Report(run_id, name, header["uri"], 0, 0, str(running))
        return
    destinations = {OWN_SERVER: header["uri"]}
    if header["offline_for"]:
        destinations[OFFLINE_TARGET] = header["offline_for"]
    for cursor, recorded in destinations.items():
        if not journal.waiting(cursor):
            continue
        address = _address(recorded, uri)
        before, note = journal.waiting(cursor), unavailable.get(address)
        try:
            if note is None:
                deliver(journal, _remote_run(journal, header, cursor, address), cursor)
        except LabError as error:
            note = unavailable[address] = str(error)
        except ServerUnavailable as error:
            note = str(error)
        waiting = journal.waiting(cursor)
        yield Report(run_id, name, without_password(address), before - waiting, waiting, note, note is not None)
    if journal.ended() == "FINISHED" and not any(journal.waiting(cursor) for cursor in destinations):
        journal.remove()
    else:
        journal.close()


def _remote_run(journal: Journal, header: Operation, cursor: str, address: str) -> RemoteRun:
    server = client(address)
    with connecting(address):
        run_id = header["run_id"] if cursor == OWN_SERVER else _copy_of(header, server, address)
        artifacts = local_artifacts(server.get_run(run_id).info.artifact_uri)
    return RemoteRun(server, run_id, journal.folder, artifacts)


def _copy_of(header: Operation, server: MlflowClient, address: str) -> str:
    """The run on the server that stands for an offline run: the one made the last time, or a new one."""
    experiment = experiment_id(server, header["experiment"], address)
    found = server.search_runs([experiment], f"tags.`{OFFLINE_ID}` = '{header['run_id']}'", max_results=1)
    tags = {**header["tags"], OFFLINE_ID: header["run_id"]}
    run = found[0] if found else server.create_run(experiment, header["time"], tags, header["name"])
    return str(run.info.run_id)


def _address(recorded: str, uri: str | None) -> str:
    """The server to send to. Journals hold no passwords: such an address is the caller's or the environment's."""
    if recorded.startswith("sqlite:"):
        return recorded
    if uri is not None and not uri.startswith("sqlite:"):
        return uri
    configured = os.environ.get("MLFLOW_TRACKING_URI", "")
    return configured if without_password(configured) == recorded else recorded


def _folders(uri: str | None) -> list[Path]:
    bases = {Path("mlruns").resolve(), local_folder(tracking_uri(uri)).resolve()}
    return [file.parent for base in bases for file in base.glob("outbox/*/journal.jsonl")]


def _header(folder: Path) -> Operation | None:
    """The first line of a journal; None if the run ended before it was written."""
    with (folder / "journal.jsonl").open("rb") as file:
        line = file.readline()
    try:
        header: Operation = json.loads(line)
    except ValueError:
        return None
    return header if isinstance(header, dict) and header.keys() >= HEADER and header["op"] == "start" else None
