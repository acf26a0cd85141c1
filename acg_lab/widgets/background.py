"""Long work beside the sliders: a thread that tells how far it is and stops when it is no longer wanted.

What was known in each observation window, and replaying those that are not known yet beside the sliders.

Belongs here: which windows are there, and one walk at a time. What a window is, is told in `acg_lab.widgets.windows`.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from threading import Event, Thread
from time import monotonic
from typing import Final, Generic, TypeVar

from acg_lab.history import Trace
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.widgets.windows import Window, make_window, walk_window

__all__ = ["BackgroundWalk", "WindowHistory"]

T = TypeVar("T")


class _Cancelled(Exception):  # noqa: N818 -- no error: nobody sees it
    """The work is no longer wanted."""


class BackgroundWalk(Generic[T]):
    """One piece of work in a thread of its own.

    Parameters
    ----------
    work : callable
        Given ``tell(done, total)``, to be called often with what was done since the last call; returns the outcome.
    on_progress : callable
        Given the share done, 0 to 1, at most once a hundredth; called in the thread.
    on_end : callable
        Given the outcome, or the exception that the work ended with; called in the thread, and not after `cancel`.
    """

    def __init__(
        self,
        work: Callable[[Callable[[int, int], None]], T],
        on_progress: Callable[[float], None],
        on_end: Callable[[T | Exception], None],
    ) -> None:
        self._cancelled = Event()
        self._done = 0
        self._told = 0.0
        self._thread = Thread(target=self._run, args=(work, on_progress, on_end), daemon=True, name="acg-lab walk")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether it is still at work."""
        return self._thread.is_alive()

    def cancel(self) -> None:
        """Stop the work at its next sign of life."""
        self._cancelled.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end."""
        self._thread.join(timeout)

    def _run(
        self,
        work: Callable[[Callable[[int, int], None]], T],
        on_progress: Callable[[float], None],
        on_end: Callable[[T | Exception], None],
    ) -> None:
        def tell(done: int, total: int) -> None:
            if self._cancelled.is_set():
                raise _Cancelled
            self._done += done
            share = min(self._done / total, 1.0) if total else 1.0
            if share - self._told >= 0.01:  # noqa: PLR2004
                self._told = share
                on_progress(share)

        try:
            outcome: T | Exception = work(tell)
        except _Cancelled:
            return
        except Exception as error:  # noqa: BLE001 -- shown by whoever asked for the work
            outcome = error
        if not self._cancelled.is_set():
            on_end(outcome)


_KEPT: Final = 8


class WindowHistory:
    """The windows of a snapshot.

    Parameters
    ----------
    snap : Snapshot
        Read, never changed.
    trace : Trace, optional
        What is walked already; else it is that of the first walk, which has all requests as well.
    on_progress : callable
        Given a line that says what is being walked and how far, empty at the end; called in the walking thread.
    on_end : callable
        Given why a walk failed, or None; called in the walking thread.
    """

    def __init__(
        self,
        snap: Snapshot,
        trace: Trace | None,
        on_progress: Callable[[str], None],
        on_end: Callable[[str | None], None],
    ) -> None:
        self._snap, self.trace = snap, trace
        self._on_progress, self._on_end = on_progress, on_end
        self._windows: OrderedDict[int, Window] = OrderedDict()
        self._walk: tuple[int, BackgroundWalk[Window]] | None = None
        self._latest: BackgroundWalk[Window] | None = None  # may still be telling of its end
        self._is_closed = False

    def find(self, size: int) -> Window | None:
        """Return a window; None if it must be walked first."""
        if size not in self._windows and (trace := self._trace_of(size)) is not None:
            self._keep(make_window(self._snap, size, trace))
        if size in self._windows:
            self._windows.move_to_end(size)
        return self._windows.get(size)

    def prepare(self, size: int) -> Window:
        """Return a window at once, if need be without its trace."""
        if (window := self.find(size)) is None:
            window = make_window(self._snap, size, None)
            self._keep(window)
        return window

    def _trace_of(self, size: int) -> Trace | None:
        return self.trace if self.trace is not None and size in self.trace.windows else None

    def _keep(self, window: Window) -> None:
        self._windows[window.size] = window
        self._windows.move_to_end(window.size)
        while len(self._windows) > _KEPT:
            self._windows.popitem(last=False)

    def follow(self, sizes: Iterable[int]) -> None:
        """Walk the last of these windows that is not known yet, in the background, and nothing else."""
        missing = [size for size in sizes if (found := self.find(size)) is None or found.trace is None]
        if self._walk is not None:
            if missing and self._walk[0] == missing[-1]:
                return
            self._stop()
        if missing and self._snap.windows and not self._is_closed:
            self._start(missing[-1])

    def _start(self, size: int) -> None:
        what = f"replaying observation_window = {size:,}"

        def on_end(outcome: Window | Exception) -> None:
            self._walk = None
            self._on_progress("")
            if isinstance(outcome, Exception):
                self._on_end(f"Replaying observation_window = {size:,} failed: {outcome}")
            else:
                self._keep(outcome)
                self.trace = self.trace if self.trace is not None else outcome.trace
                self._on_end(None)

        self._on_progress(f"{what}: 0%")
        walk = BackgroundWalk(
            lambda tell: walk_window(self._snap, size, tell),
            lambda share: self._on_progress(f"{what}: {share:.0%}"),
            on_end,
        )
        self._walk, self._latest = (size, walk), walk
        walk.start()  # not before: it may end at once

    def close(self) -> None:
        """Stop walking, for good."""
        self._is_closed = True
        self._stop()

    def _stop(self) -> None:
        if self._walk is not None:
            self._walk[1].cancel()
            self._walk = None
            self._on_progress("")

    def join(self, timeout: float = 60.0) -> None:
        """Wait until nothing is being walked any more, or so many seconds."""
        end = monotonic() + timeout
        while (walk := self._latest) is not None and walk.is_alive and (left := end - monotonic()) > 0:
            walk.join(left)
