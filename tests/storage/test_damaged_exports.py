"""Exports that were edited, damaged or mixed up, and paths that are no source: refused, with what is wrong where."""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from learned_backend import learned_backend

import acg_lab as acg
from acg_lab.storage.parquet_footer import SealedFile
from acg_lab.storage.parquet_schema import OPTIONAL, TABLES, schemas

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
NEXT = {"acg_lab.version": "9"}


def rewrite(path, change):
    """Change a table and seal it as exports are, so that no other process has to read its footer first."""
    changed = change(pq.read_table(path))
    with path.open("wb") as file:
        sealed = SealedFile(file)
        writer = pq.ParquetWriter(sealed, changed.schema)
        writer.write_table(changed)
        sealed.hold()
        writer.close()
        sealed.seal()


def as_text(name):
    """Return a change of a table: a column as texts."""
    return lambda table: table.set_column(table.column_names.index(name), name, table[name].cast(pa.string()))


def without_metadata(table):
    """Return a table as another tool writes it, and without one of its columns."""
    return table.drop_columns(["unknown"]).replace_schema_metadata({})


def spoil(path):
    """Overwrite pages; the footer stays."""
    data = path.read_bytes()
    path.write_bytes(data[:8] + b"\xff" * 400 + data[408:])


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("blocks", lambda path: path.unlink(), "table 'blocks': there is no such file"),
        ("blocks", lambda path: path.write_bytes(path.read_bytes()[:-40]), "table 'blocks': "),
        ("blocks", lambda path: path.write_text("key,value"), "table 'blocks': "),
        ("calls", lambda path: rewrite(path, lambda t: t.drop_columns(["kind"])), "column 'kind' of type string"),
        ("calls", lambda path: rewrite(path, lambda t: t.append_column("kind", t["kind"])), "got string and string"),
        ("runs", lambda path: rewrite(path, lambda t: t.replace_schema_metadata(NEXT)), "version '9'"),
        ("runs", lambda path: rewrite(path, without_metadata), "whole windows and whole runs"),
        ("blocks", lambda path: rewrite(path, lambda t: t.slice(1)), "expected the blocks of each observation"),
        ("observations", lambda path: rewrite(path, lambda t: t.slice(1)), "from position 0 on"),
        ("scores", lambda path: rewrite(path, lambda t: t.slice(1)), "from rank 0 on"),
        ("stability", lambda path: rewrite(path, lambda t: t.slice(0, 0)), "one row for every key that has scores"),
        ("runs", lambda path: rewrite(path, lambda t: t.slice(1)), "from position 0 on"),
        ("runs", lambda path: rewrite(path, lambda t: t.slice(0, 1)), "calls of runs that have a row"),
        ("runs", lambda path: rewrite(path, lambda t: t.take([1, 0, 2, 3])), "the runs of each agent in order"),
        ("calls", lambda path: rewrite(path, lambda t: t.slice(1)), "the calls of each run in order"),
        ("calls", lambda path: rewrite(path, lambda t: t.take([1, 0, *range(2, len(t))])), "the calls of each run in"),
        ("messages", lambda path: rewrite(path, lambda t: t.slice(1)), "every message_id from 0 on"),
        ("messages", lambda path: rewrite(path, lambda t: t.slice(0, 2)), "a row for every message of a call"),
        ("blocks", lambda path: rewrite(path, lambda t: t.take([1, 0, *range(2, len(t))])), "the blocks of each obs"),
        ("blocks", lambda path: rewrite(path, lambda t: t.slice(0, len(t) - 1)), "the blocks of each observation"),
        ("blocks", spoil, "table 'blocks': "),
        ("scores", lambda path: rewrite(path, as_text("score")), "column 'score' of type double, got string"),
        ("observations", lambda path: path.write_bytes(path.read_bytes()[:500]), "table 'observations': "),
    ],
)  # fmt: skip
def test_damaged_exports_are_refused(tmp_path, name, damage, message):
    """The folder, the table and what was expected are named."""
    acg.load(learned_backend()).to_parquet(tmp_path / "export")
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
        (lambda path: path.mkdir(), "a folder with none of these"),
        (lambda path: pq.write_table(pa.table({"a": [1]}), path), "got columns 'a'"),
        (lambda path: pq.write_table(pa.table({"key": ["x"], "value": ["y"]}), path), "no entries of the governor"),
        (lambda path: pq.write_table(pa.table({"key": ["x"]}), path), "columns 'key' and 'value'; got columns 'key'"),
        (lambda path: pq.write_table(pa.table({"key": [1], "value": [b"y"]}), path), "'key' of texts or bytes"),
        (lambda path: pq.write_table(pa.table({"key": ["x"], "value": [[1]]}), path), "'value' of texts or bytes"),
        (lambda path: path.write_bytes((SAMPLE / "runs.parquet").read_bytes()[:-9]), "neither an export nor a table"),
        (lambda path: path.write_bytes(b""), "neither an export nor a table"),
        (lambda path: path.write_bytes((SAMPLE / "runs.parquet").read_bytes()), "with its 'observations'; got the tab"),
    ],
)  # fmt: skip
def test_what_is_no_source_is_refused(tmp_path, write, message):
    """A path that holds nothing of ours is named, with what was expected."""
    write(tmp_path / "thing")
    with pytest.raises(acg.SourceError, match=message) as caught:
        acg.load(tmp_path / "thing")
    assert str(tmp_path / "thing") in str(caught.value)


@pytest.mark.parametrize("table", [name for name in TABLES if name != "observations"])
def test_tables_of_two_exports_are_not_mixed(tmp_path, table):
    """A table of another export is refused, even of the same source: on an object store some may have been replaced."""
    snap = acg.load(learned_backend())
    for name in ("one", "two"):
        snap.to_parquet(tmp_path / name)
    assert acg.load(tmp_path / "one") == snap
    (tmp_path / "two" / f"{table}.parquet").replace(tmp_path / "one" / f"{table}.parquet")
    with pytest.raises(acg.SourceError, match=rf"one: tables '{table}' are from another export than 'observations'"):
        acg.load(tmp_path / "one")


def edited(column, value):
    """Return a change of a table: another value in the first row of a column."""

    def change(table):
        i = table.column_names.index(column)
        values = [value, *table[column].to_pylist()[1:]]
        return table.set_column(i, table.schema.field(column), pa.array(values, table.schema.field(column).type))

    return change


@pytest.mark.parametrize(("table", "column"), [(name, c) for name in TABLES for c in schemas()[name].names])
def test_nulls(tmp_path, table, column):
    """A null where production stores a value is refused, with the row; where it may be absent it is read."""
    acg.load(learned_backend()).to_parquet(tmp_path / "export")
    rewrite(tmp_path / "export" / f"{table}.parquet", edited(column, None))
    if column in OPTIONAL[table]:
        assert acg.load(tmp_path / "export").problems == ()
        return
    with pytest.raises(acg.RecordError, match=r"expected a value, got null") as refused:
        acg.load(tmp_path / "export")
    assert refused.value.path.startswith(table)
    assert refused.value.path.endswith(f".{column}")


@pytest.mark.parametrize(
    ("table", "column", "value", "message"),
    [
        *(
            ("blocks", name, "p4ss", f"at blocks[position 0, block 0].{name}: expected one of production's names, got")
            for name in ("role", "content_type", "provenance", "sensitivity")
        ),
        ("blocks", "token_metadata", '{"model_family":"p4ss"}', "].token_metadata: object missing required field"),
        ("blocks", "unknown", '["p4ss"]', "at blocks[position 0, block 0].unknown: expected object, got array"),
        ("observations", "tool_schema_hashes", '["p4ss"]', "at observations[position 0].tool_schema_hashes: expected"),
        ("observations", "unknown", "{p4ss", "at observations[position 0].unknown: not JSON"),
        ("observations", "created_at_text", "p4ss", "].created_at_text: expected an RFC 3339 time, got another text"),
        ("stability", "total_observations", -1, "at stability.total_observations: expected 0 or more"),
        ("stability", "unknown", "p4ss", "at stability.unknown: not JSON"),
        ("scores", "classification", "p4ss", "at scores[rank 0].classification: expected one of production's names"),
        ("scores", "score", float("nan"), "at scores[rank 0].score: expected a finite number"),
        ("scores", "observation_count", -1, "at scores[rank 0].observation_count: expected 0 or more"),
        ("runs", "unknown", "{p4ss", ".unknown: not JSON"),
        ("runs", "started_at_text", "p4ss", "].started_at_text: expected an RFC 3339 time, got another text"),
        ("calls", "kind", "p4ss", ", call 0].kind: expected one of production's names"),
        ("calls", "total_tokens", -1, ", call 0].total_tokens: expected 0 or more"),
        ("calls", "tools", '{"p4ss":1}', ", call 0].tools: expected array, got object"),
        ("calls", "response", '["p4ss"]', ", call 0].response: expected object, got array"),
        ("calls", "message_ids", [None], "a row for every message of a call"),
        *(
            ("calls", name, "{p4ss", f", call 0].{name}: not JSON")
            for name in ("metadata_snapshot", "request_params", "request_tool_choice", "request_unknown")
        ),
        ("messages", "json", '["p4ss"]', "at messages[message_id 0].json: expected object, got array"),
    ],
)
def test_values_that_production_does_not_store(tmp_path, table, column, value, message):
    """What is wrong in an edited export is named with its row and not repeated; what is not asked for is let be."""
    acg.load(learned_backend()).to_parquet(tmp_path / "export")
    rewrite(tmp_path / "export" / f"{table}.parquet", edited(column, value))
    with pytest.raises(acg.RecordError) as refused:
        acg.load(tmp_path / "export")
    assert str(refused.value).startswith(f"{tmp_path / 'export'}, ")
    assert message in str(refused.value)
    assert "p4ss" not in str(refused.value)
    if table != "messages":
        with pytest.raises(acg.UsageError, match="no agent 'another'"):
            acg.load(tmp_path / "export", agent_id="another")


@pytest.mark.parametrize("name", ["key_prefix", "empty_windows"])
def test_metadata_that_are_none(tmp_path, name):
    """Metadata that can't be read are refused as such."""
    acg.load(learned_backend()).to_parquet(tmp_path / "export")
    told = {f"acg_lab.{name}".encode(): b"\xff"}
    path = tmp_path / "export" / "observations.parquet"
    rewrite(path, lambda rows: rows.replace_schema_metadata({**rows.schema.metadata, **told}))
    with pytest.raises(acg.RecordError, match=rf"known values in the metadata 'acg_lab.{name}'"):
        acg.load(tmp_path / "export")


@pytest.mark.parametrize("table", TABLES)
def test_no_damage_is_read_over(tmp_path, table):
    """Pages have checksums: damage that decompresses, or was never compressed, is reported too."""
    acg.load(learned_backend()).to_parquet(tmp_path / "export")
    path = tmp_path / "export" / f"{table}.parquet"
    column = pq.read_metadata(path).row_group(0).column(0)
    page = column.dictionary_page_offset or column.data_page_offset
    whole, last = path.read_bytes(), page + column.total_compressed_size - 1
    path.write_bytes(whole[:last] + bytes([whole[last] ^ 1]) + whole[last + 1 :])
    with pytest.raises(acg.SourceError, match=rf"table '{table}': .*checksum"):
        acg.load(tmp_path / "export")


def test_a_folder_that_is_hardly_meant_is_refused_at_once(tmp_path):
    """Where more than 10,000 files are neither logs nor Parquet, no more are listed; hidden folders don't count."""
    hidden = tmp_path / ".git"
    hidden.mkdir()
    (tmp_path / "requests.jsonl").write_text('{"model": "m", "messages": [{"role": "user", "content": "q"}]}\n')
    os.mkfifo(tmp_path / "socket")
    for i in range(10_000):
        (hidden / f"{i}").touch()
    assert len(acg.load(tmp_path, progress=False).runs) == 1
    hidden.rename(tmp_path / "objects")
    with pytest.raises(acg.SourceError, match="more than 10,000 files in it are neither"):
        acg.load(tmp_path)
