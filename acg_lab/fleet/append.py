"""Add to a history what its source has gained: the runs that are not there yet, in a piece of their own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from acg_lab._format import counted
from acg_lab.core.errors import UsageError
from acg_lab.snapshot.load import load
from acg_lab.snapshot.snapshot import Snapshot, check_whole
from acg_lab.storage._runtime import Bar
from acg_lab.storage.column_parts import assign_owners
from acg_lab.storage.parquet_history import ParquetHistory
from acg_lab.storage.parquet_layout import PartitionBy
from acg_lab.storage.path_options import check_mode, path_text
from acg_lab.storage.redis_backend import RedisBackend
from acg_lab.storage.sources import is_redis, open_source

if TYPE_CHECKING:
    from acg_lab.storage.base import Backend

__all__ = ["Appended", "append_history"]


class Appended(NamedTuple):
    """What was added to a history.

    Attributes
    ----------
    snapshot : Snapshot
        The windows and results of the source, and of its runs those that were not there.
    piece : str
        The name of the new piece; empty if there was nothing new.
    path : str
        The history, credentials masked.
    """

    snapshot: Snapshot
    piece: str
    path: str

    def __str__(self) -> str:
        if not self.piece:
            return f"nothing new for {self.path}"
        runs = self.snapshot.runs.records
        agents = counted(len({run.agent_id for run in runs}), "agent")
        return f"added {counted(len(runs), 'run')} of {agents} to {self.path}, piece {self.piece}"


def append_history(
    source: "str | os.PathLike[str] | Backend | Snapshot",
    path: "str | os.PathLike[str]",
    *,
    agent_id: str | None = None,
    key_prefix: str = "auto",
    partition_by: PartitionBy = None,
    mode: int | None = None,
    gentle: bool | None = None,
    redact: bool = False,
    redact_names: bool = False,
    salt: "str | os.PathLike[str] | None" = None,
    **options: Any,
) -> Appended:
    """Add to a history what its source has gained since the last time.

    Of a Redis, only the runs that are not there yet are fetched, by the indexes of the agents; of any other source they
    are picked out after reading. Windows and results are kept as they are now. What is there is not touched, so that
    history keeps what production trims. Appends to one place wait for each other.

    Parameters
    ----------
    source : str, path, backend or Snapshot
        As of `acg_lab.load`.
    path : str or path
        A history; an export, which stays as it is; or a new folder.
    agent_id : str, optional
        Add only this agent.
    key_prefix : str
        Prefix of production's keys; ``"auto"`` detects it.
    partition_by : {"agent"}, optional
        Give each agent its own files. If omitted, as in the history.
    mode : int, optional
        Permissions of a new folder; see `Snapshot.to_parquet`.
    gentle : bool, optional
        As of `acg_lab.load`.
    redact, redact_names, salt
        As of `Snapshot.to_parquet`; the salt must be that of the history. With ``redact_names`` all runs are fetched.
    **options
        Other options of `acg_lab.load`, but for those that leave out a part of the windows.

    Returns
    -------
    Appended

    Raises
    ------
    UsageError
        If something else stands there, or an option is invalid.
    SourceError
        If the source can't be read, or the piece can't be written. Nothing is added then.

    Examples
    --------
    >>> import tempfile, acg_lab as acg
    >>> snap = acg.load("sample", agent_id="coder")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     added = append_history(snap, f"{folder}/history")
    ...     again = append_history(snap, f"{folder}/history")
    >>> len(added.snapshot.runs), bool(again.piece), len(again.snapshot.runs)
    (50, False, 0)
    """
    if parts := [name for name in ("since", "until", "limit", "keys") if options.get(name) is not None]:
        msg = f"A piece of a history has whole windows; leave out the {parts[0]!r} option."
        raise UsageError(msg)
    history = ParquetHistory(path_text(path), mode=check_mode(mode))
    with history.writing(), _opened(source, key_prefix=key_prefix, gentle=gentle) as (opened, load_options):
        history.choose_partition(partition_by)
        leaves_out = isinstance(opened, RedisBackend) and not redact_names
        if leaves_out:
            opened.leave_out(history.find_known)
        try:
            snapshot = load(opened, agent_id=agent_id, **load_options, **options)
        finally:
            if leaves_out:
                opened.leave_out(None)
        check_whole(snapshot)
        columns = snapshot.columns_to_write(path, redact=redact, redact_names=redact_names, salt=salt)
        columns = columns if leaves_out else history.without_known(columns)
        with Bar(f"writing {history.label}") as bar:
            piece = history.add(columns, partition_by=partition_by, progress=bar)
    added = replace(snapshot, columns=columns, owners=assign_owners(columns))
    return Appended(added, piece.name if piece else "", history.label)


@contextmanager
def _opened(source: Any, *, key_prefix: str, gentle: bool | None) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield a source for `load` with its options: for the address of a Redis, the backend, which is closed later."""
    if not isinstance(source, str | os.PathLike) or not is_redis(os.fspath(source)):
        yield source, {"key_prefix": key_prefix, "gentle": gentle}
        return
    backend = open_source(source, key_prefix=key_prefix, gentle=gentle)
    source = backend.label  # a password in it must not show in a traceback with locals
    try:
        yield backend, {}
    finally:
        if isinstance(backend, RedisBackend):
            backend.close()
