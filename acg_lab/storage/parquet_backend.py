"""Parquet exports: a folder of tables, or one plain table of keys and values, local or remote.

The tables are described in `acg_lab.storage.parquet_schema`.
"""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Self

from acg_lab._format import counted
from acg_lab.core.codec import encode, encode_window
from acg_lab.core.errors import RecordError, UsageError
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
from acg_lab.storage.parquet_keyvalue import PlainTable, read_documents
from acg_lab.storage.parquet_layout import NAMES, WHOLE, PartitionBy, Piece, name_piece
from acg_lab.storage.parquet_output import take_apart, write_partition, write_piece
from acg_lab.storage.parquet_pieces import has_pieces, list_agents, list_pieces, measure_agents, read_pieces
from acg_lab.storage.parquet_reader import from_tables
from acg_lab.storage.parquet_tables import ExportTables, lean_memory
from acg_lab.storage.path_options import path_text

if TYPE_CHECKING:
    import os

__all__ = ["ParquetExport"]


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
        self.path = path_text(path)
        self.key_prefix = key_prefix
        self._files = Files(self.path)
        self._tables = ExportTables(self._files)
        self._stored: dict[str, Any] = {}  # key prefix and rules of the source, beside what `_memory` holds
        self._changed = False
        self.caveats: tuple[str, ...] = ()  # of a plain table that was read

    def __repr__(self) -> str:
        if not hasattr(self, "_files"):
            return "<ParquetExport that was not opened>"
        return f"ParquetExport({self.label!r})"

    @property
    def label(self) -> str:
        """The path, credentials masked."""
        return self._files.label

    @property
    def partition_by(self) -> PartitionBy:
        """How the newest piece of a history is partitioned; None for other exports."""
        pieces = list_pieces(self._files) if has_pieces(self._files) else []
        return pieces[-1].partition_by if pieces else None

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
            return replace(ingest(self._memory.scan(selection, progress), on_problem, selection.limits), **self._stored)
        if not self._files.exists():
            self._files.restore()
        if has_pieces(self._files):
            with lean_memory():
                return read_pieces(self._files, selection, progress, on_problem)
        if not self._is_export:
            columns = ingest(self._documents(selection, progress), on_problem, selection.limits)
            return replace(columns, origin=columns.origin._replace(caveats=self.caveats))
        try:
            with lean_memory():
                return from_tables(self._tables.read(selection, progress), selection)
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
            self._stored = {"key_prefix": columns.key_prefix, "rules": columns.rules, "origin": columns.origin}
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

    def list_agents(self) -> set[str]:
        """Return the ids of all agents; no text is read, and of partitions no file."""
        if has_pieces(self._files):
            with lean_memory():
                return list_agents(self._files)
        if self._is_export:
            with lean_memory():
                return self._tables.list_agents()
        table = PlainTable(self._files)
        self.key_prefix = table.find_prefix() if self.key_prefix == "auto" else self.key_prefix
        return table.list_agents(self.key_prefix)

    def measure_agents(self) -> dict[str, int]:
        """Return the ids of all agents with their sizes: the bytes of their calls, 0 where they are not known."""
        if self._is_export:
            with lean_memory():
                return measure_agents(self._files)
        return dict.fromkeys(self.list_agents(), 0)

    @property
    def _is_export(self) -> bool:
        return self._files.exists(WHOLE.path("observations")) or has_pieces(self._files)

    def _documents(self, selection: Selection, progress: Progress) -> Iterator[Entry]:
        table = PlainTable(self._files, selection.limits)
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
            self.write(self.columns(), overwrite=True, partition_by=self.partition_by)
            self._changed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.close()

    def write(
        self,
        columns: Columns,
        *,
        overwrite: bool = False,
        mode: int | None = None,
        partition_by: PartitionBy = None,
        progress: Progress = ignore_progress,
    ) -> None:
        """Write an export to a temporary folder, then rename it, so that no incomplete export is ever visible.

        ``mode`` are the permissions of a local folder, by default its owner's alone or, of one that is replaced, as
        they were; files get the same without execution. With ``partition_by="agent"`` each agent has its own files.

        Raises
        ------
        UsageError
            If something stands in its place and ``overwrite`` is not set, or what stands there is no export.
        SourceError
            If it can't be written.
        """
        self._check_place(overwrite=overwrite)
        parts = take_apart(columns, partition_by)
        check = partial(self._check_place, overwrite=overwrite)
        with self._files.errors("export"), self._files.replace_atomically(mode=mode, check=check) as place:
            if partition_by is None:
                write_partition(self._files, place, WHOLE, columns, secrets.token_hex(8), progress)
            else:
                piece = Piece(name=name_piece(secrets.token_hex(8)), partition_by=partition_by)
                write_piece(self._files, place, piece, parts, progress)

    def _check_place(self, *, overwrite: bool) -> None:
        """Raise UsageError if something stands in the place of a new export that it may not replace."""
        if self._files.exists() and not (overwrite and self._is_export):
            hint = "overwrite it with overwrite=True (--overwrite), or " if self._is_export else ""
            msg = f"{self.label} exists already; {hint}choose another path."
            raise UsageError(msg)
        if self._files.exists() and (others := [name for name in self._files.list_names() if name not in NAMES]):
            names = ", ".join(map(repr, others[:3]))
            msg = f"{self.label} holds other files than an export ({names}), which would be lost; choose another path."
            raise UsageError(msg)
