"""Where things stand: a page measured in inches from its top left corner, and the pieces that every figure has.

Belongs here: making a page of a figure of its own, of a figure given, or of the place of an axes given; title,
subtitle, legend, note, and panels with axes. All that is drawn gets a gid, and no text is read as mathematics. What a
plot shows is its own module's business.


Texts that may need several lines.

Belongs here: breaking them at spaces, and writing them at the foot of a page.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from acg_lab._format import joined, tokens
from acg_lab.core.errors import UsageError
from acg_lab.plots.text import SANS, Size, drawable, fit_name, fit_parts, outlined_text, text_width
from acg_lab.plots.theme import palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle, StepPatch
    from matplotlib.text import Text

    Place: TypeAlias = "Axes | Figure | Pad | None"

__all__ = [
    "HEADING",
    "LINE",
    "MARGIN",
    "NOTE_HEIGHT",
    "Pad",
    "Page",
    "Swatch",
    "draw_note",
    "open_page",
    "place_width",
    "wrap",
]

WIDTH: Final = 7.5
MARGIN: Final = 0.09
HEADING: Final = 0.56  # where what stands below title and subtitle may begin
NOTE_HEIGHT: Final = 0.26
_TITLE, _SUBTITLE = 0.10, 0.335
_SMALLEST_TITLE = 8.5


class Swatch(NamedTuple):
    """One entry of a legend: filled, or out of reach (hatched), or hollow."""

    text: str
    colour: str
    hatched: bool = False
    hollow: bool = False


class Page:
    """A place to draw on.

    Attributes
    ----------
    axes : Axes
        Covers the place, invisible; its units are inches, y downwards.
    width, height : float
        In inches.
    colours : Palette
        Of the theme in force.
    """

    def __init__(self, axes: "Axes", width: float, height: float) -> None:
        self.axes, self.width, self.height = axes, width, height
        self.colours = palette()
        axes.set_axis_off()
        for name, spine in axes.spines.items():
            spine.set_gid(f"page-spine-{name}")
        axes.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
        self.rectangle(0, 0, width, height, self.colours.paper, gid="paper", zorder=-10)

    @property
    def right(self) -> float:
        """Where the right margin begins."""
        return self.width - MARGIN

    # --- pieces ---

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
        **kw: Any,
    ) -> "Text":
        """Write a text; ``ha`` is left and ``va`` center_baseline unless told otherwise."""
        style: dict[str, Any] = {"fontsize": size, "color": colour or self.colours.ink, "zorder": 3, "gid": gid}
        style |= {"ha": "left", "va": "center_baseline", "clip_on": False, **kw}
        artist = outlined_text()(x, y, drawable(text, mono=mono), face=(mono, bold, italic), **style)
        self.axes.add_artist(artist)
        return artist

    def rectangle(
        self, x: float, y: float, width: float, height: float, fill: str, *, gid: str, **kw: Any
    ) -> "Rectangle":
        """Fill a rectangle; x and y are its upper left corner."""
        from matplotlib.patches import Rectangle

        kw = {"linewidth": 0, "edgecolor": "none", "clip_on": False, **kw}
        patch = Rectangle((x, y), width, height, facecolor=fill, gid=gid, **kw)
        self.axes.add_artist(patch)
        return patch

    def out_of_reach(self, x: float, y: float, width: float, height: float, *, gid: str, **kw: Any) -> "Rectangle":
        """Draw what is stable but behind the breaking block: an outline with hatching on paper."""
        kw = {"linewidth": 0.8, "edgecolor": self.colours.stable, "hatch": "////", **kw}
        return self.rectangle(x, y, width, height, self.colours.paper, gid=gid, **kw)

    def lines(
        self, segments: Sequence[Sequence[tuple[float, float]]], colour: str, *, gid: str, **kw: Any
    ) -> "LineCollection":
        """Draw lines, each a sequence of points; ``linewidth`` is 0.9 pt unless told otherwise."""
        from matplotlib.collections import LineCollection

        kw = {"linewidth": 0.9, "capstyle": "butt", "clip_on": False, **kw}
        lines = LineCollection(segments, colors=colour, gid=gid, **kw)
        self.axes.add_collection(lines, autolim=False)
        return lines

    def panel(self, left: float, top: float, width: float, height: float, *, gid: str, x_axis: bool = True) -> "Axes":
        """Make axes: no box, ticks below, horizontal grid only if it is asked for, all as LOOK.md section 3 has it."""
        axes = self.axes.inset_axes(self._bounds(left, top, width, height), zorder=2)
        axes.set(gid=gid, facecolor="none")
        for name, spine in axes.spines.items():
            spine.set(
                gid=f"{gid}-spine-{name}", visible=name == "bottom" and x_axis, color=self.colours.rule, zorder=2.5
            )
        style = {"color": self.colours.rule, "labelcolor": self.colours.text2, "labelsize": Size.ROW, "width": 0.8}
        axes.tick_params("x", length=3 if x_axis else 0, pad=2.5, direction="out", labelfontfamily=SANS, **style)
        axes.tick_params("y", length=0, pad=4, labelfontfamily=SANS, **style)
        return axes

    def _bounds(self, left: float, top: float, width: float, height: float) -> tuple[float, float, float, float]:
        """Return a place as shares of the page, so that panels move with it."""
        return left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height

    @staticmethod
    def ticks(axis: "Axis", most: int = 5) -> None:
        """Put ticks at whole round numbers, thousands separated."""
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        axis.set_major_locator(MaxNLocator(most, integer=True, steps=[1, 2, 5, 10]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: tokens(value)))

    def grid(self, axes: "Axes") -> None:
        """Draw the horizontal grid of axes with a continuous y."""
        axes.grid(visible=True, axis="y", color=self.colours.grid, linewidth=0.6, gid=f"{axes.get_gid()}-grid")

    @staticmethod
    def steps(axes: "Axes", heights: Any, edges: Any, colour: str, *, gid: str, **kw: Any) -> "StepPatch":
        """Draw a step function into axes: a line, or filled down to ``baseline`` where one is given.

        As ``Axes.stairs``, which takes long to find the limits of many steps; here the caller sets them.
        """
        from matplotlib.patches import StepPatch

        filled = kw.get("baseline") is not None
        style = {"fill": filled, "facecolor" if filled else "edgecolor": colour, "linewidth": 0, "baseline": None}
        patch = StepPatch(heights, edges, gid=gid, **{**style, **kw})
        axes.add_artist(patch)
        return patch

    # --- what every figure has ---

    def heading(self, title: str, *subtitle: str | None, name: str = "", show: bool = True) -> None:
        """Write the finding and, below it, the numbers behind it.

        Parameters
        ----------
        title : str
            ``{name}`` in it stands for ``name``, which gets what room is left.
        subtitle : str or None
            Parts to be joined; what has no room is left out from the end, or cut.
        name : str
            Of the block that the title names.
        show : bool
            Whether to draw them; a caller that has words of its own does without, and the alternative text stays.
        """
        room = self.width - 2 * MARGIN
        text = title.replace("{name}", fit_name(title, drawable(name), room)) if name else title
        size = min(Size.TITLE, max(_SMALLEST_TITLE, Size.TITLE * room / text_width(text, Size.TITLE, bold=True)))
        below = joined(*fit_parts([drawable(part) for part in subtitle if part], room))
        whole = joined(title.replace("{name}", name), *subtitle)
        self.axes.set_label(whole)
        if show:
            self.text(MARGIN, _TITLE, text, gid="title", size=size, bold=True, va="top")
            self.text(MARGIN, _SUBTITLE, below, gid="subtitle", size=Size.SUBTITLE, colour=self.colours.text2, va="top")

    def legend(self, swatches: Sequence[Swatch], y: float) -> None:
        """Put swatches in one line, right-aligned, without a box."""
        x = self.right
        for number, swatch in reversed(list(enumerate(swatches))):
            x -= text_width(swatch.text, Size.NOTE)
            self.text(x, y, swatch.text, gid=f"legend-text-{number}", size=Size.NOTE, colour=self.colours.text2)
            x -= 0.15
            mark: Any = {"gid": f"legend-{number}", "zorder": 3}
            if swatch.hatched:
                self.out_of_reach(x, y - 0.048, 0.1, 0.09, **mark)
            elif swatch.hollow:
                mark |= {"edgecolor": swatch.colour, "linewidth": 0.8}
                self.rectangle(x, y - 0.048, 0.1, 0.09, self.colours.paper, **mark)
            else:
                self.rectangle(x, y - 0.048, 0.1, 0.09, swatch.colour, **mark)
            x -= 0.18

    def label(self, x: float, y: float, text: str, *, gid: str, **kw: Any) -> "Text":
        """Write the heading of a panel, an axis or a column."""
        return self.text(x, y, text, **{"gid": gid, "size": Size.HEADING, "colour": self.colours.text2, **kw})

    def note(self, text: str) -> None:
        """Write a note at the foot."""
        self.label(MARGIN, self.height - 0.13, text, gid="note", size=Size.NOTE)


class Pad:
    """A place with pages of its own kind, for a caller that draws in another way than by matplotlib's artists.

    Attributes
    ----------
    width : float
        Of its pages, in inches.
    """

    width: float

    def open_page(self, height: float, gid: str) -> Page:
        """Return a new page, to be drawn on by the methods of `Page`."""
        raise NotImplementedError


def place_width(place: "Place") -> float:
    """Return how wide a page there will be, in inches, before it is opened."""
    if isinstance(place, Pad):
        return place.width
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    if isinstance(place, Axes):
        return float(place.get_window_extent().width / place.figure.dpi)
    return float(place.get_figwidth()) if isinstance(place, Figure) else WIDTH


def open_page(place: "Place", height: float, *, gid: str) -> Page:
    """Make a page.

    Parameters
    ----------
    place : Axes, Figure or None
        An axes gives its place and is itself no longer seen; a figure keeps its width, and takes the height; None makes
        a new figure of pyplot's, 7.5 inches wide.
    height : float
        What the rows need, in inches. In an axes the page has the axes' height.
    gid : str
        Name of the plot, for the page's axes.

    Raises
    ------
    UsageError
        If the place is none of these.
    """
    if isinstance(place, Pad):
        return place.open_page(height, gid)
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    if isinstance(place, Axes):
        place.set_gid(gid)
        box = place.get_window_extent().transformed(place.figure.dpi_scale_trans.inverted())
        return Page(place, box.width, max(box.height, 0.5))
    if place is None:
        figure = _new_figure(height)
    elif isinstance(place, Figure):
        figure = place
        figure.set_figheight(height)
        figure.set_facecolor(palette().paper)
    else:
        msg = f"'ax' must be a matplotlib Axes, Figure or None; got {type(place).__name__}."
        raise UsageError(msg)
    return Page(figure.add_axes((0, 0, 1, 1), gid=gid), figure.get_figwidth(), height)


def _new_figure(height: float) -> "Figure":
    from matplotlib import pyplot as plt

    return plt.figure(figsize=(WIDTH, height), facecolor=palette().paper)


LINE: Final = 0.14
_LAST: Final = 0.13  # above the lower edge


def wrap(text: str, size: float, room: float) -> list[str]:
    """Break a text into lines that have the room, at single spaces; a word that is too long stands alone."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and text_width(f"{lines[-1]} {word}", size) <= room:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def draw_note(page: "Page", lines: Sequence[str]) -> None:
    """Write a note of several lines at the foot."""
    for number, line in enumerate(lines):
        y = page.height - _LAST - LINE * (len(lines) - 1 - number)
        page.label(MARGIN, y, line.strip(), gid=f"note-{number}", size=Size.NOTE)
