"""Which settings to run, what every distinct one costs, and whether a change did what was promised."""

from acg_lab.advice.compare import compare
from acg_lab.advice.comparison import AgentComparison, Comparison, Shift
from acg_lab.advice.folds import Interval, Period
from acg_lab.advice.recommend import recommend
from acg_lab.advice.recommendation import AgentSaving, BetterRepair, Recommendation
from acg_lab.advice.sweep import Sweep, sweep

__all__ = [
    "AgentComparison",
    "AgentSaving",
    "BetterRepair",
    "Comparison",
    "Interval",
    "Period",
    "Recommendation",
    "Shift",
    "Sweep",
    "compare",
    "recommend",
    "sweep",
]
