"""Executes the notebooks of docs/notebooks/ and keeps what a reader wants to see: texts, tables and small pictures.

`python docs/make_notebooks.py` after a change of a notebook or of the functions of `lab`; needs the extra `dev`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent / "notebooks"
LARGEST = 200_000  # characters of an output; a video is larger, and is left out
TIMEOUT = 600  # seconds for one cell


def execute(file: Path, folder: Path) -> nbformat.NotebookNode:
    """The notebook with its outputs, run in `folder`.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed that has no tag `raises-exception`.
    """
    notebook = nbformat.read(file, as_version=4)
    client = NotebookClient(notebook, timeout=TIMEOUT, resources={"metadata": {"path": str(folder)}})
    env = {name: value for name, value in os.environ.items() if name not in ("MLFLOW_TRACKING_URI", "MPLBACKEND")}
    return client.execute(env=env)


def trimmed(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Without what is large or differs at every execution."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", ()):
            for kind, content in list(output.get("data", {}).items()):
                if len(content) > LARGEST:
                    del output["data"][kind]
    return notebook


def execute_all(folder: Path) -> dict[Path, nbformat.NotebookNode]:
    """Every notebook with its outputs, all at the same time, each in a folder of its own."""
    files = sorted(FOLDER.glob("*.ipynb"))
    places = [folder / file.stem for file in files]
    for place in places:
        place.mkdir()
    with ThreadPoolExecutor() as threads:
        return dict(zip(files, threads.map(execute, files, places), strict=True))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for file, notebook in execute_all(Path(folder)).items():
            nbformat.write(trimmed(notebook), file)
            print(f"{file.name}: {file.stat().st_size // 1000} kB", file=sys.stderr)


if __name__ == "__main__":
    main()
