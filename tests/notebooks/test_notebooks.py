"""Every notebook runs from top to bottom on the sample, in a minute on a processor, and shows what is stored of it."""

import copy
import json
import os
from pathlib import Path

import nbformat
import pytest

import acg_lab as acg
from acg_lab.cli.notebook import copy_notebooks
from acg_lab.docs.stored_notebooks import find_differences, run_notebook

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LIMIT = 60  # seconds
SVG = "image/svg+xml"


@pytest.fixture
def place(tmp_path):
    """A folder beside the sample, as the notebooks' own: what they write stays out of the repository."""
    (tmp_path / "data").symlink_to(ROOT / "data", target_is_directory=True)
    (tmp_path / "notebooks").mkdir()
    return tmp_path / "notebooks"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:zmq", "ignore::ResourceWarning")
@pytest.mark.parametrize("agent", [None, "handbook-search"])
@pytest.mark.parametrize("original", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_runs(original, place, agent, monkeypatch):
    """On the sample it shows what is stored; on another source too it runs in time, without an error or a warning."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    path = original
    if agent is not None:
        acg.load(ROOT / "data" / "sample", agent_id=agent).to_parquet(place / "history")
        copy_notebooks(original.parent, place, "history")
        path = place / original.name
    before = sum(os.times()[2:4])  # processor time of processes that have ended: a busy neighbour does not count
    notebook = run_notebook(path, place)
    assert sum(os.times()[2:4]) - before <= LIMIT
    said = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert [output["text"] for output in said if output.get("name") == "stderr"] == []
    drawn = [cell for cell in notebook.cells if cell.source.splitlines()[-1].startswith("acg.plots.")]
    assert drawn
    assert all(any(SVG in output.get("data", ()) for output in cell.outputs) for cell in drawn)
    if agent is None:
        differences = find_differences(nbformat.read(original, as_version=4), notebook, original.name)
        assert differences == [], "run: python -m acg_lab.docs notebooks"


@pytest.mark.parametrize("original", NOTEBOOKS, ids=lambda path: path.stem)
def test_how_it_is_stored(original):
    """Run once, from top to bottom, in less than 400 kB without the state of widgets; prose and calls, no functions."""
    notebook = nbformat.read(original, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert original.stat().st_size < 400_000
    text = original.read_text(encoding="utf-8")
    assert "application/vnd.jupyter.widget" not in text
    assert str(ROOT) not in text
    assert not any(line.startswith(("def ", "class ", "lambda ")) for cell in code for line in cell.source.splitlines())


def test_there_are_notebooks():
    """The three notebooks that README names are among those that run."""
    assert [path.stem for path in NOTEBOOKS] == ["1_explore", "2_tune", "3_from_your_log"]


# --- what is a difference ---

PICTURE = '<svg><g id="bar"><path d="M1 2.25L30 4z" style="fill: #14538f"/></g></svg>'
OUTPUTS = [
    {"output_type": "stream", "name": "stdout", "text": "took 1.25 s\n5 requests\n"},
    {"output_type": "display_data", "data": {SVG: PICTURE, "text/plain": "<Figure>"}, "metadata": {}},
]


def shown(**replaced):
    """Return a notebook of one cell whose outputs have other texts."""
    text = json.dumps(OUTPUTS)
    for old, new in replaced.values():
        text = text.replace(old, new)
    return nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("x", outputs=nbformat.from_dict(json.loads(text)))]
    )


@pytest.mark.parametrize("change", [("1.25 s", "71 s"), ("2.25", "2.5"), ("M1 2", "M1.0 2")])
def test_small_things_are_no_difference(change):
    """A time, and a quarter of a point in a picture, are no difference."""
    assert find_differences(shown(), shown(change=change), "a.ipynb") == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("5 requests", "6 requests"), ["a.ipynb, cell 0: stream differs\n-5 requests\n+6 requests"]),
        (("L30 4", "L33 4"), [f"a.ipynb, cell 0: {SVG} differs"]),
        (("14538f", "c2410c"), [f"a.ipynb, cell 0: {SVG} differs"]),
        (('<g id=\\"bar\\">', '<g id=\\"line\\">'), [f"a.ipynb, cell 0: {SVG} differs"]),
        (("<Figure>", "<Axes>"), ["a.ipynb, cell 0: text/plain differs\n-<Figure>\n+<Axes>"]),
    ],
)
def test_differences_are_found(change, said):
    """Another number, bar, colour, element or text is found, and what was text is shown."""
    found = find_differences(shown(), shown(change=change), "a.ipynb")
    assert [line.replace("\n@@ -2 +2 @@", "").replace("\n@@ -1 +1 @@", "") for line in found] == said


def test_lost_outputs_are_found():
    """A cell that shows less or other formats than is stored differs."""
    without = copy.deepcopy(shown())
    del without.cells[0].outputs[1]
    (found,) = find_differences(shown(), without, "a.ipynb")
    assert found == f"a.ipynb, cell 0: it stores stream, {SVG}, text/plain, and shows stream"
