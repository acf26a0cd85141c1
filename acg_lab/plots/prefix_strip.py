"""The strip above the bars of `prefix_stability`: the whole prompt in one line, and the legend below it.

Belongs here: drawing blocks by their size, in the colours of what they are to the prefix.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from acg_lab._format import percent
from acg_lab.plots.canvas import MARGIN, Swatch
from acg_lab.plots.prefix_profile import Block, PlottedProfile, SpanKind
from acg_lab.plots.text import Size, text_width
from acg_lab.plots.theme import Palette

if TYPE_CHECKING:
    from acg_lab.plots.canvas import Page

__all__ = ["MARK", "Piece", "draw_strip", "fill_of", "pieces_of", "style_of"]

MARK: Final = "▼"
_HEIGHT: Final = 0.17
_NARROW: Final = 0.008  # share of the prompt below which neighbours of a kind are one piece
_SWATCH: Final = 0.33  # of a legend, with the gaps at both sides
_LEAST_BREAK: Final = 0.004
_LEGEND: Final[dict[SpanKind, str]] = {
    "prefix": "stable prefix",
    "reach": "stable, out of reach",
    "semi_stable": "semi-stable",
    "variable": "variable",
    "unknown": "not known yet",
}


class Piece(NamedTuple):
    """Neighbouring blocks drawn as one; ``start`` and ``width`` are shares of the prompt."""

    blocks: tuple[Block, ...]
    start: float
    width: float

    @property
    def kind(self) -> SpanKind:
        """What its blocks are."""
        return self.blocks[0].kind


def pieces_of(profile: PlottedProfile, *, whole_prefix: bool = True) -> list[Piece]:
    """Return the pieces of the prompt: narrow neighbours of a kind together, and the prefix as one if asked for.

    The breaking block has a width that can be seen; it takes it from nobody, but is drawn over what follows.
    """
    total = profile.prompt or 1.0
    ends = list(accumulate((block.width / total for block in profile.blocks), initial=0.0))
    pieces = []
    for numbers in _together(profile.blocks, total, whole_prefix=whole_prefix):
        first, last = numbers[0], numbers[-1]
        width = ends[last + 1] - ends[first]
        kind = profile.blocks[first].kind
        start = ends[first] if kind != "breaks" else min(ends[first], 1 - _LEAST_BREAK)
        width = max(width, _LEAST_BREAK) if kind == "breaks" else width
        pieces.append(Piece(tuple(profile.blocks[i] for i in numbers), start, width))
    return pieces


def _together(blocks: Sequence[Block], total: float, *, whole_prefix: bool) -> Iterator[list[int]]:
    def group(i: int) -> tuple[Any, ...]:
        block = blocks[i]
        if whole_prefix and block.kind == "prefix":
            return ("prefix",)
        return (block.kind, "narrow") if block.width < _NARROW * total and block.kind != "breaks" else (i,)

    return (list(numbers) for _, numbers in groupby(range(len(blocks)), group))


def fill_of(kind: SpanKind, colours: Palette) -> str:
    """Return the colour of an area of a kind."""
    fills = {"prefix": colours.stable, "breaks": colours.breaking, "semi_stable": colours.semi_stable}
    return fills.get(kind, colours.variable if kind == "variable" else colours.paper)


def style_of(kind: SpanKind, colours: Palette) -> dict[str, Any]:
    """Return how a bar of a kind is drawn: filled, hatched where out of reach, hollow where nothing is known."""
    if kind in {"reach", "unknown"}:
        hatch = {"hatch": "////"} if kind == "reach" else {}
        return {"facecolor": colours.paper, "edgecolor": colours.stable, "linewidth": 0.8, **hatch}
    fill = colours.variable_bar if kind == "variable" else fill_of(kind, colours)
    return {"facecolor": fill, "edgecolor": "none", "linewidth": 0}


def draw_strip(page: "Page", profile: PlottedProfile, top: float) -> None:
    """Draw the prompt, the mark over what breaks it, and the legend."""
    length = page.right - MARGIN
    for piece in pieces_of(profile):
        _draw_piece(page, piece, MARGIN + piece.start * length, top, piece.width * length)
    prefix = profile.share * length
    if not profile.alone and prefix:
        _label_prefix(page, profile, prefix, top)
    y = top + 0.285
    swatches = _legend(profile, page.colours)
    page.legend(swatches, y)
    room = length - sum(text_width(swatch.text, Size.NOTE) + _SWATCH for swatch in swatches)
    what = "block widths in tokens" if profile.has_tokens else "all blocks alike: their tokens are not known"
    for text in (f"the prompt, {what}", "the prompt"):
        if text_width(text, Size.NOTE) <= room:
            page.label(MARGIN, y, text, gid="prompt-label", size=Size.NOTE)
            break


def _draw_piece(page: "Page", piece: Piece, x: float, top: float, width: float) -> None:
    gid = f"prompt-{piece.blocks[0].position}"
    style = style_of(piece.kind, page.colours)
    fill = fill_of(piece.kind, page.colours)
    if piece.kind not in {"reach", "unknown"}:
        style |= {"edgecolor": page.colours.paper, "linewidth": 0.4}
    style |= {"zorder": 2.5 if piece.kind == "breaks" else 2}
    del style["facecolor"]
    page.rectangle(x, top, width, _HEIGHT, fill, gid=gid, **style)
    if piece.kind == "breaks":
        middle = x + width / 2
        page.text(middle, top - 0.055, MARK, gid="break-mark", colour=page.colours.breaking, size=9, ha="center")


def _label_prefix(page: "Page", profile: PlottedProfile, width: float, top: float) -> None:
    """Write the share of the prefix into it, as long as there is room."""
    of = "tokens" if profile.has_tokens else "blocks"
    share = percent(profile.share)
    for text in (f"stable prefix {share} of the {of}", f"stable prefix {share}", share):
        if text_width(text, Size.HEADING) + 0.11 <= width:
            colour = page.colours.text_on(page.colours.stable)
            page.text(MARGIN + 0.055, top + _HEIGHT / 2, text, gid="prefix-share", size=Size.HEADING, colour=colour)
            return


def _legend(profile: PlottedProfile, colours: Palette) -> list[Swatch]:
    """Return what is drawn, with numbers of blocks; the breaking block counts by its class."""
    swatches = []
    for kind, name in _LEGEND.items():
        if n := profile.count(kind):
            fill = fill_of(kind, colours) if kind != "unknown" else colours.stable
            swatches.append(Swatch(f"{name} {n:,}", fill, hatched=kind == "reach", hollow=kind == "unknown"))
    return swatches
