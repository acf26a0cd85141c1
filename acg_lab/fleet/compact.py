"""Join the pieces of a history into one."""

from typing import TYPE_CHECKING, NamedTuple

from acg_lab._format import counted
from acg_lab.storage._runtime import Bar
from acg_lab.storage.parquet_history import ParquetHistory
from acg_lab.storage.parquet_layout import PartitionBy, Piece
from acg_lab.storage.path_options import path_text

if TYPE_CHECKING:
    import os

__all__ = ["Compacted", "compact_history"]


class Compacted(NamedTuple):
    """What was joined.

    Attributes
    ----------
    path : str
        The history, credentials masked.
    pieces : tuple of Piece
        The pieces before, oldest first.
    piece : Piece or None
        The one piece after; None if there was nothing to join.
    bytes_before, bytes_after : int
        The size of the whole history.
    """

    path: str
    pieces: tuple[Piece, ...]
    piece: Piece | None
    bytes_before: int
    bytes_after: int

    def __str__(self) -> str:
        if self.piece is None:
            return f"{self.path} is one piece already; nothing changed"
        sizes = f"{_megabytes(self.bytes_before)} -> {_megabytes(self.bytes_after)}"
        return f"{self.path}: joined {counted(len(self.pieces), 'piece')} into {self.piece.name}, {sizes}"


def compact_history(path: "str | os.PathLike[str]", *, partition_by: PartitionBy = None) -> Compacted:
    """Join the pieces of a history into one, which loads as they did.

    The old pieces go only when the new one is in place. Runs that several pieces hold are kept once; of windows and
    results, those that loading returns are kept. Appends wait meanwhile. A partitioned history is joined agent by
    agent, and so is a large one that gets partitions here; another one is read whole, which takes as much memory as
    loading it.

    Parameters
    ----------
    path : str or path
        A history.
    partition_by : {"agent"}, optional
        Give each agent its own files. If omitted, as the newest piece.

    Returns
    -------
    Compacted

    Raises
    ------
    SourceError
        If anything of it can't be read; then nothing is changed.

    Examples
    --------
    >>> import tempfile, acg_lab as acg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for agent_id in ("coder", "field-notes"):
    ...         acg.load("sample", agent_id=agent_id).to_parquet(f"{folder}/history", append=True)
    ...     len(compact_history(f"{folder}/history").pieces)
    2
    """
    history = ParquetHistory(path_text(path))
    history.check_exists()
    with history.writing(), Bar(f"joining {history.label}") as bar:
        pieces, before = tuple(history.pieces), history.size
        piece = history.join(partition_by=partition_by, progress=bar)
        return Compacted(history.label, pieces, piece, before, history.size)


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB"
