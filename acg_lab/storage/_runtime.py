"""A progress bar for long reads and writes.

Pausing Python's cyclic garbage collector.

Belongs here: what keeps it from walking over a whole notebook's objects, again and again, because a read or a replay
makes many records. None of those hold cycles: reference counts free them.
"""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

__all__ = ["Bar", "paused_collector"]

_SHOWN_AFTER = 0.5  # seconds: what is done at once needs no bar


class Bar:
    """Shows what is done, bytes or other units, on standard error, while it is entered."""

    def __init__(self, label: str, *, shown: bool = True, unit: str = "B") -> None:
        self._label, self._shown, self._unit = label, shown, unit
        self._bar: Any = None

    def __enter__(self) -> Self:
        from tqdm.auto import tqdm

        self._bar = tqdm(
            desc=self._label,
            unit=self._unit,
            unit_scale=True,
            unit_divisor=1024 if self._unit == "B" else 1000,
            delay=_SHOWN_AFTER,
            leave=False,
            disable=None if self._shown else True,  # None: only where standard error is a terminal or a notebook
        )
        return self

    def __call__(self, done: int, total: int) -> None:
        """Take in what was done just now, and the total as far as it is known (0: not)."""
        if total:
            self._bar.total = total
        self._bar.update(done)

    def __exit__(self, *_: object) -> None:
        self._bar.close()


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
