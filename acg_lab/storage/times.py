"""RFC 3339 times as stored, and as nanoseconds since 1970 in UTC, without loss."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.codec import EARLIEST, parse_time

__all__ = ["NO_TIME", "Times", "parse_time", "read_time", "render_time"]

NO_TIME = EARLIEST - 1
_GIGA = 10**9
_SECONDS = len("2026-11-06T21:20:00")


def render_time(nanoseconds: int) -> str:
    """Return a time as production prints it: UTC, with the fewest of 0, 3, 6 or 9 digits after the second.

    Examples
    --------
    >>> render_time(1_500_000_000)
    '1970-01-01T00:00:01.500Z'
    """
    seconds, fraction = divmod(nanoseconds, _GIGA)
    digits = next(n for n in (0, 3, 6, 9) if fraction % 10 ** (9 - n) == 0) if fraction else 0
    tail = f".{fraction:09d}"[: digits + 1] if digits else ""
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:_SECONDS]}{tail}Z"


def read_time(text: str | None) -> int:
    """Return a recorded time in nanoseconds since 1970; `NO_TIME` for None and for the empty text of a log without it.

    Raises
    ------
    RecordError
        If it is another text that is no RFC 3339 time.
    """
    return parse_time(text) if text else NO_TIME


class Times:
    """A column of times.

    Parameters
    ----------
    nanoseconds : array of int64, shape (n,)
        Nanoseconds since 1970; `NO_TIME` for a missing time. Kept, not copied.
    spelled : mapping of int to str
        The stored texts that differ from `render_time`, by row.
    """

    def __init__(self, nanoseconds: NDArray[np.int64], spelled: Mapping[int, str]) -> None:
        self.nanoseconds = nanoseconds
        self.spelled = spelled

    @classmethod
    def parse(cls, texts: Sequence[str | None]) -> "Times":
        """Return a column of times; raise the errors of `parse_time`."""
        numbers = list(map(read_time, texts))
        spelled = {
            i: text
            for i, (number, text) in enumerate(zip(numbers, texts, strict=True))
            if text and render_time(number) != text
        }
        return cls(np.array(numbers, np.int64), spelled)

    def text(self, row: int) -> str | None:
        """Return a time as it was stored."""
        number = int(self.nanoseconds[row])
        return self.spelled.get(row) or (None if number == NO_TIME else render_time(number))

    def texts(self) -> list[str | None]:
        """Return all times as they were stored."""
        return [self.text(row) for row in range(len(self.nanoseconds))]
