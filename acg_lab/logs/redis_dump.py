"""Redis dumps: JSON lines of ``{"key", "value"}`` as production stored them, read as they are: nothing is learned.

Windows and results may be texts or JSON values; an index of runs (``runs_index:``) is a list of ids, oldest first, and
sets the order of an agent's runs wherever it stands in the dump.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from acg_lab.core.records import JsonObject
from acg_lab.logs.entries import Document, LogProblem
from acg_lab.storage.base import EVERYTHING, Entry, Selection
from acg_lab.storage.key_layout import INDEX, choose_prefix, find_prefix, parse_stored_key

__all__ = ["DUMP_REFUSAL", "is_redis_dump", "read_redis_dump"]

DUMP_REFUSAL: Final = (
    "These are entries that production stored, not requests to learn from: load them with acg.load, which takes"
    " windows, results and runs as they are."
)
_BAD: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class _Line(msgspec.Struct):
    """One stored entry; other fields of a line, such as its type, are passed over."""

    key: str
    value: msgspec.Raw


_read_line = msgspec.json.Decoder(_Line).decode
_read_ids = msgspec.json.Decoder(list[str]).decode


def is_redis_dump(first: Sequence[JsonObject]) -> bool:
    """Return whether the first documents are entries of a Redis dump, one of them production's."""
    return all(isinstance(one.get("key"), str) and "value" in one for one in first) and any(
        find_prefix(one["key"]) is not None or "runs:" in one["key"] for one in first
    )


def read_redis_dump(
    documents: Iterable[Document],
    *,
    key_prefix: str = "auto",
    selection: Selection = EVERYTHING,
    label: str = "the dump",
) -> Iterator[Entry | LogProblem]:
    """Read a dump to stored entries, for `acg_lab.storage.ingest.ingest`.

    Parameters
    ----------
    documents : iterable of Document
        One entry each.
    key_prefix : str
        Of production's keys; ``"auto"`` finds the one in use.
    selection : Selection
        What to read.
    label : str
        Name of the dump in errors.

    Yields
    ------
    Entry or LogProblem
        Windows and results in the order of the dump, then runs in the order of their index. Keys of other applications
        are passed over.

    Raises
    ------
    UsageError
        If the dump holds entries under several prefixes; the message names them.
    SourceError
        If it holds none of the governor's.
    """
    stored: dict[str, tuple[Document, msgspec.Raw]] = {}
    for document in documents:
        try:
            line = _read_line(document.raw)
        except _BAD as error:
            yield document.problem(f"expected an entry with key and value: {error}")
            continue
        if line.key in stored:
            yield document.problem("expected each key once in the dump, got it again; the later one is taken")
        stored[line.key] = document._replace(raw=b""), line.value
    if key_prefix == "auto":
        found = (prefix for key in stored if (prefix := find_prefix(key)) is not None)
        key_prefix = choose_prefix(found, label)
    yield from _entries(stored, key_prefix, selection)


def _entries(
    stored: dict[str, tuple[Document, msgspec.Raw]], prefix: str, selection: Selection
) -> Iterator[Entry | LogProblem]:
    runs: dict[tuple[str, str], Entry] = {}
    order: dict[str, list[str]] = {}
    for key, (document, value) in stored.items():
        place = parse_stored_key(key, prefix)
        if key.startswith(prefix + INDEX):
            try:
                order[key[len(prefix) + len(INDEX) :]] = _read_ids(_unpacked(value))
            except _BAD as error:
                yield document.problem(f"expected a list of run ids: {error}", "$.value")
        elif place is not None and place.wanted(selection):
            try:
                entry = Entry(place.kind, place.key, _unpacked(value), place.agent_id, key)
            except _BAD as error:
                yield document.problem(f"expected JSON, as text or as it is: {error}", "$.value")
                continue
            if place.kind == "run":
                runs[place.agent_id, place.key.rpartition(":")[2]] = entry
            else:
                yield entry
    for agent_id, ids in order.items():
        for run_id in ids:
            if (agent_id, run_id) in runs:
                yield runs.pop((agent_id, run_id))
    yield from runs.values()


def _unpacked(value: msgspec.Raw) -> bytes:
    """Return the JSON that a text holds, else the value as it stands."""
    raw: Any = bytes(value)
    return msgspec.json.decode(raw, type=str).encode() if raw[:1] == b'"' else bytes(raw)
