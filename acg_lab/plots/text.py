"""Type: fonts and sizes, how wide a text is, which characters can be drawn, and fitting texts into a width.

Only the fonts that matplotlib ships are used, so that a figure is the same on every machine. Texts are drawn as
outlines, kept by character: several times faster than matplotlib's own text, and as wide as measured at every dpi.
"""

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from acg_lab._format import cut, joined

if TYPE_CHECKING:
    from matplotlib.path import Path
    from matplotlib.text import Text

__all__ = [
    "MONO",
    "SANS",
    "Face",
    "Size",
    "advance",
    "drawable",
    "fit_lines",
    "fit_name",
    "fit_parts",
    "font_of",
    "outlined_text",
    "shorten",
    "spread",
    "text_width",
    "wrap",
]

SANS: Final = "DejaVu Sans"
MONO: Final = "DejaVu Sans Mono"
Face: TypeAlias = tuple[bool, bool, bool]  # mono, bold, italic
_SHORTEST_NAME: Final = 10
_NARROWEST: Final = 0.16  # em: of the characters that are drawn, a superscript l
_SHORTER: Final = 0.1  # inches
_SHORT_TITLES: Final = ((8.5, 1), (8.0, 2), (7.0, 2))  # sizes in points, and the most lines in each


class Size:
    """Sizes in points, by element (acg_lab/docs/look.md, section 3)."""

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
    """Return the width of a text in inches, the same at any resolution; like `outlined_text`, it leaves out kerning."""
    return sum(advance(character, mono, bold) for character in text) * size / 72


def drawable(text: str, *, mono: bool = False) -> str:
    r"""Return the text with the characters that can't be drawn as ``\uXXXX``.

    These are characters that the fonts lack, control characters, combining marks, and scripts from right to left, since
    outlines are put side by side from left to right. A name stays one line that can be read and searched, different
    names stay different, and no renderer warns.
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
    """Return the width of a character in em."""
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


_ASCENT, _DESCENT = 0.76, 0.236  # in em, of letters without accents: the same for every text
_BASELINE: Final = {
    "top": -_ASCENT,
    "center": (_DESCENT - _ASCENT) / 2,
    "center_baseline": -_ASCENT / 2,
    "baseline": 0.0,
    "bottom": _DESCENT,
}
_START: Final = {"left": 0.0, "center": 0.5, "right": 1.0}


@lru_cache(maxsize=1)
def outlined_text() -> "type[Text]":
    """Return the class of texts that are drawn as outlines, each of one line.

    It is made when the first figure is drawn, since importing plots must not import matplotlib.
    """
    from matplotlib.colors import to_rgba
    from matplotlib.text import Text
    from matplotlib.transforms import Affine2D, Bbox

    class OutlinedText(Text):
        """A text that is drawn as the outlines of its characters; it rotates about its anchor."""

        def __init__(self, *args: Any, face: Face, **kw: Any) -> None:
            super().__init__(*args, rotation_mode="anchor", parse_math=False, **kw)
            self._face = face

        def _place(self, pixels_per_point: float) -> Any:
            """Return the transformation to pixels from em, with the origin at the start of the baseline."""
            em = float(self.get_fontsize()) * pixels_per_point
            x, y = self.get_transform().transform(self.get_unitless_position())
            width = _width(self.get_text(), self._face)
            start = Affine2D().translate(
                -_START[self.get_horizontalalignment()] * width, _BASELINE[self.get_verticalalignment()]
            )
            return start.scale(em).rotate_deg(self.get_rotation()).translate(x, y)

        def draw(self, renderer: Any) -> None:
            if not self.get_visible() or not self.get_text():
                return
            renderer.open_group("text", self.get_gid())
            gc = renderer.new_gc()
            gc.set_linewidth(0)
            colour = to_rgba(self.get_color(), self.get_alpha())
            place = self._place(renderer.points_to_pixels(1.0))
            if hasattr(renderer, "buffer_rgba"):  # pixels, for which one path is fastest
                renderer.draw_path(gc, _outline(self.get_text(), self._face), place, colour)
            else:  # files, which keep a character once
                em = float(self.get_fontsize()) * renderer.points_to_pixels(1.0)
                turn = Affine2D().scale(em).rotate_deg(self.get_rotation())
                for outline, starts in _outlines(self.get_text(), self._face):
                    renderer.draw_markers(gc, outline, turn, starts, place, colour)
            gc.restore()
            renderer.close_group("text")
            self.stale = False

        def get_window_extent(self, renderer: Any = None, dpi: float | None = None) -> Bbox:  # noqa: ARG002
            figure = self.get_figure(root=True)
            resolution = dpi or (figure.dpi if figure else 72.0)
            box = Bbox([[0, -_DESCENT], [_width(self.get_text(), self._face), _ASCENT]])
            return box.transformed(self._place(resolution / 72))

    return OutlinedText


@lru_cache(maxsize=2048)
def _width(text: str, face: Face) -> float:
    return sum(advance(character, *face) for character in text)


@lru_cache(maxsize=2048)
def _outline(text: str, face: Face) -> "Path":
    """Return the outline of a text, in em."""
    from matplotlib.path import Path

    vertices, codes, x = [np.empty((0, 2))], [np.empty(0, np.uint8)], 0.0
    for character in text:
        outline, kinds = _glyph(character, face)
        vertices.append(outline + np.array([x, 0.0]))
        codes.append(kinds)
        x += advance(character, *face)
    return Path(np.concatenate(vertices), np.concatenate(codes))


@lru_cache(maxsize=2048)
def _outlines(text: str, face: Face) -> "tuple[tuple[Path, Path], ...]":
    """Return the outline of each distinct character of a text, in em, and the points where it starts."""
    from matplotlib.path import Path

    starts: dict[str, list[tuple[float, float]]] = {}
    x = 0.0
    for character in text:
        if not character.isspace():
            starts.setdefault(character, []).append((x, 0.0))
        x += advance(character, *face)
    return tuple((Path(*_glyph(character, face)), Path(points)) for character, points in starts.items())


@lru_cache(maxsize=2048)
def _glyph(character: str, face: Face) -> tuple[Any, Any]:
    from matplotlib.ft2font import LoadFlags

    font = font_of(*face)
    font.load_char(ord(character), flags=LoadFlags.NO_SCALE | LoadFlags.NO_HINTING)
    vertices, codes = font.get_path()
    return vertices * (64 / font.units_per_EM), codes


def _count_fitting(size: float, room: float) -> int:
    """Return how many characters fit at most: longer cuts of a long name need not be measured."""
    return max(int(room * 72 / (size * _NARROWEST)), 0) + 1


def fit_name(title: str, name: str, room: float) -> str:
    """Return the name that replaces ``{name}`` in a title, cut to the room that is left, to 10 characters at least."""
    room -= text_width(title.replace("{name}", ""), Size.TITLE, bold=True)
    widths = range(min(len(name), _count_fitting(Size.TITLE, room)), _SHORTEST_NAME, -1)
    fits = (cut(name, n) for n in widths if text_width(cut(name, n), Size.TITLE, bold=True) <= room)
    return next(fits, cut(name, _SHORTEST_NAME))


def fit_parts(parts: list[str], room: float) -> list[str]:
    """Return the parts that fit into one line: long names are cut first, then parts left out from the end."""
    most = max(_count_fitting(Size.SUBTITLE, room), 2 * _SHORTEST_NAME)
    parts = [part if " " in part else cut(part, most) for part in parts]
    while len(parts) > 1 and text_width(joined(*parts), Size.SUBTITLE) > room:
        longest = max(range(len(parts)), key=lambda i: 0 if " " in parts[i] else len(parts[i]))
        if len(parts[longest]) > 2 * _SHORTEST_NAME and " " not in parts[longest]:
            parts[longest] = cut(parts[longest], len(parts[longest]) - 1)
        else:
            parts = parts[:-1]
    return parts


def wrap(text: str, size: float, room: float, *, bold: bool = False) -> list[str]:
    """Break a text at single spaces into lines that fit into ``room`` inches; a word that is longer stands alone."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and text_width(f"{lines[-1]} {word}", size, bold=bold) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def shorten(text: str, size: float, room: float, *, bold: bool = False) -> str:
    """Return as much of a text as fits into ``room`` inches, with an ellipsis where it ends early."""
    if text_width(text, size, bold=bold) <= room:
        return text
    ends = range(min(len(text) - 1, _count_fitting(size, room)), 0, -1)
    return next((s for n in ends if text_width(s := f"{text[:n].rstrip()}…", size, bold=bold) <= room), "…")


def fit_lines(title: str, room: float) -> tuple[float, list[str]]:
    """Return the size and the lines of a title in a narrow place: one line or two, the second one cut if need be."""
    for size, most in _SHORT_TITLES:
        lines = wrap(title, size, room, bold=True)
        if len(lines) <= most and all(text_width(line, size, bold=True) <= room for line in lines):
            return size, _balance(title, size, room, lines)
    first, *rest = lines
    both = [first, " ".join(rest)] if rest else [first]
    return size, [shorten(line, size, room, bold=True) for line in both]


def _balance(title: str, size: float, room: float, lines: list[str]) -> list[str]:
    """Return as many lines of a title, of lengths as alike as they can be: no word stands alone on the last one."""
    while len(lines) > 1:
        room -= _SHORTER
        narrower = wrap(title, size, room, bold=True)
        if len(narrower) > len(lines) or any(text_width(line, size, bold=True) > room for line in narrower):
            break
        lines = narrower
    return lines


def spread(middles: Sequence[float], sizes: Sequence[float], gap: float, least: float, most: float) -> list[float]:
    """Return the middles of labels in a line, moved as little as possible so that none overlap.

    Labels are in order and stay between ``least`` and ``most``.
    """
    placed: list[float] = []
    for middle, size in zip(middles, sizes, strict=True):
        before = placed[-1] + sizes[len(placed) - 1] / 2 + gap if placed else least
        placed.append(max(middle, before + size / 2))
    for i in reversed(range(len(placed))):
        after = placed[i + 1] - sizes[i + 1] / 2 - gap if i + 1 < len(placed) else most
        placed[i] = min(placed[i], after - sizes[i] / 2)
    return placed
