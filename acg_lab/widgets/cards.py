"""The numbers that decide, as HTML: each as it is now, as it is in production, and the difference.

Belongs here: words and marks of numbers. What they are is told by `acg_lab.widgets.standing`.
"""

from collections.abc import Callable, Iterable
from html import escape
from typing import NamedTuple

from acg_lab._format import change, percent, tokens

__all__ = ["Card", "cards", "difference"]


class Card(NamedTuple):
    """One number.

    Attributes
    ----------
    name : str
        For programs: ``data-name`` of the element.
    label, unit, below : str
        Above, behind and below it, plain text.
    now, current : float
    write : callable
        Number to text.
    role : str
        What is compared with: ``current``, or ``default``.
    is_stale : bool
        Whether it is still that of an older setting.
    """

    name: str
    label: str
    now: float
    current: float
    write: Callable[[float], str]
    role: str
    unit: str = ""
    below: str = ""
    is_stale: bool = False

    def html(self) -> str:
        """Return the element."""
        stale = " acg-stale" if self.is_stale else ""
        unit = f' <span class="acg-unit">{escape(self.unit)}</span>' if self.unit else ""
        below = " · ".join(filter(None, (escape(self.below), self._compared())))
        return (
            f'<div class="acg-number{stale}" data-name="{self.name}" title="{escape(self.label)}">'
            f'<div class="acg-label">{escape(self.label)}</div>'
            f'<div class="acg-value"><span data-part="now">{escape(self.write(self.now))}</span>{unit}</div>'
            f'<div class="acg-below">{below}</div></div>'
        )

    def _compared(self) -> str:
        mark = difference(self.now, self.current, self.write)
        return f'{self.role} <span data-part="current">{escape(self.write(self.current))}</span> {mark}'


def difference(now: float, current: float, write: Callable[[float], str]) -> str:
    """Return the difference with its sign, marked as better or worse; nothing where the text would be the same."""
    if write(now) == write(current):
        return ""
    is_share = write is percent
    size = (now - current) * 100 if is_share else now - current
    exact = abs(size) < (10 if is_share else 1)  # 97% and 96% may well be 1.7 points apart
    text = change(f"{abs(size):.1f}" if exact else tokens(abs(size)), size) + (" pts" if is_share else "")
    return f'<span data-part="change" class="{"acg-better" if size > 0 else "acg-worse"}">{escape(text)}</span>'


def cards(found: Iterable[Card]) -> str:
    """Return all numbers in a row."""
    return f'<div class="acg-numbers">{"".join(card.html() for card in found)}</div>'
