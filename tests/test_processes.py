"""A forked process of the command line is one that was started: what it is, what it says, and how it ends."""

import json
import signal
from pathlib import Path

import pytest
from processes import Started, lab

import lab as package
from lab.testing.processes import Process

pytestmark = pytest.mark.slow

PROBE = """\
import atexit, json, os, sys
import helper
atexit.register(print, "the end")
words = [__name__, __spec__.name, *sys.argv[1:]]
print(json.dumps([words, os.getcwd(), os.environ["WHO"], helper.NUMBER, "torch" in sys.modules]))
sys.exit(7)
"""
SLEEPER = """\
import sys, time
try:
    print("here", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    sys.exit(130)
"""


def test_it_has_its_own_words_folder_variables_and_end(tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "helper.py").write_text("NUMBER = 5")
    (tmp_path / "probe.py").write_text(PROBE)
    here = Path.cwd()
    process = Started(tmp_path, "probe", "--one", "two", WHO="me", PYTHONPATH=str(tmp_path / "more"))
    out, err = process.communicate()
    found, end = out.splitlines()
    assert json.loads(found) == [["__main__", "probe", "--one", "two"], str(tmp_path), "me", 5, True]
    assert (end, err, process.returncode) == ("the end", "", 7)
    assert Path.cwd() == here


def test_it_is_the_command(tmp_path):
    assert lab(tmp_path, "--version").stdout == f"lab {package.__version__}\n"
    refused = lab(tmp_path, "show", "nothing")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("error: ")


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, -15), (signal.SIGINT, 130)])
def test_a_signal_ends_it(signum, code, tmp_path):
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    process = Process("sleeper", [], tmp_path / "out", folder=tmp_path)
    while not (tmp_path / "out").exists() or not (tmp_path / "out").read_text():
        assert process.poll() is None
    with pytest.raises(TimeoutError, match=f"process {process.pid} still runs after 0.01 seconds"):
        process.wait(0.01)
    process.send_signal(signum)
    assert process.wait(120) == process.poll() == code
    process.kill()  # which nobody else feels
