"""How commands are put to a Redis, and the search for the key prefix; no I/O.

Belongs here: the steps that know Redis but not the records. A step is a generator: it yields what is to be sent, is
handed the replies, and returns its result. The blocking and the asyncio backend carry the steps out.
"""

import re
from collections.abc import Callable, Generator, Sequence
from enum import Enum
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from acg_lab.core.errors import SourceError, UsageError
from acg_lab.storage.layout import choose_prefix, find_prefix

__all__ = ["Command", "Refusal", "Send", "Step", "ask", "escape", "scan", "search_prefix", "text_of"]

T = TypeVar("T")
Command: TypeAlias = tuple[bytes | str | int, ...]

SEARCH_STEPS: Final = 1000
_SCAN_COUNT: Final = 1000  # keys that one SCAN looks at: well under a millisecond of the server's time
# Matches the key names that tell the prefix, acg_observations, acg_stability and runs_index, and little else.
_TELLING: Final = "*[gs]_[osi]*[sxy]:*"


class Send(NamedTuple):
    """Commands to be sent in one pipeline.

    ``atomic``: as one transaction, and only once: what it did before a connection broke off can't be known.
    ``per_key``: that a single key may not be read is an answer like any other, not the end.
    """

    commands: Sequence[Command]
    atomic: bool = False
    per_key: bool = False


class Refusal(Enum):
    """A reply that tells of one key, not of the whole source."""

    WRONG_TYPE = "a key of another type"
    NO_PERMISSION = "a key that this user may not read"


Step: TypeAlias = Generator[Send, list[Any], T]


def ask(commands: Sequence[Command], at_once: int) -> Step[list[Any]]:
    """Return the replies to any number of commands, sent so many at once."""
    replies: list[Any] = []
    for i in range(0, len(commands), at_once):
        replies += yield Send(commands[i : i + at_once], per_key=True)
    return replies


def scan(pattern: str, keep: Callable[[bytes], T | None], max_steps: int | None = None) -> Step[set[T]]:
    """Return what ``keep`` makes of matching keys, None left out; at most those that so many SCANs find."""
    kept: set[T] = set()
    cursor = n_steps = 0
    while True:
        ((cursor, page),) = yield Send([("SCAN", cursor, "MATCH", pattern, "COUNT", _SCAN_COUNT)])
        kept.update(value for key in page if (value := keep(key)) is not None)
        n_steps += 1
        if cursor == 0 or n_steps == max_steps:
            return kept


def escape(text: str) -> str:
    """Escape what is special in a pattern."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", text)


def text_of(stored: bytes) -> str:
    """Return a key as text; bytes that are no UTF-8 are spelled out."""
    return stored.decode(errors="backslashreplace")


def search_prefix(label: str, *, writable: bool) -> Step[str]:
    """Find the key prefix that is in use, among the first million keys or so (1,000 SCANs of 1,000 keys).

    Raises
    ------
    UsageError
        If several are in use; or none, in a source that is to be written.
    SourceError
        If none is in use.
    """
    prefixes = yield from scan(_TELLING, lambda key: find_prefix(text_of(key)), SEARCH_STEPS)
    if prefixes:
        return choose_prefix(prefixes, label)
    if writable:
        msg = f"{label} holds no ACG entries yet; name the prefix to write under, as in key_prefix='nemo_relay:'."
        raise UsageError(msg)
    msg = (
        f"{label} holds no ACG entries under any prefix. Is it the right server and database? "
        "If other applications fill it, name the prefix, as in key_prefix='nemo_relay:'."
    )
    raise SourceError(msg)
