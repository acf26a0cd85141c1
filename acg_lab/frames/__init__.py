"""Tidy DataFrames of what the other rooms hold: a row a thing that the function is named for.

Belongs here: reshaping, and the names and types of columns. Nothing is computed here that a value of another room could
hold. Imports the core, snapshot, explain, replay, tuning, and pandas.

All frames: names and classes are categoricals, times are UTC with nanoseconds, tokens are a block's own count or else
its UTF-8 bytes // 4, the index is plain, and an empty frame has the same columns and dtypes. Prompt text is in a frame
only where ``text=True`` asks for it.

=================== ======================================================= ================
frame               a row is                                                from
=================== ======================================================= ================
``profiles``        a profile, worst loss first                             snapshot
``scores``          a span of a profile: how stable, and why                results, snapshot
``windows``         a request in a profile's window                         snapshot
``blocks``          a block of a request                                    snapshot
``variants``        a distinct content of a span, in one profile            snapshot
``cells``           a block of a request of one window, among its like      snapshot
``threshold_curve`` a level of one prefix's length, over thresholds         snapshot
``calls``           an LLM call of a recorded run                           snapshot
``steps``           a request of a replay, under one setting                trace
``findings``          a finding: what ends prefixes, why, what mending wins   snapshot, findings
``requests``        a recorded request: what the cache did with it, and why simulation
``misses``          a group of requests that missed alike, dearest first    simulation
``costs``           a policy and an agent: what input costs                 simulations
=================== ======================================================= ================
"""

from acg_lab.frames.curve import threshold_curve
from acg_lab.frames.findings import findings
from acg_lab.frames.profiles import profiles, scores
from acg_lab.frames.simulated import costs, misses, requests
from acg_lab.frames.steps import calls, steps
from acg_lab.frames.windows import blocks, cells, variants, windows

__all__ = [
    "blocks",
    "calls",
    "cells",
    "costs",
    "findings",
    "misses",
    "profiles",
    "requests",
    "scores",
    "steps",
    "threshold_curve",
    "variants",
    "windows",
]


def __dir__() -> list[str]:
    """Offer the public names to completion, and no module behind them."""
    return [name for name in globals() if name.startswith("__")] + __all__
