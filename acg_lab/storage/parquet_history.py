"""A history that grows by pieces: add what is new, and join the pieces, without touching what is there.

Every change is one new piece, whole or not at all. What pieces are replaced by others goes only when those are in
place; if it is still there, the next writer removes it.
"""

import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from acg_lab.core.codec import encode
from acg_lab.core.errors import RecordError, SourceError, UsageError
from acg_lab.storage.base import EVERYTHING, Progress, Selection, ignore_progress, raise_problem
from acg_lab.storage.columns import Columns, Origin
from acg_lab.storage.parquet_files import Files
from acg_lab.storage.parquet_footer import check_footers
from acg_lab.storage.parquet_layout import (
    NAMES,
    PartitionBy,
    Piece,
    check_partition_by,
    name_piece,
    token_of,
)
from acg_lab.storage.parquet_output import take_apart, write_piece
from acg_lab.storage.parquet_pieces import list_agents, list_pieces, list_written, read_origin, read_pieces
from acg_lab.storage.parquet_tables import lean_memory

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ParquetHistory"]

_LARGE: Final = 1 << 26  # bytes; reading a smaller history once is faster than once for each agent
_COVERED: Final = 32  # a new piece lists no more than so many times its own runs


class ParquetHistory:
    """A folder of Parquet, as its only writer.

    Parameters
    ----------
    path : str
        An export, a history, or a place where nothing is yet.
    mode : int, optional
        Permissions of the folder, if it is made.
    """

    def __init__(self, path: str, *, mode: int | None = None) -> None:
        self._files = Files(path)
        self._mode = mode
        self._pieces: list[Piece] | None = None  # known while this is the only writer

    @property
    def label(self) -> str:
        """The path, credentials masked."""
        return self._files.label

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Wait for other writers, and be the only one.

        Raises
        ------
        UsageError
            If something else than an export or a history stands there.
        SourceError
            If it can't be written to.
        """
        self._check_place()
        with self._files.errors("export"), self._files.writing(self._mode), lean_memory():
            self._remove_replaced()
            try:
                yield
            finally:
                self._pieces = None

    def _check_place(self) -> None:
        if not self._files.exists():
            return
        found = self._files.list_names() if self._files.is_folder else []
        others = [name for name in found if name not in NAMES and not name.endswith(".partial")]
        if others or not self._files.is_folder:
            names = f" ({', '.join(map(repr, others[:3]))})" if others else ""
            msg = f"{self.label} holds something else than an export{names}; choose another path."
            raise UsageError(msg)

    def check_exists(self) -> None:
        """Raise SourceError if there is no export and no history."""
        if not list_pieces(self._files):
            msg = f"{self.label}: there is no export and no history."
            raise SourceError(msg)

    @property
    def pieces(self) -> list[Piece]:
        """The pieces, oldest first."""
        if self._pieces is None:
            self._pieces = list_pieces(self._files)
        return self._pieces

    @property
    def size(self) -> int:
        """The bytes of all files."""
        return self._files.size

    def choose_partition(self, partition_by: PartitionBy) -> PartitionBy:
        """Return how a new piece is partitioned: as the others are.

        Raises
        ------
        UsageError
            If it is to be partitioned otherwise: engines read one kind as one data set.
        """
        check_partition_by(partition_by, set())
        pieces = self.pieces
        if not pieces:
            return partition_by
        if partition_by not in (None, pieces[-1].partition_by):
            msg = (
                f"The pieces of {self.label} are not partitioned by {partition_by}; first join them so, with "
                f"acg-lab compact {self.label} --partition {partition_by}."
            )
            raise UsageError(msg)
        return pieces[-1].partition_by

    def find_known(self, runs: Mapping[str, Collection[str]]) -> set[tuple[str, str]]:
        """Return which runs are there, of some ids by agent, as pairs of both.

        Of a piece whose ids can't be read none is known; then a run is added again, and counts once.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted = {(agent_id, run_id) for agent_id, ids in runs.items() for run_id in ids}
        ids = pa.array(sorted({run_id for _, run_id in wanted}), pa.string())
        known: set[tuple[str, str]] = set()
        for piece in self._lists_of_runs() if wanted else ():
            try:
                table = self._read_run_ids(piece)
            except SourceError:
                continue
            found = table.filter(pc.is_in(table["run_id"], ids))
            known |= wanted.intersection(zip(found["agent_id"].to_pylist(), found["run_id"].to_pylist(), strict=True))
            if len(known) == len(wanted):
                break
        return known

    def _lists_of_runs(self) -> list[Piece]:
        """Return the pieces whose lists of runs together name all runs, the newest first."""
        covered: set[str] = set()
        found = []
        for piece in reversed(self.pieces):
            if piece.name not in covered:
                found.append(piece)
                covered.update(piece.covers)
        return found

    def _cover(self, piece: Piece, n_runs: int) -> tuple[Piece, list[tuple[str, str]]]:
        """Let a new piece list the runs of some before it, no more than a few times as many as it holds."""
        runs: list[tuple[str, str]] = []
        for older in self._lists_of_runs():
            if not older.name or not older.n_ids <= len(runs) + n_runs <= _COVERED * n_runs:
                break
            with suppress(SourceError):
                table = self._read_run_ids(older)
                runs += zip(table["agent_id"].to_pylist(), table["run_id"].to_pylist(), strict=True)
                piece = msgspec.structs.replace(piece, covers=(*piece.covers, older.name, *older.covers))
        return piece, runs

    def _read_run_ids(self, piece: Piece) -> "pa.Table":
        import pyarrow.parquet as pq

        with self._files.errors(piece.run_ids), self._files.open(piece.run_ids) as file:
            check_footers({f"{self.label}, {piece.run_ids}": file})
            return pq.read_table(file, columns=["agent_id", "run_id"])

    def add(
        self, columns: Columns, *, partition_by: PartitionBy = None, progress: Progress = ignore_progress
    ) -> Piece | None:
        """Add a piece with runs that are not there yet, and the windows and results as they are now.

        Returns
        -------
        Piece or None
            None if there are no runs, and the windows and results are there too.
        """
        partition_by = self.choose_partition(partition_by)
        self._check_redaction(columns.origin)
        windows = _digest(columns)
        if not len(columns.runs) and (columns.origin.learned_here or self._has_windows(windows)):
            return None
        piece = Piece(
            name=self._name(),
            partition_by=partition_by,
            windows=(windows,) if windows else (),
            redacted=columns.origin.redacted,
            only_private=columns.origin.only_private,
        )
        piece, covered = self._cover(piece, len(columns.runs))
        return self._write(piece, take_apart(columns, partition_by), progress, covered)

    def _check_redaction(self, new: Origin) -> None:
        """Raise UsageError if texts were to stand among pseudonyms, or pseudonyms of two salts together."""
        there = [self._origin(piece) for piece in self.pieces]
        salts = {origin.redacted for origin in there if origin.redacted}
        if salts and new.redacted and new.redacted not in salts:
            msg = f"{self.label} is redacted with another salt; name its file: salt=... (--salt)."
            raise UsageError(msg)
        if there and there[-1].is_redacted and not new.is_redacted:
            msg = f"{self.label} is redacted; what is added must be, too: redact=True (--redact)."
            raise UsageError(msg)
        if there and new.is_redacted and not there[-1].is_redacted:
            msg = f"{self.label} holds texts; add to it without redacting, or choose another path."
            raise UsageError(msg)

    def _origin(self, piece: Piece) -> Origin:
        """Return what is known of the pseudonyms of a piece."""
        named = Origin(redacted=piece.redacted, only_private=piece.only_private)
        return named if piece.name else read_origin(self._files)

    def _has_windows(self, digest: str) -> bool:
        return not digest or any(digest in piece.windows for piece in self.pieces)

    def without_known(self, columns: Columns) -> Columns:
        """Return columns without the runs that are there."""
        ids: dict[str, set[str]] = {}
        for run in columns.runs.records:
            ids.setdefault(run.agent_id, set()).add(run.id)
        known = self.find_known(ids)
        kept = [i for i, run in enumerate(columns.runs.records) if (run.agent_id, run.id) not in known]
        return replace(columns, runs=columns.runs.take(kept))

    def _name(self) -> str:
        pieces = self.pieces
        return name_piece(secrets.token_hex(8), pieces[-1].name if pieces else "")

    def _write(
        self,
        piece: Piece,
        parts: Iterable[tuple[str | None, Columns]],
        progress: Progress,
        covered: Iterable[tuple[str, str]] = (),
    ) -> Piece:
        with self._files.add_piece(token_of(piece.name), piece.paths) as place:
            piece = write_piece(self._files, place, piece, parts, progress, covered=covered)
        self._pieces = None
        return piece

    def join(self, *, partition_by: PartitionBy = None, progress: Progress = ignore_progress) -> Piece | None:
        """Write one piece that holds what all hold, and then remove these; None if there is one only.

        Partitioned pieces are joined agent by agent, and large ones that are to be partitioned; others are read whole.

        Raises
        ------
        SourceError
            If anything can't be read. Nothing is changed then.
        """
        check_partition_by(partition_by, set())
        pieces = self.pieces
        by = partition_by or pieces[-1].partition_by
        if len(pieces) == 1 and pieces[0].partition_by == by:
            return None
        origins = [origin for origin in map(self._origin, pieces) if origin.redacted]
        joined = Piece(
            name=self._name(),
            partition_by=by,
            replaces=tuple(piece.name for piece in pieces),
            windows=tuple(dict.fromkeys(digest for piece in pieces for digest in piece.windows)),
            redacted=origins[-1].redacted if origins else "",
            only_private=bool(origins) and origins[-1].only_private,
        )
        is_by_agent = all(piece.partition_by for piece in pieces) or (by is not None and self.size > _LARGE)
        parts = self._read_agents() if is_by_agent else take_apart(self._read(), by)
        joined = self._write(joined, parts, progress)
        self._remove_replaced()
        return joined

    def _read(self, selection: Selection = EVERYTHING) -> Columns:
        try:
            return read_pieces(self._files, selection, ignore_progress, raise_problem)
        except (SourceError, RecordError) as error:
            msg = f"{self.label}: nothing was joined, since not everything can be read: {error}"
            raise SourceError(msg) from None

    def _read_agents(self) -> Iterator[tuple[str | None, Columns]]:
        for agent_id in sorted(list_agents(self._files)):
            yield agent_id, self._read(Selection(agent_id))

    def _remove_replaced(self) -> None:
        """Remove the pieces that others replace, each with what it counts by last."""
        written = {piece.name: piece for piece in list_written(self._files)}
        replaced = {name for piece in written.values() for name in piece.replaces}
        for name in replaced & written.keys():
            self._files.delete(written[name].paths)
        self._pieces = [piece for name, piece in written.items() if name not in replaced]


def _digest(columns: Columns) -> str:
    """Return a digest of all windows and results; empty without any."""
    observations = columns.observations
    if not observations.keys and not columns.results:
        return ""
    digest = sha256(msgspec.json.encode([observations.keys, observations.ir_ids, observations.request_hashes]))
    for array in (observations.window_offsets, observations.created.nanoseconds):
        digest.update(np.ascontiguousarray(array).tobytes())
    for key in sorted(columns.results):
        digest.update(key.encode() + encode(columns.results[key]))
    return digest.hexdigest()[:32]
