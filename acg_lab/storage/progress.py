"""A progress bar for long reads and writes."""

from typing import Any, Self

__all__ = ["Bar"]

_SHOWN_AFTER = 0.5  # seconds: what is done at once needs no bar


class Bar:
    """Shows bytes read, on standard error, while it is entered."""

    def __init__(self, label: str, *, shown: bool = True) -> None:
        self._label, self._shown = label, shown
        self._bar: Any = None

    def __enter__(self) -> Self:
        from tqdm.auto import tqdm

        self._bar = tqdm(
            desc=self._label,
            unit="B",
            unit_scale=True,
            unit_divisor=1024,
            delay=_SHOWN_AFTER,
            leave=False,
            disable=None if self._shown else True,  # None: only where standard error is a terminal or a notebook
        )
        return self

    def __call__(self, n_bytes: int, total: int) -> None:
        """Take in the bytes just read, and the total as far as it is known (0: not)."""
        if total:
            self._bar.total = total
        self._bar.update(n_bytes)

    def __exit__(self, *_: object) -> None:
        self._bar.close()
