"""What long reads and writes need of the process: a progress bar, and a pause of the garbage collector.

Reading makes many records, and each collection would walk over all objects of a notebook. Records hold no cycles, so
reference counts free them.
"""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

__all__ = ["Bar", "paused_collector"]

_SHOWN_AFTER = 0.5  # seconds; shorter work needs no bar
_SHARE = "{l_bar}{bar}| [{elapsed}<{remaining}{postfix}]"


class Bar:
    """Show progress on standard error, as a context manager: in bytes or other units; without a unit, as a share."""

    def __init__(self, label: str, *, shown: bool = True, unit: str = "B") -> None:
        self._label, self._shown, self._unit = label, shown, unit
        self._bar: Any = None

    def __enter__(self) -> Self:
        if not self._shown:  # tqdm takes a semaphore of the system, which a worker that is killed would leave behind
            return self
        from tqdm.auto import tqdm

        self._bar = tqdm(
            desc=self._label,
            unit=self._unit,
            unit_scale=True,
            unit_divisor=1024 if self._unit == "B" else 1000,
            bar_format=None if self._unit else _SHARE,
            delay=_SHOWN_AFTER,
            leave=False,
            disable=None,  # shown only where standard error is a terminal or a notebook
        )
        return self

    def __call__(self, done: int, total: int) -> None:
        """Report progress: the amount just done, and the total so far (0 if unknown)."""
        if self._bar is None:
            return
        if total:
            self._bar.total = total
        self._bar.update(done)

    def remark(self, text: str) -> None:
        """Show a text after the numbers of the bar."""
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)

    def end(self, text: str) -> None:
        """Show what goes on after the last step, which the bar does not count."""
        self.remark(text)
        if self._bar is not None:
            self._bar.refresh()

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


_LOCK = threading.Lock()
_pauses = 0
_was_enabled = False


@contextmanager
def paused_collector() -> Iterator[None]:
    """Pause the garbage collector until the last pause of any thread ends; if it was off before, it stays off."""
    global _pauses, _was_enabled  # noqa: PLW0603  one collector per process, so one counter
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
