"""What there is to say where there is little to see (LOOK.md section 7).

Belongs here: the figure without requests, and the titles that hold for every plot of a profile.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from acg_lab._format import counted
from acg_lab.plots.canvas import HEADING, MARGIN, open_page
from acg_lab.plots.reasons import breaking, reason_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from acg_lab.plots.canvas import Place

__all__ = ["Title", "draw_nothing", "title_of"]

_FRAME = 0.22
_TODO = "The window of this profile is empty: load a run file, or let the agent run once"


class Title(NamedTuple):
    """A title, ``{name}`` standing for the block it names."""

    text: str
    name: str = ""


def title_of(scores: pd.DataFrame, stable_threshold: float) -> Title:
    """Return the finding of a profile, from the rows of its scores."""
    n_blocks, first = len(scores), breaking(scores)
    if scores["requests"].iloc[0] == 1:
        return Title("One request so far: every block looks stable, nothing is known yet")
    if first is None:
        whole = "block is" if n_blocks == 1 else f"{n_blocks:,} blocks are"
        return Title(f"All {whole} stable: the whole prompt can be cached".replace("All block", "The only block"))
    if first.position == 0:
        return Title("No stable prefix: {name} breaks it at the first block", first.span_id)
    why = reason_of(first, stable_threshold)
    if why is None:
        return Title(f"{counted(first.position, 'stable block')}, then {{name}} breaks the prefix", first.span_id)
    return Title(f"{{name}} {why.clause} and breaks the prefix", first.span_id)


def draw_nothing(place: "Place", *words: str, gid: str, show: bool = True, todo: str = _TODO) -> "Axes":
    """Draw the figure of a profile without requests: what to do next, and one empty frame."""
    top = HEADING if show else MARGIN
    page = open_page(place, top + 0.15 + _FRAME + 0.15, gid=gid)
    page.heading("No requests observed yet", todo, *words, show=show)
    outline: Any = {"edgecolor": page.colours.rule, "linewidth": 0.8, "linestyle": (0, (5, 3))}
    page.rectangle(MARGIN, top + 0.1, page.width - 2 * MARGIN, _FRAME, page.colours.paper, gid="empty", **outline)
    return page.axes
