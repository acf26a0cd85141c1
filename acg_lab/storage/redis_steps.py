"""What a backend is asked to do, as steps on production's keys; no I/O (spec section 6).

Belongs here: records in, commands out, replies in, records out, the same for the blocking and the asyncio backend.
"""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from acg_lab.core.codec import decode, decode_window, encode, encode_window
from acg_lab.core.errors import RecordError, UsageError
from acg_lab.core.records import PromptIR, Record, RunRecord, StabilityAnalysisResult
from acg_lab.storage.base import Entry, Selection, Window
from acg_lab.storage.key_layout import INDEX
from acg_lab.storage.redis_scan import (
    Command,
    Found,
    RedisRefusal,
    Send,
    Step,
    ask,
    fetch,
    find_runs,
    groups,
    measure,
    read_indexes,
    search_prefix,
    survey,
    text_of,
)

__all__ = ["RedisSteps"]

_KEYS_AT_ONCE = 1000
R = TypeVar("R", bound=Record)


class RedisSteps:
    """The steps on one source.

    Parameters
    ----------
    key_prefix : str
        Production's, or ``"auto"``, which the first step replaces by the one in use.
    label : str
        How messages call the source.
    writable : bool
        Whether the steps that store may be taken.
    """

    def __init__(self, key_prefix: str, *, label: str, writable: bool) -> None:
        self.key_prefix = key_prefix
        self.label = label
        self.writable = writable

    def load_observations(self, key: str) -> Step[Window | None]:
        """Get a window."""
        stored, raw = yield from self._load("acg_observations", key)
        try:
            return None if raw is None else decode_window(raw)
        except RecordError as error:
            raise error.at(source=self.label, key=stored) from None

    def store_observations(self, key: str, window: Sequence[PromptIR]) -> Step[None]:
        """Set a window."""
        yield from self._store("acg_observations", key, encode_window(window))

    def load_stability(self, key: str) -> Step[StabilityAnalysisResult | None]:
        """Get a result."""
        stored, raw = yield from self._load("acg_stability", key)
        return None if raw is None else self._decode(StabilityAnalysisResult, stored, raw)

    def store_stability(self, key: str, result: StabilityAnalysisResult) -> Step[None]:
        """Set a result."""
        yield from self._store("acg_stability", key, encode(result))

    def list_runs(self, agent_id: str) -> Step[tuple[RunRecord, ...]]:
        """Get the runs that the index of an agent names."""
        prefix = yield from self._prefix()
        found = yield from measure((yield from find_runs(prefix, [agent_id])))
        runs = []
        for group in groups(found):
            for item, raw in zip(group, (yield from fetch(group)), strict=True):
                if item.problem:
                    raise self._error(text_of(item.stored), item.problem)
                if raw is not None:
                    runs.append(self._decode(RunRecord, text_of(item.stored), raw))
        return tuple(runs)

    def store_run(self, run: RunRecord) -> Step[None]:
        """Set a run and push its id to the index, in one transaction.

        Production pushes without looking, so a run that is stored twice stands in its index twice. Here the index is
        looked through if the run is there already, and an id that it holds is not pushed again.
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
        """Make sure that no key of these names, which are without prefix, is there."""
        self._check_writable()
        prefix = yield from self._prefix()
        types = yield from ask([("TYPE", f"{prefix}{name}") for name in names], _KEYS_AT_ONCE)
        taken = [name for name, kind in zip(names, types, strict=True) if kind != b"none"]
        self._refuse(prefix, taken)

    def add(self, documents: Sequence[tuple[str, bytes]]) -> Step[None]:
        """Set new keys; one that was taken in the meantime is left as it is, and told."""
        prefix = yield from self._prefix()
        replies = yield Send([("SET", f"{prefix}{name}", raw, "NX") for name, raw in documents])
        taken = [name for (name, _), reply in zip(documents, replies, strict=True) if reply is None]
        self._refuse(prefix, taken)

    def push(self, agent_id: str, run_ids: Sequence[str]) -> Step[None]:
        """Append to an agent's index."""
        prefix = yield from self._prefix()
        yield Send([("RPUSH", f"{prefix}{INDEX}{agent_id}", *run_ids)], atomic=True)

    def _refuse(self, prefix: str, taken: Sequence[str]) -> None:
        if taken:
            more = f" and {len(taken) - 1:,} more of the keys" if len(taken) > 1 else ""
            msg = f"{self.label} holds {prefix + taken[0]!r}{more} already; nothing is ever overwritten."
            raise UsageError(msg)

    def survey(self, selection: Selection) -> Step[list[Found]]:
        """Find all that the selection wants."""
        return (yield from survey((yield from self._prefix()), selection))

    def entries(self, group: Sequence[Found]) -> Step[list[Entry]]:
        """Read a group of what was found; what has gone since is left out."""
        values = yield from fetch(group)
        return list(self._entries(group, values))

    def _entries(self, group: Sequence[Found], values: Sequence[bytes | None]) -> Iterator[Entry]:
        for item, value in zip(group, values, strict=True):
            stored = text_of(item.stored)
            if value is not None:
                yield Entry(item.kind, item.key, value, item.agent_id, stored)
            elif reason := item.problem or item.missing:
                yield Entry(item.kind, item.key, self._error(stored, reason), item.agent_id, stored)

    def _load(self, name: str, key: str) -> Step[tuple[str, bytes | None]]:
        stored = f"{yield from self._prefix()}{name}:{key}"
        (raw,) = yield Send([("GET", stored)])
        if raw is RedisRefusal.WRONG_TYPE:
            raise self._error(stored, f"expected a string, got {raw.value}")
        return stored, raw

    def _store(self, name: str, key: str, raw: bytes) -> Step[None]:
        self._check_writable()
        prefix = yield from self._prefix()
        yield Send([("SET", f"{prefix}{name}:{key}", raw)])

    def _prefix(self) -> Step[str]:
        if self.key_prefix == "auto":
            self.key_prefix = yield from search_prefix(self.label, writable=self.writable)
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
