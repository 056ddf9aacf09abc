"""`python -m benchmarks.silence`: how long commands say nothing, from Enter to their exit.

Each command runs twice in an empty folder: in a terminal of 80 columns, where the spinner and the bar count, and
without one, with its output in a file. Fails where a terminal stays unchanged for more than TERMINAL_SECONDS or a log
for more than LOG_SECONDS, and where a log has what belongs to a terminal.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import say

LAB = str(Path(sys.executable).with_name("lab"))
TERMINAL_SECONDS, LOG_SECONDS = 3.0, 46.0  # a log repeats what goes on after 45 s, and a training says more
COMMANDS = {
    "agent": "run ddpg_pendulum data.total_steps=2000",
    "on-policy": "run ppo_cartpole data.total_steps=20000",
    "images": "run classify_digits trainer.max_epochs=3",
    "text": "run classify_text_reviews trainer.max_epochs=1",
    "table": "run classify_tabular_breast_cancer trainer.max_epochs=3",
    "series": "run forecast_seasonal trainer.max_epochs=1",
    "seeds": "run ddpg_pendulum data.total_steps=2000 --seeds 2",
}
ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\r")


@dataclass(frozen=True)
class Piece:
    """What came at once.

    Args:
        at: seconds since the command was entered.
        text: bytes as they came.
    """

    at: float
    text: bytes


def listen(command: list[str], folder: Path, terminal: bool) -> tuple[list[Piece], int]:
    """What a command prints, piece by piece, the last one empty at its exit; and its exit status."""
    reader, writer = pty.openpty() if terminal else os.pipe()
    if terminal:
        fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment | {"TERM": "xterm-256color"},
        stdin=writer if terminal else subprocess.DEVNULL,
        stdout=writer,
        stderr=writer,
        start_new_session=True,
    )
    os.close(writer)
    pieces: list[Piece] = []
    while True:
        if not select.select([reader], [], [], 0.05)[0]:
            if process.poll() is not None:
                break
            continue
        try:
            text = os.read(reader, 65536)
        except OSError:  # how Linux says that nobody holds the terminal any more
            text = b""
        if not text:
            break
        pieces.append(Piece(time.monotonic() - began, text))
    status = process.wait()
    os.close(reader)
    return [*pieces, Piece(time.monotonic() - began, b"")], status


def longest(pieces: list[Piece]) -> tuple[float, float, str]:
    """The longest silence in seconds, when it began, and the last words before it."""
    found, said, before = (0.0, 0.0, ""), 0.0, b""
    for piece in pieces:
        if piece.at - said > found[0]:
            found = piece.at - said, said, words(before).rstrip().rpartition("\n")[2][-60:]
        said, before = piece.at, (before + piece.text)[-2000:]
    return found


def words(text: bytes) -> str:
    """Text as it came, without what moves the cursor and colours it."""
    return ESCAPES.sub(b"\n", text).decode(errors="replace")


def faults_of_log(text: bytes) -> list[str]:
    """What a log should not have: codes of a terminal, empty or overwritten lines, frames of a bar."""
    found = [f"{code!r} in the log" for code in sorted(set(ESCAPES.findall(text)))]
    return found + [
        f"a bar in the log: {line}" for line in words(text).splitlines() if re.search("[━█▏⠋⠙⠹]|\\d%\\|", line)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.silence", description=__doc__)
    parser.add_argument("--only", choices=COMMANDS, action="append", help="one command; may be repeated")
    parser.add_argument("--logs", type=Path, help="a folder for what was printed, each line with its second")
    chosen = parser.parse_args()
    faults: list[str] = []
    for name in chosen.only or COMMANDS:
        for terminal in (True, False):
            with tempfile.TemporaryDirectory() as folder:
                pieces, status = listen([LAB, *COMMANDS[name].split()], Path(folder), terminal)
            where = f"{name}, {'terminal' if terminal else 'log'}"
            seconds, at, before = longest(pieces)
            say(f"{where}: {pieces[-1].at:.1f} s, longest silence {seconds:.1f} s at {at:.1f} s, after: {before}")
            if status:
                faults.append(f"{where}: exit status {status}")
            if seconds > (TERMINAL_SECONDS if terminal else LOG_SECONDS):
                faults.append(f"{where}: {seconds:.1f} s of silence")
            if not terminal:
                faults += [f"{where}: {fault}" for fault in faults_of_log(b"".join(piece.text for piece in pieces))]
            if chosen.logs is not None:
                chosen.logs.mkdir(parents=True, exist_ok=True)
                lines = [f"{piece.at:6.1f}  {words(piece.text)!r}" for piece in pieces]
                (chosen.logs / f"{name}_{'terminal' if terminal else 'log'}.txt").write_text("\n".join(lines) + "\n")
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
