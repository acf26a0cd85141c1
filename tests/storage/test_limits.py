"""What exceeds a limit is refused with what it is, the limit, what came, and how to raise it; the rest is read."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from learned_backend import learned_backend, run_of

import acg_lab as acg
from acg_lab.cli import main
from acg_lab.storage.memory import MemoryBackend

BODY = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


def body(n_messages=1, text="hello"):
    return {"model": "m", "messages": [{"role": "user", "content": text}] * n_messages}


def nested(depth):
    """A tool whose schema makes the whole request so many levels deep."""
    schema = {}
    for _ in range(depth - 6):
        schema = {"properties": schema}
    tool = {"type": "function", "function": {"name": "f", "parameters": {"a": schema}}}
    return BODY | {"tools": [tool]}


def with_problem(load, *said):
    """Load and return the snapshot, whose only problem says all of this."""
    with pytest.warns(acg.LoadWarning):
        snap = load()
    (problem,) = snap.problems
    for text in said:
        assert text in str(problem)
    return snap


@pytest.fixture
def stored(redis_url):
    """A Redis with four short runs, and a long one."""
    backend = learned_backend("a", 4)
    backend.store_run(run_of("a", 5, ["long " * 20_000]))
    acg.load(backend).to_redis(redis_url, key_prefix="p:")
    return redis_url


def test_a_large_value_of_a_redis_is_not_fetched(stored, redis_client):
    """A value above the limit is a problem of its key, by its length alone; the others are read."""
    before = redis_client.info("stats")["total_net_output_bytes"]
    limits = acg.Limits(value_bytes=50_000)
    snap = with_problem(
        lambda: acg.load(stored, limits=limits),
        "'p:runs:a:run-5'",
        "expected a value of at most 50,000 bytes, got 100,",
        "raised by limits=acg_lab.Limits(value_bytes=...) (--max value_bytes=...)",
    )
    assert redis_client.info("stats")["total_net_output_bytes"] - before < 50_000
    assert len(snap.runs) == 4
    assert len(acg.load(stored).runs) == 5


@pytest.mark.usefixtures("stored")
def test_a_large_row_of_a_plain_table_is_a_problem(redis_client, tmp_path):
    """The same of a row of a plain table of keys and values."""
    keys = [key for key in redis_client.scan_iter() if b"runs_index" not in key]
    table = {"key": [key.decode() for key in keys], "value": [redis_client.get(key).decode() for key in keys]}
    pq.write_table(pa.table(table), tmp_path / "copy.parquet")
    limits = acg.Limits(value_bytes=50_000)
    with_problem(lambda: acg.load(tmp_path / "copy.parquet", limits=limits), "a value of at most 50,000 bytes")


@pytest.mark.parametrize("form", ["lines", "array"])
def test_a_long_line_of_a_log_is_passed_over(tmp_path, form):
    """A line or an item above the limit is a problem; the ones before it are read."""
    rows = [body(), body(text="long " * 300_000)]
    text = json.dumps(rows) if form == "array" else "\n".join(map(json.dumps, rows))
    (tmp_path / "log.jsonl").write_text(text)
    limits = acg.Limits(line_bytes=2**20)
    snap = with_problem(lambda: acg.load(tmp_path / "log.jsonl", limits=limits), "of at most 1 MiB", "--max line_bytes")
    assert len(snap.runs) == 1
    with_problem(lambda: acg.from_requests(rows, limits=limits), "a row of at most 1 MiB, got 1 MiB")


def test_json_is_no_deeper_than_allowed(tmp_path):
    """Fewer levels than production's 127 can be allowed, of logs and of stored values."""
    (tmp_path / "log.jsonl").write_text("\n".join(json.dumps(nested(depth)) for depth in (10, 20, 21)))
    snap = with_problem(
        lambda: acg.load(tmp_path / "log.jsonl", limits=acg.Limits(depth=20)),
        "line 3",
        "expected at most 20 levels of JSON, got 21",
    )
    assert len(snap.runs) == 2
    with pytest.warns(acg.LoadWarning, match="levels of JSON"):
        assert not len(acg.load(learned_backend(), limits=acg.Limits(depth=3)).runs)


def test_a_request_has_no_more_blocks_than_allowed(tmp_path):
    """More messages than the limit are refused of logs, of recorded runs, of windows and of an export."""
    sent = {"started_at": "2026-11-01T08:00:00Z"}
    rows = [{"request": body(), **sent}, {"request": body(12, "bye"), **sent}]
    limits = acg.Limits(blocks=10)
    snap = with_problem(lambda: acg.from_requests(rows, limits=limits), "at most 10 messages of one request, got 12")
    assert len(snap.runs) == 1
    whole = acg.from_requests(rows)
    whole.to_parquet(tmp_path / "export")
    with pytest.raises(acg.RecordError, match=r"at observations: expected at most 10 blocks of one request, got 12"):
        acg.load(tmp_path / "export", limits=limits)
    backend = MemoryBackend()
    for key, window in whole.windows.items():
        backend.store_observations(key, window)
    for run in whole.runs:
        backend.store_run(run)
    with pytest.warns(acg.LoadWarning, match="of one request, got 12"):
        snap = acg.load(backend, limits=limits)
    assert {str(problem).partition(" of one request")[0].split()[-1] for problem in snap.problems} == {
        "blocks",
        "messages",
    }


def test_a_table_takes_no_more_memory_than_allowed(tmp_path):
    """A table of an export, and a plain table, is refused by its metadata."""
    acg.load(learned_backend()).to_parquet(tmp_path / "export")
    with pytest.raises(acg.SourceError, match=r"expected a table of at most 10 bytes, got .*--max table_bytes=\.\.\."):
        acg.load(tmp_path / "export", limits=acg.Limits(table_bytes=10))
    pq.write_table(pa.table({"key": ["acg:acg_observations:a"], "value": ["[]"]}), tmp_path / "plain.parquet")
    with pytest.raises(acg.SourceError, match=r"expected a table of at most 10 bytes"):
        acg.load(tmp_path / "plain.parquet", limits=acg.Limits(table_bytes=10))
    assert not acg.load(tmp_path / "plain.parquet").problems


def test_the_command_takes_limits(tmp_path, capsys):
    """``--max NAME=N`` sets a limit, with units of bytes; a wrong one says which there are."""
    (tmp_path / "log.jsonl").write_text(json.dumps(body(12)) + "\n" + json.dumps(body()))
    main_status(["analyze", str(tmp_path / "log.jsonl"), "--max", "blocks=10", "--max", "line_bytes=1MiB"], 0)
    assert "at most 10 messages of one request, got 12" in " ".join(capsys.readouterr().err.split())
    for wrong, said in {"rows=1": "the limits are value_bytes, line", "blocks": "expected NAME=N"}.items():
        main_status(["analyze", "sample", "--max", wrong], 2)
        assert said in capsys.readouterr().err


def main_status(arguments, expected):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert (ended.value.code or 0) == expected


@pytest.mark.parametrize(
    ("given", "said"),
    [({"blocks": 0}, "positive integer"), ({"depth": 128}, "at most 127"), ({"line_bytes": "1"}, "positive integer")],
)
def test_a_wrong_limit_is_refused(given, said):
    """A limit is a positive integer, of numpy too, and no depth is above production's."""
    with pytest.raises(acg.UsageError, match=said):
        acg.Limits(**given)
    with pytest.raises(acg.UsageError, match="'limits' option must be Limits"):
        acg.load("sample", limits=given)
    assert acg.Limits(blocks=np.int64(5)).blocks == 5
