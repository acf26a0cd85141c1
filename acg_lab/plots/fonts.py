"""Type: sizes, families, how wide a text is, and which characters can be drawn.

Belongs here: all that hangs on the fonts. They are those that matplotlib ships, so that a figure is the same on every
machine.
"""

import unicodedata
from functools import lru_cache
from typing import Any, Final

__all__ = ["MONO", "SANS", "Size", "advance", "drawable", "font_of", "text_width"]

SANS: Final = "DejaVu Sans"
MONO: Final = "DejaVu Sans Mono"


class Size:
    """Sizes in points, by element."""

    TITLE: Final = 11.5
    SUBTITLE: Final = 9.0
    AXIS: Final = 8.5
    HEADING: Final = 8.0
    ROW: Final = 8.0
    LABEL: Final = 8.0
    NAME: Final = 7.5
    NOTE: Final = 7.5
    SMALLEST: Final = 7.0


@lru_cache(maxsize=8192)
def text_width(text: str, size: float, *, mono: bool = False, bold: bool = False) -> float:
    """Return the width of a text in inches, at any resolution; kerning is left out, by `outlined_text` too."""
    return sum(advance(character, mono, bold) for character in text) * size / 72


def drawable(text: str, *, mono: bool = False) -> str:
    r"""Return the text with characters that the font lacks, that only control, or that need others, as ``\uXXXX``.

    Outlines are put side by side from left to right, so marks that combine and scripts from right to left are among
    them. A name stays one line that can be read, searched and told from others, and no renderer warns.
    """
    return text if text.isascii() and text.isprintable() else "".join(_visible(c, mono) for c in text)


@lru_cache(maxsize=4096)
def _visible(character: str, mono: bool) -> str:  # noqa: FBT001
    code = ord(character)
    in_fonts = all(code in _charmap(mono, bold) for bold in (False, True))
    alone = unicodedata.category(character)[0] not in "CZM" and unicodedata.bidirectional(character) not in ("R", "AL")
    if character == " " or (in_fonts and alone):
        return character
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004


@lru_cache(maxsize=8192)
def advance(character: str, mono: bool, bold: bool, italic: bool = False) -> float:  # noqa: FBT001, FBT002
    """Return how far a character moves on, in em."""
    from matplotlib.ft2font import LoadFlags

    font = font_of(mono, bold, italic)
    glyph = font.load_char(ord(character), flags=LoadFlags.NO_SCALE | LoadFlags.NO_HINTING)
    return float(glyph.horiAdvance / font.units_per_EM)


@lru_cache(maxsize=4)
def _charmap(mono: bool, bold: bool) -> frozenset[int]:  # noqa: FBT001
    return frozenset(font_of(mono, bold).get_charmap())


@lru_cache(maxsize=8)
def font_of(mono: bool, bold: bool, italic: bool = False) -> Any:  # noqa: FBT001, FBT002
    """Return one of the fonts that matplotlib ships."""
    from matplotlib.font_manager import FontProperties, findfont
    from matplotlib.ft2font import FT2Font

    style: Any = {"weight": "bold" if bold else "normal", "style": "italic" if italic else "normal"}
    return FT2Font(findfont(FontProperties(family=MONO if mono else SANS, **style)))
