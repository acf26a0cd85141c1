"""Every notebook runs from top to bottom on the sample, in a minute, and is stored without outputs."""

import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import acg_lab as acg
from acg_lab.cli.notebook import copy_notebooks

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LIMIT = 60  # seconds


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder beside the sample, as the notebooks' own: what they write stays out of the repository."""
    (tmp_path / "data").symlink_to(ROOT / "data", target_is_directory=True)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.delenv("MPLBACKEND", raising=False)  # a notebook's own shows figures
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path / "notebooks"


@pytest.mark.filterwarnings("ignore::DeprecationWarning:zmq", "ignore::ResourceWarning")
@pytest.mark.parametrize("agent", [None, "handbook-search"])
@pytest.mark.parametrize("original", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(original, place, agent):
    """On the sample and on another source it runs without an error or a warning, in time, and plots show pictures."""
    source = "../data/sample"
    if agent is not None:
        acg.load(ROOT / "data" / "sample", agent_id=agent).to_parquet(place / "history")
        source = "history"
    copy_notebooks(original.parent, place, source)
    notebook = nbformat.read(place / original.name, as_version=4)
    started = time.monotonic()
    NotebookClient(notebook, timeout=LIMIT, resources={"metadata": {"path": str(place)}}).execute()
    assert time.monotonic() - started <= LIMIT
    said = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert [output["text"] for output in said if output.get("name") == "stderr"] == []
    drawn = [cell for cell in notebook.cells if cell.source.splitlines()[-1].startswith("acg.plots.")]
    assert drawn
    assert all(any("image/png" in output.get("data", ()) for output in cell.outputs) for cell in drawn)


@pytest.mark.parametrize("original", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_is_stored_without_outputs(original):
    """No outputs, no counts, and no functions: prose and calls."""
    notebook = nbformat.read(original, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert not any(line.startswith(("def ", "class ", "lambda ")) for cell in code for line in cell.source.splitlines())


def test_there_are_notebooks():
    """The notebook of this test's own issue is among those that run."""
    assert "2_tune" in {path.stem for path in NOTEBOOKS}
