"""A progress bar for long reads and writes."""

from typing import Any, Self

__all__ = ["Bar"]

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
