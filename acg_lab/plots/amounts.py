"""Amounts on plots of cost: dollars where every request has a price, else uncached tokens.

Invariant: one figure has one unit.
"""

from typing import NamedTuple

from acg_lab._format import money, tokens

__all__ = ["Unit", "round_money"]

_WHOLE: float = 100.0  # dollars from which cents say nothing


class Unit(NamedTuple):
    """What the amounts of one figure are: dollars, or uncached tokens."""

    is_money: bool

    @property
    def name(self) -> str:
        """Return the name for an axis."""
        return "US dollars" if self.is_money else "uncached tokens"

    def text(self, amount: float) -> str:
        """Return an amount as text."""
        return round_money(amount) if self.is_money else tokens(amount)

    def counted(self, amount: float) -> str:
        """Return an amount with its unit, for a sentence."""
        return self.text(amount) if self.is_money else f"{tokens(amount)} uncached tokens"


def round_money(dollars: float) -> str:
    """Return dollars, without cents where these say nothing.

    >>> round_money(3.0753), round_money(219.7)
    ('$3.08', '$220')
    """
    return money(dollars) if abs(dollars) < _WHOLE else f"${dollars:,.0f}".replace("$-", "\N{MINUS SIGN}$")
