"""Room for words: a name in a title, the parts of a subtitle, labels in a line.

Belongs here: cutting and moving texts, by their widths in inches, until they have room. No drawing.
"""

from collections.abc import Sequence
from typing import Final

from acg_lab._format import cut, joined
from acg_lab.plots.fonts import Size, text_width

__all__ = ["fit_name", "fit_parts", "spread"]

_SHORTEST_NAME: Final = 10


def fit_name(title: str, name: str, room: float) -> str:
    """Return the name that stands for ``{name}`` in a title, cut to what room is left, but not below 10 characters."""
    room -= text_width(title.replace("{name}", ""), Size.TITLE, bold=True)
    widths = range(len(name), _SHORTEST_NAME, -1)
    fits = (cut(name, n) for n in widths if text_width(cut(name, n), Size.TITLE, bold=True) <= room)
    return next(fits, cut(name, _SHORTEST_NAME))


def fit_parts(parts: list[str], room: float) -> list[str]:
    """Cut long names while the line is too long, then leave parts out from the end."""
    while len(parts) > 1 and text_width(joined(*parts), Size.SUBTITLE) > room:
        longest = max(range(len(parts)), key=lambda i: 0 if " " in parts[i] else len(parts[i]))
        if len(parts[longest]) > 2 * _SHORTEST_NAME and " " not in parts[longest]:
            parts[longest] = cut(parts[longest], len(parts[longest]) - 1)
        else:
            parts = parts[:-1]
    return parts


def spread(middles: Sequence[float], sizes: Sequence[float], gap: float, least: float, most: float) -> list[float]:
    """Move labels in a line apart, as little as need be, so that none overlap; in order, from ``least`` to ``most``."""
    placed: list[float] = []
    for middle, size in zip(middles, sizes, strict=True):
        before = placed[-1] + sizes[len(placed) - 1] / 2 + gap if placed else least
        placed.append(max(middle, before + size / 2))
    for i in reversed(range(len(placed))):
        after = placed[i + 1] - sizes[i + 1] / 2 - gap if i + 1 < len(placed) else most
        placed[i] = min(placed[i], after - sizes[i] / 2)
    return placed
