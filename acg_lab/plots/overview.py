"""All profiles: is the traffic fragmented, and what breaks them."""

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from acg_lab import frames
from acg_lab._format import counted, percent
from acg_lab.core.stability import StabilityThresholds
from acg_lab.plots.extremes import Title, draw_nothing
from acg_lab.plots.given import check_columns, check_source
from acg_lab.plots.overview_columns import draw_columns
from acg_lab.plots.overview_table import draw_table
from acg_lab.plots.profile_names import cause, shared_words
from acg_lab.plots.theme import drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from acg_lab.plots.layout import Place
    from acg_lab.snapshot.snapshot import Snapshot

__all__ = ["profiles_overview"]

_MOST_ROWS: Final = 25
_HALF, _MOST = 0.5, 0.8
_FEW: Final = 4  # at most one profile in so many are few
_COLUMNS: Final = ("learning_key", "agent_id", "requests", "prompt_tokens", "prefix_tokens", "share", "breaking_span")


def profiles_overview(
    data: "Snapshot | pd.DataFrame",
    *,
    thresholds: StabilityThresholds | None = None,
    heading: bool = True,
    ax: "Place" = None,
) -> "Axes":
    """Draw all profiles: up to 25 as a table with bars, more as columns as wide as they have requests.

    Parameters
    ----------
    data : Snapshot or DataFrame
        What to draw; or the rows of `acg_lab.frames.profiles`, which is the table behind the figure.
    thresholds : StabilityThresholds, optional
        That the profiles are judged by; production's defaults when left out.
    heading : bool
        Whether to draw title and subtitle; `acg_lab.plots.alt_text` has them in any case.
    ax : Axes or Figure, optional
        Where to draw. An axes gives its place; a figure keeps its width. A new figure when left out.

    Returns
    -------
    Axes
        Of the bars: x in tokens, y in profiles; or of the columns: x in requests, y in tokens.

    Raises
    ------
    UsageError
        If a frame is none of the kind expected.
    """
    thresholds = thresholds or StabilityThresholds()
    check_source(data, "frames.profiles")
    frame = data if isinstance(data, pd.DataFrame) else frames.profiles(data, thresholds)
    frame = check_columns(frame, _COLUMNS, "frames.profiles")
    frame = frame[frame["requests"] > 0].sort_values("requests", ascending=False, kind="stable", ignore_index=True)
    enough = max(thresholds.min_observations_for_full_confidence, 1)
    with drawing():
        if frame.empty:
            todo = "There is no profile: load a source with windows, or let an agent run once"
            return draw_nothing(ax, gid="profiles-overview", show=heading, todo=todo)
        table = len(frame) <= _MOST_ROWS
        agent, *shared = shared_words(frame)
        total = counted(int(frame["requests"].sum()), "request")
        words = (agent, total, *([] if table else _median_and_cause(frame)), *shared)
        draw = draw_table if table else draw_columns
        return draw(frame, _title(frame, enough), words, enough, ax, heading=heading)


def _title(frame: pd.DataFrame, enough: int) -> Title:
    """Return the first finding that holds."""
    if len(frame) == 1:
        return _title_of_one(frame)
    n, requests = len(frame), frame["requests"].to_numpy()
    full = float(requests[requests >= enough].sum() / requests.sum())
    if full < _HALF:
        reach = f"only {percent(full)} of requests reach" if full else "no request reaches"
        return Title(f"Fragmented: {n:,} profiles, and {reach} full confidence")
    few = int(np.searchsorted(np.cumsum(requests) / requests.sum(), _MOST)) + 1
    if few * _FEW <= n:
        return Title(f"{few:,} of {n:,} profiles {'carries' if few == 1 else 'carry'} 80% of the requests")
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


def _title_of_one(frame: pd.DataFrame) -> Title:
    share, breaks = float(frame["share"].iloc[0]), frame["breaking_span"].iloc[0]
    if pd.isna(breaks):
        return Title("The whole prompt is a stable prefix")
    if share == 0:
        return Title("No stable prefix: {name} breaks it at the first block", str(breaks))
    return Title(f"{percent(share)} of the prompt is a stable prefix; {{name}} breaks it", str(breaks))


def _median_and_cause(frame: pd.DataFrame) -> tuple[str, ...]:
    median = frame["requests"].median()
    each = f"median {counted(round(median, 1) if median % 1 else int(median), 'request')} each"
    requests = frame.groupby(frame["breaking_span"].dropna().map(cause))["requests"].sum()
    if requests.empty:
        return (each,)
    share = percent(float(requests.max() / frame["requests"].sum()))
    return each, f"{requests.idxmax()} breaks {share}"
