"""What changed from one side of a comparison to the other: rows per agent, or per miss and profile."""

from typing import Any

import pandas as pd

from acg_lab.advice import Comparison
from acg_lab.core.errors import UsageError
from acg_lab.frames.columns import make_frame
from acg_lab.frames.schema import COST_CHANGES, SHIFTS

__all__ = ["cost_changes", "shifts"]


def cost_changes(comparison: Comparison) -> pd.DataFrame:
    """Return one row per agent of a comparison: what its requests cost before and after a change.

    Parameters
    ----------
    comparison : Comparison
        Read, never changed.

    Returns
    -------
    DataFrame
        What changed first. agent_id; outcome (of its cost, see `acg_lab.advice.AgentComparison`); runs, requests and
        cost (per request, in currency) before and after; change with low and high (of like requests, as a share; all
        intervals hold together with 95%); saved (on the like requests of after); matched (share of the requests of
        after that have a counterpart); read (share of prompt tokens), prefix (tokens, median) and profiles before and
        after; words (what changed).

    Raises
    ------
    UsageError
        If it is not a Comparison.

    Examples
    --------
    >>> import acg_lab as acg
    >>> found = acg.compare(acg.load("data/sample", agent_id="sales-analyst"), at="2026-11-16T09:40:00Z")
    >>> acg.frames.cost_changes(found)[["agent_id", "outcome", "requests_before"]].to_numpy().tolist()
    [['sales-analyst', 'no change', 314]]
    """
    agents = _check(comparison).agents
    values: dict[str, Any] = {"agent_id": [agent.agent_id for agent in agents]}
    for name in ("outcome", "currency", "words"):
        values[name] = [getattr(agent, name) for agent in agents]
    for name in ("runs", "requests", "cost", "read", "prefix", "profiles"):
        for side, ending in enumerate(("before", "after")):
            values[f"{name}_{ending}"] = [getattr(agent, name)[side] for agent in agents]
    values["change"] = [agent.change.value for agent in agents]
    values["low"] = [agent.change.low for agent in agents]
    values["high"] = [agent.change.high for agent in agents]
    values["saved"] = [agent.saved.value for agent in agents]
    values["matched"] = [agent.matched[1] for agent in agents]
    return make_frame(COST_CHANGES, values)


def shifts(comparison: Comparison) -> pd.DataFrame:
    """Return one row per miss and profile of each agent: which share of its requests had it before and after.

    Parameters
    ----------
    comparison : Comparison
        Read, never changed.

    Returns
    -------
    DataFrame
        agent_id; kind (miss or profile); name; before, after (shares of the agent's requests); difference with low and
        high; beyond_chance (whether chance does not explain it, for all rows at once).

    Raises
    ------
    UsageError
        If it is not a Comparison.

    Examples
    --------
    >>> import acg_lab as acg
    >>> found = acg.compare(acg.load("data/sample", agent_id="sales-analyst"), at="2026-11-16T09:40:00Z")
    >>> rows = acg.frames.shifts(found)
    >>> rows.loc[rows["beyond_chance"], ["kind", "before", "after"]].to_numpy().tolist()
    [['profile', 1.0, 0.0], ['profile', 0.0, 1.0]]
    """
    rows = [(agent.agent_id, shift) for agent in _check(comparison).agents for shift in agent.shifts]
    values: dict[str, Any] = {"agent_id": [agent_id for agent_id, _ in rows]}
    for name in ("kind", "name", "before", "after", "beyond_chance"):
        values[name] = [getattr(shift, name) for _, shift in rows]
    values["difference"] = [shift.difference.value for _, shift in rows]
    values["low"] = [shift.difference.low for _, shift in rows]
    values["high"] = [shift.difference.high for _, shift in rows]
    return make_frame(SHIFTS, values)


def _check(comparison: Comparison) -> Comparison:
    if isinstance(comparison, Comparison):
        return comparison
    msg = f"The 'comparison' must be a Comparison (see acg_lab.compare); got {type(comparison).__name__}."
    raise UsageError(msg)
