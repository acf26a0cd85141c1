"""Write partitions and pieces: tables file by file, each with a sealed footer, and what a piece holds last."""

import secrets
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from acg_lab.core.keys import Owner
from acg_lab.storage.base import Progress
from acg_lab.storage.column_parts import assign_owners, split_by_agent
from acg_lab.storage.columns import Columns, Origin
from acg_lab.storage.parquet_files import Files
from acg_lab.storage.parquet_footer import SealedFile
from acg_lab.storage.parquet_layout import Partition, PartitionBy, Piece, check_partition_by
from acg_lab.storage.parquet_schema import CODED, EXPORT_ID, ROWS_PER_GROUP, VERSION, is_plain, schemas
from acg_lab.storage.parquet_writer import to_tables
from acg_lab.storage.times import NO_TIME, read_time

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["take_apart", "write_partition", "write_piece", "write_table"]

_NO_LIMIT: Final = 2**31 - 1
_NAMED: Final = 1000  # agents in the marker of a piece


def take_apart(columns: Columns, partition_by: PartitionBy) -> Iterator[tuple[str | None, Columns]]:
    """Yield the partitions of one piece: each agent with the columns of it alone, or all as one.

    Raises
    ------
    UsageError
        If they can't be partitioned so; before the first.
    """
    owners = assign_owners(columns)
    agents = {owner.agent_id for owner in owners.values()}.union(run.agent_id for run in columns.runs.records)
    check_partition_by(partition_by, agents)
    return split_by_agent(columns, owners) if partition_by else iter([(None, columns)])


def write_piece(
    files: Files,
    place: str,
    piece: Piece,
    parts: Iterable[tuple[str | None, Columns]],
    progress: Progress,
    *,
    covered: Iterable[tuple[str, str]] = (),
) -> Piece:
    """Write a piece below a folder of the same file system, what it holds last, and return that.

    Parameters
    ----------
    files : Files
    place : str
    piece : Piece
        Its name, and what else is known of it.
    parts : iterable of (str or None, Columns)
        Its partitions, as of `take_apart`.
    progress : callable
    covered : iterable of (str, str)
        Agent and id of runs in the pieces that it covers.
    """
    export_id, n_agents = secrets.token_hex(8), 0
    runs: list[tuple[str, str]] = []
    last_start, agents, kinds = NO_TIME, set[str](), set[tuple[str | None, Origin]]()
    for agent_id, columns in parts:
        write_partition(files, place, Partition(piece.name, agent_id), columns, export_id, progress)
        runs += [(run.agent_id, run.id) for run in columns.runs.records]
        last_start = max([last_start, *(read_time(run.started_at) for run in columns.runs.records)])
        kinds.add((columns.key_prefix, columns.origin))
        n_agents += agent_id is not None
        if agent_id is None:
            agents.update(owner.agent_id for owner in assign_owners(columns).values())
    runs += covered
    with files.create(f"{place}/{piece.run_ids}") as file:
        write_table("runs", iter([_run_ids(runs)]), file, progress, export_id)
    key_prefix, origin = kinds.pop() if len(kinds) == 1 else (None, None)
    piece = msgspec.structs.replace(
        piece,
        version=VERSION,
        n_agents=n_agents,
        n_ids=len(runs),
        last_start=None if last_start == NO_TIME else last_start,
        agents=None if n_agents or len(agents) > _NAMED else tuple(sorted(agents)),
        key_prefix=key_prefix,
        origin=origin,
    )
    with files.create(f"{place}/{piece.marker}") as file:
        file.write(msgspec.json.format(msgspec.json.encode(piece)))
    return piece


def _run_ids(runs: Iterable[tuple[str, str]]) -> "pa.Table":
    import pyarrow as pa

    schema = pa.schema([schemas()["runs"].field(name) for name in ("agent_id", "run_id")])
    return pa.table({"agent_id": [agent for agent, _ in runs], "run_id": [run for _, run in runs]}, schema=schema)


def write_partition(
    files: Files, place: str, partition: Partition, columns: Columns, export_id: str, progress: Progress
) -> None:
    """Write the tables of a partition below a folder of the same file system."""
    agent_id = partition.agent_id
    if agent_id is None:
        owners = assign_owners(columns)
    else:
        keys = {*columns.observations.keys, *columns.results}
        owners = {key: Owner(agent_id, key == agent_id) for key in keys}
    for name, groups in to_tables(columns, owners):
        tables = groups if agent_id is None else map(_without_agent, groups)
        with files.create(f"{place}/{partition.path(name)}") as file:
            write_table(name, tables, file, progress, export_id)


def _without_agent(table: "pa.Table") -> "pa.Table":
    """Return a table without the column that the name of its folder says."""
    return table.drop_columns(["agent_id"]) if "agent_id" in table.column_names else table


def write_table(name: str, groups: "Iterator[pa.Table]", file: Any, progress: Progress, export_id: str) -> None:
    """Write the row groups of a table to an open file."""
    import pyarrow.parquet as pq

    writer, sealed = None, SealedFile(file)
    for group in groups:
        writer = writer or pq.ParquetWriter(
            sealed,
            group.schema,
            compression="zstd",
            compression_level=9,
            use_dictionary=[column for column in CODED[name] if column in group.schema.names],
            write_statistics=[field.name for field in group.schema if is_plain(field)],
            dictionary_pagesize_limit=_NO_LIMIT,  # one dictionary per row group, however long its texts
            write_page_index=True,
            write_page_checksum=True,  # decompression detects most damage, but not all
        )
        writer.write_table(group, row_group_size=ROWS_PER_GROUP)
        progress(group.nbytes, 0)
    if writer is not None:
        writer.add_key_value_metadata({EXPORT_ID.decode(): export_id})
        sealed.hold()
        writer.close()
        sealed.seal()
