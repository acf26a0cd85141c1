"""Which settings to run: what every distinct setting costs, and which one wins on requests that nobody has seen."""

from acg_lab.advice.folds import Interval, Period
from acg_lab.advice.recommend import recommend
from acg_lab.advice.recommendation import AgentSaving, BetterRepair, Recommendation
from acg_lab.advice.sweep import Sweep, sweep

__all__ = ["AgentSaving", "BetterRepair", "Interval", "Period", "Recommendation", "Sweep", "recommend", "sweep"]
