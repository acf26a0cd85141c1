"""What input would cost under other settings, and what recommended ones save: rows per setting, or per agent."""

import numpy as np
import pandas as pd

from acg_lab.advice import Recommendation, Sweep
from acg_lab.core.errors import UsageError
from acg_lab.frames.columns import make_frame
from acg_lab.frames.schema import SAVINGS, SETTING_COSTS

__all__ = ["savings", "setting_costs"]


def setting_costs(sweep: Sweep, *, by_agent: bool = False) -> pd.DataFrame:
    """Return one row per setting of a sweep: what the input of the recorded history costs with it.

    Parameters
    ----------
    sweep : Sweep
        Read, never changed.
    by_agent : bool, default False
        One row per setting and agent.

    Returns
    -------
    DataFrame
        In the order of the sweep, the current setting first. setting (row of the sweep); agent_id (missing for all
        agents together); stable_threshold; above, upto (thresholds that plan the same are more than ``above`` and at
        most ``upto``); semi_stable_threshold, min_observations_for_full_confidence, observation_window, provider; plan
        (settings with equal numbers plan the same); is_current; cost in currency (NaN where the work was interrupted
        before); share (of the cost without a cache).

    Raises
    ------
    UsageError
        If it is not a Sweep.

    Examples
    --------
    >>> import acg_lab as acg
    >>> costs = acg.sweep(acg.load("data/sample", agent_id="support-mail"), progress=False)
    >>> acg.frames.setting_costs(costs)[["stable_threshold", "provider", "is_current"]].head(1).to_numpy().tolist()
    [[0.95, 'anthropic', True]]
    """
    if not isinstance(sweep, Sweep):
        msg = f"The 'sweep' must be a Sweep (see acg_lab.sweep); got {type(sweep).__name__}."
        raise UsageError(msg)
    n, agents = len(sweep), sweep.agent_ids if by_agent else (None,)
    settings = [sweep.setting(row) for row in range(n)]
    costs = sweep.cost_by_agent if by_agent else sweep.cost[:, np.newaxis]
    whole = sweep.cost_without_cache_by_agent if by_agent else np.array([sweep.cost_without_cache])
    width = len(agents)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = costs / whole
    return make_frame(
        SETTING_COSTS,
        {
            "setting": np.repeat(np.arange(n), width),
            "agent_id": list(agents) * n,
            "stable_threshold": np.repeat(sweep.points.stable, width),
            "above": np.repeat(sweep.above, width),
            "upto": np.repeat(sweep.upto, width),
            "semi_stable_threshold": np.repeat([one.thresholds.semi_stable_threshold for one in settings], width),
            "min_observations_for_full_confidence": np.repeat(sweep.points.minimums, width),
            "observation_window": np.repeat(sweep.points.windows, width),
            "provider": [one.provider for one in settings for _ in agents],
            "plan": np.repeat(sweep.plans, width),
            "is_current": np.repeat(np.arange(n) == 0, width),
            "cost": costs.reshape(-1),
            "currency": [sweep.currency] * (n * width),
            "share": share.reshape(-1),
        },
    )


def savings(recommendation: Recommendation) -> pd.DataFrame:
    """Return one row per agent: what recommended settings save it on held-out requests.

    Parameters
    ----------
    recommendation : Recommendation
        Read, never changed.

    Returns
    -------
    DataFrame
        The largest saving first; no rows where nothing is to be changed. agent_id; cost (of the held-out requests with
        the current settings); saved (negative where the agent loses), low and high (its 95% interval), all in currency;
        share (of the cost).

    Raises
    ------
    UsageError
        If it is not a Recommendation.

    Examples
    --------
    >>> import acg_lab as acg
    >>> best = acg.recommend(acg.load("data/sample", agent_id="claims-triage"), progress=False)
    >>> acg.frames.savings(best)["saved"].gt(0).tolist()
    [True]
    """
    if not isinstance(recommendation, Recommendation):
        got = type(recommendation).__name__
        msg = f"The 'recommendation' must be a Recommendation (see acg_lab.recommend); got {got}."
        raise UsageError(msg)
    agents = recommendation.agents
    return make_frame(
        SAVINGS,
        {
            "agent_id": [agent.agent_id for agent in agents],
            "cost": [agent.cost for agent in agents],
            "saved": [agent.saved.value for agent in agents],
            "low": [agent.saved.low for agent in agents],
            "high": [agent.saved.high for agent in agents],
            "share": [agent.share for agent in agents],
            "currency": [recommendation.currency] * len(agents),
        },
    )
