"""The other view of `prefix_stability`: one column per block, as wide as the block has tokens."""

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from acg_lab._format import counted, cut, cut_all, setting, tokens
from acg_lab.plots.canvas import HEADING, MARGIN, NOTE_LINE
from acg_lab.plots.compact import compact_place
from acg_lab.plots.mpl_canvas import MplCanvas
from acg_lab.plots.prefix_profile import Block, BlockKind, PlottedProfile
from acg_lab.plots.prefix_strip import MARK, style_of
from acg_lab.plots.text import Size, drawable, text_width, wrap

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from acg_lab.plots.canvas import Canvas
    from acg_lab.plots.mpl_canvas import Place

__all__ = ["draw_columns"]

_LEFT: Final = 0.5
_TOP: Final = 0.46  # of the columns, below the heading
_HEIGHT: Final = 1.65
_LEAST_HEIGHT: Final = 0.8
_COMPACT_ABOVE: Final = 0.11
_BELOW: Final = 0.46
_LEAST_BREAK, _SEPARATED = 0.004, 0.008  # shares of the prompt
_UPRIGHT: Final = 0.14
_NAME, _CALLOUT = 26, 30
_LEVEL_ROOM, _SHORTEST = 3, 14  # in characters: height of a level name, and the least length of an upright one


class Column(NamedTuple):
    """One block: where its column begins and how wide it is, in tokens per request."""

    block: Block
    start: float
    width: float


def draw_columns(
    profile: PlottedProfile, words: "tuple[Any, ...]", place: "Place | Canvas", *, heading: bool
) -> "Axes":
    """Draw the columns; return their axes: x is tokens per request (or blocks), y the score."""
    canvas, top = MplCanvas(place), _TOP + (HEADING if heading else 0.0)
    name = profile.breaking.name if profile.breaking else ""
    note = wrap(_note(profile), Size.NOTE, canvas.width - 2 * MARGIN)
    foot = _BELOW + NOTE_LINE * len(note)
    canvas.begin(top + _HEIGHT + foot, gid="prefix-stability", least=top + _LEAST_HEIGHT + foot)
    end = canvas.heading(*words, name=name, show=heading)
    if canvas.is_compact:
        return _draw_compact(canvas, profile, end + _COMPACT_ABOVE)
    beside = 0.12 + max((text_width(text, Size.HEADING) for text, *_ in _limits(profile)), default=0.0)
    size = canvas.right - beside - _LEFT, max(canvas.height - top - foot, 0.3)
    axes = canvas.panel(_LEFT, top, *size, gid="columns").axes
    total = profile.prompt_width or 1.0
    axes.set(xlim=(0, total), ylim=(0, 1))
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.50", "0.75", "1"])
    _set_x_ticks(axes, profile)
    unit = "tokens per request" if profile.has_tokens else "blocks"
    x_label = f"{unit}, from the start of the prompt"
    canvas.label(_LEFT + size[0] / 2, top + size[1] + 0.29, x_label, gid="x-label", ha="center", size=Size.AXIS)
    canvas.label(MARGIN, top - 0.18, "score", gid="y-label")
    columns = _columns(profile)
    _draw_areas(axes, canvas, columns, total)
    _draw_limits(axes, canvas, profile, (_LEFT + size[0], top, size[1]))
    _name_columns(axes, canvas, columns, size[0] / total, size[1])
    _draw_above(canvas, profile, columns, (_LEFT, size[0] / total, top))
    canvas.note(*note)
    return axes


def _draw_compact(canvas: MplCanvas, profile: PlottedProfile, top: float) -> "Axes":
    left, top, width, height = compact_place(canvas, top, widest="1")
    axes = canvas.panel(left, top, width, height, gid="columns").axes
    total, columns = profile.prompt_width or 1.0, _columns(profile)
    axes.set(xlim=(0, total), ylim=(0, 1))
    axes.set_yticks([0, 1], ["0", "1"])
    axes.set_xticks([0, total], ["0", tokens(total)])
    _draw_areas(axes, canvas, columns, total)
    _draw_limits(axes, canvas, profile, None)
    if profile.prefix_length and not profile.is_single_request:
        rail = profile.prefix_width * width / total, 3 / 72
        canvas.rectangle(left, top - 0.06, *rail, canvas.colours.stable, gid="prefix")
    if profile.breaking:
        column = columns[profile.prefix_length]
        x = left + (column.start + column.width / 2) * width / total
        style: Any = {"colour": canvas.colours.breaking, "ha": "center", "size": 8}
        canvas.text(x, top - 0.06, MARK, gid="break-mark", **style)
    return axes


def _columns(profile: PlottedProfile) -> list[Column]:
    """Return the columns in prompt order; the breaking one is wide enough to be seen and covers the next ones."""
    starts = accumulate((block.width for block in profile.blocks), initial=0.0)
    least = _LEAST_BREAK * profile.prompt_width
    return [
        Column(block, start, max(block.width, least) if block.kind == "breaking" else block.width)
        for block, start in zip(profile.blocks, starts, strict=False)
    ]


def _note(profile: PlottedProfile) -> str:
    wide = "Width: tokens per request (blocks that are often absent are narrow).  " if profile.has_tokens else ""
    return "  ".join([f"{wide}Pale: block is present.  Filled: it has its dominant content.", *profile.remarks])


def _set_x_ticks(axes: "Axes", profile: PlottedProfile) -> None:
    from matplotlib.ticker import MaxNLocator

    places = MaxNLocator(5, integer=True, min_n_ticks=2).tick_values(0, profile.prompt_width)
    shown = [at for at in map(float, places) if 0 <= at <= profile.prompt_width]
    axes.set_xticks(shown, [tokens(at) for at in shown])


def _draw_areas(axes: "Axes", canvas: MplCanvas, columns: Sequence[Column], total: float) -> None:
    """Draw pale columns where blocks are present, and over them the scores, one collection per kind."""
    from matplotlib.collections import LineCollection, PolyCollection

    colours = canvas.colours
    pale = [_outline(column, column.block.present) for column in columns]
    axes.add_collection(PolyCollection(pale, facecolor=colours.grid, linewidth=0, gid="present", zorder=1))
    kinds: dict[BlockKind, list[Column]] = {}
    for column in columns:
        kinds.setdefault(column.block.kind, []).append(column)
    for kind, found in kinds.items():
        fill, edge, width, is_hatched = style_of(kind, colours, is_bar=True)
        # An outline of their own colour, or the paper shines through between columns.
        style: dict[str, Any] = {"facecolor": fill, "edgecolor": edge or fill, "linewidth": width if edge else 0.2}
        style |= {"hatch": "////"} if is_hatched else {}
        areas = [_outline(column, column.block.score) for column in found]
        order = 2.5 if kind == "breaking" else 2
        axes.add_collection(PolyCollection(areas, gid=f"scores-{kind}", zorder=order, **style))
    wide = [column for column in columns if column.width > _SEPARATED * total and column.start]
    between = [[(column.start, 0), (column.start, min(column.block.score, 1.0))] for column in wide]
    axes.add_collection(LineCollection(between, colors=colours.paper, linewidth=0.4, gid="separators", zorder=2))


def _outline(column: Column, height: float) -> list[tuple[float, float]]:
    left, right, top = column.start, column.start + column.width, min(height, 1.0)
    return [(left, 0), (left, top), (right, top), (right, 0)]


def _limits(profile: PlottedProfile) -> list[tuple[str, str, float, Any]]:
    """Return text, gid, height and dash of each threshold on the scale."""
    stable, semi = profile.thresholds.stable_threshold, profile.thresholds.semi_stable_threshold
    limits = [("stable", stable, "solid"), *([("semi-stable", semi, (0, (3, 2)))] if semi < stable else [])]
    return [(f"{name} ≥ {setting(at)}", f"{name}-threshold", at, dash) for name, at, dash in limits if 0 <= at <= 1]


def _draw_limits(
    axes: "Axes", canvas: MplCanvas, profile: PlottedProfile, place: tuple[float, float, float] | None
) -> None:
    """Draw the thresholds, paper-coloured on the prefix, and name them at the right, if there is a place."""
    right, top, height = place or (0.0, 0.0, 0.0)
    solid = 0.0 if profile.is_single_request else profile.prefix_width
    last = top - 1.0
    for text, gid, at, dash in _limits(profile):
        for suffix, start, end, colour in (
            ("", solid, profile.prompt_width, canvas.colours.ink),
            ("-on-prefix", 0.0, solid, canvas.colours.paper),
        ):
            line: dict[str, Any] = {"linewidth": 0.9, "linestyle": dash, "zorder": 3}
            axes.plot([start, end], [at, at], color=colour, gid=f"{gid}{suffix}", **line)
        if place is None:
            continue
        last = max(top + (1 - at) * height, last + NOTE_LINE)
        canvas.label(right + 0.06, last, text, gid=f"{gid}-name", colour=canvas.colours.ink)


def _name_columns(axes: "Axes", canvas: MplCanvas, columns: Sequence[Column], inches: float, height: float) -> None:
    """Write names into columns: level if they fit, else upright if the column is wide enough."""
    named = [column for column in columns if column.width * inches >= _UPRIGHT and column.block.kind != "breaking"]
    shown = {column.block.name: drawable(column.block.name, mono=True) for column in named}
    cuts = cut_all(shown.values(), _NAME)
    each = text_width("0", Size.SMALLEST, mono=True)
    for column in named:
        block, name = column.block, cuts[shown[column.block.name]]
        style = style_of(block.kind, canvas.colours, is_bar=True)
        is_hollow = style.edge is not None
        behind: Any = {"facecolor": canvas.colours.paper, "edgecolor": "none", "pad": 1} if is_hollow else None
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
            color=canvas.colours.ink if is_hollow else canvas.colours.text_on(style.fill),
            parse_math=False,
            bbox=behind,
            gid=f"name-{block.position}",
            zorder=4,
            **place,
        )


def _draw_above(
    canvas: MplCanvas, profile: PlottedProfile, columns: Sequence[Column], place: tuple[float, float, float]
) -> None:
    """Draw the bracket of the prefix, and the mark and name of the block that breaks it."""
    left, inches, top = place
    y, right = top - 0.18, -1.0
    if profile.breaking:
        column = columns[profile.prefix_length]
        x = left + (column.start + column.width / 2) * inches
        shown = cut(drawable(profile.breaking.name), _CALLOUT)
        text = f"{shown}  {profile.format_score(profile.breaking.score)}"
        half = text_width(text, Size.LABEL, bold=True) / 2
        middle = min(max(x, left + half), canvas.right - half)
        style: Any = {"colour": canvas.colours.breaking, "ha": "center"}
        canvas.text(middle, y, text, gid="breaks", bold=True, **style)
        canvas.text(x, top - 0.06, MARK, gid="break-mark", size=8, **style)
        right = middle - half
    if profile.prefix_length and not profile.is_single_request:
        size = f", {tokens(profile.prefix_width)} tokens" if profile.has_tokens else ""
        text = f"stable prefix: {counted(profile.prefix_length, 'block')}{size}"
        over = right >= 0 and left + text_width(text, Size.LABEL, bold=True) + 0.1 > right
        colour = canvas.colours.stable
        canvas.text(left, y - (0.15 if over else 0.0), text, gid="prefix-label", bold=True, colour=colour)
        canvas.rectangle(left, top - 0.08, profile.prefix_width * inches, 3 / 72, colour, gid="prefix")
