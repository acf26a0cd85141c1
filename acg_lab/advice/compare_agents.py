"""Judge what changed for each agent of a comparison.

Invariant: all claims are made at once, so an interval is as wide as it takes to hold for all of them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab._format import counted
from acg_lab.advice.agent_evidence import AgentEvidence, CostEvidence, ShareEvidence, mean_cost, weigh_agent
from acg_lab.advice.choice import LEAST_SAVING
from acg_lab.advice.compared_requests import ComparedRequests, Names, Stratum
from acg_lab.advice.comparison import AgentComparison, Shift, describe_strata
from acg_lab.advice.folds import Interval
from acg_lab.advice.run_draws import FEWEST_GROUPS, bound, hour_of
from acg_lab.snapshot.profile_names import ProfileNames

__all__ = ["JudgedAgents", "compare_agents"]

_Pair = tuple[ComparedRequests, ComparedRequests]
_PARTS: Final = ("model", "seed", "system", "tools", "response_format")
_LEAST_MATCHED: Final = 0.5  # of the requests of after
_LEAST_SHIFT: Final = 0.01  # of an agent's requests
_UNKNOWN: Final = Interval(float("nan"), float("nan"), float("nan"))


class JudgedAgents(NamedTuple):
    """What changed for each agent, and for all that could be judged in US dollars together.

    Attributes
    ----------
    agents : tuple of AgentComparison
        What changed first; then by cost.
    change, saved : Interval
        As in `Comparison`.
    notes : tuple of str
        What was left out.
    """

    agents: tuple[AgentComparison, ...]
    change: Interval
    saved: Interval
    notes: tuple[str, ...]


def compare_agents(
    agent_ids: Sequence[str], sides: Sequence[ComparedRequests], names: Names, owners: Mapping[str, str]
) -> JudgedAgents:
    """Return what changed for some agents.

    Parameters
    ----------
    agent_ids : sequence of str
    sides : sequence of ComparedRequests
        The requests of before, and those of after.
    names : Names
        What their codes stand for.
    owners : mapping
        The agent of each learning key.
    """
    before, after = sides
    numbers = {agent_id: names.agents[agent_id] for agent_id in agent_ids}
    pairs = {agent_id: (before.of_agent(number), after.of_agent(number)) for agent_id, number in numbers.items()}
    hour = hour_of(before.started, after.started)
    evidence = {
        agent_id: weigh_agent(*pair, hour, number)
        for number, (agent_id, pair) in enumerate(pairs.items())
        if all(map(len, pair))
    }
    judge = _Judge(names, ProfileNames(owners), [found for found in evidence.values() if _is_enough(found)])
    agents = [judge.judge(agent_id, pair, evidence.get(agent_id)) for agent_id, pair in pairs.items()]
    agents.sort(key=lambda agent: (not agent.is_changed, -np.nan_to_num(agent.cost[1]) * agent.requests[1]))
    judged = [evidence[agent.agent_id] for agent in agents if agent.is_judged]
    return JudgedAgents(tuple(agents), *_total(judged), tuple(_notes(agents, evidence)))


def _is_enough(found: AgentEvidence) -> bool:
    return min(found.n_groups) >= FEWEST_GROUPS


class _Judge:
    """Judges one agent after the other, with intervals wide enough to hold for all agents at once."""

    def __init__(self, names: Names, profiles: ProfileNames, enough: Sequence[AgentEvidence]) -> None:
        self._profiles = profiles
        self._keys, self._misses, self._models = tuple(names.keys), tuple(names.misses), tuple(names.models)
        self._n_costs = sum(found.alike is not None for found in enough)
        self._n_shifts = sum(len(found.misses) + len(found.profiles) for found in enough)

    def judge(self, agent_id: str, pair: _Pair, found: AgentEvidence | None) -> AgentComparison:
        """Return what changed for an agent; there is no evidence where it is on one side only."""
        sure = found if found is not None and _is_enough(found) else None
        alike = None if sure is None else sure.alike
        change = _UNKNOWN if sure is None or alike is None else _share(alike, min(sure.n_groups), self._n_costs)
        shifts = () if sure is None else self._shifts(sure)
        before, after = pair
        in_money = _has_prices(pair) if found is None else found.in_money
        return AgentComparison(
            agent_id=agent_id,
            outcome=_outcome(pair, found, change),
            requests=(len(before), len(after)),
            runs=(len(np.unique(before.runs)), len(np.unique(after.runs))),
            cost=_plain(pair, in_money=in_money),
            currency="USD" if in_money else "uncached tokens",
            change=change,
            saved=_UNKNOWN if alike is None else _amount(change, alike.expected),
            matched=(0.0, 0.0) if found is None else found.matched,
            left_out=() if found is None else tuple(Stratum(self._models[one[0]], *one[1:]) for one in found.strata),
            read=(_read_share(before), _read_share(after)),
            prefix=(_median(before.prefix), _median(after.prefix)),
            profiles=(len(set(before.keys.tolist()) - {-1}), len(set(after.keys.tolist()) - {-1})),
            shifts=shifts,
            changed_parts=self._changed_parts(shifts),
        )

    def _shifts(self, found: AgentEvidence) -> tuple[Shift, ...]:
        named = [("miss", self._misses[share.code], share) for share in found.misses]
        named += [("profile", self._profiles[self._keys[share.code]], share) for share in found.profiles]
        return tuple(_shift(kind, name, share, min(found.n_groups), self._n_shifts) for kind, name, share in named)

    def _changed_parts(self, shifts: Sequence[Shift]) -> tuple[str, ...]:
        """Return the parts of the learning key in which profiles that came differ from those that went."""
        keys = {name: self._profiles.parts[key] for key, name in self._profiles.items()}
        sure = [shift for shift in shifts if shift.kind == "profile" and shift.beyond_chance]
        went = [keys[shift.name] for shift in sure if shift.difference.value < 0]
        came = [keys[shift.name] for shift in sure if shift.difference.value > 0]
        if not went or not came:
            return ()
        changed = [
            part
            for part in _PARTS
            if {getattr(key, part) for key in went}.isdisjoint(getattr(key, part) for key in came)
        ]
        return tuple(part.replace("_", " ") for part in changed)


def _outcome(pair: _Pair, found: AgentEvidence | None, change: Interval) -> str:
    if found is None:
        return "only before" if len(pair[0]) else "only after"
    if not _is_enough(found):
        return "too few runs"
    if np.isnan(change.value) or found.matched[1] < _LEAST_MATCHED:
        return "not comparable"
    if abs(change.value) < LEAST_SAVING or change.low <= 0 <= change.high:
        return "no change"
    return "cheaper" if change.value < 0 else "dearer"


def _has_prices(pair: _Pair) -> bool:
    return any(bool((~np.isnan(side.money)).any()) for side in pair)


def _plain(pair: _Pair, *, in_money: bool) -> tuple[float, float]:
    before, after = (mean_cost(side.money if in_money else side.relative) for side in pair)
    return before, after


def _share(alike: CostEvidence, n_groups: int, n_claims: int) -> Interval:
    return Interval(*(float(np.expm1(value)) for value in bound(alike.change, alike.error, n_groups, n_claims)))


def _amount(change: Interval, expected: float) -> Interval:
    """Return what was saved of an expected cost."""
    return Interval(-change.value * expected, -change.high * expected, -change.low * expected)


def _total(judged: Sequence[AgentEvidence]) -> tuple[Interval, Interval]:
    """Return how the cost of all judged agents together changed, as a share and as what was saved."""
    priced = [found for found in judged if found.in_money]
    alike = [found.alike for found in priced if found.alike is not None]
    if not alike:
        return _UNKNOWN, _UNKNOWN
    whole = CostEvidence(
        sum(one.cost for one in alike),
        sum(one.expected for one in alike),
        np.sum([one.costs for one in alike], axis=0),
        np.sum([one.expectations for one in alike], axis=0),
    )
    change = _share(whole, min(min(found.n_groups) for found in priced), 1)
    return change, _amount(change, whole.expected)


def _shift(kind: str, name: str, share: ShareEvidence, n_groups: int, n_claims: int) -> Shift:
    difference = bound(share.after - share.before, share.error, n_groups, n_claims)
    is_sure = abs(difference.value) >= _LEAST_SHIFT and not difference.low <= 0 <= difference.high
    return Shift(kind, name, share.before, share.after, difference, is_sure)


def _read_share(side: ComparedRequests) -> float:
    total = int(side.tokens.sum())
    return float(side.read.sum()) / total if total else float("nan")


def _median(prefix: NDArray[np.int64]) -> float:
    known = prefix[prefix >= 0]
    return float(np.median(known)) if len(known) else float("nan")


def _notes(agents: Sequence[AgentComparison], evidence: Mapping[str, AgentEvidence]) -> Iterator[str]:
    for agent in agents:
        described = describe_strata(agent)
        if described and agent.outcome != "too few runs":
            yield f"without a counterpart and left out, of {agent.agent_id}: {described}"
    if n := sum(found.n_without_cost for found in evidence.values()):
        yield f"{counted(n, 'request')} of models without a price: left out of costs"
