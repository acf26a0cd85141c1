"""Read the tables of an export: of each, the row groups that may hold what was selected, as plain Arrow tables.

Statistics and the order of the rows say which row groups these are; the reader checks how the rows belong together.
"""

import contextlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from acg_lab.core.errors import SourceError
from acg_lab.core.keys import assign_agents
from acg_lab.storage.base import Progress, Selection
from acg_lab.storage.limits import Limits
from acg_lab.storage.parquet_files import Files
from acg_lab.storage.parquet_footer import check_footers, check_size
from acg_lab.storage.parquet_layout import WHOLE, Partition
from acg_lab.storage.parquet_newest import ChosenRuns, choose_runs
from acg_lab.storage.parquet_reader import read_empty_windows
from acg_lab.storage.parquet_schema import (
    CODED,
    EXCHANGE_COLUMNS,
    EXPORT_ID,
    READABLE,
    TABLES,
    VERSION,
    Tables,
    read_codes,
    schemas,
)

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ExportTables", "lean_memory"]

_SMALL = 1 << 18  # bytes
_LARGE = 4 << 20  # bytes of rows, after which memory is given back
Wanted: TypeAlias = Mapping[str, Sequence[Any]]  # sorted values by column


class ExportTables:
    """The tables of an export, or of one partition of a history.

    Parameters
    ----------
    files : Files
    partition : Partition
        Which files.
    """

    def __init__(self, files: Files, partition: Partition = WHOLE) -> None:
        self._files = files
        self._partition = partition
        self._prefix = f"{partition}, " if partition.piece else ""
        self.label = f"{files.label}, {partition}" if partition.piece else files.label

    def read(self, selection: Selection, progress: Progress, *, only_runs: bool = False) -> Tables:
        """Return the selected rows of all tables, and of the messages those that a selected call needs.

        With ``only_runs`` the tables of windows and results are empty, and of observations only the metadata are read.

        Raises
        ------
        SourceError
            If a table is missing, damaged, or of another export or version.
        """
        names = [name for name in TABLES if not (only_runs and name in ("blocks", "stability", "scores"))]
        self._check_footers(names)
        self._contents: dict[str, int] = {}
        wanted: Wanted = {name: sorted(values) for name, values in _columns_of(selection).items() if values is not None}
        read: dict[str, tuple[pa.Table, bytes | None]] = {
            name: (_conformed(schemas()[name].empty_table(), name, schemas()[name]), None)
            for name in TABLES
            if name not in names
        }
        if "blocks" in read:
            read["blocks"] = self._with_codes(read["blocks"][0]), None
        for name in names:
            if name not in ("calls", "messages"):
                no_rows = only_runs and name == "observations"
                read[name] = self._table(name, {"key": []} if no_rows else wanted, selection.limits, progress)
        runs, chosen = choose_runs(read["runs"][0], selection)
        read["runs"] = runs, read["runs"][1]
        read["calls"] = self._table("calls", wanted, selection.limits, progress, chosen)
        ids = _message_ids(read["calls"][0]) if selection.wants_some_runs else None
        of_messages: Wanted = {} if ids is None else {"message_id": ids}
        read["messages"] = self._table("messages", of_messages, selection.limits, progress)
        self._check_together(read)
        return Tables({name: read[name][0] for name in TABLES}, self._contents)

    def list_agents(self) -> set[str]:
        """Return the ids of all agents, from one column of the tables that have few texts."""
        import pyarrow.parquet as pq

        self._check_footers(TABLES)
        agents: set[str] = set()
        for name in ("observations", "stability", "runs"):
            with self._opened(name) as file:
                table = pq.read_table(file, columns=["agent_id"])
                agents.update(filter(None, table["agent_id"].unique().to_pylist()))
                if name == "observations":
                    empty = read_empty_windows(table)
        return agents.union(owner.agent_id for owner in assign_agents(empty, agents).values())

    def measure_agents(self) -> dict[str, int]:
        """Return the agents with calls, each with its share of the bytes of that table, from one column."""
        import pyarrow.parquet as pq

        self._check_footers(["calls"])
        counts: Counter[str] = Counter()
        with self._opened("calls") as file:
            size, parquet = file.size(), pq.ParquetFile(file, read_dictionary=["agent_id"])
            for batch in parquet.iter_batches(columns=["agent_id"]):
                for count in batch["agent_id"].value_counts().to_pylist():
                    counts[count["values"]] += count["counts"]
        return {agent_id: size * n_calls // counts.total() for agent_id, n_calls in counts.items()}

    def _check_footers(self, tables: Iterable[str]) -> None:
        """Check the footers of tables together, which takes one process at most."""
        with self._files.errors(f"{self._prefix}footers"), contextlib.ExitStack() as stack:
            names = [name for name in tables if self._files.exists(self._partition.path(name))]
            opened = {name: stack.enter_context(self._files.open(self._partition.path(name))) for name in names}
            check_footers({f"{self.label}, table {name!r}": file for name, file in opened.items()})

    @contextlib.contextmanager
    def _opened(self, name: str) -> Iterator[Any]:
        """Open a table; errors name it."""
        with self._files.errors(f"{self._prefix}table {name!r}"), self._files.open(self._partition.path(name)) as file:
            yield file

    def _check_together(self, read: "Mapping[str, tuple[pa.Table, bytes | None]]") -> None:
        """Raise unless one export wrote all tables: an object store replaces them one after the other."""
        first = read["observations"][1]
        if others := [name for name, (_, export_id) in read.items() if first and export_id and export_id != first]:
            names = ", ".join(map(repr, others))
            msg = f"{self.label}: tables {names} are from another export than 'observations'; export the source again."
            raise SourceError(msg)

    def _table(
        self, name: str, wanted: Wanted, limits: Limits, progress: Progress, runs: ChosenRuns | None = None
    ) -> "tuple[pa.Table, bytes | None]":
        """Return the rows of a table with the wanted values, and the id of the export that wrote it, if it has one."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema, label = schemas()[name], f"{self.label}, table {name!r}"
        with self._opened(name) as file:
            # Threads take longer to hand over the columns of a small file than to read them.
            is_small = self._files.is_local and file.size() < _SMALL
            metadata = pq.read_metadata(file)
            is_ours = self._check(name, metadata, schema)
            parquet = pq.ParquetFile(
                file,
                metadata=metadata,
                read_dictionary=[column for column in CODED[name] if is_ours and column in metadata.schema.names],
                pre_buffer=not self._files.is_local,  # it would hold the compressed columns as well
                page_checksum_verification=True,
            )
            groups = [i for i in range(parquet.num_row_groups) if _may_hold(metadata.row_group(i), wanted)]
            if runs is not None:
                groups = runs.groups_of_calls(parquet, groups)
            check_size(label, metadata, groups, file.size(), limits)
            there = set(parquet.schema_arrow.names)
            names = [column for column in schema.names if column in there and not self._is_in_folder(column)]
            parts = []
            for some in [groups] if name != "blocks" else [[group] for group in groups] or [[]]:
                part = parquet.read_row_groups(some, columns=names, use_threads=not is_small)
                progress(part.nbytes, 0)
                part = _filtered(_conformed(self._with_agent(part, schema), name, schema), wanted)
                part = part if runs is None else runs.calls_of(part)
                parts.append(self._with_codes(part) if name == "blocks" else part)
                if part.nbytes > _LARGE:
                    del part
                    pa.default_memory_pool().release_unused()  # else it stays reserved between the texts
        return pa.concat_tables(parts), (metadata.metadata or {}).get(EXPORT_ID)

    def _with_codes(self, blocks: "pa.Table") -> "pa.Table":
        """Return blocks with codes in place of their contents, so that the texts are held once, not by pyarrow too."""
        import pyarrow as pa

        codes, texts = read_codes(blocks, "content")
        number = np.array([self._contents.setdefault(text, len(self._contents)) for text in texts] + [-1], np.int32)
        column = pa.array(number[codes], pa.int32(), mask=codes < 0)
        return blocks.set_column(blocks.column_names.index("content"), "content", column)

    def _is_in_folder(self, column: str) -> bool:
        """Return whether the name of the folder has the value of a column."""
        return column == "agent_id" and self._partition.agent_id is not None

    def _with_agent(self, table: "pa.Table", schema: "pa.Schema") -> "pa.Table":
        """Return a table with the agent that the name of its folder says."""
        import pyarrow as pa

        if "agent_id" not in schema.names or not self._is_in_folder("agent_id"):
            return table
        indices, agents = pa.array(np.zeros(len(table), np.int32)), pa.array([self._partition.agent_id])
        return table.append_column("agent_id", pa.DictionaryArray.from_arrays(indices, agents))

    def _check(self, name: str, metadata: Any, schema: "pa.Schema") -> bool:
        """Check version and columns; return False if another tool wrote the table anew, without our metadata."""
        version = (metadata.metadata or {}).get(b"acg_lab.version", b"").decode(errors="replace")
        if version and version not in READABLE:
            wanted = " or ".join(READABLE)
            msg = f"{self.label}, table {name!r}: expected an export of version {wanted}, got version {version!r}."
            raise SourceError(msg)
        found = metadata.schema.to_arrow_schema()
        for field in schema:
            if version != VERSION and field.name in EXCHANGE_COLUMNS:
                continue
            if self._is_in_folder(field.name):
                continue
            if not version:
                self._expect_column(name, field.name, found)
                continue
            kinds = [found.field(i).type for i in found.get_all_field_indices(field.name)]
            if kinds != [field.type] and [getattr(kind, "value_type", None) for kind in kinds] != [field.type]:
                got = " and ".join(map(str, kinds)) or "no such column"
                msg = f"{self.label}, table {name!r}: expected column {field.name!r} of type {field.type}, got {got}."
                raise SourceError(msg)
        return bool(version)

    def _expect_column(self, table: str, column: str, found: "pa.Schema") -> None:
        if column not in found.names:
            msg = (
                f"{self.label}, table {table!r}: expected column {column!r}, got no such column. A part of an export "
                "can be read if all tables and columns are there, with whole windows and whole runs."
            )
            raise SourceError(msg)


def _conformed(table: "pa.Table", name: str, schema: "pa.Schema") -> "pa.Table":
    """Return a table with all columns of the schema: of an earlier version, or as another tool wrote them anew."""
    import pyarrow as pa

    columns = {}
    for field in schema:
        if field.name not in table.column_names:
            column = pa.chunked_array([pa.nulls(len(table), field.type)])
        else:
            column = table[field.name]
        is_coded = column.type == pa.dictionary(pa.int32(), field.type)
        if not is_coded and column.type != field.type:
            column = column.cast(field.type)
        if field.name in CODED[name] and not is_coded:
            column = column.dictionary_encode()
        columns[field.name] = column
    return pa.table(columns).replace_schema_metadata(table.schema.metadata)


@contextlib.contextmanager
def lean_memory() -> Iterator[None]:
    """Let pyarrow use the system's allocator: its own pool reserves tens of megabytes for small reads."""
    import pyarrow as pa

    former = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(former)


def _columns_of(selection: Selection) -> "Mapping[str, frozenset[str] | None]":
    return {"agent_id": selection.agents, "key": selection.keys}


def _message_ids(calls: "pa.Table") -> list[int]:
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = [calls[name].combine_chunks().flatten() for name in ("message_ids", "body_item_ids")]
    ids = pc.unique(pa.concat_arrays([column.cast(pa.int32()) for column in columns]).drop_null())
    return sorted(ids.to_pylist())


def _may_hold(group: Any, wanted: Wanted) -> bool:
    """Return whether, by its statistics, a row group may contain wanted rows."""
    for i in range(group.num_columns):
        column = group.column(i)
        values = wanted.get(column.path_in_schema)
        if values is not None and (stats := column.statistics) is not None and stats.has_min_max:
            at = bisect_left(values, stats.min)
            if at == len(values) or values[at] > stats.max:
                return False
    return True


def _filtered(table: "pa.Table", wanted: Wanted) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.compute as pc

    for name, values in wanted.items():
        if name in table.column_names:
            kind = pa.int32() if name == "message_id" else pa.string()
            table = table.filter(pc.is_in(table[name].cast(kind), pa.array(values, kind)))
    return table
