"""Observation windows, replayed in a background thread while sliders move.

`BackgroundTask` runs one piece of work that can be cancelled; `WindowHistory` keeps the observation windows of a
snapshot and replays those that are not known yet, one at a time.
"""

import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic
from typing import Final, Generic, TypeVar

from acg_lab.history import Trace
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.widgets.windows import Window, make_window, replay_window

__all__ = ["BackgroundTask", "WindowHistory", "switching_often"]

T = TypeVar("T")
_KEPT: Final = 8  # windows
_REPORTED: Final = 0.01  # share between two reports of progress
_SWITCH: Final = 0.0005  # seconds that background work may keep the interpreter from a slider


class _Cancelled(Exception):  # noqa: N818 -- not an error: nobody sees it
    """The work is no longer wanted."""


@contextmanager
def switching_often() -> Iterator[None]:
    """Give the interpreter to other threads more often than Python does, which is every 5 ms."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, _SWITCH))
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class BackgroundTask(Generic[T]):
    """One piece of work in a thread of its own.

    Parameters
    ----------
    work : callable
        Called with ``on_step(done, total)``, which it calls often with what it has done since the last call; returns
        the outcome.
    on_progress : callable
        Called in the thread with the share done, 0 to 1, at most 100 times.
    on_end : callable
        Called in the thread with the outcome, or with the exception that ended the work; not called after `cancel`.
    """

    def __init__(
        self,
        work: Callable[[Callable[[int, int], None]], T],
        on_progress: Callable[[float], None],
        on_end: Callable[[T | Exception], None],
    ) -> None:
        self._cancelled = Event()
        self._done = 0
        self._reported = 0.0
        self._thread = Thread(target=self._run, args=(work, on_progress, on_end), daemon=True, name="acg-lab replay")

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread is running."""
        return self._thread.is_alive()

    def cancel(self) -> None:
        """Stop the work at its next step."""
        self._cancelled.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end of the thread."""
        self._thread.join(timeout)

    def _run(
        self,
        work: Callable[[Callable[[int, int], None]], T],
        on_progress: Callable[[float], None],
        on_end: Callable[[T | Exception], None],
    ) -> None:
        def on_step(done: int, total: int) -> None:
            if self._cancelled.is_set():
                raise _Cancelled
            self._done += done
            share = min(self._done / total, 1.0) if total else 1.0
            if share - self._reported >= _REPORTED:
                self._reported = share
                on_progress(share)

        try:
            outcome: T | Exception = work(on_step)
        except _Cancelled:
            return
        except Exception as error:  # noqa: BLE001 -- shown by whoever asked for the work
            outcome = error
        if not self._cancelled.is_set():
            on_end(outcome)


class WindowHistory:
    """The observation windows of a snapshot.

    Parameters
    ----------
    snap : Snapshot
        Read, never changed.
    trace : Trace, optional
        What has been replayed already; the trace of the first replay when left out.
    on_progress : callable
        Called in the thread with a line on what is being replayed and how far; empty at the end.
    on_end : callable
        Called in the thread with the reason why a replay failed, or None.
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
        self._task: tuple[int, BackgroundTask[Window]] | None = None
        self._latest: BackgroundTask[Window] | None = None  # may still be reporting its end
        self._is_closed = False

    def find(self, size: int) -> Window | None:
        """Return a window; None if it must be replayed first."""
        if size not in self._windows and (trace := self._trace_of(size)) is not None:
            self._keep(make_window(self._snap, size, trace))
        if size in self._windows:
            self._windows.move_to_end(size)
        return self._windows.get(size)

    def prepare(self, size: int) -> Window:
        """Return a window at once, without its trace if that is not known yet."""
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
        """Replay the last of these windows that is not known yet in the background, and nothing else."""
        missing = [size for size in sizes if (found := self.find(size)) is None or found.trace is None]
        if self._task is not None:
            if missing and self._task[0] == missing[-1]:
                return
            self._stop()
        if missing and self._snap.windows and not self._is_closed:
            self._start(missing[-1])

    def _start(self, size: int) -> None:
        what = f"replaying observation_window = {size:,}"

        def on_end(outcome: Window | Exception) -> None:
            self._task = None
            self._on_progress("")
            if isinstance(outcome, Exception):
                self._on_end(f"Replaying observation_window = {size:,} failed: {outcome}")
            else:
                self._keep(outcome)
                self.trace = self.trace if self.trace is not None else outcome.trace
                self._on_end(None)

        self._on_progress(f"{what}: 0%")
        task = BackgroundTask(
            lambda on_step: replay_window(self._snap, size, on_step),
            lambda share: self._on_progress(f"{what}: {share:.0%}"),
            on_end,
        )
        self._task, self._latest = (size, task), task
        task.start()  # last, since it may end at once

    def close(self) -> None:
        """Stop replaying, for good."""
        self._is_closed = True
        self._stop()

    def _stop(self) -> None:
        if self._task is not None:
            self._task[1].cancel()
            self._task = None
            self._on_progress("")

    def join(self, timeout: float = 60.0) -> None:
        """Wait until nothing is being replayed any more, at most ``timeout`` seconds."""
        end = monotonic() + timeout
        while (task := self._latest) is not None and task.is_alive and (left := end - monotonic()) > 0:
            task.join(left)
