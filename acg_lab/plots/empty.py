"""Figures with little to see (acg_lab/docs/look.md, section 7).

The figure without requests, and the titles that hold for every plot of one profile.
"""

from typing import TYPE_CHECKING, Final, NamedTuple

import pandas as pd

from acg_lab._format import counted
from acg_lab.diagnosis.cost_words import explain_unknown_reads
from acg_lab.plots.canvas import HEADING, MARGIN
from acg_lab.plots.inputs import breaking_row, reason_of
from acg_lab.plots.mpl_canvas import canvas_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from acg_lab.plots.canvas import Canvas
    from acg_lab.plots.mpl_canvas import Place
    from acg_lab.simulation import CacheSimulation

__all__ = ["NO_REQUESTS", "Title", "all_stable_title", "draw_empty", "draw_unknown", "explain_unknown", "title_of"]

_FRAME_HEIGHT: Final = 0.22
NO_REQUESTS: Final = "The simulation has no requests: load a source with recorded runs, or a request log"
_TITLE: Final = "No requests observed yet"
_NEXT_STEP: Final = "The window of this profile is empty: load a run file, or let the agent run once"


class Title(NamedTuple):
    """A title, in which ``{name}`` stands for the block it names."""

    text: str
    name: str = ""


def title_of(scores: pd.DataFrame, stable_threshold: float) -> Title:
    """Return the title of a profile's figure, from the rows of its scores."""
    first = breaking_row(scores)
    if scores["requests"].iloc[0] == 1:
        return Title("One request so far: every block looks stable, nothing is known yet")
    if first is None:
        return Title(all_stable_title(len(scores)))
    if first.position == 0:
        return Title("No stable prefix: {name} breaks it at the first block", first.span_id)
    reason = reason_of(first, stable_threshold)
    if reason is None:
        return Title(f"{counted(first.position, 'stable block')}, then {{name}} breaks the prefix", first.span_id)
    return Title(f"{{name}} {reason.clause} and breaks the prefix", first.span_id)


def all_stable_title(n_blocks: int) -> str:
    """Return the title of a profile whose blocks are all stable.

    >>> all_stable_title(12)
    'All 12 blocks are stable: the whole prompt can be cached'
    """
    which = {1: "The only block is", 2: "Both blocks are"}.get(n_blocks, f"All {n_blocks:,} blocks are")
    return f"{which} stable: the whole prompt can be cached"


def explain_unknown(sim: "CacheSimulation") -> tuple[str, str] | None:
    """Return why nothing is known of what a cache read, as title and subtitle; None where something is."""
    return explain_unknown_reads(sim) if len(sim) else (_TITLE, NO_REQUESTS)


def draw_unknown(place: "Place", why: tuple[str, str], *, gid: str, show: bool) -> "Axes":
    """Draw the figure of a simulation of which nothing is known; ``why`` is what `explain_unknown` returns."""
    title, next_step = why
    return draw_empty(place, gid=gid, show=show, title=title, next_step=next_step)


def draw_empty(
    place: "Place | Canvas",
    *words: str,
    gid: str,
    show: bool = True,
    title: str = _TITLE,
    next_step: str = _NEXT_STEP,
) -> "Axes":
    """Draw the figure of a profile without requests: what to do next, and one empty frame."""
    canvas, top = canvas_for(place), HEADING if show else MARGIN
    canvas.begin(top + 0.15 + _FRAME_HEIGHT + 0.15, gid=gid)
    end = canvas.heading(title, next_step, *words, show=show)
    top = end if canvas.is_compact else top
    left, upper, right, lower = MARGIN, top + 0.1, canvas.right, top + 0.1 + _FRAME_HEIGHT
    corners = [(left, upper), (right, upper), (right, lower), (left, lower), (left, upper)]
    sides = [corners[i : i + 2] for i in range(4)]
    canvas.lines(sides, canvas.colours.rule, gid="empty", linewidth=0.8, dash=(5, 3))
    axes: Axes = canvas.axes
    return axes
