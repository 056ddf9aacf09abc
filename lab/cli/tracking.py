"""`lab sync` and `lab ui`: sending unsent runs to a tracking server, and MLflow's web interface."""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from lab.cli.terminal import words
from lab.cli.terminal.output import emit
from lab.cli.terminal.working import working
from lab.errors import LabError
from lab.sentences import note, tell

if TYPE_CHECKING:
    from lab.tracking.sync import Report


def sync(
    run: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Only this run: its id, its first digits, its name, or `last`.")
    ] = None,
    uri: words.Uri = None,
    as_json: words.Json = False,
) -> None:
    """Send unsent runs of this folder to the tracking server."""
    with working("looking for unsent runs"):
        from lab.tracking import sync as outbox

        reports = list(outbox.sync(run, uri))
    if as_json:
        emit(reports)
    else:
        tell("\n".join(map(_line, reports)) or "nothing to send")
    if any(report.failed for report in reports):
        raise typer.Exit(1)


def _line(report: Report) -> str:
    run = f"{report.name} {report.run_id[:8]}"
    if report.failed:
        return f"{run}: {report.sent} operations sent, {report.waiting} wait: {report.note}"
    return f"{run}: {report.note or f'{report.sent} operations sent to {report.uri}'}"


def ui(
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="WHAT", help="Open on the learning curves of these runs, named as for `lab compare`."),
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 5000,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    uri: words.Uri = None,
) -> None:
    """Show the runs in MLflow's web interface."""
    from lab.tracking.server import has_runs, no_runs, tracking_uri

    store = tracking_uri(uri)
    if store.startswith(("http://", "https://")):
        print(_page(store, what, store))
        return
    if not has_runs(store):
        raise LabError(no_runs(store))
    if not _free(host, port):
        other = next((p for p in range(port + 1, 65536) if _free(host, p)), None)
        raise LabError(f"port {port} is taken; try: lab ui --port {other}")
    print(_page(f"http://{host}:{port}", what, store), flush=True)
    note("Ctrl-C stops it")
    os.environ["MLFLOW_BACKEND_STORE_URI"] = store  # no argument: `ps` shows those, and it may hold a password
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")  # eight more processes, for judges of texts
    address = ["--host", host, "--port", str(port)]
    workers = ["--workers", "1"]  # one reader; each of MLflow's four takes seconds to start
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "ui", *address, *workers])


def _page(server: str, what: list[str] | None, store: str) -> str:
    """The page to open: the list of experiments, or the curves of the runs that are named."""
    from lab.tracking.server import client, curves_page, page

    if not what:
        return page(server)
    with working("reading the runs"):
        from lab import comparison

        chosen = comparison.select(what, uri=store)
        runs = [run for group in chosen.groups for seeds in group.runs.values() for run in seeds.values()]
        experiments = {client(store).get_run(run).info.experiment_id for run in runs}
    return curves_page(server, sorted(experiments), runs, chosen.curves or [chosen.metric])


def _free(host: str, port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            return False
    return True
