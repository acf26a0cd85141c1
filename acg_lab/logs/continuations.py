"""Which run a request continues, where a log does not name runs.

A request belongs to the run whose last request it continues: without instructions, the same first message, and at least
half of the later ones in order, so that an edited history or a clock in the system prompt does not end a run. Marks of
the cache do not count. A request that adds nothing to a single message begins a run. Each request looks at a few
candidates, found by the messages that it shares with them, so that time grows with the number of messages.
"""

from bisect import bisect_left
from collections.abc import Hashable, Iterator, Sequence

__all__ = ["OpenRuns"]

_MAX_CANDIDATES = 4
_MAX_LOOKUPS = 16  # messages, from the end, by which candidates are found


class OpenRuns:
    """Runs by the messages of their last requests, apart for each owner (an agent, say)."""

    def __init__(self) -> None:
        self._by_messages: dict[int, int | list[int]] = {}  # hash of owner and all messages to run, or runs
        self._by_message: dict[Hashable, int] = {}  # owner and a later message to run
        self._last: dict[int, tuple[int, ...]] = {}

    def find(self, owner: Hashable, messages: Sequence[int]) -> int | None:
        """Return the number of the run that a request continues, None for none.

        Parameters
        ----------
        owner : hashable
        messages : sequence of int
            Codes of the messages, instructions left out.
        """
        if len(messages) < 2:  # noqa: PLR2004  nothing that could continue another request
            return None
        keys = list(_prefix_keys(owner, messages))
        for length, key in zip(range(len(keys), 0, -1), reversed(keys), strict=True):
            if (run := self._latest(key, tuple(messages[:length]))) is not None:
                return run
        for run in self._candidates(owner, messages):
            if _continues(self._last[run], messages):
                return run
        return None

    def _latest(self, key: int, messages: tuple[int, ...]) -> int | None:
        """Return the latest run whose last request had just these messages; forget those that have gone on."""
        found = self._by_messages.get(key)
        if isinstance(found, list):
            while found and self._last[found[-1]] != messages:
                found.pop()
            return found[-1] if found else None
        return found if found is not None and self._last[found] == messages else None

    def _candidates(self, owner: Hashable, messages: Sequence[int]) -> Iterator[int]:
        seen: set[int] = set()
        for code in messages[: -_MAX_LOOKUPS - 1 : -1]:
            run = self._by_message.get((owner, code))
            if run is not None and run not in seen and self._last[run][0] == messages[0]:
                seen.add(run)
                yield run
            if len(seen) == _MAX_CANDIDATES:
                return

    def put(self, owner: Hashable, messages: Sequence[int], run: int) -> None:
        """Make a request the last one of a run."""
        if not messages:
            return
        self._last[run] = tuple(messages)
        *_, key = _prefix_keys(owner, messages)
        known = self._by_messages.get(key)
        if known is None:
            self._by_messages[key] = run
        elif isinstance(known, list):
            known.append(run)
        else:
            self._by_messages[key] = [known, run]
        for code in messages[: -_MAX_LOOKUPS - 1 : -1] if len(messages) > 1 else ():
            self._by_message[owner, code] = run


def _prefix_keys(owner: Hashable, messages: Sequence[int]) -> Iterator[int]:
    """Yield a number for each leading part of the messages, each made of the one before."""
    key = hash(owner)
    for code in messages:
        key = hash((key, code))
        yield key


def _continues(last: Sequence[int], messages: Sequence[int]) -> bool:
    """Whether at least half of a request's messages behind the first stand in another one, in order."""
    later = last[1:]
    return bool(later) and last[0] == messages[0] and 2 * _n_common(later, messages[1:]) >= len(later)


def _n_common(first: Sequence[int], second: Sequence[int]) -> int:
    """Return the length of the longest common subsequence."""
    places: dict[int, list[int]] = {}
    for place, code in enumerate(second):
        places.setdefault(code, []).append(place)
    # Ends of the longest ascending chains of places, by length (Hunt and Szymanski).
    ends: list[int] = []
    for code in first:
        for place in reversed(places.get(code, ())):
            at = bisect_left(ends, place)
            ends[at : at + 1] = [place]
    return len(ends)
