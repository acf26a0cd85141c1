"""Parquet exports: a folder of tables, or one plain table of keys and values, local or remote.

The tables are described in `acg_lab.storage.parquet_schema`.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from acg_lab._format import counted
from acg_lab.core.codec import encode, encode_window
from acg_lab.core.errors import RecordError, SourceError, UsageError
from acg_lab.core.keys import assign_agents
from acg_lab.core.records import PromptIR, RunRecord, StabilityAnalysisResult
from acg_lab.storage.base import (
    EVERYTHING,
    Entry,
    OnProblem,
    Progress,
    Selection,
    Window,
    ignore_progress,
    raise_problem,
)
from acg_lab.storage.columns import Columns
from acg_lab.storage.ingest import ingest
from acg_lab.storage.memory import MemoryBackend
from acg_lab.storage.parquet_files import Files
from acg_lab.storage.parquet_footer import SealedFile, check_footers, check_size
from acg_lab.storage.parquet_keyvalue import PlainTable, read_documents
from acg_lab.storage.parquet_reader import from_tables
from acg_lab.storage.parquet_schema import (
    CODED,
    EXCHANGE_COLUMNS,
    EXPORT_ID,
    READABLE,
    ROWS_PER_GROUP,
    TABLES,
    VERSION,
    schemas,
)
from acg_lab.storage.parquet_writer import to_tables

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ParquetExport"]

_SUFFIX = ".parquet"
_NO_LIMIT = 2**31 - 1


class ParquetExport:
    """A backend for Parquet.

    Parameters
    ----------
    path : str or path
        Folder of an export; or a file or folder with a plain table with columns ``key`` and ``value``, such as a copy
        of a Redis. Local, or any URI that pyarrow or fsspec opens.
    key_prefix : str
        Production's key prefix in a plain table; ``"auto"`` detects it.

    Examples
    --------
    >>> ParquetExport("exports/june")
    ParquetExport('exports/june')
    """

    def __init__(self, path: "str | os.PathLike[str]", *, key_prefix: str = "auto") -> None:
        self.path = os.fspath(path)
        self.key_prefix = key_prefix
        self._files = Files(self.path)
        self._stored: dict[str, Any] = {}  # key prefix and rules of the source, beside what `_memory` holds
        self._changed = False
        self.caveats: tuple[str, ...] = ()  # of a plain table that was read

    def __repr__(self) -> str:
        return f"ParquetExport({self.label!r})"

    @property
    def label(self) -> str:
        """The path, credentials masked."""
        return self._files.label

    # --- reading ---

    def columns(
        self,
        selection: Selection = EVERYTHING,
        progress: Progress = ignore_progress,
        on_problem: OnProblem = raise_problem,
    ) -> Columns:
        """Read the source into columns.

        Raises
        ------
        SourceError
            If the source is missing, truncated, not Parquet, or of another version.
        RecordError
            If the tables of an export do not match each other.
        """
        if self._changed:
            return replace(ingest(self._memory.scan(selection, progress), on_problem), **self._stored)
        if not self._is_export:
            columns = ingest(self._documents(selection, progress), on_problem)
            return replace(columns, origin=columns.origin._replace(caveats=self.caveats))
        try:
            with _lean_memory():
                self._check_footers()
                read = {name: self._table(name, selection, progress) for name in TABLES}
                self._check_together(read)
                return from_tables({name: table for name, (table, _) in read.items()}, selection)
        except RecordError as error:
            raise error.at(source=self.label) from None

    def scan(self, selection: Selection = EVERYTHING, progress: Progress = ignore_progress) -> Iterator[Entry]:
        """Yield every selected document as JSON."""
        if self._changed:
            yield from self._memory.scan(selection, progress)
            return
        if not self._is_export:
            yield from self._documents(selection, progress)
            return
        columns = self.columns(selection, progress)
        for key, window in columns.observations.number.items():
            yield Entry("observations", key, encode_window(columns.observations.window(window)))
        for key, result in columns.results.items():
            yield Entry("stability", key, encode(result))
        for run in columns.runs:
            yield Entry("run", f"{run.agent_id}:{run.id}", encode(run), run.agent_id)

    @cached_property
    def _memory(self) -> MemoryBackend:
        """The contents of the source, and everything stored since; written by `close`."""
        backend = MemoryBackend()
        if self._files.exists():
            columns = self.columns()
            self._stored = {"key_prefix": columns.key_prefix, "rules": columns.rules}
            for key, window in columns.observations.number.items():
                backend.store_observations(key, columns.observations.window(window))
            for key, result in columns.results.items():
                backend.store_stability(key, result)
            for run in columns.runs:
                backend.store_run(run)
        return backend

    def load_observations(self, key: str) -> Window | None:
        """Return the window stored under a learning key or agent id."""
        return self._memory.load_observations(key)

    def load_stability(self, key: str) -> StabilityAnalysisResult | None:
        """Return the result stored under a learning key or agent id."""
        return self._memory.load_stability(key)

    def list_runs(self, agent_id: str) -> tuple[RunRecord, ...]:
        """Return the runs of an agent, oldest first."""
        return self._memory.list_runs(agent_id)

    @property
    def _is_export(self) -> bool:
        return self._files.exists(f"observations{_SUFFIX}")

    def _check_footers(self) -> None:
        """Check the footers of all tables together, which takes one process at most."""
        with self._files.errors("footers"), contextlib.ExitStack() as stack:
            names = [name for name in TABLES if self._files.exists(f"{name}{_SUFFIX}")]
            opened = {name: stack.enter_context(self._files.open(f"{name}{_SUFFIX}")) for name in names}
            check_footers({f"{self.label}, table {name!r}": file for name, file in opened.items()})

    def _check_together(self, read: "Mapping[str, tuple[pa.Table, bytes | None]]") -> None:
        """Raise unless one export wrote all tables: an object store replaces them one after the other."""
        first = read["observations"][1]
        if others := [name for name, (_, export_id) in read.items() if first and export_id and export_id != first]:
            names = ", ".join(map(repr, others))
            msg = f"{self.label}: tables {names} are from another export than 'observations'; export the source again."
            raise SourceError(msg)

    def _table(self, name: str, selection: Selection, progress: Progress) -> "tuple[pa.Table, bytes | None]":
        """Return the selected rows of a table, and the id of the export that wrote it, if it has one."""
        import pyarrow.parquet as pq

        schema, label = schemas()[name], f"{self.label}, table {name!r}"
        with self._files.errors(f"table {name!r}"), self._files.open(f"{name}{_SUFFIX}") as file:
            metadata = pq.read_metadata(file)
            is_ours = self._check(name, metadata, schema)
            parquet = pq.ParquetFile(
                file,
                metadata=metadata,
                read_dictionary=[column for column in CODED[name] if is_ours and column in metadata.schema.names],
                pre_buffer=True,
                page_checksum_verification=True,
            )
            groups = [i for i in range(parquet.num_row_groups) if _may_hold(parquet.metadata.row_group(i), selection)]
            check_size(label, metadata, groups, file.size())
            table = parquet.read_row_groups(
                groups, columns=[n for n in schema.names if n in parquet.schema_arrow.names]
            )
        table = _conformed(table, name, schema)
        progress(table.nbytes, 0)
        return _filtered(table, selection), (metadata.metadata or {}).get(EXPORT_ID)

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

    def _documents(self, selection: Selection, progress: Progress) -> Iterator[Entry]:
        table = PlainTable(self._files)
        self.key_prefix = table.find_prefix() if self.key_prefix == "auto" else self.key_prefix
        yield from read_documents(table, self.key_prefix, selection, progress)
        if table.n_older:
            self.caveats = (
                f"{counted(table.n_older, 'entry')} of older partitions left out: a newer one holds the same key.",
            )

    # --- writing ---

    def store_observations(self, key: str, window: Sequence[PromptIR]) -> None:
        """Store a window; written when the export is closed."""
        self._memory.store_observations(key, window)
        self._changed = True

    def store_stability(self, key: str, result: StabilityAnalysisResult) -> None:
        """Store a result; written when the export is closed."""
        self._memory.store_stability(key, result)
        self._changed = True

    def store_run(self, run: RunRecord) -> None:
        """Store a run; written when the export is closed."""
        self._memory.store_run(run)
        self._changed = True

    def close(self) -> None:
        """Write the whole export with everything stored since, and replace the old one."""
        if self._changed:
            self.write(self.columns(), overwrite=True)
            self._changed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()

    def write(self, columns: Columns, *, overwrite: bool = False, progress: Progress = ignore_progress) -> None:
        """Write an export to a temporary folder, then rename it, so that no incomplete export is ever visible.

        Raises
        ------
        UsageError
            If something stands in its place and ``overwrite`` is not set, or what stands there is no export.
        SourceError
            If it can't be written.
        """
        if self._files.exists() and not (overwrite and self._is_export):
            hint = "overwrite it with overwrite=True (--overwrite), or " if self._is_export else ""
            msg = f"{self.label} exists already; {hint}choose another path."
            raise UsageError(msg)
        if self._files.exists() and (others := self._files.list_others([f"{name}{_SUFFIX}" for name in TABLES])):
            names = ", ".join(map(repr, others[:3]))
            msg = f"{self.label} holds other files than an export ({names}), which would be lost; choose another path."
            raise UsageError(msg)
        owners = assign_agents(
            {*columns.observations.keys, *columns.results}, {r.agent_id for r in columns.runs.records}
        )
        export_id = secrets.token_hex(8)
        with self._files.errors("export"), self._files.replace_atomically() as place:
            for name, pieces in to_tables(columns, owners):
                with self._files.create(f"{place}/{name}{_SUFFIX}") as file:
                    _write_table(name, pieces, file, progress, export_id)


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
def _lean_memory() -> Iterator[None]:
    """Let pyarrow use the system's allocator: its own pool reserves tens of megabytes for small reads."""
    import pyarrow as pa

    former = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(former)


def _write_table(name: str, pieces: "Iterator[pa.Table]", file: Any, progress: Progress, export_id: str) -> None:
    import pyarrow.parquet as pq

    writer, sealed = None, SealedFile(file)
    for piece in pieces:
        writer = writer or pq.ParquetWriter(
            sealed,
            piece.schema,
            compression="zstd",
            compression_level=9,
            use_dictionary=list(CODED[name]),
            dictionary_pagesize_limit=_NO_LIMIT,  # one dictionary per row group, however long its texts
            write_page_index=True,
            write_page_checksum=True,  # decompression detects most damage, but not all
        )
        writer.write_table(piece, row_group_size=ROWS_PER_GROUP)
        progress(piece.nbytes, 0)
    if writer is not None:
        writer.add_key_value_metadata({EXPORT_ID.decode(): export_id})
        sealed.hold()
        writer.close()
        sealed.seal()


def _may_hold(group: Any, selection: Selection) -> bool:
    """Return whether, by its statistics, a row group may contain selected rows."""
    for i in range(group.num_columns):
        column = group.column(i)
        wanted = {"agent_id": selection.agents, "key": selection.keys}.get(column.path_in_schema)
        if wanted is not None and (stats := column.statistics) is not None and stats.has_min_max:
            low, high = stats.min, stats.max
            if not any(low <= value <= high for value in wanted):
                return False
    return True


def _filtered(table: "pa.Table", selection: Selection) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.compute as pc

    for name, wanted in (("agent_id", selection.agents), ("key", selection.keys)):
        if wanted is not None and name in table.column_names:
            table = table.filter(pc.is_in(table[name].cast(pa.string()), pa.array(sorted(wanted), pa.string())))
    return table
