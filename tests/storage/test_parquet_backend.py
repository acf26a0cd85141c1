"""Parquet exports: lossless, tidy, and replaced as a whole."""

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

import duckdb
import fsspec
import msgspec
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples import scaled
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from learned_backend import learned_backend
from odd_records import EMPTY, KEYS, backend_of, stored_documents
from strategies import (
    TIME,
    make_call,
    make_ir,
    make_request,
    make_run,
)

import acg_lab as acg
from acg_lab.core import RunRecord
from acg_lab.core.codec import encode, encode_window
from acg_lab.storage import parquet_output, parquet_writer
from acg_lab.storage.base import Selection
from acg_lab.storage.memory import MemoryBackend
from acg_lab.storage.parquet_schema import CODED, TABLES, schemas

SAMPLE = Path(__file__).parents[2] / "data" / "sample"


@settings(max_examples=scaled(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(stored_documents(), st.none() | st.frozensets(st.sampled_from(KEYS)))
def test_what_is_exported_loads_equal(documents, keys):
    """Odd records, unknown fields, empty windows and several agents come back as they were, all or some of them."""
    stored, judged, _ = documents
    backend = backend_of(*documents)
    snap = acg.load(backend, include_private=True)
    with tempfile.TemporaryDirectory() as folder:
        snap.to_parquet(Path(folder) / "export")
        again = acg.load(Path(folder) / "export")
        some = acg.ParquetExport(Path(folder) / "export").columns(Selection(keys=keys))
    assert again == snap
    for agent_id in snap.agent_ids:
        of_agent = [run for run in again.runs if run.agent_id == agent_id]
        assert of_agent == list(backend.list_runs(agent_id))
    assert {key: again.columns.observations.window(i) for key, i in again.columns.observations.number.items()} == stored
    assert dict(again.columns.results) == judged
    assert set(some.observations.keys) == stored.keys() & (stored.keys() if keys is None else keys)
    assert set(some.results) == judged.keys() & (judged.keys() if keys is None else keys)


def test_one_dictionary_for_a_row_group(tmp_path):
    """However long its texts, a coded column has no page but of codes, and reads as pyarrow dictionaries."""
    backend = MemoryBackend()
    blocks = [(f"user-{i}", Random(i).randbytes(5000).hex()) for i in range(300)]  # 3 MB of distinct text
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
    (sizes,) = duckdb.sql(f"""
        select data_page_offset - dictionary_page_offset, total_compressed_size
        from parquet_metadata('{tmp_path}/export/blocks.parquet') where path_in_schema = 'content'
    """).fetchall()
    assert sizes[0] > 0.9 * sizes[1], "texts stand in data pages"


def test_row_groups_are_cut_between_windows(tmp_path, monkeypatch):
    """Many small row groups load equal, and one agent is read from its own ones."""
    monkeypatch.setattr(parquet_writer, "ROWS_PER_GROUP", 8)
    snap = acg.load(learned_backend("b", backend=learned_backend("a")))
    snap.to_parquet(tmp_path / "export")
    metadata = pq.ParquetFile(tmp_path / "export" / "blocks.parquet").metadata
    assert metadata.num_row_groups > 2
    groups = [metadata.row_group(i).column(0).statistics for i in range(metadata.num_row_groups)]
    assert any(not group.min <= "a" <= group.max for group in groups)
    assert acg.load(tmp_path / "export") == snap
    read, read_row_groups = [], pq.ParquetFile.read_row_groups

    def counted(self, groups, **options):
        read.append(len(groups))
        return read_row_groups(self, groups, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", counted)
    assert acg.load(tmp_path / "export", agent_id="b") == acg.load(learned_backend("b"))
    assert sum(read) < sum(pq.ParquetFile(file).num_row_groups for file in (tmp_path / "export").iterdir())
    first = TABLES.index("blocks")
    assert read[first : first + 2] == [1, 1], "the two groups of blocks, one at a time"
    (key,) = acg.load(learned_backend("b")).windows
    assert dict(acg.load(tmp_path / "export", keys=[key]).windows) == {key: snap.windows[key]}


def test_other_tools_find_it_sensible():
    """DuckDB, Polars and pandas read every table and answer questions about it."""
    for name in TABLES:
        path = str(SAMPLE / f"{name}.parquet")
        n = duckdb.sql(f"select count(*) from '{path}'").fetchall()[0][0]
        assert n == len(pd.read_parquet(path)) == pl.read_parquet(path).height > 0
    calls, messages = SAMPLE / "calls.parquet", SAMPLE / "messages.parquet"
    query = f"""
        select m.role, count(*) from (select unnest(message_ids) id from '{calls}' where agent_id = 'coder') c
        join '{messages}' m on m.message_id = c.id group by m.role
    """
    snap = acg.load(SAMPLE, agent_id="coder")
    requests = [call.annotated_request for run in snap.runs for call in run.calls if call.annotated_request]
    roles = Counter(message["role"] for request in requests for message in request.messages)
    assert dict(duckdb.sql(query).fetchall()) == roles
    file = SAMPLE / "observations.parquet"
    asked = f"select agent_id, avg(n_blocks) from '{file}' where not is_seed group by agent_id"
    mean = dict(duckdb.sql(asked).fetchall())
    frame = pd.read_parquet(file).query("not is_seed")
    assert frame.groupby("agent_id")["n_blocks"].mean().to_dict() == pytest.approx(mean)
    lazy = pl.scan_parquet(file).filter(~pl.col("is_seed")).group_by("agent_id").agg(pl.col("n_blocks").mean())
    assert dict(lazy.collect().iter_rows()) == pytest.approx(mean)
    (window,) = snap.windows.values()
    assert mean["coder"] == sum(len(observation.blocks) for observation in window) / len(window)
    blocks = pl.read_parquet(SAMPLE / "blocks.parquet")
    assert blocks.group_by("agent_id").len().height == 11
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
    """A file or folder of keys and values, as texts or bytes, is read, with runs in the order of the index."""
    backend = learned_backend(n_runs=12)
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
    rows = rows_of(learned_backend()) | rows_of(learned_backend(), "nemo_relay:")
    pq.write_table(pa.table({"key": list(rows), "value": list(rows.values())}), tmp_path / "kv.parquet")
    with pytest.raises(acg.UsageError, match="'nemo_flow:' and 'nemo_relay:'"):
        acg.load(tmp_path / "kv.parquet")
    assert acg.load(tmp_path / "kv.parquet", key_prefix="nemo_relay:") == acg.load(learned_backend())


def test_places_that_fsspec_and_pyarrow_open(tmp_path):
    """An export goes to a URI and comes back."""
    snap = acg.load(learned_backend())
    for uri in (f"file://{tmp_path}/export", "memory://acg-lab-test/export"):
        snap.to_parquet(uri)
        assert acg.load(uri) == snap
        with pytest.raises(acg.UsageError, match="exists already"):
            snap.to_parquet(uri)
        other = acg.load(learned_backend(n_runs=2))
        other.to_parquet(uri, overwrite=True)
        assert acg.load(uri) == other
        system, place = fsspec.core.url_to_fs(uri)
        assert sorted(Path(name).stem for name in system.ls(place, detail=False)) == sorted(TABLES)
        assert [Path(name).name for name in system.ls(place.rpartition("/")[0], detail=False)] == ["export"]
    with pytest.raises(acg.SourceError, match=r"nosuch://\*\*\*@host"):
        acg.load("nosuch://user:secret@host/x")


class ClientError(Exception):
    pass


class OutOfReach(MemoryFileSystem):
    """A remote file system whose client raises errors of its own, as those of gcsfs and aiohttp are."""

    protocol = "out-of-reach"

    def info(self, path, **_):
        raise ClientError(path)


def test_errors_of_remote_clients():
    """Whatever a remote file system's client raises is reported as an error of the source."""
    fsspec.register_implementation("out-of-reach", OutOfReach, clobber=True)
    with pytest.raises(acg.SourceError, match=r"out-of-reach://bucket/export: .*export"):
        acg.load("out-of-reach://bucket/export")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_an_interrupted_export_leaves_nothing_half(tmp_path, monkeypatch, error):
    """Either nothing or the old export is at the path, and no temporary folder is left."""
    old, new = acg.load(learned_backend(n_runs=2)), acg.load(learned_backend(n_runs=3))
    old.to_parquet(tmp_path / "old")
    write, calls = parquet_output.write_table, []

    def fail_at_the_third(*arguments):
        calls.append(1)
        if len(calls) % 3 == 0:
            raise error
        write(*arguments)

    monkeypatch.setattr(parquet_output, "write_table", fail_at_the_third)
    for name in ("new", "old"):
        with pytest.raises((error, acg.SourceError)):
            new.to_parquet(tmp_path / name, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert acg.load(tmp_path / "old") == old


def test_only_exports_are_replaced(tmp_path):
    """An export is replaced if asked for; any other folder never."""
    snap = acg.load(learned_backend())
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
    columns = replace(acg.load(learned_backend()).columns, key_prefix="nemo_flow:")
    acg.ParquetExport(tmp_path / "export").write(columns)
    with acg.ParquetExport(tmp_path / "export") as backend:
        backend.store_run(make_run(run_id="later"))
        assert backend.columns().key_prefix == "nemo_flow:"
    assert acg.ParquetExport(tmp_path / "export").columns().key_prefix == "nemo_flow:"


@pytest.mark.parametrize("told", [b"{", b'{"a": ["nemo-relay-9", "", true]}', b"[]"])
def test_rules_that_are_not_known(tmp_path, told):
    """An export whose metadata names rules that there are not is refused, not read by others."""
    acg.load(learned_backend()).to_parquet(tmp_path / "export")
    path = tmp_path / "export" / "observations.parquet"
    rows = pq.read_table(path)
    pq.write_table(rows.replace_schema_metadata({**rows.schema.metadata, b"acg_lab.rules": told}), path)
    with pytest.raises(acg.RecordError, match=r"expected known values in the metadata 'acg_lab.rules'"):
        acg.load(tmp_path / "export")


def test_a_part_of_a_source_is_exported_alone(tmp_path):
    """An export of one agent, or of the newest runs, holds no text of the others."""
    secret = "what only b was told"
    backend = learned_backend("a", backend=MemoryBackend())
    backend.store_run(make_run(make_request(secret), agent_id="b", run_id="old"))
    backend.store_run(make_run(make_request("hello"), agent_id="b", run_id="new"))
    acg.load(backend).to_parquet(tmp_path / "all")
    for i, options in enumerate([{"agent_id": "a"}, {"limit": 1}]):
        snap = acg.load(tmp_path / "all", **options)
        snap.to_parquet(tmp_path / str(i))
        assert acg.load(tmp_path / str(i)) == snap
        assert secret not in str(pq.read_table(tmp_path / str(i) / "messages.parquet")["json"].to_pylist())
    assert secret in str(pq.read_table(tmp_path / "all" / "messages.parquet")["json"].to_pylist())


def test_equal_requests_are_held_once(tmp_path):
    """Whatever the source, calls share what their requests have beside messages: instructions may be long."""
    backend = MemoryBackend()
    for number in range(4):
        head = {"instructions": "be kind" if number % 2 else "be quick"}
        request = make_request(f"question {number}", unknown=head)
        backend.store_run(make_run(request, run_id=f"run-{number}"))
    snap = acg.load(backend)
    snap.to_parquet(tmp_path / "export")
    for loaded in (snap, acg.load(tmp_path / "export")):
        requests = [call.request for calls in loaded.runs.calls for call in calls]
        assert (len(requests), len(set(map(id, requests)))) == (4, 2)
        assert [run.calls[0].annotated_request.unknown["instructions"] for run in loaded.runs][1] == "be kind"


def test_an_id_without_its_run_is_told(tmp_path):
    """What an index of a plain table promises and nothing holds is a problem, as it is with a Redis."""
    rows = rows_of(learned_backend(n_runs=3))
    del rows["nemo_flow:runs:a:run-1"]
    pq.write_table(pa.table({"key": list(rows), "value": list(rows.values())}), tmp_path / "kv.parquet")
    with pytest.warns(acg.LoadWarning, match="1 entry can't be read"):
        snap = acg.load(tmp_path / "kv.parquet")
    assert [run.id for run in snap.runs] == ["run-0", "run-2"]
    assert str(snap.problems[0]).endswith(
        "key 'nemo_flow:runs:a:run-1', at $: expected the run of an id in the index, got none"
    )
    with pytest.raises(acg.UsageError, match="no agent 'b'"):  # not the problem of another
        acg.load(tmp_path / "kv.parquet", agent_id="b")


def test_a_null_is_a_problem_of_its_entry(tmp_path):
    """A value that is null does not hide the others; a key that is null is nobody's."""
    rows = {**rows_of(learned_backend()), "nemo_flow:acg_stability:z": None}
    keys, values = [*rows, None], [*rows.values(), "x"]
    pq.write_table(pa.table({"key": keys, "value": values}), tmp_path / "kv.parquet")
    with pytest.warns(acg.LoadWarning, match="1 entry can't be read"):
        snap = acg.load(tmp_path / "kv.parquet")
    assert [problem.reason for problem in snap.problems] == ["expected a text, got null"]
    assert snap == acg.load(learned_backend())


class TestReplacing:
    @pytest.fixture
    def export(self, tmp_path):
        acg.load(learned_backend(n_runs=2)).to_parquet(tmp_path / "export")
        return tmp_path / "export"

    def test_last_step(self, export, monkeypatch):
        """If the last step of replacing fails, the old export is restored."""
        moves, replace_path = [], os.replace

        def fail_at_the_second(source, target):
            moves.append(target)
            if len(moves) == 2:
                raise KeyboardInterrupt
            replace_path(source, target)

        monkeypatch.setattr(os, "replace", fail_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            acg.load(learned_backend()).to_parquet(export, overwrite=True)
        assert [path.name for path in export.parent.iterdir()] == ["export"]
        assert acg.load(export) == acg.load(learned_backend(n_runs=2))

    def test_killed(self, export):
        """A process that is killed in the middle leaves the old export, and at most a folder named partial."""
        script = """
            import os, signal
            import acg_lab as acg
            from acg_lab.storage import parquet_output
            write, count = parquet_output.write_table, 0

            def die_at_the_fourth(*arguments):
                global count
                count += 1
                if count == 4:
                    os.kill(os.getpid(), signal.SIGKILL)
                write(*arguments)

            parquet_output.write_table = die_at_the_fourth
            acg.load({export!r}).to_parquet({place!r}, overwrite=True)
        """
        for place in (export, export.parent / "new"):
            code = textwrap.dedent(script).format(export=str(export), place=str(place))
            assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
        names = {path.name.partition(".")[0] for path in export.parent.iterdir() if path.suffix != ".partial"}
        assert names == {"export"}
        assert acg.load(export) == acg.load(learned_backend(n_runs=2))

    def test_link(self, export, tmp_path):
        """Where a link leads to an export, that is replaced, and the link stays."""
        link = tmp_path / "link"
        link.symlink_to(export)
        acg.load(learned_backend(n_runs=3)).to_parquet(link, overwrite=True)
        assert link.is_symlink()
        assert acg.load(export) == acg.load(link) == acg.load(learned_backend(n_runs=3))
        assert sorted(path.name for path in tmp_path.iterdir()) == ["export", "link"]

    def test_other_files(self, export):
        """An export beside which other files lie is not replaced: they would be lost."""
        (export / "notes.txt").write_text("mine")
        with pytest.raises(acg.UsageError, match=r"holds other files than an export \('notes.txt'\)"):
            acg.load(learned_backend()).to_parquet(export, overwrite=True)
        assert (export / "notes.txt").read_text() == "mine"
        assert acg.load(export) == acg.load(learned_backend(n_runs=2))

    def test_places_that_are_none(self, tmp_path):
        """An impossible path is reported by name."""
        (tmp_path / "file").write_text("x")
        with pytest.raises(acg.SourceError, match="Not a directory") as caught:
            acg.load(learned_backend()).to_parquet(tmp_path / "file" / "export")
        assert str(caught.value).startswith(f"{tmp_path}/file/export: export: ")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere, and read everything")
    def test_permission(self, export):
        """A folder that may not be written, or a file that may not be read, is reported as such."""
        (export / "blocks.parquet").chmod(0)
        with pytest.raises(acg.SourceError, match="table 'blocks': permission denied"):
            acg.load(export)
        export.parent.chmod(0o500)
        try:
            with pytest.raises(acg.SourceError, match="permission denied"):
                acg.load(learned_backend()).to_parquet(export.parent / "new")
        finally:
            export.parent.chmod(0o700)


def test_every_column_is_documented():
    """The schema in data/README.md names every column of every table."""
    documented = (SAMPLE.parent / "README.md").read_text().split("## Schema")[1]
    for name, schema in schemas().items():
        section = documented.split(f"### `{name}`")[1].split("###")[0]
        assert [column for column in schema.names if f"`{column}`" not in section] == []
