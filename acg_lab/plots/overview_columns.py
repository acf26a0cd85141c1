"""Many profiles: one column per profile, as wide as it has requests; beside them, what breaks them."""

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import pandas as pd

from acg_lab._format import counted, cut_all, percent, tokens
from acg_lab.diagnosis.prefix_breaks import CONVERSATION
from acg_lab.plots.canvas import HEADING, MARGIN, BoxStyle, Swatch
from acg_lab.plots.compact import compact_place, compact_ticks
from acg_lab.plots.mpl_canvas import MplCanvas, MplPanel
from acg_lab.plots.text import Size, drawable, spread, text_width
from acg_lab.plots.theme import Palette

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from acg_lab.plots.empty import Title
    from acg_lab.plots.mpl_canvas import Place

__all__ = ["draw_columns", "drop_call_id"]

_LEFT: Final = 0.55
_SHARE: Final = 0.65  # of the width goes to the columns
_ABOVE, _CHART, _BELOW = 0.76, 2.05, 0.68
_LEAST: Final = 1.4  # height of the chart with the names of what breaks the profiles
_MOST_CAUSES: Final = 7
_SEPARATORS: Final = ((80, 0.5), (400, 0.15))  # most profiles, width in points


_match_tool_call = re.compile(r"(tool-\d+)-.+", re.DOTALL).fullmatch


def drop_call_id(span_id: str) -> str:
    """Return a span id without the id of a tool call, so that equal causes add up.

    >>> drop_call_id("tool-20-call_7MqMjJMaXLRTp"), drop_call_id("system-1-book")
    ('tool-20', 'system-1-book')
    """
    found = _match_tool_call(span_id)
    return found[1] if found else span_id


def draw_columns(
    frame: pd.DataFrame, title: "Title", words: tuple[str, ...], enough: int, place: "Place", *, heading: bool
) -> "Axes":
    """Draw the profiles of a frame, the one with most requests first."""
    base = HEADING if heading else MARGIN
    canvas = MplCanvas(place)
    canvas.begin(base + _ABOVE + _CHART + _BELOW, gid="profiles-overview", least=base + _ABOVE + _LEAST + _BELOW)
    end = canvas.heading(title.text, *words, name=title.name, show=heading)
    groups = _groups(frame, enough, canvas.colours)
    if canvas.is_compact:
        panel = canvas.panel(*compact_place(canvas, end, widest=tokens(frame["prompt_tokens"].max())), gid="profiles")
        _draw_bars(canvas, panel, frame, groups)
        compact_ticks(panel)
        return panel.axes
    height = max(canvas.height - base - _ABOVE - _BELOW, 0.5)
    right = canvas.width * _SHARE
    panel = canvas.panel(_LEFT, base + _ABOVE, right - _LEFT, height, gid="profiles")
    _draw_bars(canvas, panel, frame, groups)
    panel.use_round_ticks("x")
    panel.use_round_ticks("y")
    x, y = (_LEFT + right) / 2, canvas.height - _BELOW + 0.31
    canvas.label(x, y, "requests, profiles side by side, largest left", gid="x-label", ha="center", size=Size.AXIS)
    _draw_brackets(canvas, frame, groups, (_LEFT, right, base + _ABOVE - 0.11))
    swatches = [Swatch(group.legend, BoxStyle(group.colour)) for group in groups]
    canvas.legend([*swatches, Swatch("rest of the prompt", BoxStyle(canvas.colours.grid))], base + 0.12)
    canvas.label(MARGIN, base + 0.36, "tokens per request, grouped by requests in the window", gid="profiles-heading")
    canvas.label(right + 0.38, base + 0.36, "what breaks them, share of requests", gid="causes-heading")
    _draw_causes(canvas, frame, right + 0.38, base + 0.62, base + _ABOVE + height)
    canvas.note("One column is one profile: width = its requests in the window, height = tokens of its prefix.")
    axes: Axes = panel.axes
    return axes


class _Group(NamedTuple):
    """Profiles with full confidence, with less, or with one request: their rows, words and colour."""

    first: int
    end: int
    words: str
    legend: str
    colour: str

    @property
    def n_profiles(self) -> int:
        return self.end - self.first


def _groups(frame: pd.DataFrame, enough: int, colours: Palette) -> list[_Group]:
    full = int((frame["requests"] >= max(enough, 2)).sum())
    more = int((frame["requests"] > 1).sum())
    fewer = f"2\N{EN DASH}{enough - 1:,}" if enough > 3 else "2"  # noqa: PLR2004
    groups = (
        _Group(0, full, f"{max(enough, 2):,} or more", "prefix, full confidence", colours.stable),
        _Group(full, more, fewer, f"prefix, under {enough:,} requests", colours.low_confidence),
        _Group(more, len(frame), "1, unused", "prefix, 1 request", colours.variable),
    )
    return [group for group in groups if group.n_profiles]


def _draw_bars(canvas: MplCanvas, panel: MplPanel, frame: pd.DataFrame, groups: list[_Group]) -> None:
    edges = np.insert(np.cumsum(frame["requests"].to_numpy()), 0, 0)
    prompt, prefix = frame["prompt_tokens"].to_numpy(), frame["prefix_tokens"].to_numpy()
    panel.steps(prompt, edges, canvas.colours.grid, baseline=0, gid="prompts")
    for number, (first, end, *_, colour) in enumerate(groups):
        panel.steps(prefix[first:end], edges[first : end + 1], colour, baseline=0, gid=f"prefixes-{number}")
    for most, width in _SEPARATORS:
        if len(frame) <= most:
            lower, upper = np.zeros(len(frame) - 1), np.maximum(prompt[1:], prompt[:-1])
            panel.axes.vlines(edges[1:-1], lower, upper, colors=canvas.colours.paper, linewidth=width, gid="separators")
            break
    panel.set_limits((0, edges[-1]), (0, max(float(prompt.max()), 1) * 1.02))


def _draw_brackets(
    canvas: MplCanvas, frame: pd.DataFrame, groups: list[_Group], place: tuple[float, float, float]
) -> None:
    """Count the profiles of each group above it; labels of narrow groups are moved apart."""
    left, right, y = place
    edges = left + np.insert(np.cumsum(frame["requests"].to_numpy()), 0, 0) / frame["requests"].sum() * (right - left)
    ends = [(float(edges[group.first]), float(edges[group.end])) for group in groups]
    texts = []
    for group, (begin, end) in zip(groups, ends, strict=True):
        whole = f"{group.words} · {counted(group.n_profiles, 'profile')}"
        texts.append(whole if text_width(whole, Size.LABEL) < end - begin else f"{group.words} · {group.n_profiles:,}")
    middles = spread([sum(pair) / 2 for pair in ends], [text_width(t, Size.LABEL) for t in texts], 0.14, left, right)
    for number, (begin, end) in enumerate(ends):
        bar = (begin + 0.01, y, max(end - begin - 0.02, 0.01), 3 / 72)
        canvas.rectangle(*bar, groups[number].colour, gid=f"bracket-{number}")
        gid = f"bracket-{number}-label"
        canvas.text(middles[number], y - 0.10, texts[number], gid=gid, size=Size.LABEL, ha="center")


def _draw_causes(canvas: MplCanvas, frame: pd.DataFrame, left: float, top: float, bottom: float) -> None:
    """Draw what breaks the profiles, the costliest first."""
    causes = _causes(frame)
    room, total = canvas.right - left, float(frame["requests"].sum())
    longest = int(room / text_width("m", Size.NAME, mono=True))
    shown = cut_all((drawable(name, mono=True) for name in causes["name"]), longest)
    step = min((bottom - top) / max(len(causes), 1), 0.42)
    for number, row in causes.iterrows():
        y = top + step * float(str(number))
        name, mono = drawable(row["name"], mono=True), row["block"]
        text = shown[name] if mono else row["name"]
        canvas.text(left, y + 0.06, text, gid=f"cause-{number}-name", size=Size.NAME, mono=mono)
        bar, share = (left, y + 0.13, room * 0.5, 0.11), row["requests"] / total
        canvas.rectangle(*bar, canvas.colours.grid, gid=f"cause-{number}-track")
        fill = canvas.colours.breaking if mono else canvas.colours.variable_bar
        canvas.rectangle(*bar[:2], max(bar[2] * share, 0.01), bar[3], fill, gid=f"cause-{number}")
        profiles = counted(row["profiles"], "profile") if number == 0 else f"{row['profiles']:,}"
        words = f"{percent(share)} · {profiles}"
        canvas.label(canvas.right, y + 0.185, words, gid=f"cause-{number}-share", ha="right", size=Size.NOTE)
    if causes.empty:
        canvas.label(left, top + 0.06, "nothing: every prompt is stable", gid="no-cause")


def _causes(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the costliest causes and one row for the others: name, requests, profiles, and whether it is a block."""
    named = frame.assign(name=frame["breaking_span"].map(drop_call_id, na_action="ignore")).dropna(subset="name")
    starts = named["cause"] == CONVERSATION if "cause" in named else pd.Series(data=False, index=named.index)
    named.loc[starts, "name"] = "conversation starts"
    named["block"] = ~starts
    columns = {"requests": ("requests", "sum"), "profiles": ("requests", "size"), "block": ("block", "first")}
    causes = named.groupby("name", sort=False).agg(**columns).reset_index()
    causes = causes.sort_values(["requests", "profiles"], ascending=False, kind="stable", ignore_index=True)
    others = causes.iloc[_MOST_CAUSES:]
    if others.empty:
        return causes
    words = counted(len(others), "other block")
    rest = {"name": words, "requests": others["requests"].sum(), "profiles": others["profiles"].sum(), "block": False}
    return pd.concat([causes.iloc[:_MOST_CAUSES], pd.DataFrame([rest])], ignore_index=True)
