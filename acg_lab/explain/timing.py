"""When a content changes: once, in every request, back and forth, or on and on.

Belongs here: reading the sequence of contents in time. Contents are codes, so it works without texts.
"""

from collections.abc import Hashable, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from acg_lab.explain.finding import Timing

__all__ = ["Sequel", "read_sequence"]

_MOSTLY = 0.8
_STRAY = 0.02  # requests that were under way when it changed


class Sequel(NamedTuple):
    """How a content went on in time: its changes, the position of the last one (None: never), and the timing."""

    changes: int
    last_change: int | None
    timing: Timing | None


def read_sequence(contents: Sequence[Hashable]) -> Sequel:
    """Read a sequence of contents, oldest first; None stands for absent, and counts as a content.

    Examples
    --------
    >>> read_sequence("aaab").timing.value, read_sequence("abcd").timing.value
    ('once', 'every_request')
    >>> read_sequence("aabaab").timing.value, read_sequence("aabbcc").timing.value
    ('alternating', 'drifting')
    """
    changed = [i for i, (before, after) in enumerate(pairwise(contents), 1) if before != after]
    if not changed:
        return Sequel(0, None, None)
    if (moment := _moment(contents)) is not None:
        return Sequel(len(changed), moment, Timing.ONCE)
    return Sequel(len(changed), changed[-1], _timing(len(contents), len(set(contents)), len(changed)))


def _moment(contents: Sequence[Hashable]) -> int | None:
    """Return where one content gives way to another for good, but for a few strays; None if none does."""
    n = len(contents)
    if len(set(contents)) != 2 or n == 2:  # noqa: PLR2004  # of two requests nobody knows
        return None
    later = list(accumulate((content != contents[0] for content in contents), initial=0))
    strays = [later[i] + (n - i) - (later[n] - later[i]) for i in range(n + 1)]
    best = min(range(n + 1), key=strays.__getitem__)
    return best if 0 < best < n and strays[best] <= _STRAY * n else None


def _timing(n: int, distinct: int, changes: int) -> Timing:
    if distinct >= _MOSTLY * n or (distinct > n / 2 and changes >= _MOSTLY * (n - 1)):
        return Timing.EVERY_REQUEST
    # Each content has its own time if none comes back; a few that come back may be requests that overlapped.
    returns = changes - (distinct - 1)
    return Timing.DRIFTING if returns <= (distinct - 1) / 2 else Timing.ALTERNATING
