"""What compact forms share: the place of their panel, with ticks and without margins of text.

A compact form keeps bars, break and prefix rail, and leaves out names of rows, notes and, where the page is low, the
subtitle (acg_lab/docs/look.md, section 5).
"""

from typing import TYPE_CHECKING, Final

from acg_lab.plots.canvas import MARGIN
from acg_lab.plots.text import Size, text_width

if TYPE_CHECKING:
    from acg_lab.plots.mpl_canvas import MplCanvas, MplPanel

__all__ = ["TICKS", "compact_place", "compact_ticks"]

TICKS: Final = 0.24  # below a panel
_LAST_TICK: Final = 0.24  # half of it stands to the right of a panel
_LOWEST: Final = 0.3
_MOST_TICKS: Final = 3


def compact_place(
    canvas: "MplCanvas", top: float, *, widest: str = "", below: float = TICKS
) -> tuple[float, float, float, float]:
    """Return left, top, width and height of the panel of a compact form.

    Parameters
    ----------
    canvas : MplCanvas
        The page.
    top : float
        Where title and subtitle end.
    widest : str
        The longest tick label of the y axis, for which the left margin is widened; without it there is no y axis.
    below : float
        Room for the ticks of the x axis.
    """
    left = MARGIN + text_width(widest, Size.ROW) + 0.09 if widest else MARGIN
    top += 0.04
    right = canvas.right - (_LAST_TICK if below else 0.0)
    return left, top, right - left, max(canvas.height - top - below - 0.04, _LOWEST)


def compact_ticks(panel: "MplPanel", *, y: bool = True) -> None:
    """Draw few ticks, at whole round numbers."""
    panel.use_round_ticks("x", _MOST_TICKS)
    if y:
        panel.use_round_ticks("y", _MOST_TICKS)
