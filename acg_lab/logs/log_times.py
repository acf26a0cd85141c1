"""Times of logs to RFC 3339 texts: texts with or without zone, numbers of seconds down to nanoseconds.

The unit of a number follows from its size, which is unambiguous from 1973 to 5138. A time without a zone is taken as
UTC; `lacks_zone` says so.
"""

import re
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from acg_lab.core.codec import parse_time
from acg_lab.core.errors import RecordError
from acg_lab.core.records import Json
from acg_lab.storage.times import render_time

__all__ = ["lacks_zone", "read_time"]

_EXPECTED = "expected a time: RFC 3339, or seconds, milliseconds, microseconds or nanoseconds since 1970"
_EARLIEST = 10**8
# Below which size a number is in which unit, by what one of them is in nanoseconds.
_UNITS = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3), (2**63, 1))
_number = re.compile(r"\d+(?:\.\d*)?").fullmatch
_zone = re.compile(r"(?:[zZ]|[+-]\d\d:?\d\d|UTC|GMT)$").search
_day = re.compile(r"\d{4}-\d\d-\d\d").match


def read_time(value: Json, path: str = "$") -> str:
    """Return a time of a log as an RFC 3339 text.

    Parameters
    ----------
    value : str, int, float or datetime
        A text as RFC 3339 or ISO 8601 has it, or a number since 1970 (as text too).
    path : str
        Where it stands, for the error.

    Returns
    -------
    str
        As it stands where it is RFC 3339 already, else in UTC.

    Raises
    ------
    RecordError
        If it is not a time.

    Examples
    --------
    >>> read_time(1764460800), read_time("1764460800000000000"), read_time("2025-11-30 00:00:00")
    ('2025-11-30T00:00:00Z', '2025-11-30T00:00:00Z', '2025-11-30T00:00:00Z')
    """
    if isinstance(value, datetime):
        value = value.isoformat()
    if isinstance(value, str):
        with suppress(RecordError):
            parse_time(value)
            return value
        if _number(value):
            return _read_number(value, path)
        if _day(value):
            return _read_text(value, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        return _read_number(repr(value), path)
    raise RecordError(_EXPECTED, path=path)


def _read_text(text: str, path: str) -> str:
    text = text.strip().removesuffix("UTC").removesuffix("GMT").rstrip()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RecordError(_EXPECTED, path=path) from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return render_time(parse_time(moment.isoformat(), path))


def _read_number(text: str, path: str) -> str:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise RecordError(_EXPECTED, path=path) from None
    if number.is_finite() and number >= _EARLIEST:
        for below, nanoseconds in _UNITS:
            if number < below:
                return render_time(int(number * nanoseconds))
    raise RecordError(_EXPECTED, path=path)


def lacks_zone(value: Json) -> bool:
    """Whether a time is a text without a zone, so that `read_time` takes it as UTC."""
    if isinstance(value, datetime):
        return value.tzinfo is None
    return isinstance(value, str) and bool(_day(value)) and not _zone(value.strip())
