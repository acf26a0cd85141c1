"""What input would cost under other settings: one row per setting, or per setting and agent."""

import numpy as np
import pandas as pd

from acg_lab.advice import Sweep
from acg_lab.core.errors import UsageError
from acg_lab.frames.schema import SETTING_COSTS, make_frame

__all__ = ["setting_costs"]


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
