"""What a provider's cache did with each recorded request: tokens, money, and one verdict with its cause.

Everything is a pure function of a replayed history, a provider's rules and settings. Nothing recorded is ever replaced
by a simulated number; both stand side by side.
"""

from acg_lab.simulation.breakpoints import PromptView
from acg_lab.simulation.calibrate import Agreement, Calibration, Disagreement, calibrate
from acg_lab.simulation.costs import CostTotals
from acg_lab.simulation.origins import DecidingPlace
from acg_lab.simulation.request_facts import PromptParts
from acg_lab.simulation.result import CacheSimulation
from acg_lab.simulation.simulate import simulate
from acg_lab.simulation.usage import BilledTokens, usage_of
from acg_lab.simulation.verdicts import Verdict

__all__ = [
    "Agreement",
    "BilledTokens",
    "CacheSimulation",
    "Calibration",
    "CostTotals",
    "DecidingPlace",
    "Disagreement",
    "PromptParts",
    "PromptView",
    "Verdict",
    "calibrate",
    "simulate",
    "usage_of",
]
