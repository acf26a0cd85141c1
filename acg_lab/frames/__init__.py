"""Tidy DataFrames of what the other packages hold, one row per thing that the function is named for.

Frames reshape and compute nothing that a value of another package could hold. Names and classes are categoricals, times
are UTC with nanoseconds, tokens are a block's own count or else its UTF-8 bytes // 4, the index is plain. Invariant: an
empty frame has the columns and dtypes of a full one. Prompt text is in a frame only if ``text=True`` asks for it.

=================== ======================================================= ==================
frame               one row per                                             made from
=================== ======================================================= ==================
``profiles``        profile, worst loss first                               snapshot
``scores``          block of a profile: how stable it is, and why           results, snapshot
``windows``         request in a profile's window                           snapshot
``blocks``          block of a request                                      snapshot
``variants``        distinct content of a block in one profile              snapshot
``cells``           block of a request, compared with the others            snapshot
``threshold_curve`` level of one prefix's length over thresholds            snapshot
``calls``           LLM call of a recorded run                              snapshot
``steps``           request of a replay, under one setting                  trace
``findings``        finding: what breaks prefixes, and what fixing it saves snapshot, findings
``requests``        recorded request: what the cache did with it, and why   simulation
``misses``          group of requests that missed alike, dearest first      simulation
``costs``           policy and agent: what input costs                      simulations
``agent_costs``     agent: what it pays and loses, and what for             simulation
``savings``         agent: what recommended settings save it                recommendation
``setting_costs``   setting (and agent): what input would cost              sweep
``cost_changes``    agent: what requests cost before and after a change     comparison
``shifts``          miss or profile of an agent, before and after a change  comparison
=================== ======================================================= ==================
"""

from acg_lab.frames.agent_costs import agent_costs
from acg_lab.frames.comparisons import cost_changes, shifts
from acg_lab.frames.curve import threshold_curve
from acg_lab.frames.findings import findings
from acg_lab.frames.profiles import profiles, scores
from acg_lab.frames.setting_costs import savings, setting_costs
from acg_lab.frames.simulated import costs, misses, requests
from acg_lab.frames.steps import calls, steps
from acg_lab.frames.windows import blocks, cells, variants, windows

__all__ = [
    "agent_costs",
    "blocks",
    "calls",
    "cells",
    "cost_changes",
    "costs",
    "findings",
    "misses",
    "profiles",
    "requests",
    "savings",
    "scores",
    "setting_costs",
    "shifts",
    "steps",
    "threshold_curve",
    "variants",
    "windows",
]


def __dir__() -> list[str]:
    """Offer only the public names to completion."""
    return [name for name in globals() if name.startswith("__")] + __all__
