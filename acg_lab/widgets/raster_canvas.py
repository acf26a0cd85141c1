"""The canvas of the tuner: from a frame to pixels without matplotlib's artists, in a few milliseconds.

It keeps what a plot draws until it is asked for pixels, and then draws it by zorder. Invariant: its pictures are those
of `acg_lab.plots.mpl_canvas`, but for the smoothing of edges.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from acg_lab.plots.canvas import Canvas, Panel
from acg_lab.plots.text import Size, drawable
from acg_lab.plots.theme import PALETTES, palette
from acg_lab.widgets.raster import Raster, Style

__all__ = ["RasterCanvas"]

_PANEL: Final = 2.0  # zorder of panels on their page, as of matplotlib's inset axes
_AXIS_ORDER: Final = 2.5
_TICK, _TICK_PAD = 3 / 72, 2.5 / 72
_HATCH_WIDTH: Final = 0.6
DrawCall = Callable[[Raster], None]
Point = tuple[float, float]


class RasterCanvas(Canvas):
    """A page that becomes pixels.

    Parameters
    ----------
    width : float
        In inches.

    Attributes
    ----------
    words : str
        The alternative text.
    """

    def __init__(self, width: float) -> None:
        self.width, self.height, self.axes, self.words = width, 0.0, None, ""
        self.colours = palette()
        self._calls: list[tuple[tuple[float, ...], DrawCall]] = []

    def begin(self, height: float, *, gid: str, least: float = 0.0) -> None:  # noqa: ARG002 -- pixels have no names
        """Start a new page."""
        self.height, self.words, self.colours, self._calls = height, "", palette(), []

    def describe(self, words: str) -> None:
        """Set the alternative text."""
        self.words = words

    def pixels(self, dpi: float, height: float = 0.0, theme: str | None = None) -> NDArray[np.uint8]:
        """Return the page as pixels, shape (height, width, 3), at least ``height`` inches high.

        ``theme`` is that of the colours; the one in which the page was drawn when left out.
        """
        instead = {} if theme is None else dict(zip(self.colours, PALETTES[theme], strict=True))
        raster = Raster(self.width, max(self.height, height), dpi, self.colours.paper, instead)
        for _, draw in sorted(self._calls, key=lambda call: call[0]):
            draw(raster)
        return raster.pixels

    def add(self, draw: DrawCall, *zorder: float) -> None:
        """Keep a draw call; of equal zorder, the later one covers the earlier."""
        self._calls.append((zorder, draw))

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        gid: str,  # noqa: ARG002
        size: float = Size.ROW,
        colour: str | None = None,
        bold: bool = False,
        mono: bool = False,
        italic: bool = False,
        ha: str = "left",
        va: str = "center_baseline",
        rotation: float = 0.0,
        zorder: float = 3.0,
    ) -> None:
        """Write one line of level text."""
        if rotation:
            msg = "RasterCanvas draws level text only."
            raise NotImplementedError(msg)
        shown, shade, look = drawable(text, mono=mono), colour or self.colours.ink, (size, (mono, bold, italic), ha, va)
        self.add(lambda raster: raster.text(x, y, shown, Style(*look, raster.dpi), shade), zorder)

    def rectangle(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str,
        *,
        gid: str,  # noqa: ARG002
        edge: str | None = None,
        edge_width: float = 0.0,
        hatched: bool = False,
        zorder: float = 1.0,
    ) -> None:
        """Fill a rectangle, and outline it if it has an edge."""
        box = (x, y, x + width, y + height)
        self.add(_rectangle(box, fill, edge, edge_width, hatched=hatched), zorder)

    def lines(
        self,
        segments: Sequence[Sequence[Point]],
        colour: str,
        *,
        gid: str,  # noqa: ARG002
        linewidth: float = 0.9,
        dash: tuple[float, float] | None = None,
        zorder: float = 2.0,
    ) -> None:
        """Draw level or upright lines."""
        for start, end in segments:
            self.add(_line(start, end, colour, linewidth, dash), zorder)

    def dots(
        self,
        x: Sequence[float],
        y: Sequence[float],
        fill: str,
        *,
        gid: str,  # noqa: ARG002
        size: float,
        edge: str,
        edge_width: float,
        zorder: float = 2.0,
    ) -> None:
        """Draw small discs."""
        for at in zip(x, y, strict=True):
            self.add(_dot(at, fill, size, edge, edge_width), zorder)

    def panel(
        self,
        left: float,
        top: float,
        width: float,
        height: float,
        *,
        gid: str,  # noqa: ARG002
        x_axis: bool = True,
    ) -> "RasterPanel":
        """Make a panel; its coordinates are set by `RasterPanel.set_limits`."""
        panel = RasterPanel(self, (left, top, left + width, top + height))
        if x_axis:
            axis = _line((left, top + height), (left + width, top + height), self.colours.rule, 0.8)
            self.add(axis, _PANEL, _AXIS_ORDER)
        return panel


class RasterPanel(Panel):
    """A panel of a `RasterCanvas`."""

    def __init__(self, canvas: RasterCanvas, box: tuple[float, float, float, float]) -> None:
        self._canvas, self._box, self.axes = canvas, box, None
        self._x, self._y = (0.0, 1.0), (0.0, 1.0)

    def _place(self, x: float, y: float) -> Point:
        """Return where a point stands on the page, in inches."""
        left, top, right, bottom = self._box
        across, up = (x - self._x[0]) / (self._x[1] - self._x[0]), (y - self._y[0]) / (self._y[1] - self._y[0])
        return left + across * (right - left), bottom - up * (bottom - top)

    def set_limits(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        """Set what the left and right, the lower and upper edge stand for."""
        self._x, self._y = x, y

    def set_x_ticks(self, ticks: Sequence[float], labels: Sequence[str]) -> None:
        """Draw ticks below, with their labels."""
        colours, bottom = self._canvas.colours, self._box[3]
        for tick, label in zip(ticks, labels, strict=True):
            x, end = self._place(tick, 0)[0], bottom + _TICK
            self._canvas.add(_line((x, bottom), (x, end), colours.rule, 0.8), _PANEL, 2)
            style = {"colour": colours.text2, "ha": "center", "va": "top"}
            self._canvas.text(x, end + _TICK_PAD, label, gid="", zorder=_PANEL, **style)  # type: ignore[arg-type]

    def text(self, x: float, y: float, text: str, *, gid: str, **style: object) -> None:
        """Write one line of level text."""
        self._canvas.text(*self._place(x, y), text, gid=gid, **style)  # type: ignore[arg-type]

    def rectangle(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str,
        *,
        gid: str,  # noqa: ARG002
        edge: str | None = None,
        edge_width: float = 0.0,
        hatched: bool = False,
        zorder: float = 1.0,
    ) -> None:
        """Fill a rectangle, and outline it if it has an edge."""
        (left, one), (right, other) = self._place(x, y), self._place(x + width, y + height)
        box = (left, min(one, other), right, max(one, other))
        self._canvas.add(_rectangle(box, fill, edge, edge_width, hatched=hatched), _PANEL, zorder)

    def lines(
        self,
        segments: Sequence[Sequence[Point]],
        colour: str,
        *,
        gid: str,  # noqa: ARG002
        linewidth: float = 0.9,
        dash: tuple[float, float] | None = None,
        zorder: float = 2.0,
    ) -> None:
        """Draw level or upright lines."""
        for start, end in segments:
            line = _line(self._place(*start), self._place(*end), colour, linewidth, dash)
            self._canvas.add(line, _PANEL, zorder)

    def dots(
        self,
        x: Sequence[float],
        y: Sequence[float],
        fill: str,
        *,
        gid: str,  # noqa: ARG002
        size: float,
        edge: str,
        edge_width: float,
        zorder: float = 2.0,
    ) -> None:
        """Draw small discs."""
        for at in zip(x, y, strict=True):
            self._canvas.add(_dot(self._place(*at), fill, size, edge, edge_width), _PANEL, zorder)


def _rectangle(
    box: tuple[float, float, float, float], fill: str, edge: str | None, edge_width: float, *, hatched: bool
) -> DrawCall:
    def draw(raster: Raster) -> None:
        raster.fill(*box, fill)
        if edge is not None and hatched:
            raster.hatch(*box, edge, _HATCH_WIDTH)
        if edge is not None and edge_width:
            raster.outline(*box, edge, edge_width)

    return draw


def _line(start: Point, end: Point, colour: str, width: float, dash: tuple[float, float] | None = None) -> DrawCall:
    scaled = dash and (dash[0] * width, dash[1] * width)
    return partial(Raster.line, start=start, end=end, colour=colour, points=width, dash=scaled)


def _dot(at: Point, fill: str, size: float, edge: str, edge_width: float) -> DrawCall:
    return partial(Raster.dot, x=at[0], y=at[1], points=size, fill=fill, edge=edge, edge_points=edge_width)
