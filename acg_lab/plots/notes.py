"""Texts that may need several lines.

Belongs here: breaking them at spaces, and writing them at the foot of a page.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from acg_lab.plots.fonts import Size, text_width
from acg_lab.plots.layout import MARGIN

if TYPE_CHECKING:
    from acg_lab.plots.layout import Page

__all__ = ["LINE", "draw_note", "wrap"]

LINE: Final = 0.14
_LAST: Final = 0.13  # above the lower edge


def wrap(text: str, size: float, room: float) -> list[str]:
    """Break a text into lines that have the room, at single spaces; a word that is too long stands alone."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and text_width(f"{lines[-1]} {word}", size) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def draw_note(page: "Page", lines: Sequence[str]) -> None:
    """Write a note of several lines at the foot."""
    for number, line in enumerate(lines):
        y = page.height - _LAST - LINE * (len(lines) - 1 - number)
        page.label(MARGIN, y, line.strip(), gid=f"note-{number}", size=Size.NOTE)
