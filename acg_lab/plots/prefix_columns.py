"""The other view of `prefix_stability`: a column a block, as wide as the block is long.

Belongs here: placing and drawing the columns, their names, and what stands above and beside them.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from acg_lab._format import counted, cut, cut_all, setting, tokens
from acg_lab.plots.canvas import HEADING, LINE, MARGIN, draw_note, open_page, place_width, wrap
from acg_lab.plots.prefix_profile import Block, PlottedProfile, SpanKind
from acg_lab.plots.prefix_strip import MARK, style_of
from acg_lab.plots.text import Size, drawable, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from acg_lab.plots.canvas import Page, Place

__all__ = ["draw_columns"]

_LEFT: Final = 0.5
_TOP: Final = 0.46  # of the columns, below the heading
_HEIGHT: Final = 1.65
_BELOW: Final = 0.46
_LEAST_BREAK, _SEPARATED = 0.004, 0.008  # shares of the prompt
_UPRIGHT: Final = 0.14
_NAME, _CALLOUT = 26, 30
_LEVEL_ROOM, _SHORTEST = 3, 14  # in characters: how high a level name is; an upright one is cut to so many, or left out


class Column(NamedTuple):
    """One block: where its column begins, and how wide it is, in tokens per request."""

    block: Block
    start: float
    width: float


def draw_columns(profile: PlottedProfile, words: "tuple[Any, ...]", place: "Place", *, heading: bool) -> "Axes":
    """Draw the columns; return their axes: x is tokens per request (or blocks), y the score."""
    top = _TOP + (HEADING if heading else 0.0)
    note = wrap(_note(profile), Size.NOTE, place_width(place) - 2 * MARGIN)
    foot = _BELOW + LINE * len(note)
    page = open_page(place, top + _HEIGHT + foot, gid="prefix-stability")
    breaks = profile.breaks
    page.heading(*words, name=breaks.name if breaks else "", show=heading)
    beside = 0.12 + max((text_width(text, Size.HEADING) for text, *_ in _limits(profile)), default=0.0)
    size = page.right - beside - _LEFT, max(page.height - top - foot, 0.3)
    axes = page.panel(_LEFT, top, *size, gid="columns")
    total = profile.prompt or 1.0
    axes.set(xlim=(0, total), ylim=(0, 1))
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.50", "0.75", "1"])
    _ticks(axes, profile)
    unit = "tokens per request" if profile.has_tokens else "blocks"
    x_label = f"{unit}, from the start of the prompt"
    page.label(_LEFT + size[0] / 2, top + size[1] + 0.29, x_label, gid="x-label", ha="center", size=Size.AXIS)
    page.label(MARGIN, top - 0.18, "score", gid="y-label")
    columns = _columns(profile)
    _draw_areas(axes, page, columns, total)
    _draw_limits(axes, page, profile, (_LEFT + size[0], top, size[1]))
    _name_columns(axes, page, columns, size[0] / total, size[1])
    _draw_above(page, profile, columns, (_LEFT, size[0] / total, top))
    draw_note(page, note)
    return axes


def _columns(profile: PlottedProfile) -> list[Column]:
    """Return the columns in prompt order; the breaking one is wide enough to be seen, over what follows it."""
    starts = accumulate((block.width for block in profile.blocks), initial=0.0)
    least = _LEAST_BREAK * profile.prompt
    return [
        Column(block, start, max(block.width, least) if block.kind == "breaks" else block.width)
        for block, start in zip(profile.blocks, starts, strict=False)
    ]


def _note(profile: PlottedProfile) -> str:
    wide = "Width: tokens per request (blocks that are often absent are narrow).  " if profile.has_tokens else ""
    return "  ".join([f"{wide}Pale: block is present.  Filled: it has its dominant content.", *profile.remarks])


def _ticks(axes: "Axes", profile: PlottedProfile) -> None:
    from matplotlib.ticker import MaxNLocator

    places = MaxNLocator(5, integer=True, min_n_ticks=2).tick_values(0, profile.prompt)
    shown = [at for at in map(float, places) if 0 <= at <= profile.prompt]
    axes.set_xticks(shown, [tokens(at) for at in shown])


def _draw_areas(axes: "Axes", page: "Page", columns: Sequence[Column], total: float) -> None:
    """Draw pale columns where blocks are present, and over them the scores, a collection a kind."""
    from matplotlib.collections import LineCollection, PolyCollection

    colours = page.colours
    pale = [_outline(column, column.block.present) for column in columns]
    axes.add_collection(PolyCollection(pale, facecolor=colours.grid, linewidth=0, gid="present", zorder=1))
    kinds: dict[SpanKind, list[Column]] = {}
    for column in columns:
        kinds.setdefault(column.block.kind, []).append(column)
    for kind, found in kinds.items():
        style: dict[str, Any] = style_of(kind, colours)
        if kind not in {"reach", "unknown"}:
            style |= {"edgecolor": style["facecolor"], "linewidth": 0.2}  # or the ground shines through between them
        areas = [_outline(column, column.block.score) for column in found]
        order = 2.5 if kind == "breaks" else 2
        axes.add_collection(PolyCollection(areas, gid=f"scores-{kind}", zorder=order, **style))
    wide = [column for column in columns if column.width > _SEPARATED * total and column.start]
    between = [[(column.start, 0), (column.start, min(column.block.score, 1.0))] for column in wide]
    axes.add_collection(LineCollection(between, colors=colours.paper, linewidth=0.4, gid="separators", zorder=2))


def _outline(column: Column, height: float) -> list[tuple[float, float]]:
    left, right, top = column.start, column.start + column.width, min(height, 1.0)
    return [(left, 0), (left, top), (right, top), (right, 0)]


def _limits(profile: PlottedProfile) -> list[tuple[str, str, float, Any]]:
    """Return text, gid, place and dash of each threshold that can be drawn."""
    stable, semi = profile.thresholds.stable_threshold, profile.thresholds.semi_stable_threshold
    limits = [("stable", stable, "solid"), *([("semi-stable", semi, (0, (3, 2)))] if semi < stable else [])]
    return [(f"{name} ≥ {setting(at)}", f"{name}-threshold", at, dash) for name, at, dash in limits if 0 <= at <= 1]


def _draw_limits(axes: "Axes", page: "Page", profile: PlottedProfile, place: tuple[float, float, float]) -> None:
    """Draw the thresholds, on the prefix in the colour of paper, and name them at the right."""
    right, top, height = place
    solid = 0.0 if profile.alone else profile.prefix
    last = top - 1.0
    for text, gid, at, dash in _limits(profile):
        for suffix, start, end, colour in (
            ("", solid, profile.prompt, page.colours.ink),
            ("-on-prefix", 0.0, solid, page.colours.paper),
        ):
            line: dict[str, Any] = {"linewidth": 0.9, "linestyle": dash, "zorder": 3}
            axes.plot([start, end], [at, at], color=colour, gid=f"{gid}{suffix}", **line)
        last = max(top + (1 - at) * height, last + LINE)
        page.label(right + 0.06, last, text, gid=f"{gid}-name", colour=page.colours.ink)


def _name_columns(axes: "Axes", page: "Page", columns: Sequence[Column], inches: float, height: float) -> None:
    """Write names into columns: level where they fit, else upright where the column is wide enough."""
    named = [column for column in columns if column.width * inches >= _UPRIGHT and column.block.kind != "breaks"]
    shown = {column.block.name: drawable(column.block.name, mono=True) for column in named}
    cuts = cut_all(shown.values(), _NAME)
    each = text_width("0", Size.SMALLEST, mono=True)
    for column in named:
        block, name = column.block, cuts[shown[column.block.name]]
        style = style_of(block.kind, page.colours)
        open_ = block.kind in {"reach", "unknown"}
        behind: Any = {"facecolor": page.colours.paper, "edgecolor": "none", "pad": 1} if open_ else None
        level = text_width(name, Size.SMALLEST, mono=True) + 0.1 <= column.width * inches
        room = int((min(block.score, 1.0) * height - 0.12) / each)
        if room < (_LEVEL_ROOM if level else min(len(name), _SHORTEST)):
            continue
        place: dict[str, Any] = {"ha": "left", "va": "bottom"} if level else {"ha": "left", "va": "center"}
        x = column.start + (0.05 / inches if level else column.width / 2)
        axes.text(
            x,
            0.04 if level else 0.05,
            name if level else cut(name, room),
            rotation=0 if level else 90,
            rotation_mode="anchor",
            fontsize=Size.SMALLEST,
            family="DejaVu Sans Mono",
            color=page.colours.ink if open_ else page.colours.text_on(style["facecolor"]),
            parse_math=False,
            bbox=behind,
            gid=f"name-{block.position}",
            zorder=4,
            **place,
        )


def _draw_above(
    page: "Page", profile: PlottedProfile, columns: Sequence[Column], place: tuple[float, float, float]
) -> None:
    """Draw the bracket of the prefix, and the mark and name of what breaks it."""
    left, inches, top = place
    y, right = top - 0.18, -1.0
    if profile.breaks:
        column = columns[profile.length]
        x = left + (column.start + column.width / 2) * inches
        shown = cut(drawable(profile.breaks.name), _CALLOUT)
        text = f"{shown}  {profile.score(profile.breaks.score)}"
        half = text_width(text, Size.LABEL, bold=True) / 2
        middle = min(max(x, left + half), page.right - half)
        style: Any = {"colour": page.colours.breaking, "ha": "center"}
        page.text(middle, y, text, gid="breaks", bold=True, **style)
        page.text(x, top - 0.06, MARK, gid="break-mark", size=8, **style)
        right = middle - half
    if profile.length and not profile.alone:
        size = f", {tokens(profile.prefix)} tokens" if profile.has_tokens else ""
        text = f"stable prefix: {counted(profile.length, 'block')}{size}"
        over = right >= 0 and left + text_width(text, Size.LABEL, bold=True) + 0.1 > right
        colour = page.colours.stable
        page.text(left, y - (0.15 if over else 0.0), text, gid="prefix-label", bold=True, colour=colour)
        page.rectangle(left, top - 0.08, profile.prefix * inches, 3 / 72, colour, gid="prefix")
