"""Times that stand in for those that a log does not have, so that its requests can be simulated in their order.

Invariant: stand-ins never reach a result. They decide only that a request comes after the answer to the one before it,
and before anything expires.
"""

import time
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

__all__ = ["UNTIMED", "stand_in_times"]

UNTIMED: Final = "simulated run by run, each soon after the answer before it, by the newest rules and prices"
_APART: Final = 10**6  # a millisecond, so that 300,000 requests are within the shortest lifetime
_DAY: Final = 86_400 * 10**9


def stand_in_times(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of requests with a start for each; those without one stand before all others, in their order.

    Parameters
    ----------
    facts : mapping of str to array, shape (n_requests,)
        `acg_lab.simulation.requests.FACTS`, in order of start.
    """
    untimed = ~facts["timed"]
    n = int(np.count_nonzero(untimed))
    if not n:
        return dict(facts)
    end = int(facts["started"][n]) if n < len(untimed) else time.time_ns() // _DAY * _DAY
    started = facts["started"].copy()
    started[:n] = end - _APART * np.arange(n, 0, -1)
    # An answer that came at once is there for the next request.
    answered = {name: np.where(untimed, started, facts[name]) for name in ("first_token", "ended")}
    return {**facts, "started": started, **answered}
