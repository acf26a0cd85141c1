"""Every format from file to snapshot: recognised, learned, its problems and caveats said, and exported whole."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from logs.reading import FIXTURES

import acg_lab as acg

# File, format, how many requests are learned, and how many problems it has.
LOGS = [
    ("relay-0.10.4-full/events.jsonl", "atof", 6, 0),
    ("relay-0.11.0rc3-cut/events.jsonl", "atof", 6, 0),
    ("relay-0.11.0rc3-full/atif.json", "atif", 5, 0),
    ("relay-0.11.0rc3-full/otlp-full.jsonl", "otlp", None, 0),
    ("relay-0.11.0rc3-full/otlp-gen_ai.jsonl", "otlp", None, 0),
    ("relay-0.11.0rc3-full/otlp-openinference.jsonl", "otlp", None, 0),
    ("otlp-openinference.jsonl", "otlp", 3, 0),
    ("otlp-openllmetry.jsonl", "otlp", 3, 0),
    ("otlp-genai.jsonl", "otlp", 1, 0),
    ("litellm.jsonl", "litellm", 4, 3),
    ("langfuse.jsonl", "langfuse", 2, 0),
    ("mlflow.jsonl", "mlflow", 2, 0),
    ("phoenix.jsonl", "phoenix", 3, 0),
]


def n_learned(snap):
    return sum(call.annotated_request is not None for run in snap.runs for call in run.calls)


@pytest.mark.filterwarnings("ignore::acg_lab.snapshot.load_log.LoadWarning")
@pytest.mark.parametrize(("name", "format_name", "n", "n_problems"), LOGS)
def test_load(name, format_name, n, n_problems):
    """A file is taken for what it is, and every request that can be is learned."""
    snap = acg.load(FIXTURES / name, progress=False)
    assert f"({format_name})" in snap.source
    assert len(snap.problems) == n_problems, snap.problems
    if n is not None:
        assert n_learned(snap) == n
    assert snap.windows
    assert snap.learned_here


def test_folder_of_two_formats(tmp_path):
    """A folder may hold files of several formats; each is read as what it is."""
    for name in ("otlp-genai.jsonl", "phoenix.jsonl"):
        (tmp_path / name).write_bytes((FIXTURES / name).read_bytes())
    snap = acg.load(tmp_path, progress=False)
    assert "(otlp and phoenix)" in snap.source
    assert n_learned(snap) == 4


def test_traces_and_their_log_records(tmp_path):
    """Messages that stand in a file of log records join the spans of another file."""
    for name in ("otlp-genai-events.jsonl", "otlp-genai-events-logs.jsonl"):
        (tmp_path / name).write_bytes((FIXTURES / name).read_bytes())
    assert n_learned(acg.load(tmp_path, progress=False)) == 1


def test_two_formats_in_one_file(tmp_path):
    """Lines of another format are problems with their line; the others are used."""
    path = tmp_path / "log.jsonl"
    events = (FIXTURES / "relay-0.10.4-full/events.jsonl").read_text()
    path.write_text(events + (FIXTURES / "phoenix.jsonl").read_text())
    with pytest.warns(acg.LoadWarning):
        snap = acg.load(path, progress=False)
    n_events = len(events.splitlines())
    assert [problem.line for problem in snap.problems] == [n_events + 1, n_events + 2, n_events + 3]
    assert n_learned(snap) == 6


def test_half_written_file(tmp_path):
    """A file that ends inside a line loses that line alone."""
    path = tmp_path / "events.jsonl"
    raw = (FIXTURES / "relay-0.10.4-full/events.jsonl").read_bytes()
    path.write_bytes(raw[:-200])
    with pytest.warns(acg.LoadWarning):
        snap = acg.load(path, progress=False)
    assert len(snap.problems) == 1
    assert n_learned(snap) == 6


def test_refused_log(tmp_path):
    """A log that can't be used is refused by name, with what to log instead."""
    path = tmp_path / "spend.jsonl"
    path.write_text('{"request_id": "r", "call_type": "acompletion", "spend": 0, "startTime": "", "messages": []}\n')
    with pytest.raises(acg.SourceError, match="2,048 characters"):
        acg.load(path)


@pytest.mark.filterwarnings("ignore::acg_lab.snapshot.load_log.LoadWarning")
@pytest.mark.parametrize("name", [name for name, *_ in LOGS])
def test_round_trip(name, tmp_path):
    """What is learned of a log is read of its Parquet export: windows, results, and the runs as production has them."""
    snap = acg.load(FIXTURES / name, progress=False)
    snap.to_parquet(tmp_path / "export")
    again = acg.load(tmp_path / "export", progress=False)
    assert dict(again.windows) == dict(snap.windows)
    assert dict(again.stability) == dict(snap.stability)
    assert list(again.runs) == list(snap.runs)
    assert (again.caveats, again.learned_here) == (snap.caveats, snap.learned_here)
    assert "learned here" in repr(again).splitlines()[0]
    assert {key: found.rules for key, found in again.rules.items()} == {
        key: found.rules for key, found in snap.rules.items()
    }


def as_frame(name):
    """Return a fixture as the DataFrame that its tool hands out: numpy arrays, timestamps, NaN for what is missing."""
    frame = pd.DataFrame(json.loads(line) for line in (FIXTURES / name).read_text().splitlines())
    for column in frame:
        if str(column).endswith("_time"):
            frame[column] = pd.to_datetime(frame[column])
        elif frame[column].map(lambda value: isinstance(value, list)).any():
            frame[column] = frame[column].map(np.array)
    return frame


@pytest.mark.parametrize(("name", "n"), [("phoenix", 3), ("mlflow", 2), ("langfuse", 2)])
def test_frames(name, n):
    """Rows of a DataFrame are read as the lines of a file are."""
    snap = acg.from_requests(as_frame(f"{name}.jsonl"))
    assert f"({name})" in snap.source
    assert not snap.problems
    assert n_learned(snap) == n


def test_phoenix_frame_without_bodies():
    """Lists of messages may be numpy arrays of objects."""
    frame = as_frame("phoenix.jsonl")
    assert n_learned(acg.from_requests(frame.drop(columns=[c for c in frame if c.endswith(".value")]))) == 3


def test_csv():
    """Cells of a CSV export hold JSON as text."""
    frame = as_frame("langfuse.jsonl")
    for column in ("input", "output", "modelParameters", "usageDetails"):
        frame[column] = frame[column].map(lambda value: json.dumps(value, default=np.ndarray.tolist))
    snap = acg.from_requests(pd.read_csv(io.StringIO(frame.to_csv(index=False))))
    assert not snap.problems
    assert n_learned(snap) == 2
