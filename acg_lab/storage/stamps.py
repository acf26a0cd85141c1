"""The identity and the time of a record: which texts production takes for them.

Belongs here: checking such texts, and a time as a number. The texts themselves are kept as they were stored.
"""

import re
from datetime import UTC, datetime, timedelta

from acg_lab.core.errors import RecordError

__all__ = ["EARLIEST", "LATEST", "check_id", "parse_time"]

# What 64 bits hold of nanoseconds since 1970, but for the lowest number: columns have that in the place of no time.
EARLIEST, LATEST = -(2**63) + 1, 2**63 - 1
_GIGA = 10**9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_clock = r"(?:[01]\d|2[0-3]):[0-5]\d"
_time = re.compile(
    rf"(\d{{4}})(-\d\d-\d\d)[Tt ]({_clock}:)(\d\d)(?:\.(\d+))?(?:[Zz]|([+-]{_clock}))", re.ASCII
).fullmatch
_hyphenated = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_id = re.compile(rf"{_hyphenated}|[0-9a-fA-F]{{32}}|\{{{_hyphenated}\}}|urn:uuid:{_hyphenated}").fullmatch


def check_id(text: str, path: str = "$") -> None:
    """Make sure that a text is a UUID: with hyphens or without, in braces, or as a URN.

    Raises
    ------
    RecordError
        If it is none.
    """
    if not _id(text):
        msg = "expected a UUID, got another text"
        raise RecordError(msg, path=path)


def parse_time(text: str, path: str = "$") -> int:
    """Return an RFC 3339 time as nanoseconds since 1970, held to the range of 64 bits (1677 to 2262).

    Raises
    ------
    RecordError
        If it is none.
    """
    found = _time(text)
    year, day, minute, second, fraction, zone = found.groups() if found else ("", "", "", "", "", "")
    is_leap = second == "60"
    # Python has no year 0. It is as long as 2000, and both ends of it are below what 64 bits hold.
    early = year == "0000"
    try:
        moment = datetime.fromisoformat(
            f"{'2000' if early else year}{day}T{minute}{'59' if is_leap else second}{zone or '+00:00'}"
        )
    except ValueError:
        msg = "expected an RFC 3339 time, got another text"
        raise RecordError(msg, path=path) from None
    if early:
        return EARLIEST
    whole = (moment - _EPOCH) // _SECOND + is_leap
    return min(max(whole * _GIGA + int(f"{fraction or ''}000000000"[:9]), EARLIEST), LATEST)
