"""Texts as pixels, each drawn once.

Belongs here: the cache that makes a redraw cheap. Half of a figure's time is text, and a picture has a hundred of them.
The plots' own artist draws them here too, but each once, at a whole pixel; from then on they are copied.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import RendererAgg
from numpy.typing import NDArray

from acg_lab.plots.glyphs import Face, outlined_text

__all__ = ["Glyphs", "Style", "draw_text"]

_PAD = 1  # pixels around a text, for what reaches beyond its box


class Style(NamedTuple):
    """How a text looks, but for its colour, and how it stands to its anchor; size in points."""

    size: float
    face: Face
    ha: str
    va: str
    dpi: float


class Glyphs(NamedTuple):
    """A text drawn.

    Attributes
    ----------
    cover : array of uint8, shape (height, 3 * width)
        How much of each pixel it covers, 0 to 255, the same for its three bytes.
    left, top : int
        Where it begins, in pixels from its anchor, downwards.
    """

    cover: NDArray[np.uint8]
    left: int
    top: int


@lru_cache(maxsize=4096)
def draw_text(text: str, style: Style) -> Glyphs:
    """Draw a text; they are small, so that all that are kept take some 15 MB."""
    artist = outlined_text()(0, 0, text, face=style.face, fontsize=style.size, ha=style.ha, va=style.va, color="black")
    box = artist.get_window_extent(dpi=style.dpi)
    left, below = math.floor(box.x0) - _PAD, math.floor(box.y0) - _PAD
    width, height = math.ceil(box.x1) + _PAD - left, math.ceil(box.y1) + _PAD - below
    page: Any = RendererAgg(width, height, style.dpi)  # type: ignore[no-untyped-call]
    artist.set_position((-left, -below))
    artist.draw(page)
    cover = np.asarray(page.buffer_rgba())[:, :, 3]
    return Glyphs(np.repeat(cover, 3, axis=1), left, -(below + height))
