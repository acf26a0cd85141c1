"""Text as outlines: several times faster to draw than matplotlib's own, and as wide as measured at every resolution.

Belongs here: the outline of a line of text, kept by character, and the artist that draws it. matplotlib renders every
character anew, three times a text, which takes most of the time of a figure full of names and numbers.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from acg_lab.plots.fonts import advance, font_of

if TYPE_CHECKING:
    from matplotlib.path import Path
    from matplotlib.text import Text

__all__ = ["Face", "outlined_text"]

Face: TypeAlias = tuple[bool, bool, bool]  # mono, bold, italic

_ASCENT, _DESCENT = 0.76, 0.236  # of letters without accents, in em: lines stand alike whatever is in them
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
    """Return a class of texts of one line in one of the fonts of `acg_lab.plots.fonts`.

    It is made when the first figure is drawn, since importing plots must not import matplotlib.
    """
    from matplotlib.colors import to_rgba
    from matplotlib.text import Text
    from matplotlib.transforms import Affine2D, Bbox

    class OutlinedText(Text):
        """A text that is drawn as the outlines of its characters; its anchor is where rotation turns it."""

        def __init__(self, *args: Any, face: Face, **kw: Any) -> None:
            super().__init__(*args, rotation_mode="anchor", parse_math=False, **kw)
            self._face = face

        def _place(self, pixels_per_point: float) -> Any:
            """Return the transformation from em, the baseline's start being the origin, to pixels."""
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
            renderer.draw_path(gc, _outline(self.get_text(), self._face), place, colour)
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
def _glyph(character: str, face: Face) -> tuple[Any, Any]:
    from matplotlib.ft2font import LoadFlags

    font = font_of(*face)
    font.load_char(ord(character), flags=LoadFlags.NO_SCALE | LoadFlags.NO_HINTING)
    vertices, codes = font.get_path()
    return vertices * (64 / font.units_per_EM), codes
