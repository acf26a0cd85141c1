"""Recommend settings: chosen on what came before, judged on what came after.

Every period of the second half of a history is judged with the setting that was chosen on all runs before it. Only what
wins there beyond doubt is recommended; the setting itself is then chosen on the whole history.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from acg_lab._format import counted
from acg_lab.advice.choice import LEAST_SAVING, SettingChoice
from acg_lab.advice.current import current_settings
from acg_lab.advice.folds import Interval, Period, bound_sum, cut_periods, judge_periods
from acg_lab.advice.recommendation import AgentSaving, BetterRepair, Recommendation
from acg_lab.advice.sweep import Progress, Sweep, sweep
from acg_lab.config.settings import AcgSettings
from acg_lab.core.errors import UsageError
from acg_lab.core.stability import StabilityThresholds
from acg_lab.diagnosis.explain import explain
from acg_lab.history.replay import replay
from acg_lab.providers.registry import find_provider
from acg_lab.snapshot.snapshot import Snapshot, check_snapshot
from acg_lab.storage.cores import check_n_jobs

if TYPE_CHECKING:
    from acg_lab.providers.rules import CacheProvider

__all__ = ["OBJECTIVES", "recommend"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
OBJECTIVES: Final = ("cost", "tokens")
_DAY: Final = 86_400 * 10**9
_MONTH: Final = 30  # days
_MOST_REPAIRS: Final = 5
_NO_GOVERNOR: Final = ("no bill shows writes of requests without breakpoints; pass current= if a governor runs",)
Current = AcgSettings | StabilityThresholds | float | str | os.PathLike[str]


def recommend(
    source: Snapshot | Sweep,
    *,
    cache_provider: "CacheProvider | str" = "auto",
    objective: Literal["cost", "tokens"] = "cost",
    current: Current | None = None,
    agent_id: str | None = None,
    n_jobs: int = 1,
    progress: Progress | Literal[False] | None = None,
) -> Recommendation:
    """Recommend settings, with what they save on requests that the choice has not seen.

    A change is recommended only if it wins beyond doubt on held-out requests, and at least 1% of the cost. Of settings
    that are nearly as good as the best, the one that changes least is taken, and never one at the edge of a jump.

    Parameters
    ----------
    source : Snapshot or Sweep
        Read, never changed. All of its agents are taken to share the settings, as the agents of a process do. A sweep,
        such as that of a survey, has its settings, agents and cache provider already; repairs are left aside then.
    cache_provider : str or CacheProvider, default "auto"
        As in `acg_lab.simulate`.
    objective : {"cost", "tokens"}, default "cost"
        Money where models have prices; or uncached tokens at the provider's relative rates.
    current : AcgSettings, StabilityThresholds, float or path, optional
        What the governor runs with: a path is that of a ``plugins.toml``. Inferred from what is stored when left out.
    agent_id : str, optional
        The agent to recommend for, as if it had a process of its own; all agents of the source when left out. Current
        settings are inferred from all agents in any case.
    n_jobs : int, default 1
        Processes to work with on this machine; -1 for all cores.
    progress : callable or False, optional
        As in `acg_lab.replay`.

    Returns
    -------
    Recommendation

    Raises
    ------
    UsageError
        If an option makes no sense, there is no such agent, or nothing with requests was recorded; if options that a
        sweep has settled already are given with one; if the work was interrupted before the current setting was priced.

    Examples
    --------
    >>> import acg_lab as acg
    >>> best = acg.recommend(acg.load("data/sample", agent_id="claims-triage"), progress=False)
    >>> best.is_change, 0.5 < best.settings.thresholds.stable_threshold < 0.92
    (True, True)
    """
    if objective not in OBJECTIVES:
        msg = f"The 'objective' option must be one of {', '.join(map(repr, OBJECTIVES))}; got {objective!r}."
        raise UsageError(msg)
    n_jobs = check_n_jobs(n_jobs)
    if isinstance(source, Sweep):
        _refuse_settled({"cache_provider": cache_provider != "auto", "current": current, "agent_id": agent_id})
        return _judge(source, None, in_tokens=objective == "tokens")
    snap = source
    check_snapshot(snap)
    if snap.recorded is not snap:
        msg = "A repaired snapshot was not sent to any provider: pass the snapshot that was loaded."
        raise UsageError(msg)
    if cache_provider != "auto":
        find_provider(cache_provider)
    trace = replay(snap, window=_window_of(current), progress=False)
    if agent_id is not None:
        trace = trace.select(agent_id=agent_id)
    now = current_settings(snap, trace, current)
    if now.provider != "anthropic" and current is None and snap.learned_here:
        return _nothing("no governor", _Asked(snap, agent_id), now)
    found = sweep(trace, cache_provider=cache_provider, current=now, n_jobs=n_jobs, progress=progress)
    return _judge(found, _Asked(snap, agent_id), in_tokens=objective == "tokens")


def _refuse_settled(given: Mapping[str, object]) -> None:
    for name, value in given.items():
        if value:
            msg = f"The {name!r} option is settled in a Sweep already: give it to acg_lab.sweep or acg_lab.survey."
            raise UsageError(msg)


class _Asked(NamedTuple):
    """What is recommended for: a snapshot, and one agent of it or all."""

    snap: Snapshot
    agent_id: str | None


def _window_of(current: Any) -> int:
    return current.observation_window if isinstance(current, AcgSettings) else 100


def _judge(found: Sweep, asked: "_Asked | None", *, in_tokens: bool) -> Recommendation:
    evaluation, points = found.evaluation, found.points
    choice = SettingChoice(points, found.above, found.upto)
    now = evaluation.cost_of_runs(found.numbers[0], in_tokens=in_tokens)
    if np.isnan(now).any():
        msg = "Nothing can be recommended: the work was interrupted before the current setting was priced."
        raise UsageError(msg)
    periods = cut_periods(evaluation.run_starts, now)
    if periods is None:
        return _nothing("too few runs", asked, found.current, found)
    costs = evaluation.cost_of_groups(found.numbers, periods, int(periods.max()) + 1, in_tokens=in_tokens)
    whole = costs.sum(axis=1)
    row = choice.choose(whole)
    judged = tuple(judge_periods(costs, evaluation.run_starts, periods, choice.choose))
    held_out = periods > 0
    chosen = np.array([0, *(period.chosen for period in judged)])[periods]
    by_choice = _saved(found, chosen, in_tokens=in_tokens)
    own = _saved(found, np.full(len(now), row), in_tokens=in_tokens)
    saved, final = bound_sum(by_choice[held_out]), bound_sum(own[held_out])
    least = LEAST_SAVING * float(now[held_out].sum())
    is_change = row != 0 and all(one.low > 0 and one.value >= least for one in (saved, final))
    dollars = float(_saved(found, np.full(len(now), row), in_tokens=False).sum()) if is_change else 0.0
    base = _nothing("change nothing", asked, found.current, found, judged, dollars)
    full: Floats = np.bincount(
        periods, evaluation.cost_of_runs_without_cache(in_tokens=in_tokens), costs.shape[1]
    ).astype(float)
    currency = "uncached tokens" if in_tokens else found.currency
    base = replace(base, currency=currency, period_costs=costs, period_costs_without_cache=full)
    if not is_change:
        return base
    return replace(
        base,
        settings=_typed(found, row, choice.threshold(row, whole)),
        reason="change",
        saved=saved,
        saved_tokens=float(_saved(found, chosen, in_tokens=True)[held_out].sum()),
        saved_a_month=_a_month(saved.value, evaluation.run_starts[held_out]),
        agents=_by_agent(found, now, own, held_out),
        plateau=choice.plateau(row, whole),
        row=row,
    )


def _typed(found: Sweep, row: int, stable: float) -> AcgSettings:
    """Return the settings of a row with a threshold as a user would type it; the provider is None where it stays."""
    settings, now = found.setting(row), found.current
    thresholds = msgspec.structs.replace(
        settings.thresholds,
        stable_threshold=stable,
        semi_stable_threshold=min(now.thresholds.semi_stable_threshold, stable),
    )
    provider = None if settings.provider == now.provider else settings.provider
    return msgspec.structs.replace(settings, thresholds=thresholds, provider=provider)


def _saved(found: Sweep, rows: Ints, *, in_tokens: bool) -> Floats:
    """Return what each run saves with a setting of its own."""
    now = found.evaluation.cost_of_runs(found.numbers[0], in_tokens=in_tokens)
    saved = np.zeros(len(now))
    for row in np.unique(rows).tolist():
        at = rows == row
        saved[at] = (now - found.evaluation.cost_of_runs(found.numbers[row], in_tokens=in_tokens))[at]
    return saved


def _by_agent(found: Sweep, now: Floats, saved: Floats, held_out: NDArray[np.bool_]) -> tuple[AgentSaving, ...]:
    agents = []
    for number, agent_id in enumerate(found.agent_ids):
        runs = held_out & (found.evaluation.run_agents == number)
        agents.append(AgentSaving(agent_id, float(now[runs].sum()), bound_sum(saved[runs])))
    return tuple(sorted(agents, key=lambda agent: -agent.saved.value))


def _a_month(saved: float, starts: Ints) -> float | None:
    days = float(starts.max() - starts.min()) / _DAY
    return saved / days * _MONTH if days >= 1 else None


def _how_judged(periods: tuple[Period, ...], unit: str) -> tuple[str, ...]:
    if not periods:
        return ()
    runs = counted(sum(period.n_runs for period in periods), unit)
    runs += "" if unit == "run" else " of neighbouring runs"
    how = f"judged on {runs} in {counted(len(periods), 'period')}, each with the setting chosen on all runs before it"
    return (
        how,
        f"intervals come from drawing whole {unit}s again",
        "answers are taken as recorded: a setting changes what is cached, not what is said",
    )


def _nothing(
    reason: str,
    asked: _Asked | None,
    now: AcgSettings,
    found: Sweep | None = None,
    judged: tuple[Period, ...] = (),
    saved: float = 0.0,
) -> Recommendation:
    """Return the recommendation to change nothing, with the repairs that save more dollars than a setting would."""
    remarks = _NO_GOVERNOR if found is None else found.remarks
    return Recommendation(
        settings=now,
        current=now,
        reason=reason,
        saved=Interval(0.0, 0.0, 0.0),
        saved_tokens=0.0,
        cost=sum(period.current for period in judged),
        best=sum(period.current - period.best for period in judged),
        saved_a_month=None,
        agents=(),
        periods=judged,
        period_costs=np.zeros((0, 0)),
        period_costs_without_cache=np.zeros(0),
        plateau=(0.0, 1.0) if found is None else (float(found.above[0]), float(found.upto[0])),
        repairs=_better_repairs(asked, saved),
        remarks=(*_how_judged(judged, "run" if found is None else found.evaluation.unit), *remarks),
        currency="USD" if found is None else found.currency,
        sweep=found,
        row=0,
    )


def _better_repairs(asked: _Asked | None, saved: float) -> tuple[BetterRepair, ...]:
    """Return the repairs that save more dollars than a setting, by explain; none where only costs are known."""
    if asked is None:
        return ()
    best: dict[tuple[str, str], BetterRepair] = {}
    for finding in explain(asked.snap, agent_id=asked.agent_id, progress=False):
        for effect in _priced(finding.repairs):
            description = effect.repairs[0].description if effect.repairs else ""
            one = BetterRepair(
                finding.agent_id, description, effect.money_saved, effect.money_saved / saved if saved > 0 else None
            )
            key = (one.agent_id, description)
            if one.saved > max(saved, 0.0) and (key not in best or best[key].saved < one.saved):
                best[key] = one
            break  # the first one is the best of its finding
    return tuple(sorted(best.values(), key=lambda one: -one.saved)[:_MOST_REPAIRS])


def _priced(effects: Iterable[Any]) -> Iterable[Any]:
    return (effect for effect in effects if effect.money_saved)
