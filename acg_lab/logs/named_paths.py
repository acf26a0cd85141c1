"""Paths of fields that the caller named, checked against the lines of a log: a path that no line has is a mistake.

Messages name paths, never values; what stands in requests and responses is not listed.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, Self

import msgspec

from acg_lab.core.errors import RecordError, UsageError
from acg_lab.logs.entries import Document
from acg_lab.logs.json_pieces import split_object
from acg_lab.logs.raw_fields import FIELD_NAMES, follow

__all__ = ["NamedPaths", "find_request", "is_field_name"]

_LOOKED_AT, _DEEPEST, _LISTED = 50, 4, 12
_INNER: Final = {*FIELD_NAMES["request"], *FIELD_NAMES["response"], "messages", "input", "tools", "system"}
is_field_name = re.compile(r"[\w-]{1,40}").fullmatch  # else a key may be data
_decode = msgspec.json.Decoder(dict[str, Any]).decode


class NamedPaths:
    """Watches the lines of a log for the paths that were named.

    Parameters
    ----------
    fields : mapping of str to str
        Dotted path of each field that was named.
    """

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._unused, self._missing = dict(fields), dict(fields)
        self._there: dict[str, None] = {}
        self._first: list[tuple[Mapping[str, str], Sequence[str]]] = []  # what is still missing, and what is there
        self._n, self._formats = 0, dict[str, None]()

    def watch(self, documents: Iterable[Document], format_name: str, takes: Iterable[str]) -> Iterator[Document]:
        """Yield documents as they come; ``takes`` are the fields whose paths their format takes."""
        self._formats[format_name] = None
        for name in takes:
            self._unused.pop(name, None)
        for document in documents:
            if self._missing:
                self._look(document)
            yield document

    def _look(self, document: Document) -> None:
        try:
            pieces = split_object(document.raw)
        except RecordError:  # a problem of its reader
            return
        self._n += 1
        self._missing = {n: path for n, path in self._missing.items() if _find(pieces, path) is None}
        if self._missing and self._n <= _LOOKED_AT:
            paths = list(_paths(_decode(document.raw)))
            self._there |= dict.fromkeys(paths)
            self._first.append((self._missing, paths))

    def join(self, other: Self) -> None:
        """Take over what was seen in the lines that follow."""
        for missing, paths in other._first[: max(_LOOKED_AT - self._n, 0)]:
            if self._missing.keys() & missing.keys():
                self._there |= dict.fromkeys(paths)
        self._n += other._n
        self._missing = {name: path for name, path in self._missing.items() if name in other._missing}
        self._unused = {name: path for name, path in self._unused.items() if name in other._unused}
        self._formats |= other._formats

    def check(self) -> None:
        """Raise `UsageError` if a path was of no use."""
        if not self._n:
            return
        for name in self._unused:
            msg = (
                f"The path of {name!r} can't be named for logs of the format {' or '.join(map(repr, self._formats))},"
                " which says itself where it stands."
            )
            raise UsageError(msg)
        for name, path in self._missing.items():
            near = get_close_matches(path, self._there, _LISTED, 0)
            more = f" and {len(self._there) - len(near):,} more" if len(self._there) > len(near) else ""
            msg = (
                f"No line has {path!r}, the path given for {name!r}; the nearest are {', '.join(near) or 'none'}{more}."
            )
            raise UsageError(msg)


def find_request(line: Mapping[str, Any], before: str = "", depth: int = 1) -> str | None:
    """Return the path of what looks like a request body inside a line, None where nothing does."""
    for name, value in line.items():
        inner = _inside(value)
        if inner is None or not is_field_name(name):
            continue
        if isinstance(inner.get("messages"), list) or ("input" in inner and "model" in inner):
            return f"{before}{name}"
        if depth < _DEEPEST and (found := find_request(inner, f"{before}{name}.", depth + 1)):
            return found
    return None


def _inside(value: Any) -> Mapping[str, Any] | None:
    """Return an object, also one that is kept as JSON in a text."""
    if isinstance(value, str) and value[:1] == "{":
        try:
            value = _decode(value)
        except (msgspec.MsgspecError, RecursionError):
            return None
    return value if isinstance(value, dict) else None


def _find(pieces: Mapping[str, bytes], path: str) -> bytes | None:
    try:
        return follow(pieces, path)
    except RecordError:
        return None


def _paths(value: Mapping[str, Any], before: str = "", depth: int = 1) -> Iterator[str]:
    for name, inner in value.items():
        if not is_field_name(name):
            continue
        if isinstance(inner, dict) and depth < _DEEPEST and name not in _INNER:
            yield from _paths(inner, f"{before}{name}.", depth + 1)
        elif not isinstance(inner, dict | list):
            yield f"{before}{name}"
