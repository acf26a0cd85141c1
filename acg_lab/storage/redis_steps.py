"""The operations of a Redis backend as steps on production's keys, without I/O.

A step takes and returns records, and yields commands; the blocking and the asyncio backend carry it out. See
``acg_lab/docs/rules/learner.md``, 6.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from msgspec.structs import replace

from acg_lab.core.codec import decode, decode_window, encode, encode_window
from acg_lab.core.errors import RecordError, SourceError, UsageError
from acg_lab.core.keys import assign_agents
from acg_lab.core.records import PromptIR, Record, RunRecord, StabilityAnalysisResult
from acg_lab.storage.base import Entry, Selection, Window
from acg_lab.storage.columns import Columns
from acg_lab.storage.key_layout import INDEX
from acg_lab.storage.limits import Limits
from acg_lab.storage.redis_new_runs import FindKnown, survey_new
from acg_lab.storage.redis_newest import choose_runs
from acg_lab.storage.redis_scan import (
    CLUSTER_NODE,
    Command,
    Found,
    RedisRefusal,
    Send,
    Step,
    decode_key,
    find_runs,
    group_by_size,
    is_cluster_node,
    measure_documents,
    read_indexes,
    scan_names,
    search_prefix,
    send_in_batches,
    survey,
)
from acg_lab.storage.redis_values import explain_refusal, fetch_documents, fetch_value

__all__ = ["RedisSteps", "group_documents", "list_documents", "list_run_ids"]

logger = logging.getLogger(__name__)

_KEYS_AT_ONCE = 1000
_BYTES = 2 << 20
R = TypeVar("R", bound=Record)


class RedisSteps:
    """The steps on one source.

    Parameters
    ----------
    key_prefix : str
        Production's key prefix; the first step replaces ``"auto"`` by the one in use.
    label : str
        Name of the source in messages.
    writable : bool
        Whether steps that store are allowed.
    """

    def __init__(self, key_prefix: str, *, label: str, writable: bool) -> None:
        self.key_prefix = key_prefix
        self.label = label
        self.writable = writable
        self._is_whole = False  # known not to be a node of a cluster
        self._is_only_prefix = key_prefix != "auto"
        self.find_known: FindKnown | None = None

    def expect_cluster(self, label: str) -> None:
        """Take the source for a whole cluster, under another name."""
        self._is_whole, self.label = True, label

    def load_observations(self, key: str) -> Step[Window | None]:
        """Return a stored window."""
        stored, raw = yield from self._load("acg_observations", key)
        try:
            return None if raw is None else decode_window(raw)
        except RecordError as error:
            raise error.at(source=self.label, key=stored) from None

    def store_observations(self, key: str, window: Sequence[PromptIR]) -> Step[None]:
        """Store a window."""
        yield from self._store("acg_observations", key, encode_window(window))

    def load_stability(self, key: str) -> Step[StabilityAnalysisResult | None]:
        """Return a stored result."""
        stored, raw = yield from self._load("acg_stability", key)
        return None if raw is None else self._decode(StabilityAnalysisResult, stored, raw)

    def store_stability(self, key: str, result: StabilityAnalysisResult) -> Step[None]:
        """Store a result."""
        yield from self._store("acg_stability", key, encode(result))

    def list_runs(self, agent_id: str) -> Step[tuple[RunRecord, ...]]:
        """Return the runs in an agent's index."""
        prefix = yield from self._prefix()
        found = yield from measure_documents((yield from find_runs(prefix, [agent_id])))
        runs = []
        for group in group_by_size(found):
            for item, raw in (yield from fetch_documents(group)):
                if item.problem:
                    raise self._error(decode_key(item.stored), item.problem)
                if raw is not None:
                    runs.append(self._decode(RunRecord, decode_key(item.stored), raw))
        return tuple(runs)

    def store_run(self, run: RunRecord) -> Step[None]:
        """Store a run and append its id to the index, in one transaction.

        Production appends without checking, so that a run stored twice is in its index twice. Here an id that the index
        contains is not appended again.
        """
        self._check_writable()
        prefix = yield from self._prefix()
        key, index = f"{prefix}runs:{run.agent_id}:{run.id}", f"{prefix}{INDEX}{run.agent_id}"
        exists, length = yield Send([("EXISTS", key), ("LLEN", index)])
        ids = (yield from read_indexes(prefix, [run.agent_id]))[run.agent_id] if exists else ()
        if isinstance(length, RedisRefusal) or isinstance(ids, RedisRefusal):
            raise self._error(index, f"expected a list of run ids, got {RedisRefusal.WRONG_TYPE.value}")
        commands: list[Command] = [("SET", key, encode(run))]
        if run.id.encode() not in ids:
            commands.append(("RPUSH", index, run.id))
        yield Send(commands, atomic=True)

    def check_absent(self, names: Sequence[str]) -> Step[None]:
        """Raise UsageError if a key exists; names are without prefix."""
        self._check_writable()
        prefix = yield from self._prefix()
        types = yield from send_in_batches([("TYPE", f"{prefix}{name}") for name in names], _KEYS_AT_ONCE)
        taken = [name for name, kind in zip(names, types, strict=True) if kind != b"none"]
        self._refuse(prefix, taken)

    def add(self, documents: Sequence[tuple[str, bytes]]) -> Step[None]:
        """Store new keys; raise UsageError for one that another created in the meantime, which is kept.

        A lost reply makes us send a key again, which then exists with our own value: that is no other's.
        """
        prefix = yield from self._prefix()
        replies = yield Send([("SET", f"{prefix}{name}", raw, "NX") for name, raw in documents])
        taken = [document for document, reply in zip(documents, replies, strict=True) if reply is None]
        if taken:
            (values,) = yield Send([("MGET", *(f"{prefix}{name}" for name, _ in taken))])
            self._refuse(prefix, [name for (name, raw), value in zip(taken, values, strict=True) if value != raw])

    def push(self, agent_id: str, run_ids: Sequence[str]) -> Step[None]:
        """Append run ids to an agent's index."""
        prefix = yield from self._prefix()
        yield Send([("RPUSH", f"{prefix}{INDEX}{agent_id}", *run_ids)], atomic=True)

    def _refuse(self, prefix: str, taken: Sequence[str]) -> None:
        if taken:
            more = f" and {len(taken) - 1:,} more of the keys" if len(taken) > 1 else ""
            msg = f"{self.label} holds {prefix + taken[0]!r}{more} already; nothing is ever overwritten."
            raise UsageError(msg)

    def survey(self, selection: Selection) -> Step[list[Found]]:
        """Return the selected documents: windows and results, then runs by agent; without those known elsewhere."""
        prefix = yield from self._prefix(whole=True)
        if self.find_known is not None:
            return (yield from survey_new(prefix, selection, self.find_known))
        documents, runs = yield from survey(prefix, selection)
        found = documents + (yield from choose_runs(runs, selection))
        return [_limited(item, selection.limits) for item in found]

    def list_agents(self) -> Step[set[str]]:
        """Return all agents, by the names of the keys alone."""
        keys, agents = yield from scan_names((yield from self._prefix(whole=True)))
        return agents.union(owner.agent_id for owner in assign_agents(keys, agents).values())

    def measure_agents(self) -> Step[dict[str, int]]:
        """Return all agents, each with the length of its index of runs; 0 where it has none that can be read."""
        agents = sorted((yield from self.list_agents()))
        commands = [("LLEN", f"{self.key_prefix}{INDEX}{agent_id}") for agent_id in agents]
        lengths = yield from send_in_batches(commands, _KEYS_AT_ONCE)
        return {a: n if isinstance(n, int) else 0 for a, n in zip(agents, lengths, strict=True)}

    def entries(self, group: Sequence[Found], piece: int) -> Step[list[Entry]]:
        """Return the entries of a group of documents, without those deleted since; large values come in pieces."""
        return list(self._entries((yield from fetch_documents(group, piece))))

    def _entries(self, documents: Sequence[tuple[Found, bytes | None]]) -> Iterator[Entry]:
        for item, value in documents:
            stored = decode_key(item.stored)
            if value is not None:
                yield Entry(item.kind, item.key, value, item.agent_id, stored)
            elif reason := item.problem or item.missing:
                yield Entry(item.kind, item.key, self._error(stored, reason), item.agent_id, stored)

    def _load(self, name: str, key: str) -> Step[tuple[str, bytes | None]]:
        stored = f"{yield from self._prefix()}{name}:{key}"
        raw = yield from fetch_value(stored)
        if isinstance(raw, RedisRefusal):
            raise self._error(stored, explain_refusal(raw))
        return stored, raw

    def _store(self, name: str, key: str, raw: bytes) -> Step[None]:
        self._check_writable()
        prefix = yield from self._prefix()
        yield Send([("SET", f"{prefix}{name}:{key}", raw)])

    def prefix_to_write(self) -> Step[str]:
        """Return the key prefix in use; raise UsageError if nothing may be written."""
        self._check_writable()
        return (yield from self._prefix())

    def _prefix(self, *, whole: bool = False) -> Step[str]:
        """Return the key prefix in use; if the whole source is to be read, after a search of all keys."""
        if not self._is_whole:
            if (yield from is_cluster_node("" if self.key_prefix == "auto" else self.key_prefix)):
                msg = f"{self.label} {CLUSTER_NODE}."
                raise SourceError(msg)
            self._is_whole = True
        if self.key_prefix == "auto" or (whole and not self._is_only_prefix):
            found = yield from search_prefix(self.label, writable=self.writable, whole=whole)
            (self.key_prefix,), self._is_only_prefix = found
            if not found.is_whole:
                logger.warning(
                    "%s: the key prefix %r was found among the first million keys; another one further on would go "
                    "unseen. Name it with key_prefix=... (--key-prefix).",
                    self.label,
                    self.key_prefix,
                )
        return self.key_prefix

    def _check_writable(self) -> None:
        if not self.writable:
            msg = f"{self.label} was opened for reading only; to write to it, pass writable=True (--allow-write)."
            raise UsageError(msg)

    def _decode(self, kind: type[R], stored: str, raw: bytes) -> R:
        try:
            return decode(kind, raw)
        except RecordError as error:
            raise error.at(source=self.label, key=stored) from None

    def _error(self, stored: str, reason: str) -> RecordError:
        return RecordError(reason, source=self.label, key=stored)


def _limited(item: Found, limits: Limits) -> Found:
    if item.problem or item.size <= limits.value_bytes:
        return item
    return item._replace(problem=limits.word("value_bytes", "a value", item.size), size=0)


def list_documents(columns: Columns) -> Iterator[tuple[str, bytes]]:
    """Yield every window, result and run, with its key without prefix, as JSON in production's form."""
    for key, window in columns.observations.number.items():
        yield f"acg_observations:{key}", encode_window(columns.observations.window(window))
    for key, result in columns.results.items():
        yield f"acg_stability:{key}", encode(result)
    for run in columns.runs:
        calls = tuple(replace(call, exchange=None) for call in run.calls)
        yield f"runs:{run.agent_id}:{run.id}", encode(replace(run, calls=calls))


def list_run_ids(columns: Columns) -> Mapping[str, list[str]]:
    """Return the ids of each agent's runs, in the order of its index."""
    ids: dict[str, list[str]] = {}
    for run in columns.runs.records:
        ids.setdefault(run.agent_id, []).append(run.id)
    return ids


def group_documents(items: Iterable[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    """Group documents into lists that stay below 2 MiB without their last document."""
    group: list[tuple[str, bytes]] = []
    size = 0
    for item in items:
        group.append(item)
        size += len(item[1])
        if size >= _BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group
