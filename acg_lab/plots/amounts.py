"""Amounts on plots of cost: dollars where every request has a price, else uncached tokens, else tokens.

Invariant: one figure has one unit.
"""

from enum import StrEnum

from acg_lab._format import money, tokens

__all__ = ["Unit", "round_money"]

_WHOLE: float = 100.0  # dollars from which cents say nothing


class Unit(StrEnum):
    """What the amounts of one figure are; the value is the name for an axis.

    ``RELATIVE`` are tokens weighted by what they cost relative to uncached ones.
    """

    MONEY = "US dollars"
    RELATIVE = "uncached tokens"
    TOKENS = "tokens"

    def text(self, amount: float) -> str:
        """Return an amount as text."""
        return round_money(amount) if self is Unit.MONEY else tokens(amount)

    def named(self, amount: float) -> str:
        """Return an amount with its unit, for a sentence."""
        return self.text(amount) if self is Unit.MONEY else f"{tokens(amount)} {self.value}"


def round_money(dollars: float) -> str:
    """Return dollars, without cents where these say nothing.

    >>> round_money(3.0753), round_money(219.7)
    ('$3.08', '$220')
    """
    return money(dollars) if abs(dollars) < _WHOLE else f"${dollars:,.0f}".replace("$-", "\N{MINUS SIGN}$")
