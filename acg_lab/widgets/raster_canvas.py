"""A pad of pages that plots draw on without matplotlib's artists: the quick way from a frame to pixels.

Belongs here: keeping what a plot asks its page for, and drawing it in the right order. What it looks like is told by
`acg_lab.plots.canvas`; pictures drawn here and by matplotlib are the same but for the smoothing of edges.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any, Final

import numpy as np
from matplotlib.colors import to_hex
from numpy.typing import NDArray

from acg_lab.plots.canvas import Pad, Page
from acg_lab.plots.text import Size, drawable
from acg_lab.plots.theme import palette
from acg_lab.widgets.raster import Raster, Style

__all__ = ["RasterCanvas"]

_PANEL: Final = 2  # zorder of matplotlib's inset axes
Draw = Callable[[Raster], None]


class RasterCanvas(Pad):
    """A place for a plot.

    Parameters
    ----------
    width : float
        In inches.
    """

    def __init__(self, width: float) -> None:
        self.width = width
        self.page: RasterPage | None = None

    def open_page(self, height: float, gid: str) -> "RasterPage":  # noqa: ARG002 -- one page, one plot
        """Return a new page."""
        self.page = RasterPage(self.width, height)
        return self.page


class _Words:
    """Takes the alternative text, as the axes of a page do."""

    label = ""

    def set_label(self, label: str) -> None:
        self.label = label


class RasterPage(Page):
    """A page that keeps what is drawn on it until it is asked for pixels."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.colours = palette()
        self.axes: Any = _Words()
        self._drawn: list[tuple[tuple[float, ...], Draw]] = []

    @property
    def words(self) -> str:
        """The alternative text."""
        return str(self.axes.label)

    def pixels(self, dpi: float, height: float = 0.0) -> NDArray[np.uint8]:
        """Return the page as pixels, at least so many inches high."""
        ink = Raster(self.width, max(self.height, height), dpi, self.colours.paper)
        for _, draw in sorted(self._drawn, key=lambda drawn: drawn[0]):
            draw(ink)
        return ink.pixels

    def put(self, draw: Draw, *zorder: float) -> None:
        """Keep something to draw."""
        self._drawn.append((zorder, draw))

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        gid: str,  # noqa: ARG002 -- pixels have no names
        size: float = Size.ROW,
        colour: str | None = None,
        bold: bool = False,
        mono: bool = False,
        italic: bool = False,
        **kw: Any,
    ) -> Any:
        """Write a text, as `Page.text`."""
        written, shade = drawable(text, mono=mono), colour or self.colours.ink
        look = size, (mono, bold, italic), kw.get("ha", "left"), kw.get("va", "center_baseline")
        if written:
            self.put(lambda ink: ink.text(x, y, written, Style(*look, ink.dpi), shade), kw.get("zorder", 3))

    def rectangle(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str,
        *,
        gid: str,  # noqa: ARG002
        **kw: Any,
    ) -> Any:
        """Fill a rectangle, as `Page.rectangle`."""
        look = {"edge": kw.get("edgecolor", "none"), "points": kw.get("linewidth", 0), "hatch": kw.get("hatch")}
        self.put(partial(_rectangle, box=(x, y, x + width, y + height), fill=fill, **look), kw.get("zorder", 1))

    def lines(self, segments: Sequence[Sequence[tuple[float, float]]], colour: str, *, gid: str, **kw: Any) -> Any:  # noqa: ARG002
        """Draw lines, as `Page.lines`."""
        for start, end in segments:
            self.put(
                partial(Raster.line, start=start, end=end, colour=colour, points=kw.get("linewidth", 0.9)),
                kw.get("zorder", 2),
            )

    def panel(self, left: float, top: float, width: float, height: float, *, gid: str, x_axis: bool = True) -> Any:  # noqa: ARG002
        """Make a panel, as `Page.panel`."""
        return _Panel(self, (left, top, left + width, top + height))


class _Panel:
    """What a plot asks its axes for."""

    def __init__(self, page: RasterPage, box: tuple[float, float, float, float]) -> None:
        self._page, self._box = page, box
        self._x, self._y = (0.0, 1.0), (0.0, 1.0)
        left, _, right, bottom = box
        self._put(
            partial(Raster.line, start=(left, bottom), end=(right, bottom), colour=page.colours.rule, points=0.8), 2.5
        )

    def _put(self, draw: Draw, zorder: float) -> None:
        self._page.put(draw, _PANEL, zorder)

    def _place(self, x: float, y: float) -> tuple[float, float]:
        left, top, right, bottom = self._box
        across, up = (x - self._x[0]) / (self._x[1] - self._x[0]), (y - self._y[0]) / (self._y[1] - self._y[0])
        return left + across * (right - left), bottom - up * (bottom - top)

    def set(self, *, xlim: tuple[float, float], ylim: tuple[float, float], yticks: Sequence[float]) -> None:
        """Set limits; ticks at y are for plots that are drawn otherwise."""
        if yticks:
            raise NotImplementedError
        self._x, self._y = xlim, ylim

    def set_xticks(self, ticks: Sequence[float], labels: Sequence[str]) -> None:
        """Draw ticks below, and their labels."""
        colours, bottom = self._page.colours, self._box[3]
        for tick, label in zip(ticks, labels, strict=True):
            x = self._place(tick, 0)[0]
            end = bottom + 3 / 72
            self._put(partial(Raster.line, start=(x, bottom), end=(x, end), colour=colours.rule, points=0.8), 2)
            self._page.text(x, end + 2.5 / 72, label, gid="", colour=colours.text2, ha="center", va="top", zorder=2)

    def add_patch(self, patch: Any) -> None:
        """Draw a rectangle."""
        left, top = self._place(patch.get_x(), patch.get_y())
        right, bottom = self._place(patch.get_x() + patch.get_width(), patch.get_y() + patch.get_height())
        edge = _hex(patch.get_edgecolor()) if patch.get_edgecolor()[3] else "none"
        look = {"edge": edge, "points": patch.get_linewidth(), "hatch": patch.get_hatch()}
        box = (left, min(top, bottom), right, max(top, bottom))
        self._put(partial(_rectangle, box=box, fill=_hex(patch.get_facecolor()), **look), patch.get_zorder())

    def add_collection(self, lines: Any, *, autolim: bool) -> None:  # noqa: ARG002 -- limits are set
        """Draw lines of one colour and width."""
        look: Any = {"colour": _hex(tuple(lines.get_color()[0])), "points": float(lines.get_linewidth()[0])}
        dash = lines.get_linestyle()[0][1]
        for path in lines.get_paths():  # get_segments cleans each of them first
            start, end = (self._place(x, y) for x, y in path.vertices.tolist())
            self._put(partial(Raster.line, start=start, end=end, dash=dash, **look), lines.get_zorder())

    def plot(self, x: Sequence[float], y: Sequence[float], **kw: Any) -> None:
        """Draw dots."""
        look = {"fill": kw["markerfacecolor"], "edge": kw["markeredgecolor"], "edge_points": kw["markeredgewidth"]}
        for left, top in map(self._place, x, y):
            self._put(partial(Raster.dot, x=left, y=top, points=kw["markersize"], **look), kw["zorder"])


@lru_cache(maxsize=256)
def _hex(colour: tuple[float, float, float, float]) -> str:
    return to_hex(colour)


def _rectangle(
    ink: Raster, *, box: tuple[float, float, float, float], fill: str, edge: str, points: float, hatch: str | None
) -> None:
    ink.fill(*box, fill)
    if hatch:
        ink.hatch(*box, edge, 0.6)
    if points and edge != "none":
        ink.outline(*box, edge, points)
