"""PNG of pixels, fast.

Texts as pixels, each drawn once.

Belongs here: the cache that makes a redraw cheap. Half of a figure's time is text, and a picture has a hundred of them.
The plots' own artist draws them here too, but each once, at a whole pixel; from then on they are copied.


A sheet of pixels that takes rectangles, lines, dots and texts in inches.

Belongs here: drawing at once, without matplotlib's artists. Making those costs more than drawing them, and a slider
that is dragged wants a picture in a few milliseconds. It draws what `acg_lab.plots` asks its page for, no more.

Rows are kept as bytes, three a pixel: numpy takes long rows at once, and an axis of red, green and blue one by one.
"""

import math
import zlib
from collections.abc import Sequence
from functools import lru_cache
from struct import pack
from typing import Any, Final, NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import RendererAgg
from numpy.typing import NDArray

from acg_lab.plots.text import Face, outlined_text

__all__ = ["Glyphs", "Raster", "Style", "draw_text", "encode_png"]


def encode_png(pixels: NDArray[np.uint8], words: str = "") -> bytes:
    """Return pixels as a PNG.

    Parameters
    ----------
    pixels : array of uint8, shape (height, width, 3)
        Red, green and blue, upper row first.
    words : str
        What the picture says, for those who can't see it; kept as ``Description``.

    Notes
    -----
    Rows are left unfiltered and packed at the lowest level: of figures, which are flat areas, that takes a third of the
    time of Pillow's best guess at each row, and fewer bytes.
    """
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # each begins with the number of its filter, none
    rows[:, 1:] = pixels.reshape(height, -1)
    chunks = [(b"IHDR", pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))]
    if words:
        # Keyword, then: not compressed, no language, no translated keyword.
        chunks.append((b"iTXt", b"Description\0\0\0\0\0" + words.encode()))
    chunks += [(b"IDAT", zlib.compress(rows.data, 1)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))


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


Bytes = NDArray[np.uint8]
_POINTS: Final = 72
_HATCH: Final = 12  # lines of matplotlib's "////" an inch


class Raster:
    """The sheet.

    Parameters
    ----------
    width, height : float
        In inches.
    dpi : float
        Pixels an inch.
    paper : str
        Colour, as ``#RRGGBB``.
    """

    def __init__(self, width: float, height: float, dpi: float, paper: str) -> None:
        self.dpi = dpi
        self._sheet: Bytes = np.empty((int(height * dpi), 3 * int(width * dpi)), np.uint8)
        # matplotlib counts from the lower edge, and cuts what is no whole pixel at the upper one.
        self._above = len(self._sheet) / dpi - height
        self._sheet[:] = self._shade(self._sheet, paper)

    @property
    def pixels(self) -> Bytes:
        """What is drawn, shape (height, width, 3): red, green and blue."""
        return self._sheet.reshape(len(self._sheet), -1, 3)

    def _shade(self, target: Bytes, colour: str) -> Bytes:
        """Return a row of a colour, as long as the rows of a part of the sheet."""
        return _row(colour, self._sheet.shape[1])[: target.shape[1]]

    def _flood(self, rows: slice, columns: slice, colour: str) -> None:
        target = self._sheet[rows, _bytes(columns)]
        target[:] = self._shade(target, colour)

    def fill(self, left: float, top: float, right: float, bottom: float, colour: str) -> None:
        """Fill a rectangle, snapped to whole pixels, one at least."""
        self._flood(self._rows(top, bottom), self._span(left, right), colour)

    def _span(self, start: float, end: float) -> slice:
        first = max(round(start * self.dpi), 0)
        return slice(first, max(round(end * self.dpi), first + 1))

    def _rows(self, top: float, bottom: float) -> slice:
        return self._span(top + self._above, bottom + self._above)

    def _stroke(self, middle: float, points: float) -> slice:
        """Return the pixels of a line's width: as many wherever it runs."""
        n = max(round(points / _POINTS * self.dpi), 1)
        first = max(math.ceil(middle * self.dpi - n / 2 - 0.5), 0)
        return slice(first, first + n)

    def outline(self, left: float, top: float, right: float, bottom: float, colour: str, points: float) -> None:
        """Draw the edge of a rectangle, half of it to each side."""
        for y in (top, bottom):
            self.line((left, y), (right, y), colour, points)
        for x in (left, right):
            self.line((x, top), (x, bottom), colour, points)

    def hatch(self, left: float, top: float, right: float, bottom: float, colour: str, points: float) -> None:
        """Fill a rectangle with slanted lines."""
        target = self._sheet[self._rows(top, bottom), _bytes(self._span(left, right))]
        self._blend(target, _slanted(self.dpi, points)[: target.shape[0], : target.shape[1]], colour)

    def line(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        colour: str,
        points: float,
        dash: Sequence[float] | None = None,
    ) -> None:
        """Draw a level or upright line; ``dash`` are lengths of stroke and gap in points."""
        (x, y), (to_x, to_y) = start, end
        is_level = abs(to_y - y) < abs(to_x - x)
        low, high = sorted((x, to_x) if is_level else (y, to_y))
        across = self._stroke(y + self._above if is_level else x, points)
        for a, b in _strokes(low, high, dash):
            along = self._span(a, b) if is_level else self._rows(a, b)
            self._flood(*((across, along) if is_level else (along, across)), colour)

    def dot(self, x: float, y: float, points: float, fill: str, edge: str, edge_points: float) -> None:
        """Draw a small disc with an edge."""
        for diameter, colour in ((points + edge_points, edge), (points - edge_points, fill)):
            cover = _disc(diameter / _POINTS * self.dpi)
            size = len(cover)
            self._put(round(x * self.dpi - size / 2), round((y + self._above) * self.dpi - size / 2), cover, colour)

    def text(self, x: float, y: float, text: str, style: Style, colour: str) -> None:
        """Write a text; its anchor is moved to a whole pixel."""
        glyphs = draw_text(text, style)
        self._put(
            round(x * self.dpi) + glyphs.left, round((y + self._above) * self.dpi) + glyphs.top, glyphs.cover, colour
        )

    def _put(self, left: int, top: int, cover: Bytes, colour: str) -> None:
        """Blend a colour in where it covers; what is off the sheet is cut."""
        cover = cover[max(-top, 0) :, 3 * max(-left, 0) :]
        target = self._sheet[max(top, 0) :, 3 * max(left, 0) :][: cover.shape[0], : cover.shape[1]]
        self._blend(target, cover[: target.shape[0], : target.shape[1]], colour)

    def _blend(self, target: Bytes, cover: Bytes, colour: str) -> None:
        share = cover.astype(np.uint16)
        target[:] = (target * (255 - share) + self._shade(target, colour) * share + 127) // 255


@lru_cache(maxsize=64)
def _row(colour: str, length: int) -> Bytes:
    return np.resize(np.frombuffer(bytes.fromhex(colour.removeprefix("#")), np.uint8), length)


def _bytes(pixels: slice) -> slice:
    return slice(3 * pixels.start, 3 * pixels.stop)


def _strokes(low: float, high: float, dash: Sequence[float] | None) -> list[tuple[float, float]]:
    if dash is None:
        return [(low, high)]
    on, off = (length / _POINTS for length in dash)
    n = math.ceil((high - low) / (on + off))
    return [(low + i * (on + off), min(low + i * (on + off) + on, high)) for i in range(n)]


@lru_cache(maxsize=16)
def _disc(diameter: float) -> Bytes:
    """Return how much of each pixel a disc covers, by distance from its edge."""
    size = math.ceil(diameter) + 2
    axis = np.arange(size) - (size - 1) / 2
    away = np.hypot(axis[:, np.newaxis], axis) - diameter / 2
    return _cover(away)


@lru_cache(maxsize=4)
def _slanted(dpi: float, points: float) -> Bytes:
    """Return slanted lines on an area larger than any bar."""
    y, x = np.mgrid[0 : round(dpi), 0 : round(12 * dpi)]
    period = dpi / _HATCH
    place = (x + y) % period
    away = np.minimum(place, period - place) / math.sqrt(2) - points / _POINTS * dpi / 2
    return _cover(away)


def _cover(away: NDArray[np.float64]) -> Bytes:
    """Return how much of each pixel is covered, of its distance from an edge."""
    return np.repeat(np.asarray(np.clip(0.5 - away, 0, 1) * 255, np.uint8), 3, axis=1)
