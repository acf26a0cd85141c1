"""What a source may ask of this machine: one value, which every reader keeps, and which says how it is raised.

What exceeds a limit is refused before it is decoded, and where its size is known beforehand, before it is read.
"""

from dataclasses import dataclass, fields
from typing import Any, Final

from acg_lab.core.codec import measure_depth
from acg_lab.core.errors import RecordError, UsageError
from acg_lab.core.plain_numbers import plain_number
from acg_lab.core.strict_json import MAX_DEPTH

__all__ = ["DEFAULT_LIMITS", "LIMIT_NAMES", "Limits", "check_limits"]

_MIB: Final = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of a load. What exceeds one is a problem of its entry, or the error of its table.

    Parameters
    ----------
    value_bytes : int
        Of one value of a Redis, or one row of a plain table: 512 MiB, the most that a Redis takes by default.
    line_bytes : int
        Of one line of a log, or one item of its array; of a compressed log as unpacked.
    depth : int
        Levels of JSON; at most 127, since production refuses more.
    blocks : int
        Blocks of one observation, and messages of one recorded request.
    table_bytes : int
        What the wanted rows of one table of an export take in memory.
    table_ratio : int
        How many times as large as its file a Parquet table may be in memory, if that is more than 256 MiB.

    Raises
    ------
    UsageError
        If a limit is no positive integer, or the depth is above 127.

    Examples
    --------
    >>> Limits(line_bytes=2**28).blocks
    100000
    """

    value_bytes: int = 512 * _MIB
    line_bytes: int = 64 * _MIB
    depth: int = MAX_DEPTH
    blocks: int = 100_000
    table_bytes: int = 16_384 * _MIB
    table_ratio: int = 1000

    def __post_init__(self) -> None:
        for field in fields(self):
            value = plain_number(getattr(self, field.name))
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                msg = f"The limit {field.name!r} must be a positive integer; got {value!r}."
                raise UsageError(msg)
            object.__setattr__(self, field.name, value)
        if self.depth > MAX_DEPTH:
            msg = f"The limit 'depth' must be at most {MAX_DEPTH}, since production refuses more; got {self.depth:,}."
            raise UsageError(msg)

    def word(self, name: str, what: str, found: int | None = None) -> str:
        """Return why something is refused: what was expected and found, and how to raise the limit.

        Parameters
        ----------
        name : str
            Of the limit.
        what : str
            What exceeds it, such as "a line"; of a count, what is counted.
        found : int, optional
            Its size or number, if known.
        """
        most = getattr(self, name)
        is_size = name.endswith("_bytes")
        expected = f"{what} of at most {_size(most)}" if is_size else f"at most {most:,} {what}"
        got = "more" if found is None else _size(found) if is_size else f"{found:,}"
        return f"expected {expected}, got {got}{self.raised_by(name)}"

    def raised_by(self, name: str) -> str:
        """Return how a limit is raised, to end a message with."""
        if name == "depth" and self.depth == MAX_DEPTH:
            return ""
        return f"; the limit {name!r} is raised by limits=acg_lab.Limits({name}=...) (--max {name}=...)"

    def check_value(self, raw: bytes) -> None:
        """Raise RecordError if a stored value exceeds the limits of size or depth."""
        if len(raw) > self.value_bytes:
            raise RecordError(self.word("value_bytes", "a value", len(raw)))
        self.check_depth(raw)

    def check_depth(self, raw: bytes) -> None:
        """Raise RecordError for JSON of more levels, if fewer than production's are allowed: decoders check those."""
        if self.depth < MAX_DEPTH and (depth := measure_depth(raw)) > self.depth:
            raise RecordError(self.word("depth", "levels of JSON", depth))

    def check_blocks(self, n: int, what: str = "blocks", path: str = "$") -> None:
        """Raise RecordError if one request has more blocks or messages."""
        if n > self.blocks:
            raise RecordError(self.word("blocks", f"{what} of one request", n), path=path)


def _size(n_bytes: int) -> str:
    return f"{n_bytes // _MIB:,} MiB" if n_bytes >= _MIB else f"{n_bytes:,} bytes"


def check_limits(limits: Any) -> Limits:
    """Return the value of the option ``limits``; raise UsageError if it is something else."""
    if limits is None:
        return DEFAULT_LIMITS
    if not isinstance(limits, Limits):
        msg = (
            f"The 'limits' option must be Limits, such as acg_lab.Limits(blocks=200_000); got {type(limits).__name__}."
        )
        raise UsageError(msg)
    return limits


DEFAULT_LIMITS: Final = Limits()
LIMIT_NAMES: Final = tuple(field.name for field in fields(Limits))
