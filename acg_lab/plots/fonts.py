"""Type: sizes, families, how wide a text is, and which characters can be drawn.

Belongs here: all that hangs on the fonts. They are those that matplotlib ships, so that a figure is the same on every
machine.
"""

import unicodedata
from functools import lru_cache
from typing import Any, Final

__all__ = ["MONO", "SANS", "Size", "drawable", "text_width"]

_HINTED: Final = 1.026
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


def text_width(text: str, size: float, *, mono: bool = False, bold: bool = False) -> float:
    """Return how wide a text may get, in inches: hinting widens it by up to 2.6% at 100 dpi, and less at others."""
    return sum(_advance(character, mono, bold) for character in text) * size / 72 * _HINTED


def drawable(text: str, *, mono: bool = False) -> str:
    r"""Return the text with characters that the font lacks, and those that only control, written as ``\uXXXX``.

    A name stays one line that can be read, searched and told from others, and no renderer warns.
    """
    return text if text.isascii() and text.isprintable() else "".join(_visible(c, mono) for c in text)


@lru_cache(maxsize=4096)
def _visible(character: str, mono: bool) -> str:  # noqa: FBT001
    code = ord(character)
    in_fonts = all(code in _charmap(mono, bold) for bold in (False, True))
    if character == " " or (in_fonts and unicodedata.category(character)[0] not in "CZ"):
        return character
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004


@lru_cache(maxsize=8192)
def _advance(character: str, mono: bool, bold: bool) -> float:  # noqa: FBT001
    """Return how far a character moves on, in em."""
    from matplotlib.ft2font import LoadFlags

    glyph = _font(mono, bold).load_char(ord(character), flags=LoadFlags.NO_SCALE | LoadFlags.NO_HINTING)
    return float(glyph.horiAdvance / _font(mono, bold).units_per_EM)


@lru_cache(maxsize=4)
def _charmap(mono: bool, bold: bool) -> frozenset[int]:  # noqa: FBT001
    return frozenset(_font(mono, bold).get_charmap())


@lru_cache(maxsize=4)
def _font(mono: bool, bold: bool) -> Any:  # noqa: FBT001
    from matplotlib.font_manager import FontProperties, findfont
    from matplotlib.ft2font import FT2Font

    return FT2Font(findfont(FontProperties(family=MONO if mono else SANS, weight="bold" if bold else "normal")))
