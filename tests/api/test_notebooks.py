"""The notebooks of docs/notebooks/ run as they are, and the page about Python is true."""

import re
import sys
from pathlib import Path

import pytest

import lab

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
sys.path.append(str(ROOT / "docs"))


def cells(file):
    nbformat = pytest.importorskip("nbformat")
    return [cell for cell in nbformat.read(file, as_version=4).cells if cell.cell_type == "code"]


@pytest.mark.long
def test_the_notebooks_run(tmp_path):
    pytest.importorskip("nbclient")
    from make_notebooks import execute_all

    found = execute_all(tmp_path)
    assert list(found) == NOTEBOOKS
    for file, notebook in found.items():
        wrong = [cell for cell in notebook.cells if "raises-exception" in cell.metadata.get("tags", ())]
        traces = [output["traceback"] for cell in wrong for output in cell.outputs if output.output_type == "error"]
        assert len(traces) == len(wrong), f"{file.name}: a cell that is to fail does not"
        assert all(len(lines) < 5 for lines in traces), f"{file.name}: a mistake is shown in its lines"
        pink = [
            output.text
            for cell in notebook.cells
            for output in cell.get("outputs", ())
            if output.output_type == "stream" and output.name == "stderr"
        ]
        assert not [text for text in pink if "SIGINT" not in text and "stopping after" not in text], file.name


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_the_outputs_are_small_and_there(file):
    assert file.stat().st_size < 500_000
    outputs = [output for cell in cells(file) for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3, "run docs/make_notebooks.py"
    assert "/home/" not in file.read_text()


@pytest.mark.long
def test_the_examples_of_the_page_run(tmp_path, monkeypatch):
    """All blocks of the page, one after the other, as one program."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    page = (ROOT / "docs" / "python.md").read_text()
    for name, text in re.findall(r"^```yaml\n# (\S+\.yaml)\n(.*?)^```$", page, re.M | re.S):
        (tmp_path / name).write_text(text)
    names = {"lab": lab}
    for block in re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S):
        exec(compile(block, "docs/python.md", "exec"), names)
