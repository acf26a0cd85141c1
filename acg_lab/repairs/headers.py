"""What an observation says of its tools and response format beside the blocks, after a repair (spec section 2).

Belongs here: the hashes of tools, which go with their blocks, and the hash of the response format.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from acg_lab.core.canonical import hash_text
from acg_lab.repairs.block_table import Pool, Rows, Table
from acg_lab.storage.columns import Codes, Header

__all__ = ["new_headers"]

_split = msgspec.json.Decoder(list[msgspec.Raw]).decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_print = msgspec.json.Encoder().encode


class _Parts(NamedTuple):
    """Of an observation: its tools by content, which of its old tools each was, and its response formats by content."""

    tools: tuple[int, ...]
    places: tuple[int, ...]
    formats: tuple[int, ...]


def new_headers(before: Table, after: Table) -> tuple[Codes, Sequence[Header]]:
    """Return the headers of all observations after an edit, and the pool that they are codes of.

    A tool whose definition is changed gets the hash that this definition has in another observation, else that of its
    text as it is stored. Where the stored hashes and blocks do not go together, the hashes are left as they are.
    """
    source = before.source
    old_rows, new_rows = _rows(before), _rows(after)
    if _is_same(before, old_rows, after, new_rows):
        return source.headers, source.header_pool
    place = np.full(len(before.owner), -1)
    place[old_rows[0]] = _places(before.owner[old_rows[0]])
    old, new = (_parts(table, rows, place) for table, rows in ((before, old_rows), (after, new_rows)))
    pool, headers = Pool(source.header_pool, source.headers), source.headers.copy()
    hashes = _known_hashes(source.header_pool, source.headers.tolist(), old)
    memo: dict[tuple[int, _Parts, _Parts], int] = {}
    for i, parts in enumerate(zip(old, new, strict=True)):
        key = int(headers[i]), *parts
        if parts[0] != parts[1] and key not in memo:
            memo[key] = pool.code(_header(source.header_pool[key[0]], *parts, after, hashes))
        headers[i] = memo.get(key, headers[i])
    return headers, pool


def _rows(table: Table) -> tuple[Rows, Rows]:
    """Return the rows of tools and of response formats."""
    tools, formats = (np.flatnonzero(table.are(content_type=(kind,))) for kind in ("tool_schema", "structured_output"))
    return tools, formats


def _is_same(before: Table, old: tuple[Rows, Rows], after: Table, new: tuple[Rows, Rows]) -> bool:
    return all(
        np.array_equal(before.owner[a], after.owner[b]) and np.array_equal(before.contents[a], after.contents[b])
        for a, b in zip(old, new, strict=True)
    )


def _places(owner: Rows) -> Rows:
    return np.arange(len(owner)) - np.searchsorted(owner, owner)


def _parts(table: Table, rows: tuple[Rows, Rows], place: Rows) -> list[_Parts]:
    tools, formats = rows
    observations = np.arange(len(table.source.headers) + 1)
    ends, format_ends = (np.searchsorted(table.owner[r], observations).tolist() for r in rows)
    contents, places = table.contents[tools].tolist(), place[table.origin[tools]].tolist()
    schemas = table.contents[formats].tolist()
    return [
        _Parts(tuple(contents[a:b]), tuple(places[a:b]), tuple(schemas[c:d]))
        for a, b, c, d in zip(ends, ends[1:], format_ends, format_ends[1:], strict=False)
    ]


def _entries(header: Header) -> list[msgspec.Raw]:
    return [] if header.tool_schema_hashes is None else _split(header.tool_schema_hashes)


def _known_hashes(pool: Sequence[Header], headers: Sequence[int], parts: Sequence[_Parts]) -> dict[int, msgspec.Raw]:
    """Return the hashes of tools by content, where they are known."""
    found: dict[int, msgspec.Raw] = {}
    for header, tools in dict.fromkeys(zip(headers, (of.tools for of in parts), strict=True)):
        entries = _entries(pool[header])
        if len(entries) == len(tools):
            for content, entry in zip(tools, entries, strict=True):
                found.setdefault(content, _fields(entry)["schema_hash"])
    return found


def _header(header: Header, old: _Parts, new: _Parts, after: Table, hashes: Mapping[int, msgspec.Raw]) -> Header:
    if old.formats != new.formats:
        text = after.content_pool[new.formats[0]] if new.formats else None
        header = header._replace(structured_output_schema_id=None if text is None else hash_text(text))
    entries = _entries(header)
    if len(entries) != len(old.tools) or old[:2] == new[:2]:
        return header
    listed = []
    for content, place in zip(new.tools, new.places, strict=True):
        entry = entries[place]
        if content != old.tools[place]:
            known = hashes.get(content) or msgspec.Raw(_print(hash_text(after.content_pool[content])))
            entry = msgspec.Raw(_print({**_fields(entry), "schema_hash": known}))
        listed.append(entry)
    return header._replace(tool_schema_hashes=f"[{','.join(bytes(entry).decode() for entry in listed)}]")
