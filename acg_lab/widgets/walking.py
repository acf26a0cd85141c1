"""Long work beside the sliders: a thread that tells how far it is and stops when it is no longer wanted."""

from collections.abc import Callable
from threading import Event, Thread
from typing import Generic, TypeVar

__all__ = ["Walk"]

T = TypeVar("T")


class _Cancelled(Exception):  # noqa: N818 -- no error: nobody sees it
    """The work is no longer wanted."""


class Walk(Generic[T]):
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
