"""Set values in a TOML text, in the style of the text.

A value is replaced where it is. A new one is added next to its siblings: into their inline table, below their header,
among their dotted keys, or below a new header.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from operator import eq
from typing import NamedTuple

from acg_lab.config.toml_scan import Key, Section, Statement, members, split_sections

__all__ = ["Document"]

_OWN_COMMENTS = re.compile(r"(?:[ \t]*#[^\n]*(?:\n|\Z))+(?=[ \t]*\r?\n)")  # comments followed by a blank line


class _Place(NamedTuple):
    """A statement, its section, and its path from the root."""

    section: Section
    statement: Statement
    path: Key


class Document:
    """A TOML text that is being edited; ``str`` returns it.

    Parameters
    ----------
    text : str
        Valid TOML, without a byte order mark.
    """

    def __init__(self, text: str) -> None:
        self._sections = split_sections(text)
        self._eol = "\r\n" if text.partition("\n")[0].endswith("\r") else "\n"

    def __str__(self) -> str:
        return "".join(section.text for section in self._sections)

    def set(self, path: Key, value: str) -> None:
        """Set a value.

        Parameters
        ----------
        path : tuple of str or int
            Path from the root of the document, such as ``("components", 2, "config", "acg", "priority")``.
        value : str
            TOML of the value.
        """
        if place := self._holder(path):
            place.section.text = _set_within(place.section.text, place.statement, path[len(place.path) :], value)
        elif section := self._section(path[:-1]):
            self._add_line(section, section.statements()[-1:], f"{path[-1]} = {value}")
        elif place := self._sibling(path):
            name = ".".join(map(str, path[len(place.section.path) :]))
            self._add_line(place.section, [place.statement], f"{name} = {value}")
        else:
            self._add_section(path[:-1], f"{path[-1]} = {value}")

    def append(self, text: str) -> None:
        """Append tables at the end."""
        whole = str(self)
        gap = self._eol if not whole or whole.endswith("\n") else self._eol * 2
        added = text.replace("\n", self._eol)
        self._sections = split_sections(f"{whole}{gap}{added}" if whole else added)

    def append_member(self, path: Key, value: str) -> bool:
        """Append to the array at a path; return whether there is one."""
        if place := self._holder(path):
            place.section.text = _add_member(place.section.text, place.statement, value)
        return place is not None

    def notes(self, paths: Sequence[Key], mark: str) -> list[tuple[Key, list[str]]]:
        """Return the comment lines above values that begin with a mark, with the path of the first value below."""
        found: dict[tuple[int, int], tuple[Key, list[str]]] = {}
        for path in paths:
            if (place := self._holder(path)) and (spans := _marked(place, mark)):
                lines = [place.section.text[start:end].strip() for start, end in spans]
                found.setdefault((id(place.section), place.statement.start), (path, lines))
        return list(found.values())

    def remove_notes(self, paths: Sequence[Key], mark: str) -> None:
        """Remove the comment lines above values that begin with a mark."""
        for path in paths:
            if place := self._holder(path):
                for start, end in reversed(_marked(place, mark)):
                    place.section.text = place.section.text[:start] + place.section.text[end:]

    def add_note(self, paths: Sequence[Key], lines: Sequence[str]) -> None:
        """Insert comment lines above the first of the values that exist, if any does."""
        found = [place for path in paths if (place := self._holder(path))]
        if not found:
            return
        order = {id(section): i for i, section in enumerate(self._sections)}
        section, statement, _ = min(found, key=lambda place: (order[id(place.section)], place.statement.start))
        start = _line_start(section.text, statement.start)
        indent = section.text[start : statement.start]
        note = "".join(f"{indent}{line}{self._eol}" for line in lines)
        section.text = section.text[:start] + note + section.text[start:]

    def _places(self, path: Key) -> Iterator[_Place]:
        for section in self._sections:
            if section.path == path[: len(section.path)]:
                for statement in section.statements():
                    yield _Place(section, statement, (*section.path, *statement.path))

    def _holder(self, path: Key) -> _Place | None:
        """Return the statement whose value is at the path or contains it."""
        return next((place for place in self._places(path) if place.path == path[: len(place.path)]), None)

    def _section(self, path: Key) -> Section | None:
        return next((section for section in self._sections if section.path == path), None)

    def _sibling(self, path: Key) -> _Place | None:
        """Return the last of the dotted keys that have most in common with the path."""
        found = [(_common(place.path, path), place) for place in self._places(path)]
        found = [(length, place) for length, place in found if length > len(place.section.path)]
        most = max((length for length, _ in found), default=0)
        return next((place for length, place in reversed(found) if length == most), None)

    def _add_line(self, section: Section, after: Sequence[Statement], line: str) -> None:
        text = section.text
        indent, position = "", section.body
        for statement in after:
            indent, position = text[_line_start(text, statement.start) : statement.start], statement.end
        end = _line_end(text, position)
        if not text[:end].endswith("\n"):
            section.text = f"{text}{self._eol}{indent}{line}"
        else:
            section.text = f"{text[:end]}{indent}{line}{self._eol}{text[end:]}"

    def _add_section(self, path: Key, line: str) -> None:
        """Add a table after those that have most in common with it."""
        most = max(_common(section.path, path) for section in self._sections)
        i = max(i for i, section in enumerate(self._sections) if _common(section.path, path) == most)
        before = self._sections[i]
        end = _own_end(before) if i < len(self._sections) - 1 else len(before.text)
        own, rest = before.text[:end], before.text[end:]
        before.text = own if own.endswith("\n") else own + self._eol
        header = ".".join(str(name) for name in path if isinstance(name, str))
        self._sections.insert(i + 1, Section(path, f"{self._eol}[{header}]{self._eol}{line}{self._eol}{rest}"))


def _own_end(section: Section) -> int:
    """Return where a section ends, without the comments that belong to the next one."""
    last = section.statements()[-1:]
    end = _line_end(section.text, last[0].end if last else section.body)
    comments = _OWN_COMMENTS.match(section.text, end)
    return comments.end() if comments else end


def _common(one: Key, other: Key) -> int:
    return sum(1 for _ in takewhile(bool, map(eq, one, other)))


def _line_start(text: str, position: int) -> int:
    return text.rfind("\n", 0, position) + 1


def _line_end(text: str, position: int) -> int:
    return text.find("\n", position) + 1 or len(text)


def _marked(place: _Place, mark: str) -> list[tuple[int, int]]:
    """Return the spans of the lines that begin with a mark, among the comments directly above a statement."""
    section, statement, _ = place
    floor = max((other.end for other in section.statements() if other.end <= statement.start), default=section.body)
    found, end = list[tuple[int, int]](), _line_start(section.text, statement.start)
    while (start := _line_start(section.text, end - 1)) >= floor and end > start:
        line = section.text[start:end].strip()
        if not line.startswith("#"):
            break
        if line.startswith(mark):
            found.insert(0, (start, end))
        end = start
    return found


def _set_within(text: str, statement: Statement, path: Key, value: str) -> str:
    """Set the value of a statement, or a value within its inline table or array."""
    if not path:
        return text[: statement.value] + value + text[statement.end :]
    inner = members(text, statement.value)
    for member in inner:
        if member.path == path[: len(member.path)]:
            return _set_within(text, member, path[len(member.path) :], value)
    siblings = [member for member in inner if _common(member.path, path)]
    if siblings:
        return _add_member(text, statement, f"{'.'.join(map(str, path))} = {value}", siblings[-1])
    *outer, name = path
    added = f"{name} = {value}"
    for table in reversed(outer):
        added = f"{table} = {{ {added} }}"
    return _add_member(text, statement, added)


def _add_member(text: str, container: Statement, member: str, after: Statement | None = None) -> str:
    """Add a member to an inline table or array, at its end or after another member."""
    if after is None and (inner := members(text, container.value)):
        after = inner[-1]
    if after is not None:
        return f"{text[: after.end]}, {member}{text[after.end :]}"
    begin = container.value + 1
    gap = " " if text[begin] in "]}" else ""
    return f"{text[:begin]} {member}{gap}{text[begin:]}"
