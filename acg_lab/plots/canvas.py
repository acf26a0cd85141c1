"""What figures draw on: a page measured in inches from its top left corner.

`Canvas` names the few things that figures draw: text, rectangles, lines, dots, and panels with axes of their own.
Title, legend and note are made of these, so every canvas has them. `acg_lab.plots.mpl_canvas` draws matplotlib figures;
`acg_lab.widgets.raster_canvas` draws pixels, fast enough for a slider.

Invariant: a plot that draws on any `Canvas` looks the same on each of them.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol, runtime_checkable

from acg_lab._format import cut, joined
from acg_lab.plots.text import Size, drawable, fit_lines, fit_name, fit_parts, shorten, text_width
from acg_lab.plots.theme import Palette

__all__ = ["HEADING", "MARGIN", "NOTE_LINE", "WIDTH", "BoxStyle", "Canvas", "Panel", "Surface", "Swatch"]

WIDTH: Final = 7.5
MARGIN: Final = 0.09
HEADING: Final = 0.56  # where everything below title and subtitle may begin
NOTE_LINE: Final = 0.14
_NOTE_BASE: Final = 0.13  # of the last line of a note, above the lower edge
_TITLE, _SUBTITLE = 0.10, 0.335
_SMALLEST_TITLE: Final = 8.5
_SHORT_TITLE: Final = 0.06  # of a compact form: above and below its title
_SHORT_NAME: Final = 18
_LEADING: Final = 1.28  # of lines, in sizes
_SUBTITLE_FROM: Final = 2.0  # height of a compact form from which it has a subtitle


class BoxStyle(NamedTuple):
    """How a rectangle is filled and outlined.

    Attributes
    ----------
    fill : str
        Colour.
    edge : str, optional
        Colour of the outline and of the hatching.
    edge_width : float
        In points.
    hatched : bool
        Whether slanted lines cover the fill: "out of reach" (acg_lab/docs/look.md, section 2).
    """

    fill: str
    edge: str | None = None
    edge_width: float = 0.0
    hatched: bool = False


class Swatch(NamedTuple):
    """One entry of a legend."""

    text: str
    style: BoxStyle


class Surface(Protocol):
    """An area with coordinates to draw in. Every method takes ``gid``, the name of what it draws.

    Sizes of text and widths of lines are in points. What has the higher ``zorder`` covers the rest.

    Attributes
    ----------
    axes : Axes or None
        What a plot returns to its caller; None where matplotlib does not draw.
    """

    axes: Any

    @abstractmethod
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
        """Write one line of text; the colour is ink when left out."""

    @abstractmethod
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
        """Fill a rectangle, and outline it if it has an edge; on a page, x and y are its upper left corner."""

    @abstractmethod
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
        """Draw straight lines, each from a first to a second point; ``dash`` is stroke and gap in line widths."""

    @abstractmethod
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


class Panel(Surface, Protocol):
    """Axes on a page, with coordinates of their own."""

    @abstractmethod
    def set_limits(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        """Set what the left and right, the lower and upper edge stand for."""

    @abstractmethod
    def set_x_ticks(self, ticks: Sequence[float], labels: Sequence[str]) -> None:
        """Draw ticks below, with their labels."""


@runtime_checkable
class Canvas(Surface, Protocol):
    """A page to draw on, in inches, y downwards.

    Attributes
    ----------
    width : float
        Known before `begin`, so that a plot can fit its words.
    height : float
        Known from `begin` on.
    colours : Palette
        Of the theme in force at `begin`.
    is_compact : bool
        Whether there is too little room for words: a plot then draws its compact form. Known from `begin` on.
    """

    is_compact: bool = False
    width: float
    height: float
    colours: Palette

    @abstractmethod
    def begin(self, height: float, *, gid: str, least: float = 0.0) -> None:
        """Start the page of the plot named ``gid``.

        The height is what the plot needs; the page may have another. Below ``least`` it has no room for all words.
        """

    @abstractmethod
    def panel(self, left: float, top: float, width: float, height: float, *, gid: str, x_axis: bool = True) -> Panel:
        """Make axes: no box, and ticks below only (acg_lab/docs/look.md, section 3)."""

    @abstractmethod
    def describe(self, words: str) -> None:
        """Set the alternative text."""

    # --- what every figure has ---

    @property
    def right(self) -> float:
        """Where the right margin begins."""
        return self.width - MARGIN

    def heading(self, title: str, *subtitle: str | None, name: str = "", show: bool = True) -> float:
        """Write the answer and, below it, the numbers behind it; return where what follows may begin.

        Parameters
        ----------
        title : str
            ``{name}`` in it stands for ``name``, which gets the room that is left.
        subtitle : str or None
            Parts to be joined; where the line is too long, names are cut and the last parts left out.
        name : str
            Of the block in the title.
        show : bool
            Whether to draw them. The alternative text is set in any case.
        """
        self.describe(joined(title.replace("{name}", name), *subtitle))
        if not show:
            return MARGIN if self.is_compact else 0.0
        if self.is_compact:
            return self._short_heading(title.replace("{name}", cut(drawable(name), _SHORT_NAME)), subtitle)
        room = self.width - 2 * MARGIN
        text = title.replace("{name}", fit_name(title, drawable(name), room)) if name else title
        size = min(Size.TITLE, max(_SMALLEST_TITLE, Size.TITLE * room / text_width(text, Size.TITLE, bold=True)))
        below = joined(*fit_parts([drawable(part) for part in subtitle if part], room))
        self.text(MARGIN, _TITLE, text, gid="title", size=size, bold=True, va="top")
        self.text(MARGIN, _SUBTITLE, below, gid="subtitle", size=Size.SUBTITLE, colour=self.colours.text2, va="top")
        return HEADING

    def _short_heading(self, title: str, subtitle: Sequence[str | None]) -> float:
        """Write the title of a compact form in at most two lines, and the subtitle where the page is high enough."""
        room, y = self.width - 2 * MARGIN, _SHORT_TITLE
        size, lines = fit_lines(title, room)
        for number, line in enumerate(lines):
            gid = f"title-{number}" if number else "title"
            self.text(MARGIN, y, line, gid=gid, size=size, bold=True, va="top")
            y += size * _LEADING / 72
        if self.height >= _SUBTITLE_FROM:
            parts = fit_parts([drawable(part) for part in subtitle if part], room)
            below = shorten(joined(*parts), Size.SMALLEST, room)
            self.text(MARGIN, y, below, gid="subtitle", size=Size.SMALLEST, colour=self.colours.text2, va="top")
            y += Size.SMALLEST * _LEADING / 72
        return y + _SHORT_TITLE

    def legend(self, swatches: Sequence[Swatch], y: float) -> None:
        """Draw swatches in one line, right-aligned, without a box; a compact form has none."""
        if self.is_compact:
            return
        x = self.right
        for number, (text, style) in reversed(list(enumerate(swatches))):
            x -= text_width(text, Size.NOTE)
            self.text(x, y, text, gid=f"legend-text-{number}", size=Size.NOTE, colour=self.colours.text2)
            x -= 0.15
            self.rectangle(x, y - 0.048, 0.1, 0.09, gid=f"legend-{number}", zorder=3, **style._asdict())
            x -= 0.18

    def label(
        self,
        x: float,
        y: float,
        text: str,
        *,
        gid: str,
        size: float = Size.HEADING,
        colour: str | None = None,
        ha: str = "left",
        mono: bool = False,
    ) -> None:
        """Write the heading of a panel, an axis or a column."""
        self.text(x, y, text, gid=gid, size=size, colour=colour or self.colours.text2, ha=ha, mono=mono)

    def note(self, *lines: str) -> None:
        """Write a note at the foot; a compact form has none, and a narrow page only what fits."""
        room = 0.0 if self.is_compact else self.width - 2 * MARGIN
        lines = tuple(line for line in lines if text_width(line.strip(), Size.NOTE) <= room)
        for number, line in enumerate(lines):
            y = self.height - _NOTE_BASE - NOTE_LINE * (len(lines) - 1 - number)
            self.label(MARGIN, y, line.strip(), gid=f"note-{number}", size=Size.NOTE)
