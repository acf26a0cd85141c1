"""The strip above the bars of `prefix_stability`: the whole prompt in one line, and the legend below it."""

from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from acg_lab._format import percent
from acg_lab.plots.canvas import MARGIN, BoxStyle, Swatch
from acg_lab.plots.prefix_profile import Block, BlockKind, PlottedProfile
from acg_lab.plots.text import Size, text_width
from acg_lab.plots.theme import Palette

if TYPE_CHECKING:
    from acg_lab.plots.canvas import Canvas

__all__ = ["MARK", "Piece", "cut_into_pieces", "draw_strip", "style_of"]

MARK: Final = "▼"
_HEIGHT: Final = 0.17
_NARROW: Final = 0.008  # share of the prompt: narrower neighbours of one kind are one piece
_SWATCH: Final = 0.33  # of a legend, with the gaps at both sides
_LEAST_BREAK: Final = 0.004
_LEGEND: Final[dict[BlockKind, str]] = {
    "prefix": "stable prefix",
    "out_of_reach": "stable, out of reach",
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
    def kind(self) -> BlockKind:
        """Kind of its blocks."""
        return self.blocks[0].kind


def cut_into_pieces(profile: PlottedProfile) -> list[Piece]:
    """Cut the prompt into pieces: the prefix as one, and narrow neighbours of one kind together.

    The breaking block is always wide enough to be seen; it is drawn over the blocks after it.
    """
    total = profile.prompt_width or 1.0
    ends = list(accumulate((block.width / total for block in profile.blocks), initial=0.0))
    pieces = []
    for numbers in _group_blocks(profile.blocks, total):
        first, last = numbers[0], numbers[-1]
        width = ends[last + 1] - ends[first]
        kind = profile.blocks[first].kind
        start = ends[first] if kind != "breaking" else min(ends[first], 1 - _LEAST_BREAK)
        width = max(width, _LEAST_BREAK) if kind == "breaking" else width
        pieces.append(Piece(tuple(profile.blocks[i] for i in numbers), start, width))
    return pieces


def _group_blocks(blocks: Sequence[Block], total: float) -> Iterator[list[int]]:
    def group(i: int) -> tuple[Any, ...]:
        block = blocks[i]
        if block.kind == "prefix":
            return ("prefix",)
        return (block.kind, "narrow") if block.width < _NARROW * total and block.kind != "breaking" else (i,)

    return (list(numbers) for _, numbers in groupby(range(len(blocks)), group))


def style_of(kind: BlockKind, colours: Palette, *, is_bar: bool = False) -> BoxStyle:
    """Return how a block is drawn: filled, hatched if out of reach, hollow if nothing is known; bars are stronger."""
    if kind in {"out_of_reach", "unknown"}:
        return BoxStyle(colours.paper, colours.stable, 0.8, hatched=kind == "out_of_reach")
    fills = {"prefix": colours.stable, "breaking": colours.breaking, "semi_stable": colours.semi_stable}
    return BoxStyle(fills.get(kind, colours.variable_bar if is_bar else colours.variable))


def draw_strip(canvas: "Canvas", profile: PlottedProfile, top: float) -> None:
    """Draw the prompt, the mark over its breaking block, and the legend."""
    length = canvas.right - MARGIN
    for piece in cut_into_pieces(profile):
        _draw_piece(canvas, piece, MARGIN + piece.start * length, top, piece.width * length)
    prefix = profile.share * length
    if not profile.is_single_request and prefix:
        _label_prefix(canvas, profile, prefix, top)
    y = top + 0.285
    swatches = _legend(profile, canvas.colours)
    canvas.legend(swatches, y)
    room = length - sum(text_width(swatch.text, Size.NOTE) + _SWATCH for swatch in swatches)
    widths = "block widths in tokens" if profile.has_tokens else "all blocks alike: their tokens are not known"
    for text in (f"the prompt, {widths}", "the prompt"):
        if text_width(text, Size.NOTE) <= room:
            canvas.label(MARGIN, y, text, gid="prompt-label", size=Size.NOTE)
            break


def _draw_piece(canvas: "Canvas", piece: Piece, x: float, top: float, width: float) -> None:
    style = style_of(piece.kind, canvas.colours)
    if style.edge is None:
        style = style._replace(edge=canvas.colours.paper, edge_width=0.4)
    is_breaking = piece.kind == "breaking"
    order = 2.5 if is_breaking else 2.0
    canvas.rectangle(x, top, width, _HEIGHT, gid=f"prompt-{piece.blocks[0].position}", zorder=order, **style._asdict())
    if is_breaking:
        middle = x + width / 2
        canvas.text(middle, top - 0.055, MARK, gid="break-mark", colour=canvas.colours.breaking, size=9, ha="center")


def _label_prefix(canvas: "Canvas", profile: PlottedProfile, width: float, top: float) -> None:
    """Write the share of the prefix into it, in the longest words that fit."""
    unit = "tokens" if profile.has_tokens else "blocks"
    share = percent(profile.share)
    for text in (f"stable prefix {share} of the {unit}", f"stable prefix {share}", share):
        if text_width(text, Size.HEADING) + 0.11 <= width:
            colour = canvas.colours.text_on(canvas.colours.stable)
            canvas.text(MARGIN + 0.055, top + _HEIGHT / 2, text, gid="prefix-share", size=Size.HEADING, colour=colour)
            return


def _legend(profile: PlottedProfile, colours: Palette) -> list[Swatch]:
    """Return a swatch for each kind that is drawn; the breaking block counts by its class."""
    counts = {kind: profile.count(kind) for kind in _LEGEND}
    return [Swatch(f"{_LEGEND[kind]} {n:,}", style_of(kind, colours)) for kind, n in counts.items() if n]
