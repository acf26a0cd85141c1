"""One number as HTML: as it would be, as it is, and the difference."""

from collections.abc import Callable
from html import escape
from typing import NamedTuple

from acg_lab._format import change, percent, tokens

__all__ = ["Tile", "format_difference"]


class Tile(NamedTuple):
    """One number.

    Attributes
    ----------
    name : str
        ``data-name`` of the element, for programs.
    label, unit, below : str
        Plain text above, after and below the number.
    tried, current : float
        Under the settings being tried, and under those they are compared with.
    write : callable
        Returns a number as text.
    role : str
        Name of the settings compared with: ``current`` or ``default``.
    is_stale : bool
        Whether the number still belongs to older settings.
    is_cost : bool
        Whether less is better.
    is_warned : bool
        Whether the change costs something or does nothing, whatever the number says.
    """

    name: str
    label: str
    tried: float
    current: float
    write: Callable[[float], str]
    role: str
    unit: str = ""
    below: str = ""
    is_stale: bool = False
    is_cost: bool = False
    is_warned: bool = False

    def html(self) -> str:
        """Return the element."""
        stale = (" acg-stale" if self.is_stale else "") + (" acg-warned" if self.is_warned else "")
        unit = f' <span class="acg-unit">{escape(self.unit)}</span>' if self.unit else ""
        below = " · ".join(filter(None, (escape(self.below), self._compared())))
        return (
            f'<div class="acg-number{stale}" data-name="{self.name}" title="{escape(self.label)}">'
            f'<div class="acg-label">{escape(self.label)}</div>'
            f'<div class="acg-value"><span data-part="tried">{escape(self.write(self.tried))}</span>{unit}</div>'
            f'<div class="acg-below">{below}</div></div>'
        )

    def _compared(self) -> str:
        mark = format_difference(self.tried, self.current, self.write, is_cost=self.is_cost, is_warned=self.is_warned)
        return f'{self.role} <span data-part="current">{escape(self.write(self.current))}</span> {mark}'


def format_difference(
    tried: float, current: float, write: Callable[[float], str], *, is_cost: bool = False, is_warned: bool = False
) -> str:
    """Return the difference with its sign, marked as better or worse; empty if both numbers read the same."""
    if write(tried) == write(current):
        return ""
    is_share = write is percent
    size = (tried - current) * 100 if is_share else tried - current
    exact = abs(size) < (10 if is_share else 1)  # 97% and 96% may be 1.7 points apart
    amount = write(abs(size)) if is_cost else f"{abs(size):.1f}" if exact else tokens(abs(size))
    text = change(amount, size) + (" pts" if is_share else "")
    is_better = (size < 0 if is_cost else size > 0) and not is_warned
    return f'<span data-part="change" class="{"acg-better" if is_better else "acg-worse"}">{escape(text)}</span>'
