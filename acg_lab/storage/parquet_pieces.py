"""The pieces of a history: which there are, whose they are, and all of them as one source.

Runs add up. An agent's windows and results are those of the newest piece that has some of it and can be read, since
production keeps the newest only. What cannot be read of a piece is reported, and the rest is read.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final, TypeAlias

import msgspec

from acg_lab.core.errors import AcgLabError, RecordError, SourceError
from acg_lab.storage.base import OnProblem, Progress, Selection, raise_problem
from acg_lab.storage.column_parts import assign_owners, join_columns, keep_windows
from acg_lab.storage.columns import Columns, Origin
from acg_lab.storage.ingest import ingest
from acg_lab.storage.parquet_files import Files
from acg_lab.storage.parquet_layout import MARKERS, WHOLE, Partition, Piece, agent_of_folder, token_of
from acg_lab.storage.parquet_reader import from_tables
from acg_lab.storage.parquet_schema import READABLE, VERSION
from acg_lab.storage.parquet_tables import ExportTables

__all__ = [
    "has_pieces",
    "list_agents",
    "list_pieces",
    "list_written",
    "measure_agents",
    "read_origin",
    "read_pieces",
]


_TRIES: Final = 3
_NO_MARKER: Final = "expected a file in _pieces that says what it holds, got none; copy it again from where it came."
_Failure: TypeAlias = tuple[Partition, AcgLabError]


def has_pieces(files: Files) -> bool:
    """Return whether a folder is a history in pieces."""
    return files.exists(MARKERS)


def list_pieces(files: Files) -> list[Piece]:
    """Return the pieces of a history, oldest first, without those that others replace.

    What stood there before the first piece was added is the piece without a name. A piece of which nothing is known,
    since its marker can't be read, has no version.
    """
    pieces = list_written(files)
    replaced = {name for piece in pieces for name in piece.replaces}
    return [piece for piece in pieces if piece.name not in replaced]


def list_written(files: Files) -> list[Piece]:
    """Return the pieces of a history, oldest first, with those that others replace and that are not yet removed."""
    names = sorted(name.removesuffix(".json") for name in files.list_names(MARKERS) if name.endswith(".json"))
    first = [Piece(version=VERSION)] if files.exists(WHOLE.path("observations")) else []
    return first + [_read_marker(files, name) for name in names]


def _read_marker(files: Files, name: str) -> Piece:
    piece = Piece(name=name)
    with suppress(msgspec.DecodeError, UnicodeDecodeError, SourceError):
        piece = msgspec.json.decode(files.read(piece.marker), type=Piece)
    return msgspec.structs.replace(piece, name=name)


def list_agents(files: Files) -> set[str]:
    """Return the ids of all agents: of partitioned pieces by the names of folders alone."""
    agents: set[str] = set()
    failed: list[AcgLabError] = []
    pieces = list_pieces(files)
    for piece in pieces:
        try:
            agents |= _agents_of(files, piece)
        except SourceError as error:
            failed.append(error)
    if failed and len(failed) == len(pieces):
        raise failed[0]
    return agents


def _agents_of(files: Files, piece: Piece) -> set[str]:
    if piece.partition_by is None:
        return ExportTables(files, Partition(piece.name)).list_agents()
    folders = files.list_names(Partition(piece.name).folder("observations"))
    return {agent_id for name in folders if (agent_id := agent_of_folder(name)) is not None}


def measure_agents(files: Files) -> dict[str, int]:
    """Return the ids of all agents, each with the bytes of its calls: of partitioned pieces by a listing alone."""
    sizes = dict.fromkeys(list_agents(files), 0)
    pieces = list_pieces(files)
    partitions = {Partition(piece.name).folder("calls") for piece in pieces if piece.partition_by}
    found: list[tuple[str | None, int]] = []
    for path, size in files.list_sizes("calls").items() if partitions else ():
        parent, _, name = path.rpartition("/")[0].rpartition("/")
        if parent in partitions:
            found.append((agent_of_folder(name), size))
    for piece in pieces:
        if piece.partition_by is None:
            with suppress(SourceError):  # sizes only say when it is whose turn
                found += ExportTables(files, Partition(piece.name)).measure_agents().items()
    for agent_id, size in found:
        if agent_id is not None and agent_id in sizes:
            sizes[agent_id] += size
    return sizes


def read_origin(files: Files) -> Origin:
    """Return where an export that is no piece says that its contents come from."""
    nothing = Selection(keys=frozenset(), agent_id="")
    tables = ExportTables(files).read(nothing, lambda *_: None)
    return from_tables(tables, nothing).origin


def read_pieces(files: Files, selection: Selection, progress: Progress, on_problem: OnProblem) -> Columns:
    """Read a history.

    Raises
    ------
    SourceError, RecordError
        If there is no piece, or not one can be read.
    """
    for _ in range(_TRIES):
        pieces = list_pieces(files)
        read, failed = _read_all(files, pieces, selection, progress)
        if not failed or list_pieces(files) == pieces:
            break  # else pieces were joined meanwhile
    if failed and not read:
        raise failed[0][1]
    if not pieces:
        msg = f"{files.label}: this history holds no piece yet."
        raise SourceError(msg)
    for partition, error in failed:
        on_problem(_as_problem(partition, error, files.label))
    return join_columns(read) if read else ingest((), raise_problem)


def _read_all(
    files: Files, pieces: Sequence[Piece], selection: Selection, progress: Progress
) -> tuple[list[Columns], list[_Failure]]:
    """Return what can be read of the pieces, the oldest first, and what can't, with the error."""
    read: list[Columns] = []
    failed: list[_Failure] = [(Partition(name), SourceError(_NO_MARKER)) for name in _without_marker(files)]
    seen: set[str] = set()
    for piece in reversed(pieces):
        parts, damaged = _read_piece(files, piece, selection, progress, frozenset(seen))
        for part in parts:
            seen.update(_agents_with_windows(part))
        read += parts[::-1]
        failed += damaged
    return read[::-1], failed


def _without_marker(files: Files) -> list[str]:
    """Return the pieces whose markers are gone; one that is being added or removed has a marker elsewhere, or none."""
    folders = {name.removeprefix("piece=") for name in files.list_names("observations") if name.startswith("piece=")}
    markers = {name.removesuffix(".json") for name in files.list_names(MARKERS)}
    missing = sorted(folders - markers)
    return [name for name in missing if f".{token_of(name)}.partial" not in files.list_names()]


def _read_piece(
    files: Files, piece: Piece, selection: Selection, progress: Progress, seen: frozenset[str]
) -> tuple[list[Columns], list[_Failure]]:
    """Return what can be read of a piece, agent by agent if it is partitioned, and what can't, with the error.

    Files of which nothing counts, since their runs are too old and windows were seen in newer pieces, are not opened.
    """
    read: list[Columns] = []
    failed: list[_Failure] = []
    try:
        _check_version(files, piece)
        partitions = _list_partitions(files, piece, selection)
    except SourceError as error:
        return [], [(Partition(piece.name), error)]
    is_past = piece.ends_before(selection.since)
    if is_past and partitions:
        read.append(_nothing_of(piece))
    for partition in partitions:
        if is_past and _are_seen(piece, partition, selection, seen):
            continue
        try:
            read.append(_read_partition(files, partition, selection, progress, seen))
        except (SourceError, RecordError) as error:
            failed.append((partition, error))
    return read, failed


def _are_seen(piece: Piece, partition: Partition, selection: Selection, seen: frozenset[str]) -> bool:
    """Return whether all wanted agents with windows or results in a partition are known to be among those seen."""
    if partition.agent_id is not None:
        return partition.agent_id in seen
    return piece.agents is not None and all(one in seen for one in piece.agents if selection.wants_agent(one))


def _nothing_of(piece: Piece) -> Columns:
    """Return the columns of a piece without windows, results and runs."""
    empty, origin = ingest((), raise_problem), piece.origin or Origin()
    is_partly = bool(origin.redacted)
    return replace(
        empty,
        observations=replace(empty.observations, is_redacted=origin.is_redacted, is_partly_redacted=is_partly),
        runs=replace(empty.runs, is_redacted=origin.is_redacted),
        key_prefix=piece.key_prefix,
        origin=origin,
    )


def _check_version(files: Files, piece: Piece) -> None:
    if piece.version not in READABLE:
        wanted = " or ".join(READABLE)
        got = f"version {piece.version!r}" if piece.version else f"no version in {piece.marker}"
        msg = f"{files.label}: {Partition(piece.name)}: expected tables of version {wanted}, got {got}."
        raise SourceError(msg)


def _list_partitions(files: Files, piece: Piece, selection: Selection) -> list[Partition]:
    if piece.partition_by is None:
        return [Partition(piece.name)]
    if selection.agent_id is not None:
        partition = Partition(piece.name, selection.agent_id)
        return [partition] if files.exists(partition.folder("observations")) else []
    agents = sorted(_agents_of(files, piece))
    if len(agents) < piece.n_agents:
        msg = (
            f"{files.label}: {Partition(piece.name)}: expected folders of {piece.n_agents:,} agents, got "
            f"{len(agents):,}; copy it again from where it came."
        )
        raise SourceError(msg)
    return [Partition(piece.name, agent_id) for agent_id in agents]


def _read_partition(
    files: Files, partition: Partition, selection: Selection, progress: Progress, seen: Collection[str]
) -> Columns:
    """Return the runs of a partition, and the windows and results of agents that were not seen in newer pieces."""
    tables = ExportTables(files, partition)
    if partition.agent_id is not None:  # all its rows are of that agent
        only_runs = partition.agent_id in seen
        selection = selection._replace(agent_id=None)
    else:
        only_runs = bool(seen) and tables.list_agents() <= set(seen)
    columns = from_tables(tables.read(selection, progress, only_runs=only_runs), selection)
    if only_runs:
        return keep_windows(columns, lambda _: False)
    if not seen or partition.agent_id is not None:
        return columns
    owners = assign_owners(columns)
    return keep_windows(columns, lambda key: owners[key].agent_id not in seen)


def _agents_with_windows(columns: Columns) -> set[str]:
    return {owner.agent_id for owner in assign_owners(columns).values()}


def _as_problem(partition: Partition, error: AcgLabError, label: str) -> RecordError:
    if isinstance(error, RecordError):
        return RecordError(error.reason, source=error.source or label, key=error.key, path=f"{partition}, {error.path}")
    return RecordError(f"{str(error).removeprefix(f'{label}: ')} It is left out", source=label, path=str(partition))
