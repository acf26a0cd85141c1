"""The canvas of matplotlib figures.

A page takes a figure of its own, a figure that is given, or the place of axes that are given. Everything drawn has a
gid, and no text is read as mathematics.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from acg_lab._format import tokens
from acg_lab.core.errors import UsageError
from acg_lab.plots.canvas import WIDTH, Canvas, Panel
from acg_lab.plots.text import SANS, Size, drawable, outlined_text
from acg_lab.plots.theme import palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    Place: TypeAlias = Axes | Figure | SubFigure | None

__all__ = ["MplCanvas", "MplPanel", "canvas_for"]

_SMALLEST_PAGE, _TINY = (2.0, 1.2), 0.005  # inches
_NARROWEST_PAGE: Final = 5.25  # with all words
_HATCH: Final = "////"


class MplPanel(Panel):
    """matplotlib's Axes as a panel: coordinates are those of its data."""

    def __init__(self, axes: "Axes") -> None:
        self.axes = axes

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        gid: str,
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
        """Write one line of text."""
        style: dict[str, Any] = {"fontsize": size, "color": colour or palette().ink, "rotation": rotation}
        style |= {"ha": ha, "va": va, "zorder": zorder, "gid": gid, "clip_on": False}
        self.axes.add_artist(outlined_text()(x, y, drawable(text, mono=mono), face=(mono, bold, italic), **style))

    def rectangle(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        fill: str,
        *,
        gid: str,
        edge: str | None = None,
        edge_width: float = 0.0,
        hatched: bool = False,
        zorder: float = 1.0,
    ) -> None:
        """Fill a rectangle, and outline it if it has an edge."""
        from matplotlib.patches import Rectangle

        style: dict[str, Any] = {"facecolor": fill, "edgecolor": edge or "none", "linewidth": edge_width}
        style |= {"hatch": _HATCH if hatched else None, "zorder": zorder, "gid": gid}
        self.axes.add_artist(Rectangle((x, y), width, height, clip_on=False, **style))

    def lines(
        self,
        segments: Sequence[Sequence[tuple[float, float]]],
        colour: str,
        *,
        gid: str,
        linewidth: float = 0.9,
        dash: tuple[float, float] | None = None,
        zorder: float = 2.0,
    ) -> None:
        """Draw straight lines."""
        from matplotlib.collections import LineCollection

        style: dict[str, Any] = {"linewidth": linewidth, "linestyle": (0, dash) if dash else "solid", "zorder": zorder}
        lines = LineCollection(segments, colors=colour, gid=gid, capstyle="butt", clip_on=False, **style)
        self.axes.add_collection(lines, autolim=False)

    def dots(
        self,
        x: Sequence[float],
        y: Sequence[float],
        fill: str,
        *,
        gid: str,
        size: float,
        edge: str,
        edge_width: float,
        zorder: float = 2.0,
    ) -> None:
        """Draw small discs."""
        style: dict[str, Any] = {"markerfacecolor": fill, "markeredgecolor": edge, "markeredgewidth": edge_width}
        style |= {"linestyle": "none", "marker": "o", "markersize": size, "clip_on": False, "zorder": zorder}
        self.axes.plot(x, y, gid=gid, **style)

    def set_limits(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        """Set the limits of both axes; y has no ticks until they are set."""
        self.axes.set(xlim=x, ylim=y, yticks=[])

    def set_x_ticks(self, ticks: Sequence[float], labels: Sequence[str]) -> None:
        """Draw ticks below, with their labels."""
        self.axes.set_xticks(ticks, labels)

    def steps(self, heights: Any, edges: Any, colour: str, *, gid: str, **kw: Any) -> None:
        """Draw a step function: a line, or an area down to ``baseline`` where one is given.

        As ``Axes.stairs``, which takes long to find the limits of many steps; here the caller sets them.
        """
        from matplotlib.patches import StepPatch

        filled = kw.get("baseline") is not None
        style = {"fill": filled, "facecolor" if filled else "edgecolor": colour, "linewidth": 0, "baseline": None}
        self.axes.add_artist(StepPatch(heights, edges, gid=gid, **{**style, **kw}))

    def use_round_ticks(self, name: Literal["x", "y"], most: int = 5) -> None:
        """Put ticks of an axis at whole round numbers, thousands separated."""
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        axis = self.axes.xaxis if name == "x" else self.axes.yaxis
        axis.set_major_locator(MaxNLocator(most, integer=True, steps=[1, 2, 5, 10]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: tokens(value)))

    def draw_grid(self) -> None:
        """Draw the horizontal grid of a continuous y axis."""
        self.axes.grid(visible=True, axis="y", color=palette().grid, linewidth=0.6, gid=f"{self.axes.get_gid()}-grid")


class MplCanvas(MplPanel, Canvas):
    """A page of a matplotlib figure.

    Parameters
    ----------
    place : Axes, Figure, SubFigure or None
        Axes give their place and are themselves no longer seen; a subfigure gives its place; a figure keeps its width
        and takes the height, or keeps its size where it is too narrow for all words; None makes a figure.

    Raises
    ------
    UsageError
        If the place is none of these, or, in `begin`, smaller than a compact form needs.
    """

    def __init__(self, place: "Place | Canvas") -> None:
        from matplotlib.axes import Axes
        from matplotlib.figure import Figure, SubFigure

        if place is not None and not isinstance(place, Axes | Figure | SubFigure):
            msg = f"'ax' must be a matplotlib Axes, Figure, SubFigure or None; got {type(place).__name__}."
            raise UsageError(msg)
        self._place, self.width = place, WIDTH
        if isinstance(place, Axes) and (figure := place.get_figure(root=True)) and figure.get_layout_engine():
            figure.draw_without_rendering()  # the layout moves the axes, and their place is what is drawn into
        if place is not None:
            self.width = _size_of(place)[0]

    def begin(self, height: float, *, gid: str, least: float = 0.0) -> None:
        """Start the page; axes and subfigures keep their height."""
        self.colours = palette()
        self.height = self._find_height(height, least)
        self.axes = self._make_axes(gid)
        self.axes.set_axis_off()
        for name, spine in self.axes.spines.items():
            spine.set_gid(f"page-spine-{name}")
        self.axes.set(xlim=(0, self.width), ylim=(self.height, 0), autoscale_on=False)
        self.rectangle(0, 0, self.width, self.height, self.colours.paper, gid="paper", zorder=-10)

    def _find_height(self, needed: float, least: float) -> float:
        """Return the height of the page, and find out whether its form is compact."""
        from matplotlib.figure import Figure

        if self._place is None:
            return needed
        width, height = _size_of(self._place)
        if isinstance(self._place, Figure) and width >= _NARROWEST_PAGE:
            return needed
        if width < _SMALLEST_PAGE[0] - _TINY or height < _SMALLEST_PAGE[1] - _TINY:
            least_size = "{} x {} in".format(*_SMALLEST_PAGE)
            msg = f"A plot needs a place of at least {least_size}; the one of 'ax' has {width:.2f} x {height:.2f} in."
            raise UsageError(msg)
        self.is_compact = width < _NARROWEST_PAGE or height < least
        return height

    def _make_axes(self, gid: str) -> "Axes":
        from matplotlib.axes import Axes
        from matplotlib.figure import Figure

        if isinstance(self._place, Axes):
            self._place.set_gid(gid)
            return self._place
        figure = self._place
        if figure is None:
            from matplotlib import pyplot as plt

            figure = plt.figure(figsize=(WIDTH, self.height))
        elif isinstance(figure, Figure):
            figure.set_figheight(self.height)
        figure.set_facecolor(self.colours.paper)
        return figure.add_axes((0, 0, 1, 1), gid=gid)

    def panel(self, left: float, top: float, width: float, height: float, *, gid: str, x_axis: bool = True) -> MplPanel:
        """Make axes that move with the page."""
        shares = (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        axes = self.axes.inset_axes(shares, zorder=2)
        axes.set(gid=gid, facecolor="none")
        for name, spine in axes.spines.items():
            visible = name == "bottom" and x_axis
            spine.set(gid=f"{gid}-spine-{name}", visible=visible, color=self.colours.rule, zorder=2.5)
        style = {"color": self.colours.rule, "labelcolor": self.colours.text2, "labelsize": Size.ROW, "width": 0.8}
        axes.tick_params("x", length=3 if x_axis else 0, pad=2.5, direction="out", labelfontfamily=SANS, **style)
        axes.tick_params("y", length=0, pad=4, labelfontfamily=SANS, **style)
        return MplPanel(axes)

    def describe(self, words: str) -> None:
        """Set the alternative text, which `acg_lab.plots.alt_text` returns."""
        self.axes.set_label(words)


def _size_of(place: "Axes | Figure | SubFigure") -> tuple[float, float]:
    """Return width and height in inches."""
    from matplotlib.axes import Axes

    box = place.get_window_extent() if isinstance(place, Axes) else place.bbox
    root = place.get_figure(root=True)
    dpi = root.dpi if root is not None else 1.0
    return float(box.width / dpi), float(box.height / dpi)


def canvas_for(place: "Place | Canvas") -> Canvas:
    """Return the canvas of a place, or the canvas itself if the place is one."""
    return place if isinstance(place, Canvas) else MplCanvas(place)
