"""How much of a profile's prompt is a stable prefix, and what breaks it, why."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

import pandas as pd

from acg_lab import frames
from acg_lab.core.errors import UsageError
from acg_lab.core.records import StabilityAnalysisResult
from acg_lab.core.stability import StabilityThresholds
from acg_lab.frames.schema import SCORES
from acg_lab.plots.canvas import HEADING, LINE, MARGIN, draw_note, open_page, place_width, wrap
from acg_lab.plots.empty import draw_nothing
from acg_lab.plots.inputs import check_columns, confidence_of, one_key, one_profile, profile_words
from acg_lab.plots.prefix_bars import Bars
from acg_lab.plots.prefix_columns import draw_columns
from acg_lab.plots.prefix_profile import PlottedProfile, read_profile
from acg_lab.plots.prefix_rows import MOST_ROWS, Fold, Rows, place_rows
from acg_lab.plots.prefix_strip import draw_strip
from acg_lab.plots.text import Size
from acg_lab.plots.theme import drawing

__all__ = ["prefix_stability"]
if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from acg_lab.plots.canvas import Place
    from acg_lab.snapshot.snapshot import Snapshot

    Given = Snapshot | Mapping[str, StabilityAnalysisResult] | StabilityAnalysisResult | pd.DataFrame

_STRIP: Final = 0.148  # below the heading
_ROWS: Final = 0.857
_NAMES: Final = 0.32  # the same without the strip: the names of columns have room
_FOOT: Final = 0.46  # ticks and axis label, above the note
_LOWEST_ROW: Final = 0.15
_BAND_ROWS, _FEWEST_ROWS = 3, 12
_TINY: Final = 1e-6


def prefix_stability(
    data: "Given",
    learning_key: str | None = None,
    agent_id: str | None = None,
    *,
    width: Literal["blocks", "tokens"] = "blocks",
    fold: bool = True,
    thresholds: StabilityThresholds | None = None,
    heading: bool = True,
    ax: "Place" = None,
) -> "Axes":
    """Draw the blocks of one profile in prompt order: what can be cached, what breaks the prefix, and why.

    A bar is the share of requests in which the block has its dominant content, a thin bar behind it the share that has
    the block at all. The blue rail is the stable prefix that the result has, orange the block that ends it. Hatched
    blocks are stable too, but behind it, out of reach.

    Parameters
    ----------
    data : Snapshot, results or DataFrame
        A snapshot, which is analysed; results as `acg_lab.analyze` gives them, which know no tokens; or rows of
        `acg_lab.frames.scores`, which is the table behind the figure.
    learning_key : str, optional
        The profile, by learning key or display name; may be left out where there is only one.
    agent_id : str, optional
        Its agent; enough where the agent has one profile.
    width : {"blocks", "tokens"}
        A row a block, or a column as wide as the block is long.
    fold : bool
        Fold all but the telling blocks where there are more than 36. Columns are never folded.
    thresholds : StabilityThresholds, optional
        That the scores are judged by; production's defaults when left out.
    heading : bool
        Whether to draw title and subtitle; `acg_lab.plots.alt_text` has them in any case.
    ax : Axes or Figure, optional
        Where to draw. An axes gives its place; a figure keeps its width. A new figure when left out.

    Returns
    -------
    Axes
        Of the bars: x is the score; or of the columns: x is tokens per request, y the score.

    Raises
    ------
    UsageError
        If there are several profiles and none is named, the frame is none of scores, or its classes are not those that
        the thresholds give.
    """
    if width not in {"blocks", "tokens"}:
        msg = f"The 'width' option must be 'blocks' or 'tokens'; got {width!r}."
        raise UsageError(msg)
    thresholds = thresholds or StabilityThresholds()
    spans = _spans_of(data, learning_key, agent_id, thresholds)
    with drawing():
        if spans.empty:
            key = learning_key or next(iter(getattr(data, "windows", ())), "")
            unseen = pd.DataFrame({"learning_key": [key], "agent_id": [None]})
            return draw_nothing(ax, *profile_words(unseen), gid="prefix-stability", show=heading)
        profile = read_profile(spans, thresholds)
        title = profile.title if width == "blocks" else profile.title_of_tokens
        words = (title, *profile.subtitle(confidence_of(spans), title), *profile_words(spans))
        if width == "tokens":
            return draw_columns(profile, words, ax, heading=heading)
        return _draw_bars(profile, words, ax, fold=fold, heading=heading)


def _spans_of(
    data: "Given", learning_key: str | None, agent_id: str | None, thresholds: StabilityThresholds
) -> pd.DataFrame:
    """Return the rows of the profile to draw."""
    if isinstance(data, pd.DataFrame):
        frame = check_columns(data, tuple(SCORES), "frames.scores")
    elif isinstance(data, Mapping | StabilityAnalysisResult):
        frame = frames.scores(data, learning_key=learning_key, agent_id=agent_id)
    else:
        key = one_key(data, learning_key, agent_id)  # the others need not be analysed
        frame = frames.scores(data, thresholds=thresholds, learning_key=key)
    return frame if frame.empty else one_profile(frame, learning_key, agent_id)


def _draw_bars(
    profile: PlottedProfile, words: "tuple[Any, ...]", place: "Place", *, fold: bool, heading: bool
) -> "Axes":
    above = HEADING if heading else 0.0
    width, most = place_width(place), MOST_ROWS if fold else len(profile.blocks)
    rows = place_rows(profile, width, most=most)
    note = wrap(_note(profile, rows), Size.NOTE, width - 2 * MARGIN)
    foot = _FOOT + LINE * len(note)
    page = open_page(place, above + _ROWS + rows.height + foot, gid="prefix-stability")
    top, room = above + _ROWS, page.height - above - _ROWS - foot
    if room < rows.height - _TINY:  # an axes of the caller's: fold more, do without the strip, and then get lower
        top, room = above + _NAMES, max(page.height - above - _NAMES - foot, _LOWEST_ROW)
        most = min(max(int(room / _LOWEST_ROW) - _BAND_ROWS, _FEWEST_ROWS), most) if fold else most
        rows = place_rows(profile, width, most=most)
        rows = place_rows(profile, width, most=most, scale=min(room / rows.height, 1.0))
    page.heading(*words, name=profile.breaks.name if profile.breaks else "", show=heading)
    if top > above + _NAMES:
        draw_strip(page, profile, above + _STRIP)
    axes = Bars(page, profile, rows, top).draw()
    draw_note(page, wrap(_note(profile, rows), Size.NOTE, width - 2 * MARGIN))
    return axes


def _note(profile: PlottedProfile, rows: Rows) -> str:
    """Say what the marks mean."""
    said = [
        "Thick bar: requests with the dominant content of the block.  Thin bar: requests that have the block at all."
    ]
    if any(isinstance(line.row, Fold) for line in rows.lines):
        said.append("Dots: blocks folded into one row.")
    return "  ".join([*said, *profile.remarks])
