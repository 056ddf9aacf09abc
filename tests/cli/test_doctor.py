"""`lab doctor` sees what it was built to see, and names the next step."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from lightning import Trainer
from packaging.specifiers import SpecifierSet

from lab.cli import doctor

Lab = Callable[..., Any]


def test_this_installation_is_well(lab: Lab) -> None:
    outcome = lab("doctor", "--json")
    findings = json.loads(outcome.out)
    assert [finding for finding in findings if finding["state"] == "failed"] == []
    assert outcome.code == 0
    assert {"python", "torch", "torchrl", "mlflow", "cpu", "tracking"} <= {finding["check"] for finding in findings}
    assert lab("doctor").out.startswith("CHECK ")


@pytest.mark.parametrize(
    ("name", "version", "wanted", "state", "words"),
    [
        ("lightning", "2.6.6", ">=2.6.6,<2.7", "ok", ""),
        ("lightning", "2.6.2", ">=2.6.6,<2.7", "failed", "compromised"),
        ("lightning", "2.6.3", ">=2.6", "failed", "compromised"),
        ("torch", "2.13.0+cpu", ">=2.14,<2.15", "failed", "torchrl 0.14 needs torch 2.14"),
        ("torch", "2.14.1+cu130", ">=2.14,<2.15", "ok", ""),
        ("optuna", "4.0", ">=5,<6", "failed", "4.0"),
    ],
)
def test_versions(name: str, version: str, wanted: str, state: str, words: str) -> None:
    finding = doctor.judge(name, version, SpecifierSet(wanted))
    assert finding.state == state
    assert words in finding.found
    assert bool(finding.next_step) is (state == "failed")


def test_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PACKAGES", ("optuna", "torch"))
    version = doctor.metadata.version

    def without_optuna(name: str) -> str:
        if name == "optuna":
            raise doctor.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(doctor.metadata, "version", without_optuna)
    missing, present = doctor.packages()
    assert (missing.state, missing.found) == ("failed", "not installed")
    assert missing.next_step.startswith("pip install 'optuna")
    assert present.state == "ok"


def test_a_leftover_file_store(lab: Lab) -> None:
    Path("mlruns/123").mkdir(parents=True)
    Path("mlruns/123/meta.yaml").touch()
    outcome = lab("doctor")
    assert outcome.code == 1
    assert "mlflow migrate-filestore" in outcome.out
    assert "mlruns/123" in outcome.out


def test_a_folder_of_checkpoints_is_no_file_store(lab: Lab) -> None:
    Path("mlruns/cli").mkdir(parents=True)
    Path("mlruns/cli/meta.yaml").touch()
    assert lab("doctor").code == 0


def test_a_folder_nobody_may_write(monkeypatch: pytest.MonkeyPatch, lab: Lab) -> None:
    del lab  # only its empty folder

    def refuse(**_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    (finding,) = doctor.folders()
    assert finding.state == "failed"
    assert "Permission denied" in finding.found


def test_a_database(lab: Lab) -> None:
    del lab
    assert doctor.tracking().found == f"sqlite:///{Path.cwd()}/mlflow.db: created by the first run"
    Path("mlflow.db").write_text("not a database, but long enough to be taken for one " * 10)
    assert doctor.tracking().state == "failed"
    Path("mlflow.db").unlink()
    with sqlite3.connect("mlflow.db") as database:
        database.execute("create table runs (run_uuid text)")
    database.close()
    assert doctor.tracking() == doctor.Finding("tracking", "ok", f"sqlite:///{Path.cwd()}/mlflow.db: 0 runs")


def test_a_server(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    del lab

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://me:secret@127.0.0.1:{server.server_port}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        assert doctor.tracking() == doctor.Finding("tracking", "ok", address.replace("me:secret@", ""))
        server.shutdown()
    gone = doctor.tracking()
    assert gone.state == "failed"
    assert "secret" not in gone.found
    assert "MLFLOW_TRACKING_URI" in gone.next_step


def test_a_name_of_lightning_that_is_gone_is_named_with_the_versions_that_have_it(monkeypatch):
    (fine,) = doctor.resuming()
    assert fine.state == "ok"
    monkeypatch.delattr(type(Trainer(logger=False).fit_loop.epoch_loop), "on_advance_end")
    (finding,) = doctor.resuming()
    assert finding.state == "failed"
    assert "on_advance_end" in finding.found
    assert finding.next_step.startswith("pip install 'lightning")
