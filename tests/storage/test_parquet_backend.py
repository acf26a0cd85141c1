"""Parquet exports: lossless, tidy, replaced as a whole, and clear about what is wrong with a file."""

import tempfile
from dataclasses import replace
from pathlib import Path

import duckdb
import msgspec
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from learned import learned
from strategies import TIME, make_call, make_ir, make_request, make_run, runs, windows

import acg_lab as acg
from acg_lab.core import RunRecord, StabilityAnalysisResult
from acg_lab.storage import parquet_backend, to_tables
from acg_lab.storage.codec import encode, encode_window
from acg_lab.storage.memory import MemoryBackend
from acg_lab.storage.tables import CODED, TABLES

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
KEYS = ("a", "b::c", "b::c::model=m::seed=no-seed::system=no-system::tools=no-tools")
NEXT = {"acg_lab.version": "9"}
EMPTY = StabilityAnalysisResult(scores=(), stable_prefix_length=0, total_observations=0)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(windows(), max_size=3), st.lists(runs(), max_size=3), st.booleans())
def test_what_is_exported_loads_equal(stored, recorded, with_unknown):
    """Odd records, unknown fields, empty windows and several agents come back as they were."""
    backend = MemoryBackend()
    for i, window in enumerate(stored):
        backend.store_observations(
            ("a", "b::c", "b::c::model=m::seed=no-seed::system=no-system::tools=no-tools")[i], window
        )
    for i, run in enumerate(recorded):
        unknown = {"later": [1, {"x": None}]} if with_unknown else {}
        backend.store_run(msgspec.structs.replace(run, id=f"r{i}", unknown={**run.unknown, **unknown}))
    backend.store_stability("a", msgspec.structs.replace(EMPTY, unknown={"later": 1} if with_unknown else {}))
    snap = acg.load(backend)
    with tempfile.TemporaryDirectory() as folder:
        snap.to_parquet(Path(folder) / "export")
        again = acg.load(Path(folder) / "export")
    assert again == snap
    assert list(again.runs) == [run for runs_of in backend._runs.values() for run in runs_of.values()]
    assert {key: again.columns.observations.window(i) for key, i in again.columns.observations.number.items()} == (
        backend._windows
    )


def test_one_dictionary_for_a_row_group(tmp_path):
    """However long its texts, a coded column has no page but of codes, and reads as pyarrow dictionaries."""
    backend = MemoryBackend()
    blocks = [(f"user-{i}", f"{i:05}" * 2000) for i in range(300)]  # 3 MB of distinct text
    backend.store_observations("a", [make_ir(*blocks)] * 2)
    acg.load(backend).to_parquet(tmp_path / "export")
    file = pq.ParquetFile(tmp_path / "export" / "blocks.parquet", read_dictionary=list(CODED["blocks"]))
    for i in range(file.metadata.num_columns):
        column = file.metadata.row_group(0).column(i)
        if column.path_in_schema in CODED["blocks"]:
            assert "RLE_DICTIONARY" in column.encodings
            assert column.has_dictionary_page
            assert column.dictionary_page_offset < column.data_page_offset
    content = file.read()["content"]
    assert content.num_chunks == 1
    assert len(content.chunk(0).dictionary) == 300
    assert len(content) == 600


def test_row_groups_are_cut_between_windows(tmp_path, monkeypatch):
    """Many small row groups load equal, and one agent is read from its own ones."""
    monkeypatch.setattr(to_tables, "ROWS_PER_GROUP", 8)
    snap = acg.load(learned("b", backend=learned("a")))
    snap.to_parquet(tmp_path / "export")
    metadata = pq.ParquetFile(tmp_path / "export" / "blocks.parquet").metadata
    assert metadata.num_row_groups > 2
    groups = [metadata.row_group(i).column(0).statistics for i in range(metadata.num_row_groups)]
    assert any(not group.min <= "a" <= group.max for group in groups)
    assert acg.load(tmp_path / "export") == snap
    assert acg.load(tmp_path / "export", agent_id="b") == acg.load(learned("b"))
    (key,) = acg.load(learned("b")).windows
    assert dict(acg.load(tmp_path / "export", keys=[key]).windows) == {key: snap.windows[key]}


def test_other_tools_find_it_sensible():
    """DuckDB, Polars and pandas read every table and answer questions about it."""
    for name in TABLES:
        path = str(SAMPLE / f"{name}.parquet")
        n = duckdb.sql(f"select count(*) from '{path}'").fetchall()[0][0]
        assert n == len(pd.read_parquet(path)) == pl.read_parquet(path).height > 0
    calls, messages = SAMPLE / "calls.parquet", SAMPLE / "messages.parquet"
    query = f"""
        select c.agent_id, m.role, count(*) from (select agent_id, unnest(message_ids) id from '{calls}') c
        join '{messages}' m on m.message_id = c.id group by all order by 3 desc
    """
    agent_id, role, n = duckdb.sql(query).fetchall()[0]
    assert (agent_id, role) == ("coder", "assistant") or n > 1000
    blocks = pl.read_parquet(SAMPLE / "blocks.parquet")
    assert blocks.group_by("agent_id").len().height == 9
    assert str(pd.read_parquet(SAMPLE / "observations.parquet")["created_at"].dtype) == "datetime64[ns, UTC]"


def rows_of(backend, prefix="nemo_flow:"):
    """Return what a Redis would hold, with the run index as a copying tool makes it: a JSON list."""
    rows = {f"{prefix}acg_observations:{key}": encode_window(w).decode() for key, w in backend._windows.items()}
    rows |= {f"{prefix}acg_stability:{key}": encode(r).decode() for key, r in backend._results.items()}
    for agent_id, of_agent in backend._runs.items():
        rows |= {f"{prefix}runs:{agent_id}:{run.id}": encode(run).decode() for run in reversed(of_agent.values())}
        rows[f"{prefix}runs_index:{agent_id}"] = msgspec.json.encode(list(of_agent)).decode()
    return rows


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()])
def test_plain_tables(tmp_path, kind):
    """A file or a folder of keys and values, as texts or bytes, gives what was stored, runs in the index's order."""
    backend = learned(n_runs=12)
    rows = [*rows_of(backend).items(), ("other:app", "x"), ("nemo_flow:plan:a", "{}")]
    encoded = [[value.encode() if kind == pa.binary() else value for value in row] for row in rows]
    for name, part in (("1", encoded[:5]), ("2", encoded[5:])):
        keys, values = zip(*part, strict=True)
        (tmp_path / "folder").mkdir(exist_ok=True)
        table = pa.table({"key": pa.array(keys, kind), "value": pa.array(values, kind), "ttl": [0] * len(keys)})
        pq.write_table(table, tmp_path / "folder" / f"{name}.parquet")
    snap = acg.load(tmp_path / "folder")
    assert snap == acg.load(backend)
    assert snap.columns.key_prefix == "nemo_flow:"
    assert acg.load(tmp_path / "folder" / "1.parquet", key_prefix="nemo_flow:").problems == ()


def test_two_prefixes_are_named(tmp_path):
    """A table of two deployments asks which one is meant."""
    rows = rows_of(learned()) | rows_of(learned(), "nemo_relay:")
    pq.write_table(pa.table({"key": list(rows), "value": list(rows.values())}), tmp_path / "kv.parquet")
    with pytest.raises(acg.UsageError, match="'nemo_flow:' and 'nemo_relay:'"):
        acg.load(tmp_path / "kv.parquet")
    assert acg.load(tmp_path / "kv.parquet", key_prefix="nemo_relay:") == acg.load(learned())


def test_places_that_fsspec_and_pyarrow_open(tmp_path):
    """An export goes to a URI and comes back."""
    snap = acg.load(learned())
    for uri in (f"file://{tmp_path}/export", "memory://acg-lab-test/export"):
        snap.to_parquet(uri)
        assert acg.load(uri) == snap
        with pytest.raises(acg.UsageError, match="exists already"):
            snap.to_parquet(uri)
    with pytest.raises(acg.SourceError, match=r"nosuch://\*\*\*@host"):
        acg.load("nosuch://user:secret@host/x")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_an_interrupted_export_leaves_nothing_half(tmp_path, monkeypatch, error):
    """Nothing stands in its place, or still the old one; nothing lies beside it."""
    old, new = acg.load(learned(n_runs=2)), acg.load(learned(n_runs=3))
    old.to_parquet(tmp_path / "old")
    write, calls = parquet_backend._write_table, []

    def fail_at_the_third(*arguments):
        calls.append(1)
        if len(calls) % 3 == 0:
            raise error
        write(*arguments)

    monkeypatch.setattr(parquet_backend, "_write_table", fail_at_the_third)
    for name in ("new", "old"):
        with pytest.raises((error, acg.SourceError)):
            new.to_parquet(tmp_path / name, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert acg.load(tmp_path / "old") == old


def test_only_exports_are_replaced(tmp_path):
    """An export is replaced if asked for; any other folder never."""
    snap = acg.load(learned())
    snap.to_parquet(tmp_path / "export")
    snap.to_parquet(tmp_path / "export", overwrite=True)
    (tmp_path / "mine").mkdir()
    with pytest.raises(acg.UsageError, match="choose another"):
        snap.to_parquet(tmp_path / "mine", overwrite=True)


def test_closing_writes_what_was_stored(tmp_path):
    """As a backend it keeps what is stored and writes the export anew when it is closed."""
    with acg.ParquetExport(tmp_path / "export") as backend:
        backend.store_run(make_run())
        backend.store_observations("a", [make_ir(("user-0", "x"))])
    with acg.ParquetExport(tmp_path / "export") as backend:
        assert len(backend.list_runs("a")) == 1
        backend.store_stability("a", EMPTY)
    snap = acg.load(tmp_path / "export")
    assert (len(snap.runs), snap.seeds["a"].result) == (1, EMPTY)


def rewrite(path, change):
    pq.write_table(change(pq.read_table(path)), path)


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("blocks", lambda path: path.unlink(), "table 'blocks': there is no such file"),
        ("blocks", lambda path: path.write_bytes(path.read_bytes()[:-40]), "table 'blocks': "),
        ("blocks", lambda path: path.write_text("key,value"), "table 'blocks': "),
        ("calls", lambda path: rewrite(path, lambda t: t.drop_columns(["kind"])), "column 'kind' of type string"),
        ("runs", lambda path: rewrite(path, lambda t: t.replace_schema_metadata(NEXT)), "version '9'"),
        ("runs", lambda path: rewrite(path, lambda t: t.replace_schema_metadata({})), "got no version"),
        ("blocks", lambda path: rewrite(path, lambda t: t.slice(1)), "expected the blocks of each observation"),
        ("observations", lambda path: rewrite(path, lambda t: t.slice(1)), "from position 0 on"),
        ("scores", lambda path: rewrite(path, lambda t: t.slice(1)), "from rank 0 on"),
        ("stability", lambda path: rewrite(path, lambda t: t.slice(0, 0)), "one row for every key that has scores"),
        ("runs", lambda path: rewrite(path, lambda t: t.slice(1)), "from position 0 on"),
        ("runs", lambda path: rewrite(path, lambda t: t.slice(0, 1)), "calls of runs that have a row"),
        ("messages", lambda path: rewrite(path, lambda t: t.slice(1)), "every message_id from 0 on"),
    ],
)  # fmt: skip
def test_damaged_exports_are_refused(tmp_path, name, damage, message):
    """The folder, the table and what was expected are named."""
    acg.load(learned()).to_parquet(tmp_path / "export")
    damage(tmp_path / "export" / f"{name}.parquet")
    with pytest.raises((acg.SourceError, acg.RecordError)) as caught:
        acg.load(tmp_path / "export")
    assert str(tmp_path / "export") in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda _: None, "no such file or folder"),
        (lambda path: path.write_text("not Parquet"), "neither an export nor a table"),
        (lambda path: path.mkdir(), "a folder without either"),
        (lambda path: pq.write_table(pa.table({"a": [1]}), path), "got columns 'a'"),
        (lambda path: pq.write_table(pa.table({"key": ["x"], "value": ["y"]}), path), "no entries of the governor"),
    ],
)  # fmt: skip
def test_what_is_no_source_is_refused(tmp_path, write, message):
    """A path that holds nothing of ours is named, with what was expected."""
    write(tmp_path / "thing")
    with pytest.raises(acg.SourceError, match=message) as caught:
        acg.load(tmp_path / "thing")
    assert str(tmp_path / "thing") in str(caught.value)


def test_empty_objects_are_kept(tmp_path):
    """An empty object is not a missing one, in the fields of requests and calls that hold any JSON."""
    request = make_request("x", params={}, tool_choice={})
    run = RunRecord(id="r", agent_id="a", calls=(make_call(request, metadata_snapshot={}),), started_at=TIME)
    backend = MemoryBackend()
    backend.store_run(run)
    acg.load(backend).to_parquet(tmp_path / "export")
    assert list(acg.load(tmp_path / "export").runs) == [run]


def test_storing_keeps_the_key_prefix(tmp_path):
    """What is stored in an export later leaves the key prefix of its source."""
    columns = replace(acg.load(learned()).columns, key_prefix="nemo_flow:")
    acg.ParquetExport(tmp_path / "export").write(columns)
    with acg.ParquetExport(tmp_path / "export") as backend:
        backend.store_run(make_run(run_id="later"))
        assert backend.columns().key_prefix == "nemo_flow:"
    assert acg.ParquetExport(tmp_path / "export").columns().key_prefix == "nemo_flow:"
