"""What identifiers, paths and numbers look like in a text, and dates.

Belongs here: finding and taking out what is of one kind, one text at a time.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from acg_lab.explain.dates import find_dates
from acg_lab.explain.texts import Place

__all__ = ["DATETIME", "IDENTIFIER", "NUMBER", "PATH", "Pattern"]

_TAKEN_OUT = "\ue000"
_HEX = r"(?=[0-9a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{7,}"
_MIXED = r"(?=(?:[A-Za-z_]*\d){2})(?=(?:[\d_]*[A-Za-z]){2})[A-Za-z0-9_]{10,}"
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_identifier = re.compile(
    rf"(?<![0-9a-fA-F])(?<![0-9a-fA-F]-){_UUID}(?!-?[0-9a-fA-F])|(?<![\w:])(?:[0-9a-fA-F]{{2}}:){{5}}[0-9a-fA-F]{{2}}(?![\w:])|"
    rf"(?<![\w-])(?:eyJ[\w-]+\.[\w-]+\.[\w-]+|(?:[A-Za-z][A-Za-z0-9]*[-_:]){{0,4}}(?:{_HEX}|{_MIXED})(?:=|\b))(?![\w-])|"
    r"(?<![A-Za-z0-9])(?:0x)?(?=\d*[a-fA-F])[0-9a-fA-F]{16,}(?![A-Za-z0-9])|"
    r"(?<![\w.,-])\d{15,}(?![\w.,-])|"
    r"(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[a-z])(?=[\w-]*[A-Z])[A-Za-z0-9_-]{16,}={0,2}(?![\w-])|"
    r"(?<![\w+/])(?=[A-Za-z0-9+/]*\d)(?=[A-Za-z0-9+/]*[a-z])(?=[A-Za-z0-9+/]*[A-Z])[A-Za-z0-9+/]{20,}={0,2}(?![\w+/])"
)
_GROUPS = r"(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){0,6})?"
_IPV6 = rf"(?:[0-9a-fA-F]{{1,4}}:){{7}}[0-9a-fA-F]{{1,4}}|{_GROUPS}::{_GROUPS}"
_path = re.compile(
    r"(?<![\w:/])[a-z][a-z0-9+.-]{1,9}://[^\s\"'<>]+|"
    r"(?<![\w.~<:/\\])(?:~|\.{1,2})?/(?:[\w.@+%-]+/)+[\w.@+%-]*|"
    r"(?<![\w.~<:/\\])/(?:bin|dev|etc|home|mnt|opt|proc|root|srv|tmp|usr|var)/[\w.@+%-]+|"
    r"(?<![\w.@~<:/\\-])(?:[\w.@+-]+/)+[\w@+-]+\.[a-zA-Z]\w{0,4}(?![\w/])|"
    r"(?<![\w:])[A-Za-z]:\\(?:[\w .@+-]+\\)*[\w.@+-]+|(?<![\w\\])\\\\[\w.-]+(?:\\[\w.@$+-]+)+|"
    r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?(?![\w.])|"
    rf"(?<![\w:])(?:{_IPV6})(?![\w:])|(?<![\w.-])localhost:\d+|"
    # Instances of a Kubernetes deployment.
    r"(?<![\w.-])[a-z0-9-]+-[0-9a-f]{8,10}-[b-df-hj-np-tv-xz2-9]{5}(?![\w-])|"
    r"(?<![\w.@-])(?=[\w.-]*[a-z])(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.){2,}[a-z][a-z0-9-]+(?::\d+)?(?![\w@-])|"
    r"(?<![\w.@-])[a-z][a-z0-9-]*\.(?:com|org|net|io|dev|local|internal|lan|cloud|svc)(?::\d+)?(?![\w@-])"
)
_number = re.compile(r"(?:(?<!\w)[-+\u2212])?\d+(?:[.,'\u202f]\d+)*(?:[eE][-+]?\d+)?")


def _matches(expression: re.Pattern[str]) -> Callable[[str], Iterator[tuple[int, int]]]:
    return lambda text: (match.span() for match in expression.finditer(text))


class Pattern(NamedTuple):
    """One kind of thing in a text; ``find`` yields where each begins and ends, in order."""

    find: Callable[[str], Iterator[tuple[int, int]]]

    def take_out(self, text: str) -> str:
        """Return the text with a mark in place of each; two texts that differ in them alone become equal."""
        kept: list[str] = []
        end = 0
        for start, stop in self.find(text):
            kept += text[end:start], _TAKEN_OUT
            end = stop
        return "".join([*kept, text[end:]])

    def covers(self, text: str, places: Iterable[Place]) -> list[bool]:
        """Tell of each place in the text whether one of them touches it."""
        found = list(self.find(text))
        ends = [(place.offset, place.offset + max(place.length, 1)) for place in places]
        return [any(first < stop and last > start for first, last in found) for start, stop in ends]


DATETIME = Pattern(find_dates)
IDENTIFIER = Pattern(_matches(_identifier))
PATH = Pattern(_matches(_path))
NUMBER = Pattern(_matches(_number))
