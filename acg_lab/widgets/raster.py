"""Pixels in a few milliseconds: rectangles, lines, dots and texts on a sheet, and the sheet as a PNG.

matplotlib's artists cost more to make than to draw, and a slider that is dragged wants a picture at once. Half of a
figure's time is text, so each text is drawn once, at a whole pixel, and then copied. Rows are kept as bytes, three per
pixel: numpy is fast with long rows and slow with a last axis of three.
"""

import math
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from struct import pack
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import RendererAgg
from numpy.typing import NDArray

from acg_lab.plots.text import Face, outlined_text

__all__ = ["Glyphs", "Raster", "Style", "draw_text", "encode_png"]

Bytes = NDArray[np.uint8]
_POINTS: Final = 72  # per inch
_HATCH: Final = 12  # lines per inch of matplotlib's "////"
_TEXT_PAD: Final = 1  # pixels around a text, for what reaches beyond its box


def encode_png(pixels: NDArray[np.uint8], words: str = "") -> bytes:
    """Return pixels as a PNG.

    Parameters
    ----------
    pixels : array of uint8, shape (height, width, 3)
        Red, green and blue, upper row first.
    words : str
        The alternative text, kept as ``Description``.

    Notes
    -----
    Rows are not filtered, and packed at the lowest level: figures are flat areas, for which that takes a third of
    Pillow's time and fewer bytes.
    """
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), np.uint8)  # the first byte of each row is its filter: 0, none
    rows[:, 1:] = pixels.reshape(height, -1)
    chunks = [(b"IHDR", pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))]
    if words:
        # Keyword, then: not compressed, no language, no translated keyword.
        chunks.append((b"iTXt", b"Description\0\0\0\0\0" + words.encode()))
    chunks += [(b"IDAT", zlib.compress(rows.data, 1)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))


class Style(NamedTuple):
    """How a text looks, except for its colour, and how it is aligned to its anchor; size in points."""

    size: float
    face: Face
    ha: str
    va: str
    dpi: float


class Glyphs(NamedTuple):
    """A text as pixels.

    Attributes
    ----------
    cover : array of uint8, shape (height, 3 * width)
        How much of each pixel the text covers, 0 to 255, the same for its three bytes.
    left, top : int
        Upper left corner, in pixels from the anchor, downwards.
    """

    cover: NDArray[np.uint8]
    left: int
    top: int


@lru_cache(maxsize=4096)
def draw_text(text: str, style: Style) -> Glyphs:
    """Draw a text, black on nothing; the texts that are kept take about 15 MB."""
    artist = outlined_text()(0, 0, text, face=style.face, fontsize=style.size, ha=style.ha, va=style.va, color="black")
    box = artist.get_window_extent(dpi=style.dpi)
    left, below = math.floor(box.x0) - _TEXT_PAD, math.floor(box.y0) - _TEXT_PAD
    width, height = math.ceil(box.x1) + _TEXT_PAD - left, math.ceil(box.y1) + _TEXT_PAD - below
    page: Any = RendererAgg(width, height, style.dpi)  # type: ignore[no-untyped-call]
    artist.set_position((-left, -below))
    artist.draw(page)
    cover = np.asarray(page.buffer_rgba())[:, :, 3]
    return Glyphs(np.repeat(cover, 3, axis=1), left, -(below + height))


class Raster:
    """A sheet of pixels; all places are in inches from its upper left corner.

    Parameters
    ----------
    width, height : float
        In inches.
    dpi : float
        Pixels per inch.
    paper : str
        Colour, as ``#RRGGBB``.
    instead : mapping of str to str
        Colours to draw in place of others, as from one theme to another.
    """

    def __init__(
        self, width: float, height: float, dpi: float, paper: str, instead: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.dpi, self._instead = dpi, instead
        self._sheet: Bytes = np.empty((int(height * dpi), 3 * int(width * dpi)), np.uint8)
        # matplotlib counts from the lower edge, and cuts a part of a pixel at the upper one.
        self._above = len(self._sheet) / dpi - height
        self._sheet[:] = self._shade(self._sheet, paper)

    @property
    def pixels(self) -> Bytes:
        """The sheet, shape (height, width, 3): red, green and blue."""
        return self._sheet.reshape(len(self._sheet), -1, 3)

    def _shade(self, target: Bytes, colour: str) -> Bytes:
        """Return a row of a colour, as long as the rows of ``target``."""
        return _row(self._instead.get(colour, colour), self._sheet.shape[1])[: target.shape[1]]

    def _flood(self, rows: slice, columns: slice, colour: str) -> None:
        target = self._sheet[rows, _byte_range(columns)]
        target[:] = self._shade(target, colour)

    def fill(self, left: float, top: float, right: float, bottom: float, colour: str) -> None:
        """Fill a rectangle, snapped to whole pixels, at least one."""
        self._flood(self._rows(top, bottom), self._span(left, right), colour)

    def _span(self, start: float, end: float) -> slice:
        first = max(round(start * self.dpi), 0)
        return slice(first, max(round(end * self.dpi), first + 1))

    def _rows(self, top: float, bottom: float) -> slice:
        return self._span(top + self._above, bottom + self._above)

    def _stroke(self, middle: float, points: float) -> slice:
        """Return the pixels across a line: the same number wherever it runs."""
        n = max(round(points / _POINTS * self.dpi), 1)
        first = max(math.ceil(middle * self.dpi - n / 2 - 0.5), 0)
        return slice(first, first + n)

    def outline(self, left: float, top: float, right: float, bottom: float, colour: str, points: float) -> None:
        """Draw the outline of a rectangle, half of its width on each side of the edge."""
        for y in (top, bottom):
            self.line((left, y), (right, y), colour, points)
        for x in (left, right):
            self.line((x, top), (x, bottom), colour, points)

    def hatch(self, left: float, top: float, right: float, bottom: float, colour: str, points: float) -> None:
        """Fill a rectangle with slanted lines."""
        target = self._sheet[self._rows(top, bottom), _byte_range(self._span(left, right))]
        self._blend(target, _slanted_lines(self.dpi, points)[: target.shape[0], : target.shape[1]], colour)

    def line(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        colour: str,
        points: float,
        dash: Sequence[float] | None = None,
    ) -> None:
        """Draw a level or upright line; ``dash`` is the lengths of stroke and gap in points."""
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
            self._stamp(round(x * self.dpi - size / 2), round((y + self._above) * self.dpi - size / 2), cover, colour)

    def text(self, x: float, y: float, text: str, style: Style, colour: str) -> None:
        """Write a text; its anchor is moved to a whole pixel."""
        glyphs = draw_text(text, style)
        self._stamp(
            round(x * self.dpi) + glyphs.left, round((y + self._above) * self.dpi) + glyphs.top, glyphs.cover, colour
        )

    def _stamp(self, left: int, top: int, cover: Bytes, colour: str) -> None:
        """Blend a colour in by its cover; what is off the sheet is cut."""
        cover = cover[max(-top, 0) :, 3 * max(-left, 0) :]
        target = self._sheet[max(top, 0) :, 3 * max(left, 0) :][: cover.shape[0], : cover.shape[1]]
        self._blend(target, cover[: target.shape[0], : target.shape[1]], colour)

    def _blend(self, target: Bytes, cover: Bytes, colour: str) -> None:
        share = cover.astype(np.uint16)
        target[:] = (target * (255 - share) + self._shade(target, colour) * share + 127) // 255


@lru_cache(maxsize=64)
def _row(colour: str, length: int) -> Bytes:
    return np.resize(np.frombuffer(bytes.fromhex(colour.removeprefix("#")), np.uint8), length)


def _byte_range(pixels: slice) -> slice:
    return slice(3 * pixels.start, 3 * pixels.stop)


def _strokes(low: float, high: float, dash: Sequence[float] | None) -> list[tuple[float, float]]:
    if dash is None:
        return [(low, high)]
    on, off = (length / _POINTS for length in dash)
    n = math.ceil((high - low) / (on + off))
    return [(low + i * (on + off), min(low + i * (on + off) + on, high)) for i in range(n)]


@lru_cache(maxsize=16)
def _disc(diameter: float) -> Bytes:
    """Return how much of each pixel a disc covers."""
    size = math.ceil(diameter) + 2
    axis = np.arange(size) - (size - 1) / 2
    away = np.hypot(axis[:, np.newaxis], axis) - diameter / 2
    return _cover(away)


@lru_cache(maxsize=4)
def _slanted_lines(dpi: float, points: float) -> Bytes:
    """Return how much of each pixel slanted lines cover, on an area larger than any bar."""
    y, x = np.mgrid[0 : round(dpi), 0 : round(12 * dpi)]
    period = dpi / _HATCH
    place = (x + y) % period
    away = np.minimum(place, period - place) / math.sqrt(2) - points / _POINTS * dpi / 2
    return _cover(away)


def _cover(away: NDArray[np.float64]) -> Bytes:
    """Return how much of each pixel is covered, from its distance outside an edge in pixels."""
    return np.repeat(np.asarray(np.clip(0.5 - away, 0, 1) * 255, np.uint8), 3, axis=1)
