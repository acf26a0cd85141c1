"""The bars of `prefix_stability`: a row a block, and a band that says what breaks the prefix.

Belongs here: drawing rows that are placed already.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from acg_lab._format import counted, setting, tokens
from acg_lab.plots.canvas import MARGIN
from acg_lab.plots.prefix_profile import Block, PlottedProfile
from acg_lab.plots.prefix_rows import BREAKS, ROW_HEIGHT, Fold, Line, Row, Rows
from acg_lab.plots.prefix_strip import style_of
from acg_lab.plots.text import Size, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from acg_lab.plots.canvas import Page

__all__ = ["Bars"]

_TRACK, _PRESENT, _SCORE = 0.12, 0.30, 0.62  # of a row
_GAP: Final = 0.11
_QUARTERS: Final = 1.4  # bars as long as this have ticks at the quarters, in inches


class Bars:
    """Where the columns of the rows stand, in inches, and drawing them.

    Parameters
    ----------
    page : Page
        To draw on.
    profile : PlottedProfile
        Whose blocks they are.
    rows : Rows
        As placed.
    top : float
        Where the first row begins.
    """

    def __init__(self, page: "Page", profile: PlottedProfile, rows: Rows, top: float) -> None:
        self.page, self.profile, self.rows, self.top = page, profile, rows, top
        self.numbers_end = page.right - (0.6 if profile.has_tokens else 0.0)
        widest = max(text_width(self._number(line.row), Size.ROW) for line in rows.lines)
        self.right = self.numbers_end - max(widest, 0.35) - _GAP

    def draw(self) -> "Axes":
        """Draw everything; return the axes of the bars, whose x is the score."""
        height = self.rows.height
        axes = self.page.panel(self.rows.left, self.top, self.right - self.rows.left, height, gid="bars")
        axes.set(xlim=(0, 1), ylim=(self.top + height, self.top), yticks=[])
        ticks = {0: "0", 0.25: "0.25", 0.5: "0.50", 0.75: "0.75", 1: "1"}
        narrow = self.right - self.rows.left < _QUARTERS
        axes.set_xticks(list(ticks)[:: 2 if narrow else 1], list(ticks.values())[:: 2 if narrow else 1])
        what = "score (share of requests in which the block has its dominant content)"
        middle = (self.rows.left + self.right) / 2
        self.page.label(middle, self.top + height + 0.28, what, gid="x-label", ha="center", size=Size.AXIS)
        self._prefix()
        self._band()
        blocks = [line for line in self.rows.lines if isinstance(line.row, Block)]
        self._thin(axes, blocks)
        for line in self.rows.lines:
            self._row(axes, line)
        self._thresholds(axes)
        self.page.label(self.numbers_end, self.top - 0.11, "score", gid="score-heading", ha="right")
        if self.profile.has_tokens:
            self.page.label(self.page.right, self.top - 0.11, "tokens", gid="tokens-heading", ha="right")
        return axes

    def _prefix(self) -> None:
        """Tint the rows of the stable prefix, with a rail at the left."""
        page, lines = self.page, [line for line in self.rows.lines if _kind(line.row) == "prefix"]
        if not lines:
            return
        start = self.top + lines[0].top
        height = lines[-1].top + lines[-1].height - lines[0].top
        page.rectangle(MARGIN, start, page.right - MARGIN, height, page.colours.prefix_tint, gid="prefix", zorder=0)
        page.rectangle(MARGIN - 3 / 144, start, 3 / 72, height, page.colours.stable, gid="prefix-rail", zorder=3)

    def _band(self) -> None:
        """Draw the line above the breaking block, and below it what a compiler would say."""
        rows, page = self.rows, self.page
        if rows.rule is None:
            return
        start, end = self.top + rows.rule, self.top + rows.band_end
        colour, tint = page.colours.breaking, page.colours.breaking_tint
        page.rectangle(MARGIN, start, page.right - MARGIN, end - start, tint, gid="break-band", zorder=0)
        rule = [[(MARGIN, start), (page.right, start)]]
        page.lines(rule, colour, gid="break-rule", linewidth=1.4, zorder=3)
        each = (rows.band_end - rows.message_top) / len(rows.message)
        for number, text in enumerate(rows.message):
            y = self.top + rows.message_top + (number + 0.5) * each - 0.01
            page.text(self.rows.left, y, text, gid=f"reason-{number}", colour=colour)
            if not number:
                page.text(self.rows.names_end, y, BREAKS, gid="breaks", colour=colour, bold=True, ha="right")

    def _thin(self, axes: "Axes", lines: Sequence[Line]) -> None:
        """Draw the tracks, and on them how often each block is present."""
        from matplotlib.collections import LineCollection

        points = 72 * ROW_HEIGHT * self.rows.scale
        ends: tuple[tuple[str, float, str, list[float]], ...] = (
            ("tracks", _TRACK, self.page.colours.grid, [1.0] * len(lines)),
            ("present", _PRESENT, self.page.colours.rule, [line.row.present for line in lines]),  # type: ignore[union-attr]
        )
        for gid, share, colour, widths in ends:
            y = [self.top + line.middle for line in lines]
            segments = [[(0.0, at), (width, at)] for at, width in zip(y, widths, strict=True)]
            style: dict[str, Any] = {"linewidth": share * points, "capstyle": "butt", "zorder": 1}
            axes.add_collection(LineCollection(segments, colors=colour, gid=gid, **style), autolim=False)

    def _row(self, axes: "Axes", line: Line) -> None:
        row, y, colours = line.row, self.top + line.middle, self.page.colours
        if isinstance(row, Fold):
            self._fold(axes, row, y)
            return
        from matplotlib.patches import Rectangle

        height = _SCORE * line.height
        width = min(max(row.score, 0.0), 1.0)
        style = {"zorder": 2, "clip_on": False, "gid": f"score-{row.position}", **style_of(row.kind, colours)}
        axes.add_patch(Rectangle((0, y - height / 2), width, height, **style))
        breaks = row.kind == "breaks"
        ink = colours.breaking if breaks else colours.ink
        if row.score > 1:
            fill = colours.stable if row.kind in {"reach", "unknown"} else style["facecolor"]
            self.page.text(self.right + 0.02, y, "▸", gid=f"above-1-{row.position}", colour=fill)
        names: Any = {"size": Size.NAME, "mono": True, "ha": "right", "colour": ink, "bold": breaks}
        self.page.text(self.rows.names_end, y, self.rows.names[row.name], gid=f"name-{row.position}", **names)
        number: Any = {"colour": ink, "bold": breaks, "ha": "right"}
        self.page.text(self.numbers_end, y, self._number(row), gid=f"number-{row.position}", **number)
        self._tokens(row, y, f"tokens-{row.position}")

    def _fold(self, axes: "Axes", fold: Fold, y: float) -> None:
        """Draw a dot a score in the place of bars."""
        first, colours = fold.blocks[0].position, self.page.colours
        more = f"⋯ {counted(len(fold.blocks), 'more block')}"
        style: Any = {"ha": "right", "colour": colours.text2}
        self.page.text(self.rows.names_end, y, more, gid=f"fold-{first}", italic=True, **style)
        self.page.text(self.numbers_end, y, self._number(fold), gid=f"number-{first}", **style)
        self._tokens(fold, y, f"tokens-{first}")
        for kind in dict.fromkeys(block.kind for block in fold.blocks):
            dots = sorted({min(round(block.score, 3), 1.0) for block in fold.blocks if block.kind == kind})
            shape = style_of(kind, colours)
            hollow = kind in {"reach", "unknown"}
            axes.plot(
                dots,
                [y] * len(dots),
                linestyle="none",
                marker="o",
                markersize=3.6,
                markerfacecolor=shape["facecolor"],
                markeredgecolor=colours.stable if hollow else shape["facecolor"],
                markeredgewidth=1.0 if hollow else 0.4,
                clip_on=False,
                zorder=2,
                gid=f"dots-{first}-{kind}",
            )

    def _tokens(self, row: Row, y: float, gid: str) -> None:
        if self.profile.has_tokens:
            blocks = row.blocks if isinstance(row, Fold) else (row,)
            total = sum(block.tokens or 0.0 for block in blocks)
            self.page.text(self.page.right, y, tokens(total), gid=gid, ha="right", colour=self.page.colours.text2)

    def _number(self, row: Row) -> str:
        if isinstance(row, Block):
            return self.profile.score(row.score)
        least, most = (self.profile.score(of(b.score for b in row.blocks)) for of in (min, max))
        return least if least == most else f"{least}\N{EN DASH}{most}"

    # --- thresholds ---

    def _thresholds(self, axes: "Axes") -> None:
        limits = self.profile.thresholds
        stable, semi = limits.stable_threshold, limits.semi_stable_threshold
        drawn: dict[str, tuple[float, Any]] = {"stable": (stable, "solid")}
        if semi < stable:
            drawn["semi-stable"] = (semi, (0, (3, 2)))
        drawn = {name: line for name, line in drawn.items() if 0 <= line[0] <= 1}
        ys = tuple(self._segments())
        from matplotlib.collections import LineCollection

        for name, (at, dash) in drawn.items():
            segments = [[(at, a), (at, b)] for a, b in ys]
            style: dict[str, Any] = {"linewidth": 0.9, "linestyle": dash, "zorder": 3, "clip_on": False}
            lines = LineCollection(segments, colors=self.page.colours.ink, gid=f"{name}-threshold", **style)
            axes.add_collection(lines, autolim=False)
        self._threshold_names({name: line[0] for name, line in drawn.items()})

    def _segments(self) -> Iterator[tuple[float, float]]:
        """Yield where threshold lines run: they pause where the message is."""
        start, end = self.top - 0.03, self.top + self.rows.height
        if self.rows.rule is None:
            yield start, end
            return
        yield start, self.top + self.rows.message_top
        if self.rows.band_end < self.rows.height - 1e-9:
            yield self.top + self.rows.band_end, end

    def _threshold_names(self, drawn: dict[str, float]) -> None:
        """Name the thresholds, right-aligned at their lines; the lower one a line higher where both have no room."""
        y, gap = self.top - 0.11, 0.12
        x = {name: self.rows.left + at * (self.right - self.rows.left) for name, at in drawn.items()}
        texts = {name: f"{name} ≥ {setting(at)}" for name, at in drawn.items()}
        widths = {name: text_width(text, Size.HEADING) for name, text in texts.items()}
        close = len(x) > 1 and x["stable"] - x["semi-stable"] < widths["stable"] + gap
        beside = close and x["stable"] + widths["stable"] + gap < self.numbers_end - 0.35
        for name, text in texts.items():
            right = name == "stable" and beside
            at = x[name] if right else max(x[name], MARGIN + widths[name])
            above = 0.15 if close and not beside and name == "semi-stable" else 0.0
            self.page.label(
                at,
                y - above,
                text,
                gid=f"{name}-threshold-name",
                ha="left" if right else "right",
                colour=self.page.colours.ink,
            )


def _kind(row: Row) -> str:
    return row.blocks[0].kind if isinstance(row, Fold) else row.kind
