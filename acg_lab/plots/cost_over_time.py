"""The panel of input cost below the steps of the prefix: a share of the cost without a cache, mean of some requests."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pandas as pd

from acg_lab._format import percent
from acg_lab.plots.canvas import MARGIN
from acg_lab.plots.over_time_series import Series
from acg_lab.plots.text import Size

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from acg_lab.plots.mpl_canvas import MplCanvas

    Floats = NDArray[np.float64]

__all__ = ["CostPanel", "cost_shares", "draw_cost_shares"]

_MEAN: Final = 20  # requests
_ABOVE: Final = 0.14
_LINE: Final = 0.165  # of text, in inches


class CostPanel(NamedTuple):
    """Where the panel stands, in inches from the upper left corner."""

    left: float
    top: float
    width: float
    height: float


def cost_shares(frame: pd.DataFrame, series: Sequence[Series]) -> "list[tuple[Floats, float]]":
    """Return the cost of each setting as a share of no caching: mean of 20 requests at each one, and of all.

    Empty if the frame has no costs, or none are known.
    """
    if not {"cost", "cost_without_cache"} <= set(frame):
        return []
    shares = []
    for one in series:
        mine = frame["stable_threshold"] == one.stable_threshold
        if one.window is not None:
            mine &= frame["window"] == one.window
        steps = frame[mine].sort_values("step", kind="stable")
        known = steps[["cost", "cost_without_cache"]].where(steps["cost"].notna() & steps["cost_without_cache"].notna())
        recent = known.rolling(_MEAN, min_periods=1).sum()
        whole = known.sum()
        if not whole["cost_without_cache"] > 0:
            return []
        share = (recent["cost"] / recent["cost_without_cache"]).ffill().bfill().to_numpy(float)
        shares.append((share, float(whole["cost"] / whole["cost_without_cache"])))
    return shares


def draw_cost_shares(
    canvas: "MplCanvas", series: Sequence[Series], costs: "Sequence[tuple[Floats, float]]", place: CostPanel
) -> None:
    """Draw a line of each setting, and that of no caching; name each with its mean at the right."""
    colours, n = canvas.colours, len(costs[0][0])
    panel = canvas.panel(*place, gid="costs")
    top = max(1.1, *(float(np.nanmax(share)) * 1.05 for share, _ in costs))
    panel.set_limits((0, n), (0, top))
    panel.axes.set_yticks([0, 0.5, 1], ["0%", "50%", "100%"])
    panel.use_round_ticks("x")
    panel.draw_grid()
    panel.axes.axhline(1, color=colours.rule, linewidth=1.4, gid="no-caching", zorder=2)
    edges, drawn = np.arange(n + 1), list(zip(series, costs, strict=True))
    middles = []
    for number, (one, (share, mean)) in enumerate(drawn):
        is_last = number == len(drawn) - 1 and len(drawn) > 1
        is_dearer = is_last and mean > costs[0][1] and percent(mean) != percent(costs[0][1])
        colour = colours.breaking if is_dearer else colours.stable if is_last or len(drawn) == 1 else colours.base
        panel.steps(share, edges, colour, linewidth=2.0 if is_last else 1.4, gid=f"cost-{one.name}", zorder=3 + number)
        middles.append(place.top + place.height * (1 - float(share[-1]) / top))
        text = colours.text2 if colour == colours.base else colour
        at = _apart(middles) if number else middles[0]
        style: Any = {"size": Size.LABEL, "colour": text, "bold": is_last}
        canvas.text(
            place.left + place.width + 0.07, at, f"{one.name} {percent(mean)}", gid=f"cost-name-{one.name}", **style
        )
    label = f"input cost, share of no caching, mean of {_MEAN} requests"
    canvas.label(MARGIN, place.top - _ABOVE, label, gid="cost-label")


def _apart(middles: list[float]) -> float:
    """Return where the second name stands: a line of text away from the first."""
    first, second = middles
    return second if abs(second - first) >= _LINE else first + (_LINE if second >= first else -_LINE)
