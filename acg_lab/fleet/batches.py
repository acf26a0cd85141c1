"""How many agents make a task: as many as take about ten seconds, fewer towards the end.

Nothing is known of an agent's size before it is loaded, so sizes follow from what the agents before took. Shorter tasks
cost more in sending than they spread; longer ones leave workers idle at the end and repeat more when a worker dies.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

__all__ = ["Batches"]

_SECONDS: Final = 10.0
_SHARES: Final = 4  # of what is left, per worker, so that all end at about the same time


class Batches:
    """Agents in tasks of about ten seconds; an iterator.

    Parameters
    ----------
    agent_ids : iterable of str
    n_workers : int
    seconds : float
        How long a task is to take.
    """

    def __init__(self, agent_ids: Iterable[str], n_workers: int, seconds: float = _SECONDS) -> None:
        self._waiting = deque(agent_ids)
        self._shares = _SHARES * max(n_workers, 1)
        self._seconds = seconds
        self._spent = 0.0
        self._done = 0

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        return self

    def __next__(self) -> tuple[str, ...]:
        if not self._waiting:
            raise StopIteration
        # Workers' callbacks ask for tasks while the results of others arrive.
        return tuple(self._waiting.popleft() for _ in range(min(self._size(), len(self._waiting))))

    def _size(self) -> int:
        if not self._done:
            return 1
        wanted = self._seconds * self._done / max(self._spent, 1e-9)
        return max(1, int(min(wanted, len(self._waiting) / self._shares)))

    def learn(self, n_agents: int, seconds: float) -> None:
        """Take note of what some agents took."""
        self._done += n_agents
        self._spent += seconds
