"""When to draw: the last of many changes first, then what can wait, and nothing after closing."""

import asyncio
import gc
import threading
import weakref

from acg_lab.widgets.debounce import Debouncer


class Seen:
    """Records its calls."""

    def __init__(self):
        self.calls, self.again = [], None
        self.newest = Debouncer(self.soon, self.first, self.second)

    def soon(self):
        self.calls.append("soon")

    def first(self):
        self.calls.append("first")
        if self.again:
            self.again()

    def second(self):
        self.calls.append("second")


def test_without_a_loop():
    """Without an event loop everything is called at once."""
    seen = Seen()
    seen.newest.request()
    assert seen.calls == ["soon", "first", "second"]
    seen.newest.request(only_rest=True)
    assert seen.calls[3:] == ["first", "second"]


def test_on_a_loop():
    """Many changes are drawn once, then the rest follows."""

    async def change():
        seen = Seen()
        for _ in range(20):
            seen.newest.request()
        assert seen.calls == []
        await asyncio.sleep(0.01)
        assert seen.calls == ["soon"]
        await asyncio.sleep(0.6)
        assert seen.calls == ["soon", "first", "second"]

    asyncio.run(change())


def test_a_change_in_between():
    """A change between two parts of the rest is drawn first, and the rest starts again."""

    async def change():
        seen = Seen()
        seen.newest.request()
        seen.again = lambda: (setattr(seen, "again", None), seen.newest.request())
        await asyncio.sleep(1.2)
        assert seen.calls == ["soon", "first", "soon", "first", "second"]

    asyncio.run(change())


def test_from_another_thread():
    """A change in a thread is drawn on the loop that is in use."""

    async def change():
        seen, where = Seen(), []
        seen.newest.request(only_rest=True)
        await asyncio.sleep(0.6)
        seen.again = lambda: where.append(threading.current_thread())
        await asyncio.to_thread(seen.newest.request)
        await asyncio.sleep(0.6)
        assert seen.calls[2:] == ["soon", "first", "second"]
        assert where == [threading.main_thread()]

    asyncio.run(change())


def test_the_end():
    """After closing nothing is called, and nothing is kept alive."""

    async def change():
        seen, other = Seen(), Seen()
        seen.newest.request()
        seen.newest.close()
        seen.newest.request()
        other.newest.request()
        ref = weakref.ref(other)
        del other
        gc.collect()
        assert ref() is None
        await asyncio.sleep(0.6)
        assert seen.calls == []

    asyncio.run(change())
