"""Plots: matplotlib figures of DataFrames, each the answer to one question, with the answer as its title.

Plots draw what frames hold and compute nothing that a frame could hold. matplotlib loads when a plot is drawn, and the
user's own settings of it never change. How figures look: acg_lab/docs/look.md.

>>> from acg_lab import plots
>>> plots.theme()
'light'
"""

from acg_lab.plots.alt_text import alt_text, save
from acg_lab.plots.cost_breakdown import cost_breakdown
from acg_lab.plots.cost_curve import cost_curve
from acg_lab.plots.misses import misses
from acg_lab.plots.prefix_over_time import prefix_over_time
from acg_lab.plots.prefix_stability import prefix_stability
from acg_lab.plots.profiles_overview import profiles_overview
from acg_lab.plots.requests_over_time import requests_over_time
from acg_lab.plots.theme import set_theme, theme
from acg_lab.plots.threshold_curve import threshold_curve
from acg_lab.plots.threshold_surface import threshold_surface
from acg_lab.plots.window_heatmap import window_heatmap

__all__ = [
    "alt_text",
    "cost_breakdown",
    "cost_curve",
    "misses",
    "prefix_over_time",
    "prefix_stability",
    "profiles_overview",
    "requests_over_time",
    "save",
    "set_theme",
    "theme",
    "threshold_curve",
    "threshold_surface",
    "window_heatmap",
]


def __dir__() -> list[str]:
    """Offer only the public names to completion."""
    return [name for name in globals() if name.startswith("__")] + __all__
