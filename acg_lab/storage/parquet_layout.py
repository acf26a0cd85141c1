"""Where the tables of an export are: one file each, or folders of pieces that every engine reads as one data set.

================================================================== =====================================================
path                                                               is
================================================================== =====================================================
``{table}.parquet``                                                the table of an export without pieces
``{table}/piece={piece}/part-0.parquet``                           the same of one piece of a history
``{table}/piece={piece}/agent_id={quoted id}/part-0.parquet``      the same of one agent, if the piece is partitioned
``_pieces/{piece}.json``                                           what a piece holds; without it there is no such piece
``_pieces/{piece}.parquet``                                        the ids of its runs
================================================================== =====================================================

The names of pieces sort by time. Their agent's folder says whose rows a partition holds, so its files have no column
``agent_id``: engines take it from the name of the folder.
"""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple, TypeAlias
from urllib.parse import quote, unquote

import msgspec

from acg_lab.core.errors import UsageError
from acg_lab.storage.columns import Origin
from acg_lab.storage.parquet_schema import TABLES

__all__ = [
    "MARKERS",
    "NAMES",
    "SUFFIX",
    "WHOLE",
    "Partition",
    "PartitionBy",
    "Piece",
    "agent_of_folder",
    "check_partition_by",
    "name_piece",
    "token_of",
]

SUFFIX: Final = ".parquet"
MARKERS: Final = "_pieces"
NAMES: Final = frozenset({*TABLES, *(f"{table}{SUFFIX}" for table in TABLES), MARKERS})
_AGENT: Final = "agent_id="
_NO_VALUE: Final = ("null", "__hive_default_partition__")
_TIME: Final = "%Y-%m-%dT%H%M%S.%fZ"
_LONGEST: Final = 255  # bytes of a name, in common file systems
PartitionBy: TypeAlias = Literal["agent"] | None


class Partition(NamedTuple):
    """The files that are read together: those of an export, a piece, or one agent in a piece."""

    piece: str = ""
    agent_id: str | None = None

    def folder(self, table: str) -> str:
        """Return the folder of a table, in that of the export."""
        agent = "" if self.agent_id is None else f"/{_AGENT}{_quote(self.agent_id)}"
        return f"{table}/piece={self.piece}{agent}"

    def path(self, table: str) -> str:
        """Return the file of a table, in the folder of the export."""
        return f"{self.folder(table)}/part-0{SUFFIX}" if self.piece else f"{table}{SUFFIX}"

    def __str__(self) -> str:
        agent = "" if self.agent_id is None else f", agent {self.agent_id!r}"
        return f"piece {self.piece!r}{agent}" if self.piece else "export"


WHOLE: Final = Partition()


class Piece(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a piece of a history holds.

    Attributes
    ----------
    name : str
        Empty for an export that stands where pieces were added.
    version : str
        Of the tables.
    partition_by : {"agent"}, optional
        Whether each agent has its own files.
    n_agents : int
        How many agents have files of their own.
    replaces : tuple of str
        Pieces whose contents this one holds too; they are read no more.
    windows : tuple of str
        Digests of the windows and results that it holds, or that those it replaces held.
    redacted : str
        What names the salt of its pseudonyms, if it has any.
    only_private : bool
        Whether they stand for the texts of private and restricted blocks only.
    n_ids : int
        How many runs `run_ids` lists.
    covers : tuple of str
        Older pieces whose runs it lists as well, so that a year of pieces is known by a few files.
    last_start : int or None
        When its latest run started, in nanoseconds since 1970; None if that is unknown.
    agents : tuple of str or None
        Whose windows and results it holds, if it is not partitioned and they are few; None if that is unknown.
    key_prefix : str or None
    origin : Origin or None
        Where its contents come from; None if that is unknown, or of several kinds.
    """

    name: str = ""
    version: str = ""
    partition_by: PartitionBy = None
    n_agents: int = 0
    replaces: tuple[str, ...] = ()
    windows: tuple[str, ...] = ()
    redacted: str = ""
    only_private: bool = False
    n_ids: int = 0
    covers: tuple[str, ...] = ()
    last_start: int | None = None
    agents: tuple[str, ...] | None = None
    key_prefix: str | None = None
    origin: Origin | None = None

    @property
    def marker(self) -> str:
        """The path of the file that says so."""
        return f"{MARKERS}/{self.name}.json"

    @property
    def run_ids(self) -> str:
        """The path of the table with the agent and the id of each of its runs."""
        return f"{MARKERS}/{self.name}{SUFFIX}" if self.name else WHOLE.path("runs")

    @property
    def paths(self) -> list[str]:
        """Every file and folder of the piece, in the order in which they are put or removed; it counts by the last."""
        if not self.name:
            return [WHOLE.path(table) for table in reversed(TABLES)]
        folders = [Partition(self.name).folder(table) for table in TABLES]
        return [*folders, self.run_ids, self.marker]

    def ends_before(self, since: int | None) -> bool:
        """Return whether all its runs are known to have started before a time in nanoseconds."""
        return None not in (since, self.last_start, self.origin) and self.last_start < since  # type: ignore[operator]


def _quote(agent_id: str) -> str:
    """Return an agent id as a part of a folder's name, percent-encoded; engines take some words for no value."""
    quoted = quote(agent_id, safe="")
    return f"%{ord(quoted[0]):02X}{quoted[1:]}" if quoted.lower() in _NO_VALUE else quoted


def name_piece(token: str, newest: str = "") -> str:
    """Return a name for a new piece, which sorts after the newest one.

    Parameters
    ----------
    token : str
        Hexadecimal digits that no other piece has.
    newest : str
        The name of the newest piece; its time may be later than this machine's.
    """
    moment = datetime.now(UTC)
    with suppress(ValueError):
        latest = datetime.strptime(newest.rpartition("-")[0], _TIME).replace(tzinfo=UTC)
        moment = max(moment, latest + timedelta(microseconds=1))
    return f"{moment.strftime(_TIME)}-{token}"


def token_of(name: str) -> str:
    """Return the hexadecimal digits in the name of a piece."""
    return name.rpartition("-")[2]


def agent_of_folder(name: str) -> str | None:
    """Return the agent of a folder by its name, or None if it is not one of a partition."""
    return unquote(name[len(_AGENT) :]) if name.startswith(_AGENT) else None


def check_partition_by(partition_by: object, agent_ids: "set[str]") -> None:
    """Raise UsageError unless these agents can be partitioned so."""
    if partition_by is None:
        return
    if partition_by != "agent":
        msg = f"The 'partition_by' option must be 'agent' or None; got {partition_by!r}."
        raise UsageError(msg)
    for agent_id in sorted(agent_ids):
        if len(_AGENT + _quote(agent_id)) > _LONGEST:
            msg = f"The agent id {agent_id[:40]!r}... is too long for the name of a folder; export without partitions."
            raise UsageError(msg)
