"""Parquet files as other tools write them, and folders as jobs leave them."""

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from learned_backend import learned_backend

import acg_lab as acg
from acg_lab.core.codec import encode, encode_window
from acg_lab.storage.parquet_schema import TABLES


def rows(snap):
    """Return what a Redis would hold of the windows and results of a snapshot."""
    windows = {f"nemo_relay:acg_observations:{key}": encode_window(window) for key, window in snap.windows.items()}
    results = {f"nemo_relay:acg_stability:{key}": encode(result) for key, result in snap.stability.items()}
    return windows | results


def write_plain(path, entries, *, names=("key", "value"), kind=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = kind or pa.string()
    columns = [pa.array(map(bytes.decode, entries.values()), kind), pa.array(entries, kind)]
    pq.write_table(pa.table(dict(zip(names, reversed(columns), strict=True))), path)


@pytest.fixture
def snap():
    return acg.load(learned_backend())


@pytest.fixture
def stored(snap):
    return rows(snap)


def same_windows(one, other):
    return dict(one.windows) == dict(other.windows) and dict(one.stability) == dict(other.stability)


# --- folders ---


@pytest.mark.parametrize(
    "left_over",
    ["_temporary/0/part.parquet", ".part-1.parquet", "_SUCCESS", ".crc/x.parquet", "_started_1", "dt=1/_x.parquet"],
)
def test_left_overs_are_ignored(snap, stored, tmp_path, left_over):
    """Files and folders whose names begin with an underscore or a point are not data."""
    write_plain(tmp_path / "data" / "part-0.parquet", stored)
    path = tmp_path / "data" / left_over
    path.parent.mkdir(parents=True, exist_ok=True)
    key = next(iter(stored))
    write_plain(path, {key: b"[]"})
    assert same_windows(acg.load(tmp_path / "data"), snap)


@pytest.mark.parametrize("name", ["a.parquet", "a.parq", "a.pq", "A.PARQUET", "part-00000"])
def test_names_of_parquet_files(snap, stored, tmp_path, name):
    """A Parquet file in a folder is known by its suffix in any case, or else by its first bytes."""
    write_plain(tmp_path / "data" / name, stored)
    (tmp_path / "data" / "notes").write_text("no Parquet")
    (tmp_path / "data" / "notes.txt").write_text("no Parquet")
    assert same_windows(acg.load(tmp_path / "data"), snap)


def test_newest_partition_wins(snap, stored, tmp_path):
    """Of partitions that hold the same key the newest one is read, and how many entries were left out is said."""
    key = next(iter(stored))
    write_plain(tmp_path / "dt=2026-11-01" / "a.parquet", {key: b"[]"} | {"nemo_relay:acg_stability:z": b"{}"})
    write_plain(tmp_path / "dt=2026-11-02" / "a.parquet", stored)
    with pytest.warns(acg.LoadWarning, match="1 entry"):
        read = acg.load(tmp_path)
    assert dict(read.windows) == dict(snap.windows)
    assert read.columns.origin.caveats == ("1 entry of older partitions left out: a newer one holds the same key.",)
    assert [problem.key for problem in read.problems] == ["nemo_relay:acg_stability:z"]


def test_one_key_twice_in_a_partition_is_a_problem(stored, tmp_path):
    """Within a partition nothing says which of two is the newer one."""
    write_plain(tmp_path / "dt=1" / "a.parquet", stored)
    write_plain(tmp_path / "dt=1" / "b.parquet", dict([next(iter(stored.items()))]))
    with pytest.warns(acg.LoadWarning, match="a second window"):
        assert len(acg.load(tmp_path).problems) == 1


@pytest.mark.parametrize(
    ("log", "name"),
    [
        ("_delta_log/00000000000000000000.json", "a Delta table"),
        ("metadata/v1.metadata.json", "an Iceberg table"),
        (".hoodie/hoodie.properties", "a Hudi table"),
    ],
)
def test_table_formats_are_refused_by_name(stored, tmp_path, log, name):
    """The files of such a table hold what was deleted from it too, so they are not read as they lie there."""
    write_plain(tmp_path / "data" / "a.parquet", stored)
    (tmp_path / "data" / log).parent.mkdir(parents=True)
    (tmp_path / "data" / log).write_text("{}")
    with pytest.raises(acg.SourceError, match=f"this is {name}"):
        acg.load(tmp_path / "data")


# --- columns ---


@pytest.mark.parametrize("names", [("KEY", "VALUE"), ("Key", "value")])
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())])
def test_columns_of_keys_and_values(snap, stored, tmp_path, names, kind):
    """Columns are found in whatever case, of every type that holds texts or bytes."""
    path = tmp_path / "a.parquet"
    write_plain(path, stored)
    table = pq.read_table(path)
    pq.write_table(
        pa.table({new: table[old].cast(kind) for new, old in zip(names, ("key", "value"), strict=True)}), path
    )
    assert same_windows(acg.load(path), snap)


def test_lists_of_texts_are_refused(tmp_path):
    """A list of texts is no value of a Redis."""
    pq.write_table(pa.table({"key": ["k"], "value": [["a", "b"]]}), tmp_path / "a.parquet")
    with pytest.raises(acg.SourceError, match="expected column 'value' of texts or bytes, got list<"):
        acg.load(tmp_path / "a.parquet")


# --- our own export, as other tools write it anew ---


def with_duckdb(source, target, where):
    duckdb.sql(f"copy (select * from '{source}' where {where}) to '{target}' (format parquet)")


def with_polars(source, target, where):
    frame = pl.read_parquet(source)
    pl.SQLContext(t=frame).execute(f"select * from t where {where}", eager=True).write_parquet(target)


def with_pandas(source, target, where):
    frame = pd.read_parquet(source)
    frame = frame if where == "true" else frame.query(where.replace("=", "==", 1))
    frame.to_parquet(target)


@pytest.mark.parametrize("rewrite", [with_duckdb, with_polars, with_pandas])
def test_filtered_exports_are_read(snap, tmp_path, rewrite):
    """An export of which whole agents were kept is known by its columns, though the metadata is gone."""
    agent = snap.agent_ids[0]
    snap.to_parquet(tmp_path / "whole")
    (tmp_path / "part").mkdir()
    for name in TABLES:
        where = "true" if name == "messages" else f"agent_id = '{agent}'"
        rewrite(tmp_path / "whole" / f"{name}.parquet", tmp_path / "part" / f"{name}.parquet", where)
    part, expected = acg.load(tmp_path / "part"), acg.load(tmp_path / "whole", agent_id=agent)
    assert {key: [ir.blocks for ir in window] for key, window in part.windows.items()} == {
        key: [ir.blocks for ir in window] for key, window in expected.windows.items()
    }
    assert dict(part.stability) == dict(expected.stability)
    assert [(run.id, len(run.calls)) for run in part.runs] == [(run.id, len(run.calls)) for run in expected.runs]
    assert [call.annotated_request for run in part.runs for call in run.calls] == [
        call.annotated_request for run in expected.runs for call in run.calls
    ]


def test_parts_of_windows_are_refused(snap, tmp_path):
    """An export of which rows inside windows are gone is refused, and what to keep is said."""
    snap.to_parquet(tmp_path / "x")
    path = tmp_path / "x" / "observations.parquet"
    pl.read_parquet(path).filter(pl.col("position") > 0).write_parquet(path)
    with pytest.raises(acg.RecordError, match="whole windows and whole runs"):
        acg.load(tmp_path / "x")
