"""How much of a profile's prompt is a stable prefix, what breaks it, and why."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

import pandas as pd

from acg_lab import frames
from acg_lab.config.thresholds import check_thresholds
from acg_lab.core.errors import UsageError
from acg_lab.core.records import StabilityAnalysisResult
from acg_lab.core.stability import StabilityThresholds
from acg_lab.frames.schema import SCORES
from acg_lab.plots.canvas import HEADING, MARGIN, NOTE_LINE
from acg_lab.plots.compact import TICKS
from acg_lab.plots.empty import draw_empty
from acg_lab.plots.inputs import check_columns, confidence_words, profile_words, select_key, select_profile
from acg_lab.plots.mpl_canvas import canvas_for
from acg_lab.plots.prefix_bars import Bars
from acg_lab.plots.prefix_columns import draw_columns
from acg_lab.plots.prefix_profile import PlottedProfile, read_profile
from acg_lab.plots.prefix_rows import MOST_ROWS, ROW_HEIGHT, Fold, Rows, place_rows
from acg_lab.plots.prefix_strip import draw_strip
from acg_lab.plots.text import Size, wrap
from acg_lab.plots.theme import drawing

__all__ = ["prefix_stability"]
if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from acg_lab.plots.canvas import Canvas
    from acg_lab.plots.mpl_canvas import Place
    from acg_lab.snapshot.snapshot import Snapshot

    Given = Snapshot | Mapping[str, StabilityAnalysisResult] | StabilityAnalysisResult | pd.DataFrame

_STRIP: Final = 0.148  # below the heading
_ROWS: Final = 0.857
_NAMES: Final = 0.32  # without the strip: room for the headings of columns
_FOOT: Final = 0.46  # ticks and axis label, above the note
_LOWEST_ROW: Final = 0.15
_BAND_ROWS, _FEWEST_ROWS = 3, 12
_TINY: Final = 1e-6
_COMPACT_ROW, _COMPACT_HIGHEST = 0.07, 0.24
_COMPACT_ABOVE: Final = 0.05


def prefix_stability(
    data: "Given",
    learning_key: str | None = None,
    agent_id: str | None = None,
    *,
    width: Literal["blocks", "tokens"] = "blocks",
    fold: bool = True,
    thresholds: StabilityThresholds | None = None,
    heading: bool = True,
    ax: "Place | Canvas" = None,
) -> "Axes":
    """Draw the blocks of one profile in prompt order: what can be cached, what breaks the prefix, and why.

    A thick bar is the share of requests in which the block has its dominant content, a thin bar behind it the share of
    requests that have the block at all. The blue rail marks the stable prefix of the result, orange the block that ends
    it. Hatched blocks are stable too, but after that block, out of reach.

    Parameters
    ----------
    data : Snapshot, results or DataFrame
        A snapshot, which is analysed; results of `acg_lab.analyze`, which hold no tokens; or rows of
        `acg_lab.frames.scores`, the table behind the figure.
    learning_key : str, optional
        The profile, by learning key or display name; may be left out if there is only one.
    agent_id : str, optional
        Its agent; enough if the agent has one profile.
    width : {"blocks", "tokens"}
        One row per block, or one column per block, as wide as the block has tokens.
    fold : bool
        Fold runs of tool results into rows of dots and, if there are more than 36 blocks, those far from the break too.
        Columns are never folded.
    thresholds : StabilityThresholds, optional
        By which blocks are classified; production's defaults when left out.
    heading : bool
        Whether to draw title and subtitle; `acg_lab.plots.alt_text` has them in any case.
    ax : Axes or Figure, optional
        Where to draw. Axes give their place; a figure keeps its width. A new figure when left out.

    Returns
    -------
    Axes
        Of the bars: x is the score, 0 to 1. Of the columns: x is tokens per request, y the score.

    Raises
    ------
    UsageError
        If there are several profiles and none is named, if the frame is not one of scores, if the thresholds would give
        other classes than its rows have, or if a threshold is written in per cent.

    Examples
    --------
    >>> import acg_lab as acg
    >>> from matplotlib.figure import Figure
    >>> axes = acg.plots.prefix_stability(acg.load(acg.MemoryBackend()), ax=Figure())
    >>> acg.plots.alt_text(axes).partition(" · ")[0]
    'No requests observed yet'
    """
    if width not in {"blocks", "tokens"}:
        msg = f"The 'width' option must be 'blocks' or 'tokens'; got {width!r}."
        raise UsageError(msg)
    thresholds = check_thresholds(thresholds)
    scores = _scores_of(data, learning_key, agent_id, thresholds)
    with drawing():
        if scores.empty:
            key = learning_key or next(iter(getattr(data, "windows", ())), "")
            unseen = pd.DataFrame({"learning_key": [key], "agent_id": [None]})
            return draw_empty(ax, *profile_words(unseen), gid="prefix-stability", show=heading)
        profile = read_profile(scores, thresholds)
        title = profile.title if width == "blocks" else profile.title_in_tokens
        words = (title, *profile.subtitle(confidence_words(scores), title), *profile_words(scores))
        if width == "tokens":
            return draw_columns(profile, words, ax, heading=heading)
        return _draw_bars(profile, words, ax, fold=fold, heading=heading)


def _scores_of(
    data: "Given", learning_key: str | None, agent_id: str | None, thresholds: StabilityThresholds
) -> pd.DataFrame:
    """Return the rows of the profile to draw."""
    if isinstance(data, pd.DataFrame):
        frame = check_columns(data, tuple(SCORES), "frames.scores")
    elif isinstance(data, Mapping | StabilityAnalysisResult):
        frame = frames.scores(data, learning_key=learning_key, agent_id=agent_id)
    else:
        key = select_key(data, learning_key, agent_id)  # the others need not be analysed
        frame = frames.scores(data, thresholds=thresholds, learning_key=key)
    return frame if frame.empty else select_profile(frame, learning_key, agent_id)


def _draw_bars(
    profile: PlottedProfile, words: "tuple[Any, ...]", place: "Place | Canvas", *, fold: bool, heading: bool
) -> "Axes":
    canvas, above = canvas_for(place), HEADING if heading else 0.0
    width, most = canvas.width, MOST_ROWS if fold else None
    rows = place_rows(profile, width, most=most)
    note = wrap(_note(profile, rows), Size.NOTE, width - 2 * MARGIN)
    foot = _FOOT + NOTE_LINE * len(note)
    fewest = min(len(rows.lines), _FEWEST_ROWS) + len(rows.message) + 1
    least = above + _NAMES + _LOWEST_ROW * fewest + foot
    canvas.begin(above + _ROWS + rows.height + foot, gid="prefix-stability", least=least)
    if canvas.is_compact:
        return _draw_compact_bars(canvas, profile, words, fold=fold, heading=heading)
    top, room = above + _ROWS, canvas.height - above - _ROWS - foot
    if room < rows.height - _TINY:  # axes of the caller's: fold more, leave the strip out, and then shrink the rows
        top, room = above + _NAMES, max(canvas.height - above - _NAMES - foot, _LOWEST_ROW)
        most = min(max(int(room / _LOWEST_ROW) - _BAND_ROWS, _FEWEST_ROWS), MOST_ROWS) if fold else None
        rows = place_rows(profile, width, most=most)
        rows = place_rows(profile, width, most=most, scale=min(room / rows.height, 1.0))
    canvas.heading(*words, name=profile.breaking.name if profile.breaking else "", show=heading)
    if top > above + _NAMES:
        draw_strip(canvas, profile, above + _STRIP)
    axes = Bars(canvas, profile, rows, top).draw()
    canvas.note(*wrap(_note(profile, rows), Size.NOTE, width - 2 * MARGIN))
    return axes


def _draw_compact_bars(
    canvas: "Canvas", profile: PlottedProfile, words: "tuple[Any, ...]", *, fold: bool, heading: bool
) -> "Axes":
    """Draw bars, break and prefix rail in little room, with fewer rows and without names."""
    top = canvas.heading(*words, name=profile.breaking.name if profile.breaking else "", show=heading) + _COMPACT_ABOVE
    room = canvas.height - top - TICKS
    most = max(int(room / _COMPACT_ROW) - 1, _FEWEST_ROWS) if fold else None
    rows = place_rows(profile, canvas.width, most=most, with_words=False)
    scale = min(room / rows.height, _COMPACT_HIGHEST / ROW_HEIGHT)
    return Bars(
        canvas, profile, place_rows(profile, canvas.width, most=most, scale=scale, with_words=False), top
    ).draw()


def _note(profile: PlottedProfile, rows: Rows) -> str:
    """Return what the marks mean."""
    parts = [
        "Thick bar: requests with the dominant content of the block.  Thin bar: requests that have the block at all."
    ]
    if any(isinstance(line.row, Fold) for line in rows.lines):
        parts.append("Dots: blocks folded into one row.")
    return "  ".join([*parts, *profile.remarks])
