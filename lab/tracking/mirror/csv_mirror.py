"""A run's metrics as one table, `metrics.csv`, and its parameters, as Lightning's CSVLogger has them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import yaml

from lab.tracking.journal import Operation

HOW_TO_LOOK = "{folder}/metrics.csv"
FROM_THE_START = True  # it is written anew when a run is resumed


class Mirror:
    """One row for metrics of one step that were logged together; a column for every name.

    Args:
        folder: where the files go.
        journal, experiment, name, run_id: about the run; not needed here.
    """

    uploading = False

    def __init__(self, folder: Path, *_: object) -> None:
        self.metrics, self.parameters = folder / "metrics.csv", folder / "hparams.yaml"
        self.columns = ["step"]
        self.row: dict[str, float] = {}  # not written yet: more of its step may follow
        self.known: dict[str, str] = {}
        self.metrics.write_text("step\n")

    def send(self, operations: Sequence[Operation]) -> bool:
        kind = operations[0]["op"]
        if kind == "metrics":
            self._write([point for operation in operations for point in operation["metrics"]])
        elif kind == "params":
            self.known |= operations[0]["params"]
            self.parameters.write_text(yaml.safe_dump(self.known, allow_unicode=True, sort_keys=False))
        elif kind == "end":
            self._append([self.row] if self.row else [])
            self.row = {}
        return True

    def _write(self, points: Sequence[tuple[str, float, int, int]]) -> None:
        rows = []
        for name, value, _, step in points:
            if self.row and (self.row["step"] != step or name in self.row):
                rows.append(self.row)
                self.row = {}
            self.row |= {"step": step, name: value}
        self._append(rows)

    def _append(self, rows: list[dict[str, float]]) -> None:
        new = [name for name in dict.fromkeys(name for row in rows for name in row) if name not in self.columns]
        if new:
            with self.metrics.open(newline="") as file:
                before = list(csv.DictReader(file))
            self.columns += new
            with self.metrics.open("w", newline="") as file:
                table = csv.DictWriter(file, self.columns)
                table.writeheader()
                table.writerows(before)
        with self.metrics.open("a", newline="") as file:
            csv.DictWriter(file, self.columns).writerows(rows)
