"""What became of prompt tokens over time, and when the reason for misses changed."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from acg_lab import frames
from acg_lab._format import counted, cut_all, percent, tokens
from acg_lab.plots.canvas import HEADING, MARGIN, BoxStyle, Swatch
from acg_lab.plots.compact import compact_place
from acg_lab.plots.empty import NO_REQUESTS, draw_empty, draw_unknown, explain_unknown
from acg_lab.plots.inputs import check_columns, check_source, select_agent
from acg_lab.plots.mpl_canvas import MplCanvas, MplPanel
from acg_lab.plots.text import Size, drawable, spread, text_width
from acg_lab.plots.theme import Palette, drawing, palette
from acg_lab.simulation.origins import CHANGES
from acg_lab.simulation.verdicts import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from acg_lab.plots.mpl_canvas import Place
    from acg_lab.simulation import CacheSimulation

__all__ = ["requests_over_time"]

_PARTS: Final = ("read", "missed", "changed", "new", "not_recorded")
_COLUMNS: Final = (
    *("agent_id", "started_at", "tokens", "read", "missed_live", "missed_expired", "changed", "new", "not_recorded"),
    *("caused_by", "lost_tokens"),
)
_LEFT, _ABOVE, _CHART, _BELOW = 0.72, 0.72, 1.9, 0.5
_MOST_BINS: Final = 120
_STEPS: Final = (1, 2, 3, 6, 12, 24, 48, 168, 336, 672)  # hours
_HOUR: Final = 3600 * 10**9
_NAMED, _NAMES, _GAP = 5, (40, 30, 22, 16), 0.12
_MOST_TICKS, _COMPACT_TICKS = 6, 3
_LEAST: Final = 0.9  # height of the chart with words
_DEAR: Final = 0.01  # of all that is lost
_START: Final = 0.03  # of an agent's requests: what began among these was there from the start
_WORDS: Final = {
    "model_changed": "another model",
    "scope_changed": "another scope",
    "tools_changed": "tools change",
    "system_changed": "system prompt changes",
    "parameters_changed": "parameters change",
    "history_changed": "messages change",
}


def requests_over_time(
    data: "CacheSimulation | pd.DataFrame",
    *,
    agent_id: str | None = None,
    heading: bool = True,
    ax: "Place" = None,
) -> "Axes":
    """Draw what became of prompt tokens, request by request or hour by hour, and mark when contents changed.

    Requests that failed are left out: nothing was billed for them.

    Parameters
    ----------
    data : CacheSimulation or DataFrame
        What to draw; or rows of `acg_lab.frames.requests`, the table behind the figure.
    agent_id : str, optional
        This agent only; all together when left out.
    heading : bool
        Whether to draw title and subtitle; `acg_lab.plots.alt_text` has them in any case.
    ax : Axes or Figure, optional
        Where to draw. An axes gives its place; a figure keeps its width. A new figure when left out.

    Returns
    -------
    Axes
        x in requests up to 120 of them, or where times are missing, else in hours since the first; y in tokens.

    Raises
    ------
    UsageError
        If the data is neither a simulation nor a frame of requests, or the agent has no request.

    Examples
    --------
    >>> import acg_lab as acg
    >>> axes = requests_over_time(acg.simulate(acg.load("data/sample", agent_id="code-review")))
    >>> acg.plots.alt_text(axes).split(" · ")[0]
    'Since 2026-11-13 11:14, code-review misses more: another model'
    """
    check_source(data, "frames.requests", expected="CacheSimulation (of acg.simulate)", attribute="verdicts")
    frame = data if isinstance(data, pd.DataFrame) else frames.requests(data)
    frame = check_columns(frame, _COLUMNS, "frames.requests")
    words = {} if isinstance(data, pd.DataFrame) else _words_of(frames.misses(data))
    frame = select_agent(frame, agent_id)
    frame = frame[frame["caused_by"].astype(str) != str(Verdict.FAILED)]  # nothing became of their tokens
    why = None if isinstance(data, pd.DataFrame) else explain_unknown(data.select(agent_id=agent_id))
    with drawing():
        if why is not None:
            return draw_unknown(ax, why, gid="requests-over-time", show=heading)
        if frame.empty:
            return draw_empty(ax, gid="requests-over-time", show=heading, next_step=NO_REQUESTS)
        frame = frame.sort_values("started_at", kind="stable", ignore_index=True, na_position="first")
        return _draw(frame, _events(frame, words), ax, heading=heading)


class _Bins(NamedTuple):
    """Tokens by part and bin, and what a bin is.

    Attributes
    ----------
    edges : (n_bins + 1,)
        In requests, or in hours since the first request's hour.
    heights : (n_parts, n_bins)
    hours : int
        Of a bin; 0 where a bin is a request.
    begin : int
        Of the first bin, in nanoseconds since 1970.
    """

    edges: "NDArray[np.float64]"
    heights: "NDArray[np.float64]"
    hours: int
    begin: int


def _bins(frame: pd.DataFrame) -> _Bins:
    parts = frame.assign(missed=frame["missed_live"] + frame["missed_expired"])
    values = np.stack([parts[name].to_numpy(float) for name in _PARTS])
    started = frame["started_at"].to_numpy("datetime64[ns]").astype(np.int64)
    if len(frame) <= _MOST_BINS or frame["started_at"].isna().any():
        return _Bins(np.arange(len(frame) + 1, dtype=np.float64), values, 0, int(started[0]))
    begin = int(started[0]) // _HOUR * _HOUR
    whole = (int(started[-1]) - begin) // _HOUR + 1
    hours = next((step for step in _STEPS if whole / step <= _MOST_BINS), -(-whole // _MOST_BINS))
    if hours >= 24:  # noqa: PLR2004  days begin at midnight
        begin = begin // (24 * _HOUR) * (24 * _HOUR)
    index = (started - begin) // (hours * _HOUR)
    n = int(index[-1]) + 1
    heights = np.stack([np.bincount(index, weights=row, minlength=n).astype(np.float64) for row in values])
    return _Bins(np.arange(0, (n + 1) * hours, hours, dtype=np.float64), heights, hours, begin)


class _Event(NamedTuple):
    """The first request of an agent that missed for a change of one kind, and what all of them lost."""

    agent_id: str
    cause: str
    request: int
    started: pd.Timestamp
    lost: float
    words: str


def _words_of(groups: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Return the words for the dearest misses of each agent and cause."""
    first = groups.drop_duplicates(["agent_id", "cause"])
    return {
        (str(agent_id), str(cause)): str(words)
        for agent_id, cause, words in zip(first["agent_id"], first["cause"], first["words"], strict=True)
    }


def _events(frame: pd.DataFrame, words: dict[tuple[str, str], str]) -> list[_Event]:
    """Return the changes that matter, dearest first: those that several requests missed for, and dear ones."""
    # Where no rate is known, tokens stand for what they cost.
    in_vain = frame["missed_live"] + frame["missed_expired"] + frame["changed"]
    frame = frame.assign(lost_tokens=frame["lost_tokens"].fillna(in_vain))
    total = float(frame["lost_tokens"].clip(lower=0).sum())
    changed = frame[frame["caused_by"].isin(list(map(str, CHANGES)))]
    found = []
    for (agent_id, cause), rows in changed.groupby(["agent_id", "caused_by"], observed=True, sort=False):
        lost = float(rows["lost_tokens"].sum())
        first: Any = rows.index[0]
        told = words.get((str(agent_id), str(cause)), _WORDS[str(cause)])
        tokens_in_vain = float(in_vain[rows.index].sum())
        if len(rows) > 1 or lost > _DEAR * total or tokens_in_vain > _DEAR * float(frame["tokens"].sum()):
            found.append(_Event(str(agent_id), str(cause), int(first), rows["started_at"].iloc[0], lost, told))
    return sorted(found, key=lambda event: (-event.lost, event.request))


def _draw(frame: pd.DataFrame, events: list[_Event], place: "Place", *, heading: bool) -> "Axes":
    bins = _bins(frame)
    canvas = MplCanvas(place)
    base = (HEADING if heading else MARGIN) + _ABOVE
    canvas.begin(base + _CHART + _BELOW, gid="requests-over-time", least=base + _LEAST + _BELOW)
    title, name = _title(frame, events)
    end = canvas.heading(title, *_words(frame), name=name, show=heading)
    height, width = max(canvas.height - base - _BELOW, 0.5), canvas.right - _LEFT
    tops = np.cumsum(bins.heights, axis=0)
    highest = max(float(tops[-1].max()), 1.0) * 1.06
    at = compact_place(canvas, end, widest=tokens(highest)) if canvas.is_compact else (_LEFT, base, width, height)
    panel = canvas.panel(*at, gid="tokens")
    panel.set_limits((0, float(bins.edges[-1])), (0, highest))
    panel.use_round_ticks("y", 3 if canvas.is_compact else 5)
    panel.draw_grid()
    fills = _fills(canvas.colours)
    drawn = [k for k, name in enumerate(_PARTS) if bins.heights[k].any()]
    for k in drawn:
        below = tops[k] - bins.heights[k]
        panel.steps(tops[k], bins.edges, fills[k], baseline=below, gid=f"part-{_PARTS[k].replace('_', '-')}", zorder=2)
    if canvas.is_compact:
        later = [event for event in events if not _is_early(frame, event)][:_NAMED]
        _draw_events(panel, [_place_of(bins, event) for event in later])
        _set_x_ticks(panel, bins, _COMPACT_TICKS)
        return panel.axes
    legend = [Swatch(_PARTS[k].replace("_", " "), BoxStyle(fills[k])) for k in drawn]
    canvas.legend(legend, base - _ABOVE + 0.13)
    unit = "request" if not bins.hours else "hour" if bins.hours == 1 else f"{_span(bins.hours)}"
    canvas.label(MARGIN, base - _ABOVE + 0.38, f"input tokens per {unit}", gid="y-label")
    _mark_events(canvas, panel, frame, bins, events, (_LEFT, base, width))
    _label_x(canvas, panel, bins, (_LEFT + width / 2, base + height + 0.36))
    axes: Axes = panel.axes
    return axes


def _fills(colours: Palette) -> tuple[str, ...]:
    return colours.cache_read, colours.cache_write, colours.breaking, colours.uncached, colours.grid


def _span(hours: int) -> str:
    days, rest = divmod(hours, 24)
    return f"{hours} hours" if rest else "day" if days == 1 else f"{days} days"


def _label_x(canvas: MplCanvas, panel: MplPanel, bins: _Bins, middle: tuple[float, float]) -> None:
    _set_x_ticks(panel, bins, _MOST_TICKS)
    canvas.label(*middle, "time, UTC" if bins.hours else "request, in order of start", gid="x-label", ha="center")


def _set_x_ticks(panel: MplPanel, bins: _Bins, most: int) -> None:
    if not bins.hours:
        panel.use_round_ticks("x", min(most, 5))
        return
    end, day = float(bins.edges[-1]), 24 * _HOUR
    first_day = -(-bins.begin // day) * day
    hours = (np.arange(first_day, bins.begin + int(end * _HOUR) + 1, day) - bins.begin) / _HOUR
    step = max(-(-len(hours) // most), 1)
    places = hours[::step] if len(hours) > 1 else np.linspace(0, end, min(most, 3) + 1)[:-1]
    form = "%d %b" if len(hours) > 1 else "%d %b %H:%M" if most > _COMPACT_TICKS else "%H:%M"
    labels = [f"{pd.Timestamp(bins.begin + int(place * _HOUR), tz='UTC'):{form}}" for place in places]
    panel.set_x_ticks(places.tolist(), labels)


def _mark_events(
    canvas: MplCanvas,
    panel: MplPanel,
    frame: pd.DataFrame,
    bins: _Bins,
    events: list[_Event],
    place: tuple[float, float, float],
) -> None:
    """Mark the dearest changes that came later than the start, with their names above."""
    later = [event for event in events if not _is_early(frame, event)]
    shown, texts, widths = _fitting(later, len(set(frame["agent_id"])) > 1, canvas.right)
    left, top, width = place
    scale = width / float(bins.edges[-1])
    at = [_place_of(bins, event) for event in shown]
    order = np.argsort(at, kind="stable").tolist()
    middles = spread([left + at[k] * scale for k in order], [widths[k] for k in order], _GAP, MARGIN, canvas.right)
    _draw_events(panel, [at[k] for k in order])
    for number, (k, middle) in enumerate(zip(order, middles, strict=True)):
        label: Any = {"size": Size.NAME, "bold": True, "colour": canvas.colours.breaking, "ha": "center"}
        canvas.text(middle, top - 0.09, texts[k], gid=f"change-{number}-name", **label)


def _draw_events(panel: MplPanel, places: Sequence[float]) -> None:
    for number, place in enumerate(places):
        line: Any = {"linewidth": 0.9, "linestyle": (0, (4, 2.5)), "zorder": 3.5}
        panel.axes.axvline(place, color=palette().breaking, gid=f"change-{number}", **line)


def _fitting(events: list[_Event], several: bool, room: float) -> tuple[list[_Event], list[str], list[float]]:  # noqa: FBT001
    """Return the events that have room for their names in one line, the dearest first."""
    for most in range(_NAMED, 0, -1):
        for longest in _NAMES:
            shown = events[:most]
            names = cut_all((drawable(event.agent_id) for event in shown), longest)
            texts = [f"{names[drawable(event.agent_id)]}: {event.words}" if several else event.words for event in shown]
            widths = [text_width(text, Size.NAME, bold=True) for text in texts]
            if sum(widths) + _GAP * len(widths) <= room - MARGIN:
                return shown, texts, widths
    return [], [], []


def _place_of(bins: _Bins, event: _Event) -> float:
    return float(event.request) if not bins.hours else (event.started.value - bins.begin) / _HOUR


def _is_early(frame: pd.DataFrame, event: _Event) -> bool:
    """Whether an agent missed for a change from its start, so that there is no moment to mark."""
    own = np.flatnonzero((frame["agent_id"] == event.agent_id).to_numpy())
    return bool(np.searchsorted(own, event.request) <= max(1, len(own) * _START))


# --- words ---


def _title(frame: pd.DataFrame, events: list[_Event]) -> tuple[str, str]:
    """Return the largest change and when, and the agent that stands for ``{name}``."""
    total = float(frame["tokens"].sum())
    read = float(frame["read"].sum()) / total if total else 0.0
    if not events:
        changed = float(frame["changed"].sum()) / total if total else 0.0
        rest = f"{percent(changed)} had changed" if changed > _DEAR else "and no change of content breaks it"
        return f"{percent(read)} of the input is read from the cache, {rest}", ""
    worst = events[0]
    if _is_early(frame, worst):
        return f"{{name}} misses from the start: {worst.words}", worst.agent_id
    since = f"{worst.started:%Y-%m-%d %H:%M}" if pd.notna(worst.started) else f"request {worst.request + 1:,}"
    return f"Since {since}, {{name}} misses more: {worst.words}", worst.agent_id


def _words(frame: pd.DataFrame) -> tuple[str, ...]:
    total = max(float(frame["tokens"].sum()), 1.0)
    read, changed = float(frame["read"].sum()), float(frame["changed"].sum())
    missed = float((frame["missed_live"] + frame["missed_expired"]).sum())
    agents = frame["agent_id"].astype(str).unique().tolist()
    whose = agents[0] if len(agents) == 1 else counted(len(agents), "agent")
    shares = f"{percent(read / total)} read, {percent(missed / total)} missed, {percent(changed / total)} changed"
    return f"{shares} of {tokens(total)} tokens", counted(len(frame), "request"), whose
