r"""Find where tables, keys and values begin and end in a TOML text, so that a value can be replaced and no other byte.

tomlkit offers no spans. Writing its document back loses a byte order mark, moves tables that are out of order, writes a
table of the wrong name below dotted keys, and takes seconds for 2 MB. The text must be valid TOML: it is parsed before,
and the edited text is parsed and compared after.

>>> [(s.path, s.text) for s in split_sections('a = "[x]"\n[b . "c"]\nd = 1\n')]
[((), 'a = "[x]"\n'), (('b', 'c'), '[b . "c"]\nd = 1\n')]
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from acg_lab.config.document import parse_toml
from acg_lab.core.errors import RecordError

__all__ = ["Section", "Statement", "members", "split_sections", "statements"]

_STRING = r'"""(?:[^"\\]++|\\.|"{1,2}(?!"))*+"{3,5}|\'\'\'(?:[^\']++|\'{1,2}(?!\'))*+\'{3,5}'
_STRING += r'|"(?:[^"\\\n]++|\\.)*+"|\'[^\'\n]*+\''
_ATOM = re.compile(_STRING + r"|[^\s\"'#,\[\]{}]++(?: [0-9][^\s#,\[\]{}]*+)?", re.DOTALL)  # a date may have a space
_INSIDE = re.compile(_STRING + r"|#[^\n]*+|[\[\]{}]", re.DOTALL)
_BLANK = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)*+")
_GAP_OR_COMMA = re.compile(r"(?:[ \t\r\n,]++|#[^\n]*+)*+")
_EQUALS = re.compile(r"[ \t]*=[ \t]*")
_KEY = re.compile(r"""[ \t]*(?:([A-Za-z0-9_-]+)|("(?:[^"\\\n]|\\.)*")|'([^'\n]*)')[ \t]*""")

Key = tuple[str | int, ...]


class Statement(NamedTuple):
    """``key = value`` or a member of an array: its path within its container, and its span in the text."""

    path: Key
    start: int
    value: int
    end: int


@dataclass
class Section:
    """The text from a table's header to the next header, or before the first header.

    ``path`` contains the index of an element of ``components``, but of no other array.
    """

    path: Key
    text: str

    @property
    def body(self) -> int:
        """The position after the header."""
        start = _skip(_GAP, self.text, 0)
        return _read_header(self.text, start)[1] if self.text[start : start + 1] == "[" else 0

    def statements(self) -> list[Statement]:
        """Return the statements of the section, in order."""
        return statements(self.text, self.body)


def split_sections(text: str) -> list[Section]:
    """Split a document at its headers; the joined texts of the sections are the document."""
    sections, start, path, n_components = [], 0, Key(), 0
    for position in _headers(text):
        sections.append(Section(path, text[start:position]))
        start = position
        name, _, is_element = _read_header(text, position)
        if name[0] == "components":
            n_components += is_element and len(name) == 1
            path = (name[0], n_components - 1, *name[1:]) if n_components else name
        else:
            path = name
    return [*sections, Section(path, text[start:])]


def _headers(text: str) -> Iterator[int]:
    """Yield the start of each line with a header."""
    position = 0
    while True:
        found = statements(text, position)
        position = _skip(_GAP, text, found[-1].end if found else position)
        if position == len(text):
            return
        yield text.rfind("\n", 0, position) + 1
        position = _read_header(text, position)[1]


def _read_header(text: str, position: int) -> tuple[Key, int, bool]:
    """Return the path of a header, its end, and whether it starts an element of an array."""
    start = _skip(_BLANK, text, position)
    brackets = 2 if text.startswith("[[", start) else 1
    path, after = _read_key(text, start + brackets)
    return path, after + brackets, brackets > 1


def statements(text: str, position: int = 0) -> list[Statement]:
    """Return the statements from a position up to the next header or the end."""
    found = list[Statement]()
    while True:
        position = _skip(_GAP, text, position)
        if position == len(text) or text[position] == "[":
            return found
        found.append(_read_statement(text, position))
        position = found[-1].end


def members(text: str, position: int) -> list[Statement]:
    """Return the members of the inline table or array that begins at a position; the path of an array's is a number."""
    is_table, found = text[position] == "{", list[Statement]()
    position += 1
    while True:
        position = _skip(_GAP_OR_COMMA, text, position)
        if text[position : position + 1] in ("]", "}", ""):
            return found
        if is_table:
            found.append(_read_statement(text, position))
        else:
            found.append(Statement((len(found),), position, position, _end_of_value(text, position)))
        position = found[-1].end


def _read_statement(text: str, start: int) -> Statement:
    path, position = _read_key(text, start)
    value = _skip(_EQUALS, text, position)
    return Statement(path, start, value, _end_of_value(text, value))


def _read_key(text: str, position: int) -> tuple[Key, int]:
    path: list[str] = []
    while match := _KEY.match(text, position):
        bare, quoted, literal = match.groups()
        path.append(parse_toml(f"k = {quoted}")["k"] if quoted else bare or literal)
        position = match.end()
        if text[position : position + 1] != ".":
            return tuple(path), position
        position += 1
    raise _unreadable(text, position)


def _end_of_value(text: str, position: int) -> int:
    if text[position : position + 1] not in ("[", "{"):
        return _skip(_ATOM, text, position)
    depth = 0
    for match in _INSIDE.finditer(text, position):
        depth += (match[0] in "[{") - (match[0] in "]}")
        if depth == 0:
            return match.end()
    raise _unreadable(text, position)


def _skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    if match := pattern.match(text, position):
        return match.end()
    raise _unreadable(text, position)


def _unreadable(text: str, position: int) -> RecordError:
    line = text.count("\n", 0, position) + 1
    return RecordError(f"expected TOML that can be edited, got other text near line {line} of a table; edit it by hand")
