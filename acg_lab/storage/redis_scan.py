"""How commands are put to a Redis, and the search for the key prefix; no I/O.

Belongs here: the steps that know Redis but not the records. A step is a generator: it yields what is to be sent, is
handed the replies, and returns its result. The blocking and the asyncio backend carry the steps out.


The bulk way through a Redis: what there is to read, and reading it in batches bounded by bytes; no I/O.

Belongs here: finding windows, results and runs under a prefix, with what keeps one from being read told for it alone.
"""

import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from enum import Enum
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from acg_lab.core.errors import SourceError, UsageError
from acg_lab.storage.base import EntryKind, Selection
from acg_lab.storage.key_layout import INDEX, choose_prefix, find_prefix, parse_stored_key

__all__ = [
    "Command",
    "Found",
    "RedisRefusal",
    "Send",
    "Step",
    "ask",
    "escape",
    "fetch",
    "find_runs",
    "groups",
    "measure",
    "read_indexes",
    "scan",
    "search_prefix",
    "survey",
    "text_of",
]

T = TypeVar("T")
Command: TypeAlias = tuple[bytes | str | int, ...]

SEARCH_STEPS: Final = 1000
_SCAN_COUNT: Final = 1000  # keys that one SCAN looks at: well under a millisecond of the server's time
# Matches the key names that tell the prefix, acg_observations, acg_stability and runs_index, and little else.
_TELLING: Final = "*[gs]_[osi]*[sxy]:*"


class Send(NamedTuple):
    """Commands to be sent in one pipeline.

    ``atomic``: as one transaction, and only once: what it did before a connection broke off can't be known.
    ``per_key``: that a single key may not be read is an answer like any other, not the end.
    """

    commands: Sequence[Command]
    atomic: bool = False
    per_key: bool = False


class RedisRefusal(Enum):
    """A reply that tells of one key, not of the whole source."""

    WRONG_TYPE = "a key of another type"
    NO_PERMISSION = "a key that this user may not read"


Step: TypeAlias = Generator[Send, list[Any], T]


def ask(commands: Sequence[Command], at_once: int) -> Step[list[Any]]:
    """Return the replies to any number of commands, sent so many at once."""
    replies: list[Any] = []
    for i in range(0, len(commands), at_once):
        replies += yield Send(commands[i : i + at_once], per_key=True)
    return replies


def scan(pattern: str, keep: Callable[[bytes], T | None], max_steps: int | None = None) -> Step[set[T]]:
    """Return what ``keep`` makes of matching keys, None left out; at most those that so many SCANs find."""
    kept: set[T] = set()
    cursor = n_steps = 0
    while True:
        ((cursor, page),) = yield Send([("SCAN", cursor, "MATCH", pattern, "COUNT", _SCAN_COUNT)])
        kept.update(value for key in page if (value := keep(key)) is not None)
        n_steps += 1
        if cursor == 0 or n_steps == max_steps:
            return kept


def escape(text: str) -> str:
    """Escape what is special in a pattern."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", text)


def text_of(stored: bytes) -> str:
    """Return a key as text; bytes that are no UTF-8 are spelled out."""
    return stored.decode(errors="backslashreplace")


def search_prefix(label: str, *, writable: bool) -> Step[str]:
    """Find the key prefix that is in use, among the first million keys or so (1,000 SCANs of 1,000 keys).

    Raises
    ------
    UsageError
        If several are in use; or none, in a source that is to be written.
    SourceError
        If none is in use.
    """
    prefixes = yield from scan(_TELLING, lambda key: find_prefix(text_of(key)), SEARCH_STEPS)
    if prefixes:
        return choose_prefix(prefixes, label)
    if writable:
        msg = f"{label} holds no ACG entries yet; name the prefix to write under, as in key_prefix='nemo_relay:'."
        raise UsageError(msg)
    msg = (
        f"{label} holds no ACG entries under any prefix. Is it the right server and database? "
        "If other applications fill it, name the prefix, as in key_prefix='nemo_relay:'."
    )
    raise SourceError(msg)


_NOT_UTF8: Final = "expected a key in UTF-8, got other bytes"
_COMMANDS: Final = 1000  # small ones, in one pipeline
_SLICE, _SLICES = 5000, 20  # ids of an index in one LRANGE, and LRANGEs in one pipeline
_BYTES: Final = 2 << 20  # of values asked for at once: more is slower to allocate, less takes more round trips


class Found(NamedTuple):
    """A document that should be there.

    ``size`` is in bytes; ``problem`` says why it can't be read, and ``missing`` what it means if it turns out not to
    be there: nothing, unless an index promised it.
    """

    kind: EntryKind
    key: str
    stored: bytes
    agent_id: str = ""
    size: int = 0
    problem: str = ""
    missing: str = ""


def survey(prefix: str, selection: Selection) -> Step[list[Found]]:
    """Find what the selection wants: windows and results, runs in the order of their index, then runs without one."""
    pattern = f"{escape(prefix)}*"
    if selection.agent_id is not None:
        pattern = f"{escape(prefix)}[ar]*:{escape(selection.agent_id)}*"
    keys = sorted((yield from scan(pattern, lambda key: key)))
    agents = [text[len(prefix + INDEX) :] for text in map(text_of, keys) if text.startswith(prefix + INDEX)]
    indexed = yield from find_runs(prefix, filter(selection.wants_agent, agents))
    known = {run.stored for run in indexed}
    others = [found for key in keys if key not in known and (found := _place(prefix, key, selection))]
    documents = [found for found in others if found.kind != "run"]
    orphans = [found for found in others if found.kind == "run"]
    return (yield from measure([*documents, *indexed, *orphans]))


def _place(prefix: str, stored: bytes, selection: Selection) -> Found | None:
    text = text_of(stored)
    place = parse_stored_key(text, prefix)
    if place is None or not place.wanted(selection):
        return None
    problem = "" if text.encode() == stored else _NOT_UTF8
    return Found(place.kind, place.key, stored, place.agent_id, problem=problem)


def find_runs(prefix: str, agent_ids: Iterable[str]) -> Step[list[Found]]:
    """List the runs that the indexes of the agents promise: each once, where its id first stands."""
    found: list[Found] = []
    for agent_id, ids in (yield from read_indexes(prefix, agent_ids)).items():
        if isinstance(ids, RedisRefusal):
            index, problem = f"{prefix}{INDEX}{agent_id}".encode(), f"expected a list of run ids, got {ids.value}"
            found.append(Found("run", agent_id, index, agent_id, problem=problem))
            continue
        for run_id in dict.fromkeys(ids):
            key, stored = f"{agent_id}:{text_of(run_id)}", f"{prefix}runs:{agent_id}:".encode() + run_id
            found.append(
                Found("run", key, stored, agent_id, missing="expected the run of an id in the index, got none")
            )
    return found


def read_indexes(prefix: str, agent_ids: Iterable[str]) -> Step[dict[str, list[bytes] | RedisRefusal]]:
    """Return the run ids of agents, oldest first, or why an index can't be read."""
    keys = {agent_id: f"{prefix}{INDEX}{agent_id}" for agent_id in agent_ids}
    lengths = yield from ask([("LLEN", key) for key in keys.values()], _COMMANDS)
    sizes: dict[str, int | RedisRefusal] = dict(zip(keys, lengths, strict=True))
    slices = [
        (agent_id, i) for agent_id, size in sizes.items() if isinstance(size, int) for i in range(0, size, _SLICE)
    ]
    parts = yield from ask([("LRANGE", keys[agent_id], i, i + _SLICE - 1) for agent_id, i in slices], _SLICES)
    ids: dict[str, list[bytes]] = {agent_id: [] for agent_id in keys}
    for (agent_id, _), part in zip(slices, parts, strict=True):
        ids[agent_id] += [] if isinstance(part, RedisRefusal) else part
    return {agent_id: size if isinstance(size, RedisRefusal) else ids[agent_id] for agent_id, size in sizes.items()}


def measure(found: Sequence[Found]) -> Step[list[Found]]:
    """Fill in the sizes, and what keeps a document from being read."""
    stored = [item.stored for item in found]
    sizes = yield from ask([("STRLEN", key) for key in stored], _COMMANDS)
    wrong = [key for key, size in zip(stored, sizes, strict=True) if size is RedisRefusal.WRONG_TYPE]
    types = yield from ask([("TYPE", key) for key in wrong], _COMMANDS)
    names = {key: f"a {name.decode()}" for key, name in zip(wrong, types, strict=True) if isinstance(name, bytes)}
    return [_measured(item, size, names) for item, size in zip(found, sizes, strict=True)]


def _measured(item: Found, size: int | RedisRefusal, names: dict[bytes, str]) -> Found:
    if not isinstance(size, RedisRefusal):
        return item._replace(size=size)
    return item._replace(problem=item.problem or f"expected a string, got {names.get(item.stored, size.value)}")


def groups(found: Iterable[Found]) -> Iterator[list[Found]]:
    """Cut what is to be read into groups of bounded size, in its order."""
    group: list[Found] = []
    size = 0
    for item in found:
        if group and (size + item.size > _BYTES or len(group) == _COMMANDS):
            yield group
            group, size = [], 0
        group.append(item)
        size += item.size
    if group:
        yield group


def fetch(group: Sequence[Found]) -> Step[list[bytes | None]]:
    """Return the values of a group in its order, None for what is not there or can't be read."""
    keys = [item.stored for item in group if not item.problem]
    if not keys:
        return [None] * len(group)
    (values,) = yield Send([("MGET", *keys)])
    remaining = iter(values)
    return [None if item.problem else next(remaining) for item in group]
