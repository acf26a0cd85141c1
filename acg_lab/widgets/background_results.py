"""What takes seconds and is asked for by name: computed in a background thread while sliders move, and kept.

Invariant: a result is known only for what it was asked for, never an older one.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from time import monotonic, sleep
from typing import Final, Generic, TypeVar
from weakref import WeakMethod

from acg_lab.widgets.background import BackgroundTask, switching_often

__all__ = ["BackgroundResults"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
OnStep = Callable[[int, int], None]
_QUIET: Final = 0.5  # seconds after a slider last moved before the work goes on
_KEPT: Final = 8  # results


class BackgroundResults(Generic[K, V]):
    """Computes results, one at a time.

    Parameters
    ----------
    what : str
        What the work does, for the message of a failure.
    on_change : bound method
        Its object is not kept alive. Called, also in the thread, whenever anything below has changed.

    Attributes
    ----------
    problem : str
        Why the last work failed; empty if it did not.
    share : float or None
        Share of the work that is done; None while nothing is computed.
    """

    def __init__(self, what: str, on_change: Callable[[], None]) -> None:
        self._what, self._tell = what, WeakMethod(on_change)
        self._found: OrderedDict[K, V] = OrderedDict()
        self._task: tuple[K, BackgroundTask[V]] | None = None
        self._latest: BackgroundTask[V] | None = None
        self._failed: K | None = None
        self._quiet_at = 0.0
        self.problem = ""
        self.share: float | None = None

    def find(self, key: K) -> V | None:
        """Return a result; None if it was not computed."""
        return self._found.get(key)

    def find_or_start(self, key: K, work: Callable[[OnStep], V]) -> V | None:
        """Return a result; None while it is computed, which begins unless it failed before."""
        is_running = self._task is not None and self._task[0] == key
        if key not in self._found and key != self._failed and not is_running:
            self.start(key, work)
        return self.find(key)

    def start(self, key: K, work: Callable[[OnStep], V]) -> None:
        """Compute a result, instead of what is being computed; ``work`` is called as that of a `BackgroundTask`."""
        self.cancel()

        def run(on_step: OnStep) -> V:
            def on_progress(done: int, total: int) -> None:
                on_step(done, total)
                self._wait(on_step, total)

            with switching_often():
                return work(on_progress)

        def on_end(outcome: V | Exception) -> None:
            self._task, self.share = None, None
            if isinstance(outcome, Exception):
                self._failed, self.problem = key, f"{self._what} failed: {outcome}"
            else:
                self._keep(key, outcome)
            self._on_change()

        def on_share(share: float) -> None:
            if self._task is not None and self._task[1] is task:
                self.share = share
                self._on_change()

        task = BackgroundTask(run, on_share, on_end)
        self.problem, self.share, self._task, self._latest, self._failed = "", 0.0, (key, task), task, None
        self._on_change()
        task.start()  # last, since it may end at once

    def _keep(self, key: K, outcome: V) -> None:
        self._found[key] = outcome
        while len(self._found) > _KEPT:
            self._found.popitem(last=False)

    def _wait(self, on_step: OnStep, total: int) -> None:
        """Wait while a slider moves, unless the work is cancelled."""
        while (wait := self._quiet_at - monotonic()) > 0:
            sleep(min(wait, 0.1))
            on_step(0, total)

    def _on_change(self) -> None:
        if (tell := self._tell()) is not None:
            tell()

    def cancel(self) -> None:
        """Stop the work."""
        if self._task is not None:
            self._task[1].cancel()
            self._task, self.share = None, None
            self._on_change()

    def make_way(self) -> None:
        """Let a slider move: the work goes on when it rests."""
        self._quiet_at = monotonic() + _QUIET

    def join(self, timeout: float = 60.0) -> None:
        """Wait for the end of the work."""
        if (task := self._latest) is not None:
            task.join(timeout)
