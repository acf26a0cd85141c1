"""Pausing Python's cyclic garbage collector.

Belongs here: what keeps it from walking over a whole notebook's objects, again and again, because a read or a replay
makes many records. None of those hold cycles: reference counts free them.
"""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["paused_collector"]

_LOCK = threading.Lock()
_pauses = 0
_was_enabled = False


@contextmanager
def paused_collector() -> Iterator[None]:
    """Pause the collector; it goes on, if it was enabled, when the last pause of any thread has ended."""
    global _pauses, _was_enabled  # noqa: PLW0603  the collector is one for the process, and so is this
    with _LOCK:
        if not _pauses:
            _was_enabled = gc.isenabled()
            gc.disable()
        _pauses += 1
    try:
        yield
    finally:
        with _LOCK:
            _pauses -= 1
            if not _pauses and _was_enabled:
                gc.enable()
