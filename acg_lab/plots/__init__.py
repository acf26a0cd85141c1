"""Plots: DataFrames to matplotlib, each figure the answer to one question.

Belongs here: drawing what frames hold; nothing is computed that a frame could hold. matplotlib loads when a plot is
drawn, and the user's own settings of it never change.

>>> from acg_lab import plots
>>> plots.theme()
'light'
"""

from acg_lab.plots.alternative import alt_text, save
from acg_lab.plots.curve import threshold_curve
from acg_lab.plots.heatmap import window_heatmap
from acg_lab.plots.over_time import prefix_over_time
from acg_lab.plots.overview import profiles_overview
from acg_lab.plots.prefix import prefix_stability
from acg_lab.plots.theme import set_theme, theme

__all__ = [
    "alt_text",
    "prefix_over_time",
    "prefix_stability",
    "profiles_overview",
    "save",
    "set_theme",
    "theme",
    "threshold_curve",
    "window_heatmap",
]


def __dir__() -> list[str]:
    """Offer the public names to completion, and no module behind them."""
    return [name for name in globals() if name.startswith("__")] + __all__
