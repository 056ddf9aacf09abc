"""Where runs go, and that nothing says the password on the way."""

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from importlib import metadata
from pathlib import Path
from urllib.parse import parse_qs, quote, quote_plus, unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lab.cli.terminal.messages import explain
from lab.cli.tracking import ui
from lab.errors import BadInput, LabError
from lab.tracking import redaction
from lab.tracking.redaction import mask_secrets, redact, without_password
from lab.tracking.server import _copy_empty, client, curves_page, local_artifacts, local_folder, page, tracking_uri


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def test_the_address_is_the_recipes_then_the_environments_then_the_default(monkeypatch, folder):
    assert tracking_uri() == f"sqlite:///{folder}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert tracking_uri() == "http://127.0.0.1:5000"
    assert tracking_uri("sqlite:///other.db") == f"sqlite:///{folder}/other.db"


@pytest.mark.parametrize(
    ("uri", "advice"),
    [
        ("localhost:5000", "write http://localhost:5000"),
        ("localhost", "write http://localhost"),
        ("mlflow.example.org/path", "write http://mlflow.example.org/path"),
        ("10.0.0.3:80/", "write http://10.0.0.3:80/"),
        ("user:secret@host:5000", "write http://host:5000"),
        ("postgres://me:secret@host/runs", "write postgresql://host/runs"),
        ("sqlite://mlflow.db", "write sqlite:///mlflow.db"),
        ("sqlite:mlflow.db", "write sqlite:///mlflow.db"),
        ("sqlite:///", "write sqlite:///mlflow.db"),
        ("sqlite:////", "is a folder"),
        (f"sqlite:///{__file__}", "is no SQLite database; move the file away, or name another: sqlite:///runs.db"),
        ("sqlite:///no/such/place/x.db", "there is no folder no/such/place"),
        ("mlflow.db", "write sqlite:///mlflow.db"),
        ("http:localhost:5000", "write http://localhost:5000"),
        ("http://", "names no server"),
        ("http://host:port", "is no address"),
        ("htp://host", "did you mean 'http'?"),
        ("ftp://host", "expected http, https, sqlite"),
    ],
)
def test_an_address_that_is_none_says_what_to_write(uri, advice):
    with pytest.raises(BadInput) as refused:
        tracking_uri(uri)
    assert advice in str(refused.value)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "uri", ["http://host:5000/", "https://me:pw@host", "postgresql+psycopg2://h/d", "http://[::1]:80"]
)
def test_an_address_that_may_be_right_is_left_as_it_is(uri):
    assert tracking_uri(f" {uri} ") == uri


@pytest.mark.parametrize("uri", ["runs", "file:///tmp/runs", "./mlruns", "file:mlruns", "/tmp/mlruns"])
def test_a_folder_is_no_tracking_server(uri):
    with pytest.raises(BadInput, match="tracking in a folder"):
        tracking_uri(uri)


@pytest.mark.usefixtures("folder")
def test_an_old_file_store_is_named():
    old = Path("mlruns/0")
    old.mkdir(parents=True)
    (old / "meta.yaml").touch()
    with pytest.raises(BadInput, match="mlflow migrate-filestore"):
        tracking_uri()


def test_what_a_run_keeps_here_lies_beside_its_database(folder):
    assert local_folder("sqlite:////data/x/mlflow.db") == Path("/data/x/mlruns")
    assert local_folder("http://example.org") == local_folder("sqlite:///mlflow.db") == folder / "mlruns"


def test_of_two_processes_only_one_makes_the_tables(tracked):
    there = os.open(tracked, os.O_RDONLY)
    fcntl.flock(there, fcntl.LOCK_EX)  # as another process does that is just making them
    other = threading.Thread(target=client, args=[f"sqlite:///{tracked}/mlflow.db"])
    other.start()
    other.join(timeout=1)
    assert other.is_alive()
    os.close(there)
    other.join()


def test_artifacts_on_this_machine_are_told_from_those_elsewhere(folder):
    there = folder / "50 % of it"
    assert local_artifacts(str(there)) == local_artifacts(there.as_uri()) == there
    assert there.is_dir()
    for uri in (
        "mlflow-artifacts:/1/2",
        "s3://bucket/x",
        f"{folder.as_uri().replace('file', 'dbfs')}",
        "/proc/nowhere",
    ):
        assert local_artifacts(uri) is None


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("https://me:hush@host:5000/x", "https://host:5000/x"),
        ("https://hush@host", "https://host"),
        ("https://me:hu@sh@host", "https://host"),
        ("https://me:hu/sh@host", "https://host"),
        ("https://me:hu?sh#hush@host", "https://host"),
        ("https://me:hu[sh@[::1]:5000", "https://[::1]:5000"),
        ("http:/me:hush@host", "http:/host"),
        ("me:hush@host", "me:host"),
        ("postgresql+psycopg://me:hush@host/db?sslmode=require", "postgresql+psycopg://host/db?sslmode=require"),
        (
            "postgresql://host/db?user=me&password=hush&connect_timeout=3",
            "postgresql://host/db?user=me&connect_timeout=3",
        ),
        ("postgresql://host/db?sslpassword=hush", "postgresql://host/db"),
        ("http://host/?api_key=hush&x=1#token=hush", "http://host/?x=1"),
        ("mssql://host/?odbc_connect=DRIVER%3Dx%3BPWD%3Dhush", "mssql://host/"),
        ("http://host/?%70assword=hush", "http://host/"),
        # nothing secret: as it was
        ("sqlite:////home/me@work/a:b/mlflow.db", "sqlite:////home/me@work/a:b/mlflow.db"),
        ("http://host:5000/users/me@work?keyspace=1", "http://host:5000/users/me@work?keyspace=1"),
        ("http://[::1]:5000", "http://[::1]:5000"),
        ("", ""),
    ],
)
def test_secrets_are_left_out_of_an_address(uri, shown):
    assert without_password(uri) == shown
    assert mask_secrets(f"cannot reach {uri}!", uri) == f"cannot reach {shown}!"


@pytest.mark.slow
@given(st.text())
def test_any_address_can_be_shown(uri):
    assert isinstance(without_password(uri), str)
    assert isinstance(mask_secrets("text", uri), str)
    assert redact("a text", "http://host") == "a text"


hosts = st.from_regex(r"[a-z]{3,8}\.org(:[1-9][0-9]{3})?", fullmatch=True)
users = st.from_regex(r"[a-z]{1,8}", fullmatch=True)
passwords = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=6, max_size=20)
SPELLINGS = {
    "encoded user info": lambda user, secret, host: f"http://{user}:{quote(secret, safe='')}@{host}/path",
    "encoded, lower case": lambda user, secret, host: f"http://{user}:{quote(secret, safe='').lower()}@{host}",
    "as typed": lambda user, secret, host: f"http://{user}:{secret}@{host}",
    "token": lambda user, secret, host: f"http://{quote(secret, safe='')}@{host}/",  # noqa: ARG005
    "query": lambda user, secret, host: f"postgresql://{user}@{host}/db?password={quote_plus(secret)}&x=1",
    "query, encoded": lambda user, secret, host: f"postgresql://{host}/db?user={user}&sslpassword={quote(secret)}",
}


@pytest.mark.slow
@pytest.mark.parametrize("spelling", SPELLINGS)
@given(user=users, password=passwords, host=hosts)
def test_no_message_says_the_password(spelling, user, password, host):
    if spelling == "encoded, lower case":
        password = password.lower()
    if spelling == "as typed":
        password = f"x{password}"  # of digits and a slash, it would be a port and a path
    assume(password not in f"http://{host} postgresql://{user}")
    uri = SPELLINGS[spelling](user, password, host)
    said = f"{uri}|{uri.rstrip('/')}/api|{uri!r}|{password}|{password!r}|{quote(password)}|{unquote(uri)}|{quote(uri)}"
    for found in (without_password(uri), mask_secrets(said, uri), redact(f"uri: {uri}", uri)):
        assert password not in found
        assert quote(password, safe="") not in found


def test_every_address_that_was_used_is_hidden_where_nobody_knows_which_it_was(monkeypatch):
    monkeypatch.setattr(redaction, "_known", set())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:first@host")
    with pytest.raises(LabError):
        client("weird://me:second@host")
    said = mask_secrets("http://me:first@host/api and weird://me:second@host: 'first' 'second' 'third'")
    assert said == "http://host/api and weird://host: '***' '***' 'third'"


@pytest.mark.parametrize("password", ["e", "ho", "host", "server", "tracking", "5000", "http"])
@pytest.mark.parametrize("uri", ["http://me:{}@host:5000", "postgresql://host:5000/db?user=me&password={}"])
def test_a_password_that_is_part_of_a_message_leaves_the_message_as_it_is(uri, password):
    uri = uri.format(password)
    shown = without_password(uri)
    message = f"tracking server {shown} cannot be reached: host 'mlflow' does not answer, http is refused; check it"
    assert mask_secrets(message.replace(shown, uri), uri) == message
    assert mask_secrets(f"no route: {password}@somewhere", uri) == "no route: ***@somewhere"
    assert mask_secrets(f"dsn: password={password}", uri) == "dsn: password=***"
    assert mask_secrets(f"invalid literal: '{password}'", uri) == "invalid literal: '***'"


@pytest.mark.usefixtures("folder")
def test_our_own_messages_lose_no_word_to_a_password(monkeypatch):
    monkeypatch.setattr(redaction, "_known", set())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:recipe@host")
    message = "no recipe 'recipe' at http://me:recipe@host; lab ls lists them"
    assert explain(LabError(message)) == "error: no recipe 'recipe' at http://host; lab ls lists them"


@pytest.mark.parametrize(
    "uri",
    [
        "http://me:hush@127.0.0.1:9",
        "http://me:hu[sh@127.0.0.1:9",
        "http://me:hu/sh@127.0.0.1:9",
        "postgresql+nodriver://me:hush@127.0.0.1:9/db?password=hush",
        "weird://me:hush@127.0.0.1",
    ],
)
def test_a_server_that_cannot_be_reached_is_one_line(uri, capfd):
    with pytest.raises(LabError, match=r"^tracking server .* cannot be reached: ") as error:
        client(uri)
    printed = capfd.readouterr()
    said = str(error.value) + printed.out + printed.err
    assert "hush" not in said
    assert "hu[sh" not in said
    assert "hu/sh" not in said
    assert "\n" not in str(error.value)
    assert error.value.__suppress_context__, "the traceback would show it"
    assert "MLFLOW_HTTP_REQUEST_TIMEOUT" not in os.environ


class Replaced(Exception):
    """Instead of becoming another program."""


@pytest.mark.usefixtures("folder")
def test_the_pages_get_the_address_where_ps_does_not_show_it(monkeypatch, capsys):
    started = []

    def replaced(_program, words):
        started.extend(words)
        raise Replaced

    monkeypatch.setattr(os, "execv", replaced)
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "left over")
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "true")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(Replaced):
        ui(port=port, uri="postgresql://me:hush@host/db")
    assert os.environ["MLFLOW_BACKEND_STORE_URI"] == "postgresql://me:hush@host/db"
    assert os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "true", "who asks for them has them"
    assert started[started.index("--host") + 1] == "127.0.0.1", "nobody else's machine, unless told otherwise"
    printed = capsys.readouterr()
    assert printed.out == f"http://127.0.0.1:{port}/#/experiments?workflowType=machine_learning\n"
    assert "hush" not in " ".join(started) + "".join(printed)


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        ((), "/experiments"),
        (("3",), "/experiments/3"),
        (("3", "abc"), "/experiments/3/runs/abc"),
    ],
)
def test_pages_open_on_the_runs(wanted, path):
    assert page("http://me:hush@host:5000/", *wanted) == f"http://host:5000/#{path}?workflowType=machine_learning"


def test_a_page_of_curves_names_runs_and_metrics():
    address = curves_page("http://me:hush@host:5000/", ["1", "2"], ["ab", "cd"], ["val/return", "loss/q"])
    place, _, query = address.partition("?")
    assert place == "http://host:5000/#/metric"
    shown = {name: values[0] for name, values in parse_qs(query).items()}
    assert {name: json.loads(shown[name]) for name in ("runs", "experiments", "metric", "plot_metric_keys")} == {
        "runs": ["ab", "cd"],
        "experiments": ["1", "2"],
        "metric": "val/return",
        "plot_metric_keys": ["val/return", "loss/q"],
    }
    assert shown["workflowType"] == "machine_learning"


@pytest.mark.long
def test_mlflow_reads_the_address_from_there(tmp_path):
    """A database that is none: MLflow's own complaint names it."""
    environment = os.environ | {"MLFLOW_BACKEND_STORE_URI": "nowhere://host/db"}
    command = [sys.executable, "-m", "mlflow", "ui", "--port", "0"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert "nowhere" in done.stdout + done.stderr


def test_a_new_database_is_a_copy_of_an_empty_one_that_mlflow_made_before(folder, monkeypatch, empty_database):
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    kept = folder / "cache" / "torch-lab" / f"mlflow-{metadata.version('mlflow')}.db"
    kept.parent.mkdir(parents=True)
    shutil.copy(empty_database, folder / "first.db")
    _copy_empty(folder / "first.db", kept)
    before = kept.read_bytes()
    server = client(f"sqlite:///{folder}/second.db")
    (only,) = server.search_experiments()
    assert (only.name, only.artifact_location) == ("Default", str(folder / "mlruns" / "0"))
    server.create_run(server.create_experiment("other"))
    assert kept.read_bytes() == before
    assert sorted(path.name for path in kept.parent.iterdir()) == [kept.name]


@pytest.mark.long
def test_a_damaged_empty_database_is_made_anew(folder, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    kept = folder / "cache" / "torch-lab" / f"mlflow-{metadata.version('mlflow')}.db"
    kept.parent.mkdir(parents=True)
    kept.write_text("no database at all")
    assert len(client(f"sqlite:///{folder}/mlflow.db").search_experiments()) == 1
    assert kept.read_bytes().startswith(b"SQLite format 3")
