"""The pieces of a history: which there are, whose they are, and all of them as one source.

Runs add up. Windows and results are those of the newest piece that can be read and covers the agent, since production
keeps the newest only. A piece, or an agent in it, that cannot be read is reported, and the others are read.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from acg_lab.core.errors import AcgLabError, RecordError, SourceError
from acg_lab.core.keys import assign_agents
from acg_lab.storage.base import OnProblem, Progress, Selection, raise_problem
from acg_lab.storage.column_parts import join_columns, keep_windows
from acg_lab.storage.columns import Columns
from acg_lab.storage.ingest import ingest
from acg_lab.storage.parquet_files import Files
from acg_lab.storage.parquet_layout import MARKERS, WHOLE, Partition, Piece, agent_of_folder
from acg_lab.storage.parquet_reader import from_tables
from acg_lab.storage.parquet_schema import READABLE
from acg_lab.storage.parquet_tables import ExportTables

__all__ = ["has_pieces", "list_agents", "list_pieces", "read_pieces"]


def has_pieces(files: Files) -> bool:
    """Return whether a folder is a history in pieces."""
    return files.exists(MARKERS)


def list_pieces(files: Files) -> list[Piece]:
    """Return the pieces of a history, oldest first, without those that others replace.

    What stood there before the first piece was added is the piece without a name.

    Raises
    ------
    SourceError
        If what a piece holds can't be read.
    """
    names = sorted(name.removesuffix(".json") for name in files.list_names(MARKERS) if name.endswith(".json"))
    pieces = [Piece()] if files.exists(WHOLE.path("observations")) else []
    pieces += [_read_marker(files, name) for name in names]
    replaced = {name for piece in pieces for name in piece.replaces}
    return [piece for piece in pieces if piece.name not in replaced]


def _read_marker(files: Files, name: str) -> Piece:
    label = f"{MARKERS}/{name}.json"
    with files.errors(label), files.open(label) as file:
        raw = bytes(file.read())
    try:
        piece = msgspec.json.decode(raw, type=Piece)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        msg = f"{files.label}: {label}: expected what a piece holds, got another text ({error})."
        raise SourceError(msg) from None
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


class _Covered(NamedTuple):
    """Whose windows a newer piece has: one agent's or, without a name, those of all but the damaged."""

    agent_id: str | None
    damaged: frozenset[str]

    def __call__(self, agent_id: str) -> bool:
        return self.agent_id in (None, agent_id) and agent_id not in self.damaged


def read_pieces(files: Files, selection: Selection, progress: Progress, on_problem: OnProblem) -> Columns:
    """Read a history.

    Raises
    ------
    SourceError, RecordError
        If not one piece can be read.
    """
    parts: list[Columns] = []
    covered: list[_Covered] = []
    failed: list[tuple[Partition, AcgLabError]] = []
    for piece in reversed(list_pieces(files)):
        read, damaged = _read_piece(files, piece, selection, progress, covered)
        parts += reversed(read)
        failed += damaged
        if not any(partition.agent_id is None for partition, _ in damaged):
            covered.append(_Covered(piece.agent_id, frozenset(str(partition.agent_id) for partition, _ in damaged)))
    if failed and not parts:
        raise failed[0][1]
    for partition, error in failed:
        on_problem(_as_problem(partition, error, files.label))
    return join_columns(parts[::-1]) if parts else ingest((), raise_problem)


def _read_piece(
    files: Files, piece: Piece, selection: Selection, progress: Progress, covered: Sequence[_Covered]
) -> tuple[list[Columns], list[tuple[Partition, AcgLabError]]]:
    """Return what can be read of a piece, agent by agent if it is partitioned, and what can't, with the error."""
    read: list[Columns] = []
    damaged: list[tuple[Partition, AcgLabError]] = []
    try:
        _check_version(piece)
        partitions = _list_partitions(files, piece, selection)
    except SourceError as error:
        return [], [(Partition(piece.name), error)]
    for partition in partitions:
        try:
            read.append(_read_partition(files, partition, selection, progress, covered))
        except (SourceError, RecordError) as error:
            damaged.append((partition, error))
    return read, damaged


def _check_version(piece: Piece) -> None:
    if piece.name and piece.version not in READABLE:
        msg = f"expected tables of version {' or '.join(READABLE)}, got version {piece.version!r}."
        raise SourceError(msg)


def _list_partitions(files: Files, piece: Piece, selection: Selection) -> list[Partition]:
    if piece.partition_by is None:
        return [Partition(piece.name)]
    if selection.agent_id is not None:
        partition = Partition(piece.name, selection.agent_id)
        return [partition] if files.exists(partition.folder("observations")) else []
    agents = sorted(_agents_of(files, piece))
    if len(agents) < piece.n_agents:
        msg = f"expected folders of {piece.n_agents:,} agents, got {len(agents):,}; copy it again from where it came."
        raise SourceError(msg)
    return [Partition(piece.name, agent_id) for agent_id in agents]


def _read_partition(
    files: Files, partition: Partition, selection: Selection, progress: Progress, covered: Sequence[_Covered]
) -> Columns:
    def is_newest(agent_id: str) -> bool:
        return not any(covers(agent_id) for covers in covered)

    only_runs = (
        not is_newest(partition.agent_id)
        if partition.agent_id is not None
        else any(newer == (None, frozenset()) for newer in covered)
    )
    if partition.agent_id is not None:  # all its rows are of that agent
        selection = selection._replace(agent_id=None)
    tables = ExportTables(files, partition).read(selection, progress, only_runs=only_runs)
    columns = from_tables(tables, selection)
    if only_runs:
        return keep_windows(columns, lambda _: False)
    if not covered or partition.agent_id is not None:
        return columns
    keys = {*columns.observations.keys, *columns.results}
    owners = assign_agents(keys, {run.agent_id for run in columns.runs.records})
    return keep_windows(columns, lambda key: is_newest(owners[key].agent_id))


def _as_problem(partition: Partition, error: AcgLabError, label: str) -> RecordError:
    if isinstance(error, RecordError):
        return RecordError(error.reason, source=error.source or label, key=error.key, path=f"{partition}, {error.path}")
    return RecordError(f"{str(error).removeprefix(f'{label}: ')} It is left out", source=label, path=str(partition))
