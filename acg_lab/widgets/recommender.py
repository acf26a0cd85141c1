"""A recommendation, looked for in a background thread while sliders move.

Invariant: a recommendation is known only for the agent and the current settings that it was made for.
"""

from collections.abc import Callable
from time import monotonic, sleep
from typing import Final, NamedTuple
from weakref import WeakMethod

from acg_lab.advice import Recommendation, recommend
from acg_lab.config import AcgSettings
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.widgets.background import BackgroundTask, switching_often

__all__ = ["Asked", "Recommender"]

_QUIET: Final = 0.5  # seconds after a slider last moved before the work goes on


class Asked(NamedTuple):
    """What to recommend for: an agent, None for all; and the current settings, None to infer them."""

    agent_id: str | None
    current: AcgSettings | None


class Recommender:
    """Looks for recommendations, one at a time.

    Parameters
    ----------
    snap : Snapshot
        Read, never changed.
    on_change : bound method
        Its object is not kept alive. Called, also in the thread, whenever anything below has changed.

    Attributes
    ----------
    problem : str
        Why the last search failed; empty if it did not.
    share : float or None
        Share of the work that is done; None while nothing is looked for.
    """

    def __init__(self, snap: Snapshot, on_change: Callable[[], None]) -> None:
        self._snap, self._tell = snap, WeakMethod(on_change)
        self._found: dict[Asked, Recommendation] = {}
        self._task: BackgroundTask[Recommendation] | None = None
        self._latest: BackgroundTask[Recommendation] | None = None
        self._quiet_at = 0.0
        self.problem = ""
        self.share: float | None = None

    def find(self, asked: Asked) -> Recommendation | None:
        """Return the recommendation for an agent and settings; None if none was looked for."""
        return self._found.get(asked)

    def start(self, asked: Asked) -> None:
        """Look for a recommendation, instead of what is being looked for."""
        self.cancel()

        def work(on_step: Callable[[int, int], None]) -> Recommendation:
            def on_progress(done: int, total: int) -> None:
                on_step(done, total)
                self._wait(on_step, total)

            with switching_often():
                return recommend(
                    self._snap, current=asked.current, agent_id=asked.agent_id, objective="cost", progress=on_progress
                )

        def on_end(outcome: Recommendation | Exception) -> None:
            self._task, self.share = None, None
            if isinstance(outcome, Exception):
                self.problem = f"Looking for a better setting failed: {outcome}"
            else:
                self._found[asked] = outcome
            self._on_change()

        def on_share(share: float) -> None:
            if self._task is task:
                self.share = share
                self._on_change()

        task = BackgroundTask(work, on_share, on_end)
        self.problem, self.share, self._task, self._latest = "", 0.0, task, task
        self._on_change()
        task.start()  # last, since it may end at once

    def _wait(self, on_step: Callable[[int, int], None], total: int) -> None:
        """Wait while a slider moves, unless the work is cancelled."""
        while (wait := self._quiet_at - monotonic()) > 0:
            sleep(min(wait, 0.1))
            on_step(0, total)

    def _on_change(self) -> None:
        if (tell := self._tell()) is not None:
            tell()

    def cancel(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            self._task, self.share = None, None
            self._on_change()

    def make_way(self) -> None:
        """Let a slider move: the work goes on when it rests."""
        self._quiet_at = monotonic() + _QUIET

    def join(self, timeout: float) -> None:
        """Wait for the end of the work."""
        if (task := self._latest) is not None:
            task.join(timeout)
