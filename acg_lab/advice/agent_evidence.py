"""What the requests of one agent say of a change: cost like against like, what they missed for, who learned from them.

Requests are alike if they are of one model, their prompts of about one size, and the agent had paused before both or
neither: after a pause entries have expired. What the requests of after would have cost before is their tokens at the
cost per token of the requests of before that they are like.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab.advice.compared_requests import ComparedRequests, find_strata
from acg_lab.advice.run_draws import draw_sums, group_runs

__all__ = ["AgentEvidence", "CostEvidence", "ShareEvidence", "mean_cost", "weigh_agent"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_FEWEST: Final = 2  # groups of runs with a stratum, on each side
_NOTICED_MISS: Final = 0.01  # of an agent's requests, on one side at least
_NOTICED_PROFILE: Final = 0.1


class CostEvidence(NamedTuple):
    """What the alike requests of after cost, and would have cost before: now, and with runs drawn again."""

    cost: float
    expected: float
    costs: Floats
    expectations: Floats

    @property
    def change(self) -> float:
        """The difference as a share of what was expected, as a logarithm."""
        return float(np.log(self.cost / self.expected))

    @property
    def error(self) -> float:
        """The standard error of `change`."""
        return float(np.log(self.costs / self.expectations).std())


class ShareEvidence(NamedTuple):
    """The share of requests with one code on each side, and the standard error of the difference."""

    code: int
    before: float
    after: float
    error: float


@dataclass(frozen=True, eq=False, kw_only=True)
class AgentEvidence:
    """The figures of one agent, without a judgement.

    Attributes
    ----------
    n_groups : tuple of int
        Groups of runs on each side.
    in_money : bool
        Whether costs are in US dollars.
    plain : tuple of float
        Cost per request on each side, whatever the requests are.
    alike : CostEvidence or None
        None where no requests are alike.
    matched : tuple of float
        Share of each side's requests that have a counterpart.
    strata : list of tuple
        Strata without a counterpart, as in `Stratum`, with the code of the model.
    misses, profiles : tuple of ShareEvidence
    n_without_cost : int
        Requests of both sides whose cost is unknown in this currency.
    """

    n_groups: tuple[int, int]
    in_money: bool
    plain: tuple[float, float]
    alike: CostEvidence | None
    matched: tuple[float, float]
    strata: list[tuple[int, int, int, bool, int, int]]
    misses: tuple[ShareEvidence, ...]
    profiles: tuple[ShareEvidence, ...]
    n_without_cost: int


def weigh_agent(before: ComparedRequests, after: ComparedRequests, hour: int, agent: int) -> AgentEvidence:
    """Return the figures of one agent that has requests on both sides.

    Parameters
    ----------
    before, after : ComparedRequests
        Of that agent.
    hour : int
        How long runs are drawn together.
    agent : int
        The agent's number: agents are drawn apart.
    """
    in_money = bool((~np.isnan(before.money)).any() and (~np.isnan(after.money)).any())
    sides, groups, costs = (before, after), [], []
    for side in sides:
        groups.append(group_runs(side.runs, side.started, hour))
        costs.append(side.money if in_money else side.relative)
    known = [~np.isnan(cost) for cost in costs]
    *strata, bounds = find_strata(before, after)
    counts, spread = zip(
        *(_count(*columns, len(bounds)) for columns in zip(strata, groups, known, strict=True)), strict=True
    )
    is_alike = (spread[0] >= _FEWEST) & (spread[1] >= _FEWEST)
    misses = _noticed(before.misses, after.misses, _NOTICED_MISS)
    profiles = _noticed(before.keys, after.keys, _NOTICED_PROFILE)
    found = []
    for number, (side, rows) in enumerate(zip(sides, known, strict=True)):
        amounts = _add_up(groups[number], strata[number], np.where(rows, costs[number], 0.0), is_alike)
        tokens = _add_up(groups[number], strata[number], np.where(rows, side.tokens, 0).astype(np.float64), is_alike)
        values = np.concatenate((amounts, tokens, _counts_of(groups[number], side, misses, profiles)), axis=1)
        found.append((values.sum(axis=0)[np.newaxis], draw_sums(values, (agent, number))))
    n_alike = int(is_alike.sum())
    (sum_before, drawn_before), (sum_after, drawn_after) = found
    shares = [_shares(sums[:, 2 * n_alike :]) for sums in (sum_before, sum_after, drawn_before, drawn_after)]
    return AgentEvidence(
        n_groups=(int(groups[0].max()) + 1, int(groups[1].max()) + 1),
        in_money=in_money,
        plain=(mean_cost(costs[0]), mean_cost(costs[1])),
        alike=_cost(sum_before, sum_after, drawn_before, drawn_after, n_alike) if n_alike else None,
        matched=(_part(counts[0], is_alike), _part(counts[1], is_alike)),
        strata=[(*bounds[i], int(counts[0][i]), int(counts[1][i])) for i in np.flatnonzero(~is_alike).tolist()],
        misses=_evidence(misses, shares, 0),
        profiles=_evidence(profiles, shares, len(misses)),
        n_without_cost=sum(int((~rows).sum()) for rows in known),
    )


def mean_cost(cost: Floats) -> float:
    """Return the mean of the costs that are known, NaN where none is."""
    known = cost[~np.isnan(cost)]
    return float(known.mean()) if len(known) else float("nan")


def _part(counts: Ints, is_alike: NDArray[np.bool_]) -> float:
    return float(counts[is_alike].sum() / counts.sum()) if counts.sum() else 0.0


def _count(strata: Ints, groups: Ints, known: NDArray[np.bool_], n: int) -> tuple[Ints, Ints]:
    """Return how many requests with a known cost each stratum has, and how many groups of runs they are in."""
    pairs = np.unique(np.stack((strata[known], groups[known])), axis=1)
    return np.bincount(strata[known], minlength=n), np.bincount(pairs[0], minlength=n)


def _add_up(groups: Ints, strata: Ints, amounts: Floats, is_alike: NDArray[np.bool_]) -> Floats:
    """Return amounts by group and by alike stratum."""
    kept = is_alike[strata]
    column = np.cumsum(is_alike) - 1
    total = np.zeros((int(groups.max()) + 1, int(is_alike.sum())))
    np.add.at(total, (groups[kept], column[strata[kept]]), amounts[kept])
    return total


def _noticed(before: Ints, after: Ints, least: float) -> Ints:
    """Return the codes that enough requests of a side have."""
    codes = np.unique(np.concatenate((before, after)))
    shares = [np.array([(side == code).mean() for side in (before, after)]) for code in codes.tolist()]
    kept = [code for code, share in zip(codes.tolist(), shares, strict=True) if code >= 0 and share.max() >= least]
    return np.array(kept, np.int64)


def _counts_of(groups: Ints, side: ComparedRequests, misses: Ints, profiles: Ints) -> Floats:
    """Return by group the number of requests with each code, and at last of all."""
    n = int(groups.max()) + 1
    columns = [np.bincount(groups[side.misses == code], minlength=n) for code in misses.tolist()]
    columns += [np.bincount(groups[side.keys == code], minlength=n) for code in profiles.tolist()]
    return np.stack([*columns, np.bincount(groups, minlength=n)], axis=1).astype(np.float64)


def _shares(counts: Floats) -> Floats:
    shares: Floats = counts[:, :-1] / counts[:, -1:]
    return shares


def _evidence(codes: Ints, shares: list[Floats], first: int) -> tuple[ShareEvidence, ...]:
    before, after, drawn_before, drawn_after = (share[:, first : first + len(codes)] for share in shares)
    errors = (drawn_after - drawn_before).std(axis=0)
    rows = zip(codes.tolist(), before[0].tolist(), after[0].tolist(), errors.tolist(), strict=True)
    return tuple(ShareEvidence(*row) for row in rows)


def _cost(before: Floats, after: Floats, drawn_before: Floats, drawn_after: Floats, n: int) -> CostEvidence | None:
    """Return cost and expected cost of the alike requests of after, None where nothing is paid."""
    rates = before[0, :n] / np.maximum(before[0, n : 2 * n], 1)
    expected = float(after[0, n : 2 * n] @ rates)
    cost = float(after[0, :n].sum())
    if not (cost > 0 and expected > 0):
        return None
    tokens = drawn_before[:, n : 2 * n]
    drawn_rates = np.where(tokens > 0, drawn_before[:, :n] / np.maximum(tokens, 1), rates)
    costs, expectations = drawn_after[:, :n].sum(axis=1), (drawn_after[:, n : 2 * n] * drawn_rates).sum(axis=1)
    usable = (costs > 0) & (expectations > 0)
    return CostEvidence(cost, expected, np.where(usable, costs, cost), np.where(usable, expectations, expected))
