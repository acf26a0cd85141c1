"""Which agents make a task: the largest first, as many as take about ten seconds, fewer towards the end.

A giant agent that comes last would keep one worker busy while all others wait. How long a size takes follows from what
the tasks before took, the latest ones first of all: however small an agent is, it takes some milliseconds. Shorter
tasks cost more in sending than they spread; longer ones leave workers idle at the end and repeat more when a worker
dies.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

__all__ = ["Batches"]

_SECONDS: Final = 10.0
_SHARES: Final = 4  # of what is left, per worker, so that all end at about the same time
_KEPT: Final = 0.8  # of what is known of sizes, when another task has ended
_GROWTH: Final = 2  # times as many agents as the longest task before


class Batches:
    """Agents in tasks of about ten seconds; an iterator.

    Parameters
    ----------
    sizes : mapping of str to int
        Agents, each with its size in whatever unit, 0 where it is not known. Those of one size stay in their order.
    n_workers : int
    seconds : float
        How long a task is to take.
    """

    def __init__(self, sizes: Mapping[str, int], n_workers: int, seconds: float = _SECONDS) -> None:
        self._sizes = {agent_id: size + 1 for agent_id, size in sizes.items()}
        self._waiting = deque(sorted(self._sizes, key=lambda agent_id: -self._sizes[agent_id]))
        self._left = self.total = sum(self._sizes.values())
        self._seconds = seconds
        self.share(n_workers)
        self._spent = self._done = 0.0
        self._longest = 0

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        return self

    def __next__(self) -> tuple[str, ...]:
        if not self._waiting:
            raise StopIteration
        most, longest = self._most(), _GROWTH * self._longest  # results may arrive meanwhile, in another thread
        batch = [self._waiting.popleft()]
        size = self._sizes[batch[0]]
        while self._waiting and len(batch) < longest and size + self._sizes[self._waiting[0]] <= most:
            batch.append(self._waiting.popleft())
            size += self._sizes[batch[-1]]
        self._left -= size
        return tuple(batch)

    def _most(self) -> float:
        wanted = self._seconds * self._done / max(self._spent, 1e-9)
        return min(wanted, self._left / self._shares)

    def share(self, n_workers: int) -> None:
        """Share what is left among another number of workers."""
        self._shares = _SHARES * max(n_workers, 1)

    def size_of(self, agent_ids: Iterable[str]) -> int:
        """Return the size of some agents together, as a share of ``total``."""
        return sum(self._sizes[agent_id] for agent_id in agent_ids)

    def learn(self, agent_ids: Iterable[str], seconds: float) -> None:
        """Take note of what some agents took."""
        agent_ids = tuple(agent_ids)
        self._done = _KEPT * self._done + self.size_of(agent_ids)
        self._spent = _KEPT * self._spent + seconds
        self._longest = max(self._longest, len(agent_ids))
