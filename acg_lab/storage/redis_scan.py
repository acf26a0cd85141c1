"""Steps that find and read documents in a Redis, in batches of bounded size, without I/O.

A step is a generator: it yields commands to send, receives the replies, and returns its result. A key that cannot be
read is reported for that key alone.
"""

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from enum import Enum
from typing import Any, Final, Generic, NamedTuple, TypeAlias, TypeVar

from acg_lab.core.errors import SourceError, UsageError
from acg_lab.storage.base import EntryKind, Selection
from acg_lab.storage.key_layout import INDEX, choose_prefix, find_prefix, parse_stored_key

__all__ = [
    "CLUSTER_NODE",
    "GENTLE_PIECE",
    "PIECE",
    "Command",
    "Found",
    "RedisRefusal",
    "Send",
    "Step",
    "decode_key",
    "escape",
    "find_runs",
    "group_by_size",
    "is_cluster_node",
    "measure_documents",
    "place_key",
    "read_indexes",
    "scan_keys",
    "scan_names",
    "search_prefix",
    "send_in_batches",
    "sort_documents",
    "survey",
]

T = TypeVar("T")
Command: TypeAlias = tuple[bytes | str | int, ...]

SEARCH_STEPS: Final = 1000
_SCAN_COUNT: Final = 1000  # keys per SCAN: well under a millisecond of the server's time
# Matches the names that identify the prefix (acg_observations, acg_stability, runs_index), and little else.
_DISTINCTIVE: Final = "*[gs]_[osi]*[sxy]:*"


class Send(NamedTuple):
    """Commands to send in one pipeline.

    Attributes
    ----------
    commands : sequence of Command
    atomic : bool
        Send as one transaction and never retry it, since its effect before a connection error is unknown.
    per_key : bool
        Treat a missing permission for one key as a reply, not as an error.
    may_be_refused : bool
        Treat a command that the server refuses or does not know as a reply.
    """

    commands: Sequence[Command]
    atomic: bool = False
    per_key: bool = False
    may_be_refused: bool = False


class RedisRefusal(Enum):
    """Why one key can't be read, while the rest of the source can."""

    WRONG_TYPE = "a key of another type"
    NO_PERMISSION = "a key that this user may not read"
    REFUSED = "a command that the server refuses"
    CHANGED = "changed while reading"


Step: TypeAlias = Generator[Send, list[Any], T]


CLUSTER_NODE: Final = (
    "is a node of a Redis Cluster, which can't be read as one source: it holds a part of the keys only. To read all "
    "nodes, begin the address with redis+cluster:// instead of redis://"
)
_PROBES: Final = 32


def is_cluster_node(prefix: str) -> Step[bool]:
    """Return whether the server is a node of a cluster, by INFO or, where that is refused, by where keys belong.

    A node that does not hold a key names the one that does, which is an error of the whole source.
    """
    (info,) = yield Send([("INFO", "cluster")], may_be_refused=True)
    if isinstance(info, dict):
        return bool(info.get("cluster_enabled"))
    yield Send([("STRLEN", f"{prefix}acg_observations:{i}") for i in range(_PROBES)], per_key=True)
    return False


def send_in_batches(commands: Sequence[Command], at_once: int) -> Step[list[Any]]:
    """Return the replies to any number of commands, sent ``at_once`` in a pipeline."""
    replies: list[Any] = []
    for i in range(0, len(commands), at_once):
        replies += yield Send(commands[i : i + at_once], per_key=True)
    return replies


class Scanned(NamedTuple, Generic[T]):
    """What a scan found, and whether it went through all keys."""

    kept: set[T]
    is_whole: bool = True


def scan_keys(pattern: str, keep: Callable[[bytes], T | None], max_steps: int | None = None) -> Step[Scanned[T]]:
    """Return what ``keep`` makes of matching keys, without None; at most ``max_steps`` SCANs are sent."""
    kept: set[T] = set()
    cursor = n_steps = 0
    while True:
        ((cursor, page),) = yield Send([("SCAN", cursor, "MATCH", pattern, "COUNT", _SCAN_COUNT)])
        kept.update(value for key in page if (value := keep(key)) is not None)
        n_steps += 1
        if cursor == 0 or n_steps == max_steps:
            return Scanned(kept, cursor == 0)


def escape(text: str) -> str:
    """Escape the special characters of a pattern."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", text)


def decode_key(stored: bytes) -> str:
    """Return a key as text; bytes that are not UTF-8 are escaped."""
    return stored.decode(errors="backslashreplace")


def search_prefix(label: str, *, writable: bool, whole: bool = False) -> Step[Scanned[str]]:
    """Return the key prefix in use, and whether all keys were searched.

    Parameters
    ----------
    label : str
        Name of the source in messages.
    writable : bool
        Whether the source was opened for writing.
    whole : bool
        Whether to search all keys, for which as many SCANs are needed as for reading everything. Otherwise the search
        ends after the first million keys or so (1,000 SCANs of 1,000 keys), where another prefix may go unseen.

    Raises
    ------
    UsageError
        If several prefixes are in use, or none in a source opened for writing.
    SourceError
        If no prefix was found. The message says so if not all keys were searched.
    """
    found = yield from scan_keys(
        _DISTINCTIVE, lambda key: find_prefix(decode_key(key)), None if whole else SEARCH_STEPS
    )
    if found.kept:
        return Scanned({choose_prefix(found.kept, label)}, found.is_whole)
    if not found.is_whole:
        msg = (
            f"{label} holds no ACG entries among the first million keys, where the search for their prefix ended. Name "
            "it, as in key_prefix='nemo_relay:'."
        )
        raise SourceError(msg)
    if writable:
        msg = f"{label} holds no ACG entries yet; name the prefix to write under, as in key_prefix='nemo_relay:'."
        raise UsageError(msg)
    msg = (
        f"{label} holds no ACG entries under any prefix. Is it the right server and database? "
        "If other applications fill it, name the prefix, as in key_prefix='nemo_relay:'."
    )
    raise SourceError(msg)


_NOT_UTF8: Final = "expected a key in UTF-8, got other bytes"
_COMMANDS: Final = 1000  # small commands in one pipeline
_SLICE, _SLICES = 5000, 20  # ids in one LRANGE, and LRANGEs in one pipeline
PIECE: Final = 1 << 19  # bytes fetched at once: others wait longer for more, fewer take more round trips
GENTLE_PIECE: Final = 1 << 17


class Found(NamedTuple):
    """A document that was found.

    Attributes
    ----------
    kind, key, agent_id
        As in `Entry`.
    stored : bytes
        The whole key.
    size : int
        In bytes.
    problem : str
        Why the document cannot be read; empty if it can.
    missing : str
        The error if the document does not exist; empty unless an index names it.
    """

    kind: EntryKind
    key: str
    stored: bytes
    agent_id: str = ""
    size: int = 0
    problem: str = ""
    missing: str = ""


def scan_names(prefix: str) -> Step[tuple[set[str], set[str]]]:
    """Return all learning keys, and the agents with runs, by the names of the keys alone."""
    keys = (yield from scan_keys(f"{escape(prefix)}[ar]*", decode_key)).kept
    places = [place for key in keys if (place := parse_stored_key(key, prefix)) is not None]
    agents = {key[len(prefix + INDEX) :] for key in keys if key.startswith(prefix + INDEX)}
    agents.update(place.agent_id for place in places if place.kind == "run")
    return {place.key for place in places if place.kind != "run"}, agents


def survey(prefix: str, selection: Selection) -> Step[tuple[list[Found], list[Found]]]:
    """Return the selected windows and results, and all runs of the agents: in the order of their index, then others."""
    pattern = f"{escape(prefix)}*"
    if selection.agent_id is not None:
        pattern = f"{escape(prefix)}[ar]*:{escape(selection.agent_id)}*"
    keys = sorted((yield from scan_keys(pattern, lambda key: key)).kept)
    agents = [text[len(prefix + INDEX) :] for text in map(decode_key, keys) if text.startswith(prefix + INDEX)]
    indexed = yield from find_runs(prefix, filter(selection.wants_agent, agents))
    known = {run.stored for run in indexed}
    others = [found for key in keys if key not in known and (found := place_key(prefix, key, selection))]
    # A window and its result are read at once, so that they belong together.
    documents = sort_documents(others)
    orphans = [found for found in others if found.kind == "run"]
    measured = yield from measure_documents([*documents, *indexed, *orphans])
    return measured[: len(documents)], measured[len(documents) :]


def sort_documents(found: Iterable[Found]) -> list[Found]:
    """Return windows and results in order, those of one key together."""
    return sorted((item for item in found if item.kind != "run"), key=lambda item: (item.problem, item.key))


def place_key(prefix: str, stored: bytes, selection: Selection) -> Found | None:
    """Return the document of a key, or None if it is not wanted, or none of production's."""
    text = decode_key(stored)
    place = parse_stored_key(text, prefix)
    if place is None or not place.is_wanted(selection):
        return None
    problem = "" if text.encode() == stored else _NOT_UTF8
    return Found(place.kind, place.key, stored, place.agent_id, problem=problem)


def find_runs(prefix: str, agent_ids: Iterable[str]) -> Step[list[Found]]:
    """Return the runs in the indexes of the agents, each at its first position."""
    found: list[Found] = []
    for agent_id, ids in (yield from read_indexes(prefix, agent_ids)).items():
        if isinstance(ids, RedisRefusal):
            index, problem = f"{prefix}{INDEX}{agent_id}".encode(), f"expected a list of run ids, got {ids.value}"
            found.append(Found("run", agent_id, index, agent_id, problem=problem))
            continue
        for run_id in dict.fromkeys(ids):
            key, stored = f"{agent_id}:{decode_key(run_id)}", f"{prefix}runs:{agent_id}:".encode() + run_id
            found.append(
                Found("run", key, stored, agent_id, missing="expected the run of an id in the index, got none")
            )
    return found


def read_indexes(prefix: str, agent_ids: Iterable[str]) -> Step[dict[str, list[bytes] | RedisRefusal]]:
    """Return the run ids of each agent, oldest first, or why its index cannot be read."""
    keys = {agent_id: f"{prefix}{INDEX}{agent_id}" for agent_id in agent_ids}
    lengths = yield from send_in_batches([("LLEN", key) for key in keys.values()], _COMMANDS)
    sizes: dict[str, int | RedisRefusal] = dict(zip(keys, lengths, strict=True))
    slices = [
        (agent_id, i) for agent_id, size in sizes.items() if isinstance(size, int) for i in range(0, size, _SLICE)
    ]
    parts = yield from send_in_batches(
        [("LRANGE", keys[agent_id], i, i + _SLICE - 1) for agent_id, i in slices], _SLICES
    )
    ids: dict[str, list[bytes]] = {agent_id: [] for agent_id in keys}
    for (agent_id, _), part in zip(slices, parts, strict=True):
        ids[agent_id] += [] if isinstance(part, RedisRefusal) else part
    return {agent_id: size if isinstance(size, RedisRefusal) else ids[agent_id] for agent_id, size in sizes.items()}


def measure_documents(found: Sequence[Found]) -> Step[list[Found]]:
    """Return documents with their sizes, and the problems of those that cannot be read."""
    stored = [item.stored for item in found]
    sizes = yield from send_in_batches([("STRLEN", key) for key in stored], _COMMANDS)
    wrong = [key for key, size in zip(stored, sizes, strict=True) if size is RedisRefusal.WRONG_TYPE]
    types = yield from send_in_batches([("TYPE", key) for key in wrong], _COMMANDS)
    names = {key: f"a {name.decode()}" for key, name in zip(wrong, types, strict=True) if isinstance(name, bytes)}
    return [_measured(item, size, names) for item, size in zip(found, sizes, strict=True)]


def _measured(item: Found, size: int | RedisRefusal, names: dict[bytes, str]) -> Found:
    if not isinstance(size, RedisRefusal):
        return item._replace(size=size)
    return item._replace(problem=item.problem or f"expected a string, got {names.get(item.stored, size.value)}")


def group_by_size(found: Iterable[Found], piece: int = PIECE) -> Iterator[list[Found]]:
    """Group documents, in order, by a total size of a piece; successive documents of one key stay together."""
    group: list[Found] = []
    size = 0
    for item in found:
        is_full = group and size + item.size > piece and item.key != group[-1].key
        if is_full or len(group) == _COMMANDS:
            yield group
            group, size = [], 0
        group.append(item)
        size += item.size
    if group:
        yield group
