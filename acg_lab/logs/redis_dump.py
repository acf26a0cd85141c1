"""Redis dumps: JSON lines of ``{"key", "value"}`` as production stored them, read as they are: nothing is learned.

Windows and results may be texts or JSON values; an index of runs (``runs_index:``) is a list of ids, oldest first, and
sets the order of an agent's runs wherever it stands in the dump.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, Final, TypeAlias

import msgspec

from acg_lab.core.records import JsonObject
from acg_lab.logs.entries import Document, LogProblem
from acg_lab.logs.files import find_log_files, is_pipe
from acg_lab.logs.text_stream import Fault, read_texts
from acg_lab.storage.base import Entry, Progress, Selection, ignore_progress
from acg_lab.storage.key_layout import INDEX, choose_prefix, find_prefix, parse_stored_key
from acg_lab.storage.limits import DEFAULT_LIMITS, Limits
from acg_lab.storage.masking import mask_credentials

__all__ = ["DUMP_REFUSAL", "RedisDump", "is_redis_dump", "open_dump"]

DUMP_REFUSAL: Final = (
    "These are entries that production stored, not requests to learn from: load them with acg.load, which takes"
    " windows, results and runs as they are."
)
_LOOKED_AT: Final = 50
_BAD: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def is_redis_dump(first: Sequence[JsonObject]) -> bool:
    """Return whether the first documents are entries of a Redis dump, one of them production's."""
    keys = [one["key"] for one in first if "value" in one and isinstance(one.get("key"), str)]
    return 2 * len(keys) > len(first) and any(find_prefix(key) is not None or "runs:" in key for key in keys)


class RedisDump:
    """A dump as a source of stored entries, like the Redis that it was made of.

    Parameters
    ----------
    source : str
        File, folder, glob, ``"-"`` or URI.
    key_prefix : str
        Of production's keys; ``"auto"`` finds the one in use, which then stands in ``key_prefix``.
    """

    def __init__(self, source: str, *, key_prefix: str = "auto") -> None:
        self._source = source
        self.label = mask_credentials(source) if source != "-" else "standard input"
        self.key_prefix = key_prefix

    def __repr__(self) -> str:
        return f"<RedisDump: {self.label}>"

    def scan(self, selection: Selection, progress: Progress = ignore_progress) -> Iterator[Entry]:
        """Yield every stored document that the selection wants; what is wrong stands in an entry of its own."""
        faults: list[LogProblem] = []
        stored = _read_lines(_documents(self._source, progress, faults, selection.limits), faults)
        if self.key_prefix == "auto":
            found = (prefix for key in stored if (prefix := find_prefix(key)) is not None)
            self.key_prefix = choose_prefix(found, self.label)
        yield from _entries(stored, self.key_prefix, selection, faults)


def open_dump(source: str, *, format: str, key_prefix: str) -> RedisDump | None:  # noqa: A002  the option's name
    """Return a source as a dump, None if it is not one: by the name of its format, or by its first lines.

    A pipe such as standard input can't be looked at beforehand, so a dump there needs the name.
    """
    if format == "redis-dump":
        return RedisDump(source, key_prefix=key_prefix)
    if format != "auto" or source == "-" or is_pipe(source):
        return None
    first = []
    for document in islice(_documents(source, ignore_progress, [], DEFAULT_LIMITS), _LOOKED_AT):
        with suppress(*_BAD):
            first.append(_read_object(document.raw))
    return RedisDump(source, key_prefix=key_prefix) if first and is_redis_dump(first) else None


def _documents(source: str, progress: Progress, faults: list[LogProblem], limits: Limits) -> Iterator[Document]:
    for file in find_log_files(source):
        with file.open() as opened:
            for text in read_texts(opened, limits):
                if isinstance(text, Fault):
                    faults.append(LogProblem(text.reason, file=file.label, line=text.line))
                else:
                    progress(len(text.raw), 0)
                    yield Document(text.raw, file.label, text.line)


class _Line(msgspec.Struct):
    """One stored entry; other fields of a line, such as its type, are passed over."""

    key: str
    value: msgspec.Raw


_read_object = msgspec.json.Decoder(dict[str, Any]).decode
_read_line = msgspec.json.Decoder(_Line).decode
_read_ids = msgspec.json.Decoder(list[str]).decode


_Stored: TypeAlias = dict[str, tuple[Document, msgspec.Raw]]


def _read_lines(documents: Iterable[Document], faults: list[LogProblem]) -> _Stored:
    stored: _Stored = {}
    for document in documents:
        try:
            line = _read_line(document.raw)
        except _BAD as error:
            faults.append(document.problem(f"expected an entry with key and value: {error}"))
            continue
        if line.key in stored:
            faults.append(document.problem("expected each key once in the dump, got it again; the later one is taken"))
        stored[line.key] = document._replace(raw=b""), line.value
    return stored


def _entries(stored: _Stored, prefix: str, selection: Selection, faults: list[LogProblem]) -> Iterator[Entry]:
    runs: dict[tuple[str, str], Entry] = {}
    order: dict[str, list[str]] = {}
    for key, (document, value) in stored.items():
        stands = parse_stored_key(key, prefix)
        is_index = key.startswith(prefix + INDEX)
        if not is_index and (stands is None or not stands.is_wanted(selection)):
            continue
        try:
            raw = _unpacked(value)
            if is_index:
                order[key[len(prefix) + len(INDEX) :]] = _read_ids(raw)
        except _BAD as error:
            faults.append(document.problem(f"expected JSON, as a text or as it is: {error}", "$.value"))
            continue
        if stands is not None:
            entry = Entry(stands.kind, stands.key, raw, stands.agent_id, key)
            if stands.kind != "run":
                yield entry
            else:
                runs[stands.agent_id, stands.key.rpartition(":")[2]] = entry
    for agent_id, ids in order.items():
        yield from (runs.pop((agent_id, run_id)) for run_id in ids if (agent_id, run_id) in runs)
    yield from runs.values()
    yield from (Entry("run", "", fault) for fault in faults)


def _unpacked(value: msgspec.Raw) -> bytes:
    """Return the JSON that a text holds, else the value as it stands."""
    raw: Any = bytes(value)
    return msgspec.json.decode(raw, type=str).encode() if raw[:1] == b'"' else bytes(raw)
