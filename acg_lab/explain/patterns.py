"""What dates, identifiers, paths and numbers look like in a text.

Belongs here: finding and taking out what is of one kind, one text at a time. Regular expressions find candidates; for
dates dateutil has the last word.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

__all__ = ["DATETIME", "IDENTIFIER", "NUMBER", "PATH", "Pattern"]

_TAKEN_OUT = "\ue000"
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sep(?:t(?:ember)?)?|"
    r"Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_WEEKDAY = r"(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs?)?|Fri|Sat(?:ur)?|Sun)(?:day)?\b\.?"
_FULL_WEEKDAY = r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_ZONE = r"(?:\s?(?:Z|UTC|GMT|[ECMP][SD]T|CES?T)\b)?(?:\s?[+-]\d\d:?\d\d\b)?"
_CLOCK = rf"(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?(?:\s?[AaPp]\.?[Mm]\b\.?)?{_ZONE}"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_NAMED = (
    rf"(?:{_DAY}(?:st|nd|rd|th)?\s(?:of\s)?{_MONTH}(?:,?\s\d{{4}})?|"
    rf"{_MONTH}\s{_DAY}(?:st|nd|rd|th)?\b(?:,?\s\d{{4}})?|{_MONTH}\s\d{{4}})"
)
_NUMERIC = (
    r"(?:\d{4}-(?:0\d|1[0-2])-[0-3]\d|\d{4}/(?:0?\d|1[0-2])/[0-3]?\d|\d{1,2}/\d{1,2}/(?:\d\d){1,2}|"
    r"\d{1,2}\.\d{1,2}\.\d{4})"
)
_DATE = rf"(?:(?:{_WEEKDAY},?\s)?(?:{_NAMED}|{_NUMERIC}))"
_datetime = re.compile(
    rf"(?<![\w.:/-])(?:(?P<date>{_DATE})(?:(?:T|,?\s(?:at\s)?){_CLOCK})?|\d{{8}}T\d{{6}}Z?|(?:{_WEEKDAY}\s)?{_CLOCK}|"
    rf"\d{{4}}年\d{{1,2}}月\d{{1,2}}日|{_FULL_WEEKDAY}|"
    # Seconds of the years 2001 to 2033 since 1970; so many thousandths, millionths, billionths.
    rf"1\d{{9}}(?:\d{{3}}){{0,3}}(?:\.\d+)?)(?![\w:/-]|\.\d)"
)
_HEX = r"(?=[0-9a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{7,}"
_MIXED = r"(?=(?:[A-Za-z_]*\d){2})(?=(?:[\d_]*[A-Za-z]){2})[A-Za-z0-9_]{10,}"
_identifier = re.compile(
    r"(?<![\w-])(?:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|"
    rf"eyJ[\w-]+\.[\w-]+\.[\w-]+|(?:[A-Za-z][A-Za-z0-9]*[-_:]){{0,4}}(?:{_HEX}|{_MIXED})(?:=|\b))(?![\w-])|"
    r"(?<![\w.,-])\d{15,}(?![\w.,-])|"
    r"(?<![\w+/])(?=[A-Za-z0-9+/]*\d)(?=[A-Za-z0-9+/]*[a-z])(?=[A-Za-z0-9+/]*[A-Z])[A-Za-z0-9+/]{20,}={0,2}(?![\w+/])"
)
_path = re.compile(
    r"(?<![\w:/])[a-z][a-z0-9+.-]{1,9}://[^\s\"'<>]+|"
    r"(?<![\w.~<:/\\])(?:~|\.{1,2})?/(?:[\w.@+%-]+/)+[\w.@+%-]*|"
    r"(?<![\w:])[A-Za-z]:\\(?:[\w .@+-]+\\)*[\w.@+-]+|"
    r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?(?![\w.])|"
    r"(?<![\w.@-])(?=[\w.-]*[a-z])(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.){2,}[a-z][a-z0-9-]+(?::\d+)?(?![\w@-])|"
    r"(?<![\w.@-])[a-z][a-z0-9-]*\.(?:com|org|net|io|dev|local|internal|lan|cloud|svc)(?::\d+)?(?![\w@-])"
)
_number = re.compile(r"(?:(?<!\w)[-+\u2212])?\d+(?:[.,'\u202f]\d+)*(?:[eE][-+]?\d+)?")


@lru_cache(maxsize=4096)
def _is_date(text: str) -> bool:
    from dateutil import parser  # noqa: PLC0415

    try:
        parser.parse(text)
    except (ValueError, OverflowError):
        return False
    return True


def _dates(text: str) -> Iterator[tuple[int, int]]:
    for match in _datetime.finditer(text):
        if match["date"] is None or _is_date(match["date"]):
            yield match.span()


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

    def covers(self, text: str, start: int, stop: int) -> bool:
        """Whether one of them touches a span of the text."""
        return any(first < max(stop, start + 1) and last > start for first, last in self.find(text))


DATETIME = Pattern(_dates)
IDENTIFIER = Pattern(_matches(_identifier))
PATH = Pattern(_matches(_path))
NUMBER = Pattern(_matches(_number))
