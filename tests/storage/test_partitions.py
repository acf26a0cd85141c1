"""Exports with a folder per agent: equal to plain ones, read by engines as one data set, and opened agent by agent."""

import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from itertools import pairwise
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from examples import scaled
from hypothesis import HealthCheck, given, settings
from learned_backend import learned_backend
from odd_records import backend_of, stored_documents
from strategies import make_request, make_run

import acg_lab as acg
from acg_lab.cli import main
from acg_lab.snapshot.agent_names import measure_agents
from acg_lab.storage import parquet_writer
from acg_lab.storage.memory import MemoryBackend
from acg_lab.storage.parquet_layout import name_piece
from acg_lab.storage.parquet_schema import TABLES

AGENTS = ("a", "b", "sales/eu=1 100%", "Ünï::x", "..", "007", "null")


@pytest.fixture
def snap():
    """Return the history of agents with awkward names."""
    backend = MemoryBackend()
    for agent_id in AGENTS:
        learned_backend(agent_id, n_runs=2, backend=backend)
    return acg.load(backend)


@pytest.fixture
def export(snap, tmp_path):
    snap.to_parquet(tmp_path / "export", partition_by="agent")
    return tmp_path / "export"


@settings(max_examples=scaled(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stored_documents())
def test_a_partitioned_export_equals_a_plain_one(documents):
    """Whatever is stored, a partitioned export loads as the source does, whole and agent by agent, and lists as it."""
    snap = acg.load(backend_of(*documents), include_private=True)
    with tempfile.TemporaryDirectory() as folder:
        plain, parts = Path(folder) / "plain", Path(folder) / "parts"
        snap.to_parquet(plain)
        snap.to_parquet(parts, partition_by="agent")
        whole = acg.load(parts)
        assert whole == acg.load(plain) == snap
        stored = whole.columns.observations
        assert {key: stored.window(i) for key, i in stored.number.items()} == {
            key: snap.columns.observations.window(i) for key, i in snap.columns.observations.number.items()
        }
        assert tuple(measure_agents(parts)) == snap.agent_ids
        for agent_id in snap.agent_ids:
            one, own = acg.load(parts, agent_id=agent_id), {k for k, o in snap.owners.items() if o.agent_id == agent_id}
            assert one.owners == {key: snap.owners[key] for key in own}
            assert dict(one.windows) == {key: window for key, window in snap.windows.items() if key in own}
            assert dict(one.stability) == {key: result for key, result in snap.stability.items() if key in own}
            assert list(one.runs) == [run for run in snap.runs if run.agent_id == agent_id]
        key = next(iter(snap.windows), "none")
        assert acg.load(parts, keys=[key]) == acg.load(plain, keys=[key])


@pytest.mark.slow
def test_sample(tmp_path):
    """The sample in partitions: the same tables of costs, and its messages held once per agent, known as one."""
    snap = acg.load("sample")
    snap.to_parquet(tmp_path / "parts", partition_by="agent")
    again = acg.load(tmp_path / "parts")
    assert again == snap
    texts = again.runs.messages.texts
    assert len(set(texts)) == len(texts) <= len(snap.runs.messages.texts)


@pytest.mark.parametrize("table", TABLES)
def test_engines_read_each_table_as_one_data_set(snap, export, table):
    """DuckDB, Polars, pandas and pyarrow find every row, with its agent and piece, by one path."""
    place = f"{export}/{table}"
    n = sum(pq.read_metadata(path).num_rows for path in Path(place).rglob("*.parquet"))
    assert n
    rows = duckdb.sql(f"select agent_id, piece from '{place}/**/*.parquet'").fetchall()
    polars = pl.scan_parquet(f"{place}/**/*.parquet", hive_partitioning=True).collect()
    pandas = pd.read_parquet(place)
    arrow = ds.dataset(place, partitioning="hive").to_table()
    assert len(rows) == polars.height == len(pandas) == len(arrow) == n
    agents = set(snap.agent_ids)
    assert {agent_id for agent_id, _ in rows} == agents
    for found in (polars["agent_id"], pandas["agent_id"], arrow["agent_id"].to_pylist()):
        assert set(found) == agents
    (piece,) = Path(export / "_pieces").glob("*.json")
    assert {name for _, name in rows} == set(polars["piece"]) == set(pandas["piece"]) == {piece.stem}


def test_engines_join_calls_with_their_messages(export):
    """A message has its number within its agent, so that a join takes both columns."""
    rows = duckdb.sql(f"""
        select c.agent_id, count(*) from (
            select agent_id, unnest(message_ids) as message_id from '{export}/calls/**/*.parquet'
        ) c join '{export}/messages/**/*.parquet' m using (agent_id, message_id) group by 1
    """).fetchall()
    assert dict(rows) == dict.fromkeys(AGENTS, 8)


def test_one_agent_is_read_from_its_own_files(snap, export):
    """To load an agent, the files of the others need not be there; to list agents, no file need be one."""
    for path in export.rglob("*.parquet"):
        if path.parent.name != "agent_id=b":
            path.write_bytes(b"not Parquet")
    assert acg.load(export, agent_id="b") == acg.load(learned_backend("b", n_runs=2))
    assert tuple(measure_agents(export)) == snap.agent_ids
    with pytest.raises(acg.UsageError, match="no agent 'nobody'"):
        acg.load(export, agent_id="nobody")


def test_large_agents_have_several_row_groups_by_time(tmp_path, monkeypatch):
    """The calls of a large agent are cut in the order of its runs, so that times say which groups to read."""
    monkeypatch.setattr(parquet_writer, "_LARGE_GROUP", 3)
    snap = acg.load(learned_backend("a", n_runs=6))
    snap.to_parquet(tmp_path / "export", partition_by="agent")
    (path,) = (tmp_path / "export" / "calls").rglob("*.parquet")
    metadata = pq.read_metadata(path)
    column = metadata.schema.names.index("started_at")
    spans = [metadata.row_group(i).column(column).statistics for i in range(metadata.num_row_groups)]
    assert len(spans) == 4
    assert all(first.max <= then.min for first, then in pairwise(spans))
    assert acg.load(tmp_path / "export") == snap


@pytest.mark.parametrize("damage", ["cut", "lost", "other export"])
def test_a_damaged_agent_does_not_hide_the_others(snap, export, tmp_path, damage):
    """What can't be read of one agent is a problem that names piece, agent and table; the others are read."""
    path = next(path for path in (export / "calls").rglob("*.parquet") if path.parent.name == "agent_id=b")
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    elif damage == "lost":
        path.unlink()
    else:
        snap.to_parquet(tmp_path / "other", partition_by="agent")
        shutil.copy(next((tmp_path / "other" / "calls").glob("*/agent_id=b/*")), path)
    with pytest.warns(acg.LoadWarning, match="1 entry can't be read"):
        whole = acg.load(export)
    assert whole.agent_ids == tuple(agent for agent in snap.agent_ids if agent != "b")
    (problem,) = whole.problems
    assert "agent 'b'" in str(problem)
    assert "'calls'" in str(problem)
    with pytest.raises((acg.SourceError, acg.RecordError), match="'calls'"):
        acg.load(export, strict=True)
    with pytest.raises(acg.SourceError, match="'calls'"):
        acg.load(export, agent_id="b")


def test_folders_that_are_gone_are_noticed(export):
    """A piece that lacks the folders of agents is not taken for a smaller one."""
    for folder in export.glob("*/*/agent_id=b"):
        shutil.rmtree(folder)
    with pytest.raises(acg.SourceError, match="expected folders of 7 agents, got 6"):
        acg.load(export)


@pytest.mark.parametrize(
    ("marker", "says"),
    [('{"name": 3}', "got no version"), ("{", "got no version"), ('{"version": "99"}', "got version '99'")],
)
def test_a_damaged_marker_is_refused(export, marker, says):
    """What says of a piece nothing that can be known is an error with its path."""
    (path,) = (export / "_pieces").glob("*.json")
    path.write_text(marker)
    with pytest.raises(acg.SourceError, match=says):
        acg.load(export)


def test_exports_of_both_kinds_replace_each_other(snap, tmp_path):
    """A partitioned export replaces a plain one and the reverse, with its permissions; nothing of the old is left."""
    place = tmp_path / "export"
    snap.to_parquet(place, mode=0o750)
    snap.to_parquet(place, partition_by="agent", overwrite=True)
    assert acg.load(place) == snap
    assert not list(place.glob("*.parquet"))
    assert {path.stat().st_mode & 0o777 for path in place.rglob("*")} == {0o750, 0o640}
    snap.to_parquet(place, overwrite=True)
    assert acg.load(place) == snap
    assert sorted(path.name for path in place.iterdir()) == sorted(f"{table}.parquet" for table in TABLES)


def test_remote_places(snap):
    """Where folders can't be renamed, too, either export replaces the other."""
    for options in ({}, {"partition_by": "agent"}, {}):
        snap.to_parquet("memory://partitions/export", overwrite=True, **options)
        assert acg.load("memory://partitions/export") == snap
        assert tuple(measure_agents("memory://partitions/export")) == snap.agent_ids


def test_a_backend_stores_into_partitions(export, snap):
    """What is stored in a partitioned export later is written with all the rest, agent by agent."""
    with acg.ParquetExport(export) as backend:
        backend.store_run(make_run(make_request("x"), agent_id="b", run_id="later"))
    assert len(acg.load(export).runs) == len(snap.runs) + 1
    assert len(list((export / "runs").glob("*/agent_id=*"))) == len(AGENTS)


def test_what_is_none_of_it_is_left_alone(export, snap):
    """A file that belongs to no export is not overwritten with it."""
    (export / "notes.txt").write_text("mine")
    with pytest.raises(acg.UsageError, match=r"notes\.txt"):
        snap.to_parquet(export, overwrite=True)


def test_wrong_use(snap, tmp_path, capsys):
    """Other partitions than agents are refused, and so is an id that no folder can have; nothing is written."""
    with pytest.raises(acg.UsageError, match=r"must be 'agent' or None; got 'day'"):
        snap.to_parquet(tmp_path / "x", partition_by="day")
    with pytest.raises(SystemExit) as ended:
        main(["export", "sample", str(tmp_path / "x"), "--partition", "day"])
    assert ended.value.code == 2
    assert "'agent'" in capsys.readouterr().err
    backend = MemoryBackend()
    backend.store_run(make_run(make_request("x"), agent_id="ü" * 60))
    with pytest.raises(acg.UsageError, match="too long for the name of a folder"):
        acg.load(backend).to_parquet(tmp_path / "x", partition_by="agent")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_command(tmp_path, capsys):
    """--partition agent writes what acg.load reads, and every command works on it."""
    place = str(tmp_path / "history")
    for arguments in (["export", "sample", place, "--partition", "agent"], ["cost", place, "--agent", "coder"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert not ended.value.code
    assert "coder" in capsys.readouterr().out


KILLED = """
import os, signal, sys
import acg_lab as acg
from acg_lab.storage import parquet_output
write, n = parquet_output.write_table, [0]

def die_later(*arguments):
    n[0] += 1
    if n[0] == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
    write(*arguments)

parquet_output.write_table = die_later
acg.load(sys.argv[1]).to_parquet(sys.argv[2], partition_by="agent", overwrite=True)
"""


@pytest.mark.parametrize("step", ["1", "20"])
def test_a_killed_export_leaves_the_old_one(export, snap, step):
    """Whenever it is killed, the old export is whole, and the next one cleans."""
    command = [sys.executable, "-c", KILLED, str(export), str(export), step]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert acg.load(export) == snap
    snap.to_parquet(export, partition_by="agent", overwrite=True)
    assert [path.name for path in export.parent.iterdir()] == ["export"]


def test_names_of_pieces_sort_by_time():
    """A piece sorts after the newest, even if the clock of the machine that wrote that one was ahead."""
    first = name_piece("ab")
    later = name_piece("00", first)
    ahead = name_piece("00", "2999-01-01T000000.000000Z-ff")
    assert first < later < ahead
    assert ahead > "2999-01-01T000000.000000Z-ff"
    assert name_piece("00", "of another tool") > first


def test_no_warning_of_engines(export):
    """Polars and pyarrow read the tables without a warning, whatever type they take numbers for."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pl.scan_parquet(f"{export}/runs/**/*.parquet", hive_partitioning=True).collect()
