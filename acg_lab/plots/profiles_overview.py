"""All profiles: whether the traffic is fragmented, and what breaks the profiles.

Up to 25 profiles are a table with one bar per row, drawn here; more are columns, see `acg_lab.plots.overview_columns`.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from acg_lab import frames
from acg_lab._format import counted, cut_all, percent
from acg_lab.config.thresholds import check_thresholds
from acg_lab.core.stability import StabilityThresholds
from acg_lab.diagnosis import find_causes
from acg_lab.diagnosis.agent_costs import summarize_costs
from acg_lab.diagnosis.prefix_breaks import CONVERSATION
from acg_lab.plots.amounts import round_money
from acg_lab.plots.canvas import HEADING, MARGIN
from acg_lab.plots.compact import compact_place
from acg_lab.plots.empty import Title, draw_empty
from acg_lab.plots.inputs import check_columns, check_source, name_profiles, rows_of, shared_words
from acg_lab.plots.mpl_canvas import MplCanvas
from acg_lab.plots.overview_columns import draw_columns, drop_call_id
from acg_lab.plots.text import Size, drawable, text_width
from acg_lab.plots.theme import drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from acg_lab.plots.mpl_canvas import Place
    from acg_lab.simulation import CacheSimulation
    from acg_lab.snapshot.snapshot import Snapshot

__all__ = ["profiles_overview"]

_MOST_ROWS: Final = 25
_HALF, _MOST = 0.5, 0.8
_FRAGMENTS: Final = 5  # profiles of one agent; fewer are no fragments
_CENT, _ALL = 0.01, 0.995
_STARTS: Final = "conversation starts"
_FEW: Final = 4  # few profiles: at most one in this many
_COLUMNS: Final = ("learning_key", "agent_id", "requests", "prompt_tokens", "prefix_tokens", "share", "breaking_span")
_ROW, _LEAST = 0.235, 0.14  # height of a row, and its least with words
_ABOVE, _BELOW = 0.30, 0.62
_KEY, _NAME = 32, 26
_BAR: Final = 0.62  # of the row


def profiles_overview(
    data: "Snapshot | pd.DataFrame",
    *,
    thresholds: StabilityThresholds | None = None,
    sim: "CacheSimulation | None" = None,
    heading: bool = True,
    ax: "Place" = None,
) -> "Axes":
    """Draw all profiles: up to 25 as a table with bars, more as columns as wide as the profiles have requests.

    Parameters
    ----------
    data : Snapshot or DataFrame
        What to draw; or rows of `acg_lab.frames.profiles`, the table behind the figure.
    thresholds : StabilityThresholds, optional
        By which the profiles are analysed; production's defaults when left out.
    sim : CacheSimulation, optional
        Of the same history (`acg_lab.simulate`): the title then says what is lost, and where most of it.
    heading : bool
        Whether to draw title and subtitle; `acg_lab.plots.alt_text` has them in any case.
    ax : Axes or Figure, optional
        Where to draw. Axes give their place; a figure keeps its width. A new figure when left out.

    Returns
    -------
    Axes
        Of the bars: x in tokens, y in profiles. Of the columns: x in requests, y in tokens.

    Raises
    ------
    UsageError
        If a frame is not one of profiles, or if a threshold is written in per cent.

    Examples
    --------
    >>> import acg_lab as acg
    >>> from matplotlib.figure import Figure
    >>> axes = acg.plots.profiles_overview(acg.load(acg.MemoryBackend()), ax=Figure())
    >>> acg.plots.alt_text(axes).partition(" · ")[0]
    'No requests observed yet'
    """
    thresholds = check_thresholds(thresholds)
    check_source(data, "frames.profiles")
    frame = data if isinstance(data, pd.DataFrame) else frames.profiles(data, thresholds)
    frame = check_columns(frame, _COLUMNS, "frames.profiles")
    if not isinstance(data, pd.DataFrame):
        causes = find_causes(data, thresholds)
        frame = frame.assign(
            cause=[causes.breaks[key] for key in frame["learning_key"]],
            split=[causes.splits.get(agent_id, "") for agent_id in frame["agent_id"].astype(str)],
        )
    frame = frame[frame["requests"] > 0].sort_values("requests", ascending=False, kind="stable", ignore_index=True)
    enough = max(thresholds.min_observations_for_full_confidence, 1)
    with drawing():
        if frame.empty:
            next_step = "There is no profile: load a source with windows, or let an agent run once"
            return draw_empty(ax, gid="profiles-overview", show=heading, next_step=next_step)
        is_table = len(frame) <= _MOST_ROWS
        agent, *shared = shared_words(frame)
        total = counted(int(frame["requests"].sum()), "request")
        title = _title(frame, enough)
        if sim is not None and (lost := _title_of_losses(sim)):
            title, agent = lost, f"{title.text}".replace("{name}", title.name)
        words = (agent, total, *([] if is_table else _median_and_cause(frame)), *shared)
        draw = _draw_table if is_table else draw_columns
        return draw(frame, title, words, enough, ax, heading=heading)


def _title(frame: pd.DataFrame, enough: int) -> Title:
    """Return the first title that holds."""
    if len(frame) == 1:
        return _title_of_one(frame)
    n, requests = len(frame), frame["requests"].to_numpy()
    if len(set(frame["agent_id"])) > 1 and (fragmented := _title_of_fragments(frame, enough)):
        return fragmented
    full = float(requests[requests >= enough].sum() / requests.sum())
    if full < _HALF:
        reach = f"only {percent(full)} of requests reach" if full else "no request reaches"
        return Title(f"Fragmented: {n:,} profiles, and {reach} full confidence")
    few = int(np.searchsorted(np.cumsum(requests) / requests.sum(), _MOST)) + 1
    if few * _FEW <= n:
        return Title(f"{few:,} of {n:,} profiles {'carries' if few == 1 else 'carry'} 80% of the requests")
    if "split" in frame and len(set(frame["split"])) == 1 and frame["split"].iloc[0]:
        return Title(f"{n:,} profiles each learn what one could: {frame['split'].iloc[0]}")
    return _title_of_prefixes(frame)


def _title_of_prefixes(frame: pd.DataFrame) -> Title:
    n, requests = len(frame), frame["requests"].to_numpy()
    without = frame["prefix_tokens"] == 0
    if not without.any():
        least, most = percent(float(frame["share"].min())), percent(float(frame["share"].max()))
        of_prompt = least if least == most else f"{least} to {most}"
        whole = "Both" if n == 2 else f"All {n:,}"  # noqa: PLR2004
        return Title(f"{whole} profiles have a stable prefix, {of_prompt} of the prompt")
    lacking = int(without.sum())
    share = percent(float(requests[without].sum() / requests.sum()))
    return Title(
        f"{lacking:,} of {n:,} profiles {'has' if lacking == 1 else 'have'} no stable prefix ({share} of requests)"
    )


def _title_of_losses(sim: "CacheSimulation") -> Title | None:
    """Return what is lost and in which agent most of it; None where nothing is, or no request has a price."""
    costs = summarize_costs(sim)
    lost = sum(cost.lost for cost in costs if cost.has_prices)
    if not costs or not costs[0].has_prices or lost < _CENT:
        return None
    paid = sum(cost.cost for cost in costs if cost.has_prices)
    most = "all" if costs[0].lost > _ALL * lost else round_money(costs[0].lost)
    return Title(f"{round_money(lost)} of {round_money(paid)} is lost, {most} of it in {{name}}", costs[0].agent_id)


def _title_of_fragments(frame: pd.DataFrame, enough: int) -> Title | None:
    """Return the agent with most requests in profiles that learn apart, None where most reach full confidence."""
    worst: tuple[int, str, int, float] | None = None
    for agent_id, of_agent in frame.groupby("agent_id", observed=True):
        requests = of_agent["requests"]
        fragments = int(requests[requests < enough].sum())
        full = 1 - fragments / int(requests.sum())
        if len(of_agent) >= _FRAGMENTS and full < _HALF and (worst is None or fragments > worst[0]):
            worst = fragments, str(agent_id), len(of_agent), full
    if worst is None:
        return None
    _, agent_id, n, full = worst
    reach = f"only {percent(full)} of its requests reach" if full else "none of its requests reaches"
    return Title(f"{{name}} is fragmented: {n:,} profiles, and {reach} full confidence", agent_id)


def _title_of_one(frame: pd.DataFrame) -> Title:
    share, breaks = float(frame["share"].iloc[0]), frame["breaking_span"].iloc[0]
    if "cause" in frame and frame["cause"].iloc[0] == CONVERSATION and share > 0:
        return Title(f"{percent(share)} of the prompt is a stable prefix; then the conversation starts")
    if pd.isna(breaks):
        return Title("The whole prompt is a stable prefix")
    if share == 0:
        return Title("No stable prefix: {name} breaks it at the first block", str(breaks))
    return Title(f"{percent(share)} of the prompt is a stable prefix; {{name}} breaks it", str(breaks))


def _names(frame: pd.DataFrame) -> list[str]:
    """Return the display name of each profile."""
    if "profile" in frame:
        return list(frame["profile"].astype(str))
    names = name_profiles(frame)
    return [names[str(key)] for key in frame["learning_key"]]


def _median_and_cause(frame: pd.DataFrame) -> tuple[str, ...]:
    median = frame["requests"].median()
    each = f"median {counted(round(median, 1) if median % 1 else int(median), 'request')} each"
    blocks = frame["breaking_span"]
    if "cause" in frame:
        blocks = blocks[frame["cause"] != CONVERSATION]
    requests = frame.groupby(blocks.dropna().map(drop_call_id))["requests"].sum()
    if requests.empty:
        return (each,)
    share = percent(float(requests.max() / frame["requests"].sum()))
    return each, f"{requests.idxmax()} breaks {share}"


# --- the table ---


def _draw_table(
    frame: pd.DataFrame, title: "Title", words: tuple[str, ...], enough: int, place: "Place", *, heading: bool
) -> "Axes":
    """Draw the profiles of a frame, the one with most requests first."""
    base = (HEADING if heading else MARGIN) + _ABOVE
    canvas = MplCanvas(place)
    canvas.begin(base + _ROW * len(frame) + _BELOW, gid="profiles-overview", least=base + _LEAST * len(frame) + _BELOW)
    end = canvas.heading(title.text, *words, name=title.name, show=heading)
    if canvas.is_compact:
        return _draw_bars_alone(canvas, frame, enough, end)
    each = max(canvas.height - base - _BELOW, 0.1) / len(frame)
    keys = [drawable(name, mono=True) for name in _names(frame)]
    shown = cut_all(keys, _KEY)
    names = cut_all((drawable(str(name), mono=True) for name in frame["breaking_span"].dropna()), _NAME)
    requests = MARGIN + max(_widest(shown.values()), 0.7) + 0.62
    broken = canvas.right - max(_widest(names.values()), text_width(_STARTS, Size.NAME))
    left, right = requests + 0.16, broken - 0.62
    axes = _make_panel(canvas, frame, (left, base, right - left, each * len(frame)))
    _draw_heads(canvas, base - 0.13, requests, (left, right), broken)
    scale = (right - left) / axes.get_xlim()[1]
    for number, row in enumerate(rows_of(frame)):
        y = base + each * (number + 0.5)
        canvas.text(MARGIN, y, shown[keys[number]], gid=f"profile-{number}", size=Size.NAME, mono=True)
        _draw_row(canvas, number, row, y, (requests, broken), enough)
        _draw_bar(canvas, number, row, (left, y, scale, each * _BAR), enough)
        _name_breaking(canvas, number, row, (broken, y), names)
    canvas.note(_note(frame, enough))
    return axes


def _draw_bars_alone(canvas: MplCanvas, frame: pd.DataFrame, enough: int, top: float) -> "Axes":
    """Draw the table's bars without its words."""
    left, top, width, height = compact_place(canvas, top)
    each = min(height / len(frame), _ROW)
    axes = _make_panel(canvas, frame, (left, top, width, each * len(frame)), 3)
    for number, row in enumerate(rows_of(frame)):
        y, scale = top + each * (number + 0.5), width / axes.get_xlim()[1]
        _draw_bar(canvas, number, row, (left, y, scale, each * _BAR), enough)
    return axes


def _widest(names: Iterable[str]) -> float:
    return max((text_width(name, Size.NAME, mono=True) for name in names), default=0.0)


def _draw_heads(canvas: MplCanvas, y: float, requests: float, bars: tuple[float, float], broken: float) -> None:
    of_bars = ("stable prefix, in tokens per request", "stable prefix, in tokens", "tokens")
    fitting = next((text for text in of_bars if text_width(text, Size.HEADING) <= bars[1] - bars[0] + 0.1), "")
    for gid, x, text in (("profile", MARGIN, "profile"), ("bars", bars[0], fitting), ("broken", broken, "broken by")):
        canvas.label(x, y, text, gid=f"head-{gid}")
    canvas.label(requests, y, "requests", gid="head-requests", ha="right")
    canvas.label(broken - 0.16, y, "prefix", gid="head-share", ha="right")


def _make_panel(
    canvas: MplCanvas, frame: pd.DataFrame, place: tuple[float, float, float, float], most_ticks: int = 4
) -> "Axes":
    panel = canvas.panel(*place, gid="profiles")
    panel.set_limits((0, max(float(frame["prompt_tokens"].max()), 1)), (len(frame) - 0.5, -0.5))
    panel.use_round_ticks("x", most_ticks)
    axes: Axes = panel.axes
    return axes


def _draw_row(canvas: MplCanvas, number: int, row: Any, y: float, at: tuple[float, float], enough: int) -> None:
    colour = canvas.colours.ink if row.requests >= enough else canvas.colours.text2
    canvas.text(at[0], y, f"{row.requests:,}", gid=f"requests-{number}", ha="right", colour=colour)
    canvas.text(at[1] - 0.16, y, percent(row.share), gid=f"share-{number}", ha="right", colour=colour)


def _draw_bar(canvas: MplCanvas, number: int, row: Any, at: tuple[float, float, float, float], enough: int) -> None:
    x, y, scale, height = at
    fill = canvas.colours.stable if row.requests >= enough else canvas.colours.low_confidence
    fill = canvas.colours.variable if row.requests == 1 else fill
    canvas.rectangle(x, y - height / 2, row.prompt_tokens * scale, height, canvas.colours.grid, gid=f"prompt-{number}")
    canvas.rectangle(x, y - height / 2, row.prefix_tokens * scale, height, fill, gid=f"prefix-{number}")


def _name_breaking(canvas: MplCanvas, number: int, row: Any, at: tuple[float, float], names: dict[str, str]) -> None:
    """Name the block that breaks the prefix, in orange if it leaves no prefix."""
    if row.requests == 1 or pd.isna(row.breaking_span):
        text = "1 request: unused" if row.requests == 1 else "nothing"
        canvas.label(*at, text, gid=f"broken-by-{number}")
        return
    if getattr(row, "cause", "") == CONVERSATION and row.prefix_tokens > 0:
        canvas.label(*at, _STARTS, gid=f"broken-by-{number}", size=Size.NAME)
        return
    style: Any = {"bold": True, "colour": canvas.colours.breaking} if row.prefix_tokens == 0 else {}
    name = names[drawable(row.breaking_span, mono=True)]
    canvas.text(*at, name, gid=f"broken-by-{number}", size=Size.NAME, mono=True, **style)


def _note(frame: pd.DataFrame, enough: int) -> str:
    """Return what the fills mean that are drawn."""
    requests = frame["requests"]
    full, fewer = requests >= enough, (requests > 1) & (requests < enough)
    parts = [
        f"Strong blue: full confidence ({enough:,} requests or more)." if full.any() else "",
        "Pale blue: fewer." if full.any() and fewer.any() else "",
        f"Blue: the stable prefix, under {enough:,} requests." if fewer.any() and not full.any() else "",
        "Grey: one request, or the rest of the prompt." if (requests == 1).any() else "Grey: rest of the prompt.",
    ]
    return "  ".join(filter(None, parts))
