"""The bars of `prefix_stability`: one row per block, and a band that says what breaks the prefix.

Draws rows that `acg_lab.plots.prefix_rows` has placed, on any canvas.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from acg_lab._format import counted, setting, tokens
from acg_lab.plots.canvas import MARGIN
from acg_lab.plots.prefix_profile import Block, PlottedProfile
from acg_lab.plots.prefix_rows import BREAKS, ROW_HEIGHT, Fold, Row, Rows, is_tool_result
from acg_lab.plots.prefix_strip import style_of
from acg_lab.plots.text import Size, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from acg_lab.plots.canvas import Canvas, Panel

__all__ = ["Bars"]

_TRACK, _PRESENT, _SCORE = 0.12, 0.30, 0.62  # of a row
_DOT: Final = 3.6  # points
_GAP: Final = 0.11
_QUARTERS: Final = 1.4  # inches; shorter bars have no ticks at the quarters


class Bars:
    """The rows of one profile on a canvas.

    Parameters
    ----------
    canvas : Canvas
        To draw on.
    profile : PlottedProfile
        Whose blocks they are.
    rows : Rows
        Already placed.
    top : float
        Where the first row begins, in inches.
    """

    def __init__(self, canvas: "Canvas", profile: PlottedProfile, rows: Rows, top: float) -> None:
        self.canvas, self.profile, self.rows, self.top = canvas, profile, rows, top
        self.numbers_end = canvas.right - (0.6 if profile.has_tokens else 0.0)
        widest = max(text_width(self._number(line.row), Size.ROW) for line in rows.lines)
        self.right = canvas.right - _GAP if canvas.is_compact else self.numbers_end - max(widest, 0.35) - _GAP

    def draw(self) -> "Axes":
        """Draw everything; return the axes of the bars, whose x is the score."""
        canvas, left, height = self.canvas, self.rows.left, self.rows.height
        panel = canvas.panel(left, self.top, self.right - left, height, gid="bars")
        panel.set_limits((0, 1), (self.top + height, self.top))
        ticks = {0: "0", 0.25: "0.25", 0.5: "0.50", 0.75: "0.75", 1: "1"}
        every = 2 if self.right - left < _QUARTERS or canvas.is_compact else 1
        panel.set_x_ticks(list(ticks)[::every], list(ticks.values())[::every])
        self._draw_prefix()
        self._draw_break()
        self._draw_tracks(panel)
        for line in self.rows.lines:
            if isinstance(line.row, Fold):
                self._draw_fold(panel, line.row, self.top + line.middle)
            else:
                self._draw_block(panel, line.row, self.top + line.middle, _SCORE * line.height)
        self._draw_thresholds(panel)
        if not canvas.is_compact:
            self._write_headings()
        axes: Axes = panel.axes
        return axes

    def _write_headings(self) -> None:
        canvas, below = self.canvas, self.top + self.rows.height
        what = "score (share of requests in which the block has its dominant content)"
        middle = (self.rows.left + self.right) / 2
        canvas.label(middle, below + 0.28, what, gid="x-label", ha="center", size=Size.AXIS)
        canvas.label(self.numbers_end, self.top - 0.11, "score", gid="score-heading", ha="right")
        if self.profile.has_tokens:
            canvas.label(canvas.right, self.top - 0.11, "tokens", gid="tokens-heading", ha="right")

    def _draw_prefix(self) -> None:
        """Tint the rows of the stable prefix, with a rail at the left."""
        canvas, lines = self.canvas, [line for line in self.rows.lines if _kind(line.row) == "prefix"]
        if not lines:
            return
        start = self.top + lines[0].top
        height = lines[-1].top + lines[-1].height - lines[0].top
        canvas.rectangle(
            MARGIN, start, canvas.right - MARGIN, height, canvas.colours.prefix_tint, gid="prefix", zorder=0
        )
        canvas.rectangle(MARGIN - 3 / 144, start, 3 / 72, height, canvas.colours.stable, gid="prefix-rail", zorder=3)

    def _draw_break(self) -> None:
        """Draw the line above the breaking block and, below it, the reason, like a compiler's message."""
        rows, canvas = self.rows, self.canvas
        if rows.rule is None:
            return
        start, end = self.top + rows.rule, self.top + rows.band_end
        colour, tint = canvas.colours.breaking, canvas.colours.breaking_tint
        canvas.rectangle(MARGIN, start, canvas.right - MARGIN, end - start, tint, gid="break-band", zorder=0)
        rule = [[(MARGIN, start), (canvas.right, start)]]
        canvas.lines(rule, colour, gid="break-rule", linewidth=1.4, zorder=3)
        each = (rows.band_end - rows.message_top) / max(len(rows.message), 1)
        for number, text in enumerate(rows.message):
            y = self.top + rows.message_top + (number + 0.5) * each - 0.01
            canvas.text(self.rows.left, y, text, gid=f"reason-{number}", colour=colour)
            if not number:
                canvas.text(self.rows.names_end, y, BREAKS, gid="breaks", colour=colour, bold=True, ha="right")

    def _draw_tracks(self, panel: "Panel") -> None:
        """Draw the empty part of each bar, and on it how often the block is present."""
        points = 72 * ROW_HEIGHT * self.rows.scale
        blocks = [(self.top + line.middle, line.row) for line in self.rows.lines if isinstance(line.row, Block)]
        tracks = [[(0.0, y), (1.0, y)] for y, _ in blocks]
        present = [[(0.0, y), (block.present, y)] for y, block in blocks]
        colours = self.canvas.colours
        panel.lines(tracks, colours.grid, gid="tracks", linewidth=_TRACK * points, zorder=1)
        panel.lines(present, colours.rule, gid="present", linewidth=_PRESENT * points, zorder=1)

    def _draw_block(self, panel: "Panel", block: Block, y: float, height: float) -> None:
        canvas, colours, position = self.canvas, self.canvas.colours, block.position
        style = style_of(block.kind, colours, is_bar=True)
        width = min(max(block.score, 0.0), 1.0)
        panel.rectangle(0, y - height / 2, width, height, gid=f"score-{position}", zorder=2, **style._asdict())
        is_breaking = block.kind == "breaking"
        ink = colours.breaking if is_breaking else colours.ink
        if block.score > 1 and not canvas.is_compact:
            canvas.text(self.right + 0.02, y, "▸", gid=f"above-1-{position}", colour=style.edge or style.fill)
        if canvas.is_compact:
            return
        name, score = self.rows.names[block.name], self.profile.format_score(block.score)
        bold: Any = {"bold": is_breaking, "colour": ink, "ha": "right"}
        canvas.text(self.rows.names_end, y, name, gid=f"name-{position}", size=Size.NAME, mono=True, **bold)
        canvas.text(self.numbers_end, y, score, gid=f"number-{position}", **bold)
        self._write_tokens((block,), y, f"tokens-{position}")

    def _draw_fold(self, panel: "Panel", fold: Fold, y: float) -> None:
        """Draw one dot per score instead of bars."""
        canvas, first, colours = self.canvas, fold.blocks[0].position, self.canvas.colours
        if not canvas.is_compact:
            what = "tool result" if all(is_tool_result(block.name) for block in fold.blocks) else "more block"
            style: Any = {"ha": "right", "colour": colours.text2}
            more = f"⋯ {counted(len(fold.blocks), what)}"
            canvas.text(self.rows.names_end, y, more, gid=f"fold-{first}", italic=True, **style)
            canvas.text(self.numbers_end, y, self._number(fold), gid=f"number-{first}", **style)
            self._write_tokens(fold.blocks, y, f"tokens-{first}")
        for kind in dict.fromkeys(block.kind for block in fold.blocks):
            scores = sorted({min(round(block.score, 3), 1.0) for block in fold.blocks if block.kind == kind})
            shape, gid = style_of(kind, colours, is_bar=True), f"dots-{first}-{kind}"
            edge: Any = {"edge": shape.edge or shape.fill, "edge_width": 1.0 if shape.edge else 0.4}
            panel.dots(scores, [y] * len(scores), shape.fill, gid=gid, size=_DOT, **edge)

    def _write_tokens(self, blocks: Sequence[Block], y: float, gid: str) -> None:
        if self.profile.has_tokens:
            total = tokens(sum(block.tokens or 0.0 for block in blocks))
            self.canvas.text(self.canvas.right, y, total, gid=gid, ha="right", colour=self.canvas.colours.text2)

    def _number(self, row: Row) -> str:
        if isinstance(row, Block):
            return self.profile.format_score(row.score)
        least, most = (self.profile.format_score(of(b.score for b in row.blocks)) for of in (min, max))
        return least if least == most else f"{least}\N{EN DASH}{most}"

    # --- thresholds ---

    def _draw_thresholds(self, panel: "Panel") -> None:
        stable, semi = self.profile.thresholds.stable_threshold, self.profile.thresholds.semi_stable_threshold
        drawn = {"stable": stable} | ({"semi-stable": semi} if semi < stable else {})
        drawn = {name: at for name, at in drawn.items() if 0 <= at <= 1}
        ys, ink = tuple(self._threshold_ends()), self.canvas.colours.ink
        for name, at in drawn.items():
            dash = None if name == "stable" else (3, 2)
            panel.lines([[(at, a), (at, b)] for a, b in ys], ink, gid=f"{name}-threshold", dash=dash, zorder=3)
        if not self.canvas.is_compact:
            self._name_thresholds(drawn)

    def _threshold_ends(self) -> Iterator[tuple[float, float]]:
        """Yield where threshold lines begin and end: they pause at the message."""
        start, end = self.top - 0.03, self.top + self.rows.height
        if self.rows.rule is None:
            yield start, end
            return
        yield start, self.top + self.rows.message_top
        if self.rows.band_end < self.rows.height - 1e-9:
            yield self.top + self.rows.band_end, end

    def _name_thresholds(self, drawn: dict[str, float]) -> None:
        """Name the thresholds, right-aligned at their lines.

        If they do not fit side by side, the stable one goes to the right of its line, or else the other one line up.
        """
        y, gap, ink = self.top - 0.11, 0.12, self.canvas.colours.ink
        x = {name: self.rows.left + at * (self.right - self.rows.left) for name, at in drawn.items()}
        texts = {name: f"{name} ≥ {setting(at)}" for name, at in drawn.items()}
        widths = {name: text_width(text, Size.HEADING) for name, text in texts.items()}
        close = len(x) > 1 and x["stable"] - x["semi-stable"] < widths["stable"] + gap
        beside = close and x["stable"] + widths["stable"] + gap < self.numbers_end - 0.35
        for name, text in texts.items():
            is_right = name == "stable" and beside
            at = x[name] if is_right else max(x[name], MARGIN + widths[name])
            above = 0.15 if close and not beside and name == "semi-stable" else 0.0
            place: Any = {"ha": "left" if is_right else "right", "colour": ink}
            self.canvas.label(at, y - above, text, gid=f"{name}-threshold-name", **place)


def _kind(row: Row) -> str:
    return row.blocks[0].kind if isinstance(row, Fold) else row.kind
