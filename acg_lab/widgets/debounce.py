"""When to draw: once as soon as the event loop is free, and again when changes pause.

Of several changes during a redraw, only the last is drawn. Without an event loop, in plain Python, everything is drawn
at once.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from weakref import WeakMethod

__all__ = ["Debouncer"]

_PAUSE, _GAP = 0.25, 0.005  # seconds: without a change, and between the methods called then


class Debouncer:
    """Calls bound methods after changes, without keeping their object alive.

    Parameters
    ----------
    soon : bound method
        Called as soon as the loop is free.
    *rest : bound methods
        Called one after the other when nothing has changed for a while; a change in between goes first.
    """

    def __init__(self, soon: Callable[[], None], *rest: Callable[[], None]) -> None:
        self._soon, self._rest = WeakMethod(soon), tuple(map(WeakMethod, rest))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waits_on: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    def request(self, *, only_rest: bool = False) -> None:
        """Ask for a redraw after a change; with ``only_rest``, what ``soon`` draws is already drawn."""
        if self._is_closed:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._from_outside(only_rest=only_rest)
            return
        self._loop = loop
        # Compare the loops, since the front end and a running cell may have one each.
        if self._waits_on is not loop and not only_rest:
            self._waits_on = loop
            loop.call_soon(self._run)
        self._cancel()
        self._timer = loop.call_later(_PAUSE, self._run_rest, 0)

    @property
    def has_loop(self) -> bool:
        """Whether there was an event loop, and so a front end."""
        return self._loop is not None

    def close(self) -> None:
        """Call nothing any more."""
        self._is_closed = True
        self._cancel()
        self._loop = self._waits_on = None

    def _from_outside(self, *, only_rest: bool) -> None:
        """Hand over to the loop in use, as from a background thread; without one, call at once."""
        if self._loop is not None and self._loop.is_running():
            self._loop.call_soon_threadsafe(partial(self.request, only_rest=only_rest))
            return
        if not only_rest:
            self._call(self._soon)
        for rest in self._rest:
            self._call(rest)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _run(self) -> None:
        self._waits_on = None
        if not self._is_closed:
            self._call(self._soon)

    def _run_rest(self, number: int) -> None:
        if number + 1 < len(self._rest):
            self._timer = asyncio.get_running_loop().call_later(_GAP, self._run_rest, number + 1)
        self._call(self._rest[number])

    @staticmethod
    def _call(method: "WeakMethod[Callable[[], None]]") -> None:
        if (call := method()) is not None:
            call()
