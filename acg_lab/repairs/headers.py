"""Update an observation's hashes of tools and response format after a repair.

An observation stores these hashes beside its blocks (acg_lab/docs/rules/learner.md, section 2). The hash of a
tool moves with the tool's block.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from acg_lab.core.canonical import hash_text
from acg_lab.repairs.block_table import BlockTable, Pool, Rows
from acg_lab.storage.observation_columns import Codes, Header

__all__ = ["build_headers"]

_split = msgspec.json.Decoder(list[msgspec.Raw]).decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_print = msgspec.json.Encoder().encode


class _Parts(NamedTuple):
    """One observation's tools by content, the position that each had among its old tools, and its response formats."""

    tools: tuple[int, ...]
    positions: tuple[int, ...]
    formats: tuple[int, ...]


def build_headers(before: BlockTable, after: BlockTable) -> tuple[Codes, Sequence[Header]]:
    """Return the headers of all observations after an edit, as codes, and their pool.

    A tool whose definition was edited gets the hash that this definition has in another observation, otherwise the
    hash of its stored text. If the stored hashes do not correspond to the blocks, they stay as they are.
    """
    source = before.source
    old_rows, new_rows = _rows(before), _rows(after)
    if _is_unchanged(before, old_rows, after, new_rows):
        return source.headers, source.header_pool
    position = np.full(len(before.owner), -1)
    position[old_rows[0]] = _positions(before.owner[old_rows[0]])
    old, new = (_parts(table, rows, position) for table, rows in ((before, old_rows), (after, new_rows)))
    pool, headers = Pool(source.header_pool, source.headers), source.headers.copy()
    hashes = _known_hashes(source.header_pool, source.headers.tolist(), old)
    memo: dict[tuple[int, _Parts, _Parts], int] = {}
    for i, parts in enumerate(zip(old, new, strict=True)):
        key = int(headers[i]), *parts
        if parts[0] != parts[1] and key not in memo:
            memo[key] = pool.code(_header(source.header_pool[key[0]], *parts, after, hashes))
        headers[i] = memo.get(key, headers[i])
    return headers, pool


def _rows(table: BlockTable) -> tuple[Rows, Rows]:
    """Return the rows of tools and of response formats."""
    tools, formats = (
        np.flatnonzero(table.have_form(content_type=(kind,))) for kind in ("tool_schema", "structured_output")
    )
    return tools, formats


def _is_unchanged(before: BlockTable, old: tuple[Rows, Rows], after: BlockTable, new: tuple[Rows, Rows]) -> bool:
    return all(
        np.array_equal(before.owner[a], after.owner[b]) and np.array_equal(before.contents[a], after.contents[b])
        for a, b in zip(old, new, strict=True)
    )


def _positions(owner: Rows) -> Rows:
    return np.arange(len(owner)) - np.searchsorted(owner, owner)


def _parts(table: BlockTable, rows: tuple[Rows, Rows], position: Rows) -> list[_Parts]:
    tools, formats = rows
    observations = np.arange(len(table.source.headers) + 1)
    ends, format_ends = (np.searchsorted(table.owner[r], observations).tolist() for r in rows)
    contents, positions = table.contents[tools].tolist(), position[table.origin[tools]].tolist()
    schemas = table.contents[formats].tolist()
    return [
        _Parts(tuple(contents[a:b]), tuple(positions[a:b]), tuple(schemas[c:d]))
        for a, b, c, d in zip(ends, ends[1:], format_ends, format_ends[1:], strict=False)
    ]


def _entries(header: Header) -> list[msgspec.Raw]:
    return [] if header.tool_schema_hashes is None else _split(header.tool_schema_hashes)


def _known_hashes(pool: Sequence[Header], headers: Sequence[int], parts: Sequence[_Parts]) -> dict[int, msgspec.Raw]:
    """Return the known hashes of tools, by content."""
    found: dict[int, msgspec.Raw] = {}
    for header, tools in dict.fromkeys(zip(headers, (of.tools for of in parts), strict=True)):
        entries = _entries(pool[header])
        if len(entries) == len(tools):
            for content, entry in zip(tools, entries, strict=True):
                found.setdefault(content, _fields(entry)["schema_hash"])
    return found


def _header(header: Header, old: _Parts, new: _Parts, after: BlockTable, hashes: Mapping[int, msgspec.Raw]) -> Header:
    if old.formats != new.formats:
        text = after.content_pool[new.formats[0]] if new.formats else None
        header = header._replace(structured_output_schema_id=None if text is None else hash_text(text))
    entries = _entries(header)
    if len(entries) != len(old.tools) or old[:2] == new[:2]:
        return header
    listed = []
    for content, position in zip(new.tools, new.positions, strict=True):
        entry = entries[position]
        if content != old.tools[position]:
            known = hashes.get(content) or msgspec.Raw(_print(hash_text(after.content_pool[content])))
            entry = msgspec.Raw(_print({**_fields(entry), "schema_hash": known}))
        listed.append(entry)
    return header._replace(tool_schema_hashes=f"[{','.join(bytes(entry).decode() for entry in listed)}]")
