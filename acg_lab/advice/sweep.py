"""What every distinct setting costs on a recorded history.

Invariant: settings that plan the same have the same cost and the same number in ``plans``.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from acg_lab._format import counted, html_text, money, percent, setting, tokens
from acg_lab.advice.current import current_settings, trace_of
from acg_lab.advice.evaluation import Evaluation, SettingPoints
from acg_lab.advice.run_costs import RunCosts
from acg_lab.advice.setting_grid import given_grid, make_grid
from acg_lab.config.settings import AcgSettings
from acg_lab.core.stability import StabilityThresholds
from acg_lab.history.trace import Trace
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.storage._runtime import Bar
from acg_lab.storage.cores import check_n_jobs

if TYPE_CHECKING:
    from pandas import DataFrame

    from acg_lab.providers.rules import CacheProvider

__all__ = ["Sweep", "amount", "sweep"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Progress = Callable[[int, int], object]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Sweep:
    """The cost of settings on a recorded history; made by `acg_lab.sweep`.

    Arrays have one row per setting and must not be changed. The first setting is the current one.

    Attributes
    ----------
    current : AcgSettings
        What the governor ran with.
    points : SettingPoints
        The settings as columns.
    above, upto : array of float64
        Stable thresholds that plan as each setting's: more than ``above``, at most ``upto``.
    plans : array of int64, shape (n_settings,)
        Equal numbers plan the same breakpoints for every request.
    cost : array of float64, shape (n_settings,)
        Input cost of the whole history in ``currency``; NaN where the work was interrupted before.
    cost_by_agent : array of float64, shape (n_settings, n_agents)
    agent_ids : tuple of str
    cost_without_cache_by_agent : array of float64, shape (n_agents,)
        Of the same requests at full price.
    currency : {"USD", "uncached tokens"}
    complete : bool
        False if the work was interrupted.
    remarks : tuple of str
        How settings were thinned, and what a reader of the costs must know.
    evaluation : RunCosts
        What the runs of the history cost.
    numbers : array of int64, shape (n_settings, n_agents)
        Breakpoints of each agent by number.
    """

    current: AcgSettings
    points: SettingPoints
    above: Floats
    upto: Floats
    plans: Ints
    cost: Floats
    cost_by_agent: Floats
    agent_ids: tuple[str, ...]
    cost_without_cache_by_agent: Floats
    currency: str
    complete: bool
    remarks: tuple[str, ...]
    evaluation: RunCosts
    numbers: Ints

    def __len__(self) -> int:
        return len(self.points)

    @property
    def cost_without_cache(self) -> float:
        """Cost of all requests at full price."""
        return float(self.cost_without_cache_by_agent.sum())

    @property
    def n_distinct(self) -> int:
        """How many settings plan differently."""
        return len(np.unique(self.plans))

    @property
    def cheapest(self) -> int:
        """The row of the cheapest setting that was priced; of equal ones the first, which may be the current one.

        The current one where the work was interrupted before any was priced.
        """
        return 0 if np.isnan(self.cost).all() else int(np.nanargmin(self.cost))

    def setting(self, row: int) -> AcgSettings:
        """Return the setting of a row; what does not matter to plans stays as it is now."""
        points, now = self.points, self.current.thresholds
        if not points.acts[row]:
            return self.current if row == 0 else msgspec.structs.replace(self.current, provider="passthrough")
        stable = float(points.stable[row])
        thresholds = StabilityThresholds(
            stable_threshold=stable,
            semi_stable_threshold=now.semi_stable_threshold if row == 0 else min(now.semi_stable_threshold, stable),
            min_observations_for_full_confidence=int(points.minimums[row]),
        )
        window = int(points.windows[row])
        return msgspec.structs.replace(
            self.current, thresholds=thresholds, observation_window=window, provider="anthropic"
        )

    def to_frame(self, *, by_agent: bool = False) -> "DataFrame":
        """Return a DataFrame with one row per setting, or per setting and agent; see `acg_lab.frames.setting_costs`."""
        from acg_lab.frames import setting_costs  # noqa: PLC0415  a value's frame is an import upwards

        return setting_costs(self, by_agent=by_agent)

    def _lines(self) -> list[str]:
        best, now = self.cheapest, float(self.cost[0])
        saved = now - float(self.cost[best])
        counts = f"{counted(len(self), 'setting')}, {self.n_distinct:,} plan differently"
        n_requests = self.evaluation.n_requests
        share = percent(saved / now) if now else "0%"
        lines = [f"{counts}, for {counted(len(self.agent_ids), 'agent')} and {counted(n_requests, 'request')}"]
        if np.isnan(now):
            return [*lines, "Interrupted before the current setting was priced."]
        lines += [
            f"current:  {amount(now, self)}  {describe(self.current)}",
            f"cheapest: {amount(float(self.cost[best]), self)}  {describe(self.setting(best))}",
            f"The cheapest one saves {share} of this history, in hindsight; acg.recommend says whether that holds.",
        ]
        if not self.complete:
            n_priced = int(np.count_nonzero(~np.isnan(self.cost)))
            lines.append(f"Interrupted: {n_priced:,} of {counted(len(self), 'setting')} were priced.")
        return lines

    def __repr__(self) -> str:
        return "<Sweep: " + "\n  ".join(self._lines()) + ">"

    def _repr_html_(self) -> str:
        return "<b>Sweep</b><br>" + "<br>".join(map(html_text, self._lines()))


def amount(cost: float, of: Any) -> str:
    """Return a cost for people: money, or per cent of the cost without a cache where models have no price."""
    if of.currency == "USD":
        return money(cost)
    share = cost / of.cost_without_cache if of.cost_without_cache else 1.0
    return f"{tokens(cost)} uncached tokens ({percent(share)} of no caching)"


def describe(settings: AcgSettings) -> str:
    """Return settings as a user would name them."""
    if settings.provider != "anthropic":
        return f"provider {settings.provider or 'passthrough'}: the governor places no breakpoints"
    values = settings.thresholds
    return (
        f"stable_threshold {setting(values.stable_threshold)}, min_observations_for_full_confidence "
        f"{values.min_observations_for_full_confidence}, observation_window {settings.observation_window}"
    )


def sweep(
    source: Snapshot | Trace,
    *,
    settings: "Iterable[AcgSettings] | None" = None,
    cache_provider: "CacheProvider | str" = "auto",
    current: Any = None,
    n_jobs: int = 1,
    progress: Progress | Literal[False] | None = None,
) -> Sweep:
    """Return the cost of every distinct setting on a recorded history.

    Settings that plan the same are simulated once. Ctrl-C ends the work early and keeps what was priced so far.

    Parameters
    ----------
    source : Snapshot or Trace
        Read, never changed.
    settings : iterable of AcgSettings, optional
        The settings to price. When left out, every setting that may plan differently: thresholds between scores,
        windows, numbers of observations for full confidence, and the governor's provider. More than 10,000 are thinned;
        ``remarks`` says how.
    cache_provider : str or CacheProvider, default "auto"
        As in `acg_lab.simulate`.
    current : AcgSettings, thresholds or a number, optional
        What the governor ran with; inferred from the source when left out.
    n_jobs : int, default 1
        Processes to work with on this machine; -1 for all cores.
    progress : callable or False, optional
        As in `acg_lab.replay`.

    Returns
    -------
    Sweep

    Raises
    ------
    UsageError
        If an option makes no sense, or nothing with requests was recorded.

    Examples
    --------
    >>> import acg_lab as acg
    >>> costs = acg.sweep(acg.load("data/sample", agent_id="claims-triage"))
    >>> costs.setting(costs.cheapest).thresholds.stable_threshold < 0.95
    True
    """
    n_jobs = check_n_jobs(n_jobs)
    trace = trace_of(source)
    now = current_settings(source, trace, current)
    grid = make_grid(trace, now) if settings is None else given_grid(settings, now)
    evaluation = Evaluation(trace, now, grid.windows, cache_provider)
    numbers = evaluation.number(grid.points)
    with _reporting(progress) as on_progress:
        complete = evaluation.price(numbers, on_progress, n_jobs)
    _, plans = np.unique(numbers, axis=0, return_inverse=True)
    by_agent = evaluation.cost_by_agent(numbers)
    return Sweep(
        current=now,
        points=grid.points,
        above=grid.above,
        upto=grid.upto,
        plans=plans.reshape(-1),
        cost=by_agent.sum(axis=1),
        cost_by_agent=by_agent,
        agent_ids=evaluation.agent_ids,
        cost_without_cache_by_agent=evaluation.cost_without_cache,
        currency=evaluation.currency,
        complete=complete,
        remarks=(*grid.remarks, *evaluation.sim.caveats),
        evaluation=evaluation,
        numbers=numbers,
    )


@contextmanager
def _reporting(progress: Progress | Literal[False] | None) -> Iterator[Progress]:
    if progress:
        yield progress
        return
    with Bar("simulating settings", shown=progress is not False, unit=" plans") as bar:
        yield bar
