"""What simulated provider caches did with recorded requests: one row per request, per group of misses, per policy."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from acg_lab.core.errors import UsageError
from acg_lab.diagnosis.miss_words import describe_miss
from acg_lab.diagnosis.misses import Miss, find_misses
from acg_lab.frames.columns import counts_of, make_frame
from acg_lab.frames.schema import COSTS, MISSES, REQUESTS
from acg_lab.simulation import CacheSimulation
from acg_lab.simulation.policies import AS_IT_WAS, LIMIT, NO_CACHING, TRIED, PolicyCost, compare_policies

__all__ = ["costs", "misses", "requests"]


def requests(sim: CacheSimulation, *, text: bool = False) -> pd.DataFrame:
    """Return one row per recorded request: what the cache did with it, what it cost, and why.

    Parameters
    ----------
    sim : CacheSimulation
        Read, never changed.
    text : bool, default False
        Add ``text`` and ``other_text``, the contents of the place that decided. Prompts are private.

    Returns
    -------
    DataFrame
        In order of start. agent_id, learning_key (categorical; missing where none learned from it); run_id; call
        (position in its run, 0 = first); started_at (UTC); model, cache_provider (categorical); billed, failed (bool);
        tokens (of the whole prompt), token_source; recorded_read, recorded_write (as billed, missing where not
        recorded); simulated_read, simulated_write (by the rules alone); read, missed_live, missed_expired, changed,
        new, not_recorded (parts of ``tokens``, which add up to it); verdict, also, caused_by (categorical); plan_reason
        (of the governor, for requests without a breakpoint); idle_seconds (of an expired entry); reference_run,
        reference_call (the request that it is compared with); block, path, byte_offset, length, other_length (the place
        that decided, missing where none did; lengths in bytes); cost, cost_without_cache, cost_at_limit, avoidable,
        lost (US dollars, NaN without a price); cost_tokens, avoidable_tokens, lost_tokens (the same in uncached
        tokens); vendor_diagnosis (of the provider itself, empty where it says nothing).

    Raises
    ------
    UsageError
        If it is not a CacheSimulation.

    Examples
    --------
    >>> import acg_lab as acg
    >>> sim = acg.simulate(acg.load("data/sample", agent_id="support-legacy"))
    >>> acg.frames.requests(sim)["verdict"].value_counts().head(2).to_dict()
    {'hit': 208, 'expired': 37}
    """
    _check(sim)
    parts = sim.parts
    places = [sim.place(i) for i in range(len(sim))]
    references = [sim.reference(i) or (None, None) for i in range(len(sim))]
    values: dict[str, Any] = {
        "agent_id": sim.agent_ids,
        "learning_key": _or_none(sim.learning_keys),
        "run_id": sim.run_ids,
        "call": sim.calls,
        "started_at": sim.started_ns,
        "model": _or_none(sim.models),
        "cache_provider": _or_none(sim.cache_providers),
        "billed": sim.billed,
        "failed": sim.failed,
        "tokens": sim.tokens,
        "token_source": sim.token_sources,
        "recorded_read": counts_of(sim.recorded_read, sim.recorded_read < 0),
        "recorded_write": counts_of(sim.recorded_written, sim.recorded_written < 0),
        "simulated_read": sim.simulated_read,
        "simulated_write": sim.simulated_written,
        **parts._asdict(),
        "verdict": list(map(str, sim.verdicts)),
        "also": [None if verdict is None else str(verdict) for verdict in sim.also],
        "caused_by": list(map(str, sim.caused_by)),
        "plan_reason": _or_none(sim.plan_reasons),
        "idle_seconds": sim.idle_seconds,
        "reference_run": [run for run, _ in references],
        "reference_call": pd.array([call for _, call in references], dtype="Int64"),
        **{name: [getattr(place, name, None) for place in places] for name in ("block", "path")},
        **{
            name: pd.array([getattr(place, name, None) for place in places], dtype="Int64")
            for name in ("byte_offset", "length", "other_length")
        },
        "cost": sim.cost,
        "cost_without_cache": sim.cost_without_cache,
        "cost_at_limit": sim.cost_at_limit,
        "avoidable": sim.avoidable,
        "lost": sim.lost,
        "cost_tokens": sim.cost_tokens,
        "avoidable_tokens": sim.avoidable_tokens,
        "lost_tokens": sim.lost_tokens,
        "vendor_diagnosis": sim.vendor_diagnoses,
    }
    values["other_length"][values["other_length"] < 0] = pd.NA
    frame = make_frame(REQUESTS, values)
    if not text:
        return frame
    ours = [None if place is None else sim.content(place.content) for place in places]
    theirs = [
        None if place is None or place.other_content < 0 else sim.content(place.other_content) for place in places
    ]
    return frame.assign(text=pd.array(ours, dtype="str"), other_text=pd.array(theirs, dtype="str"))


def misses(data: CacheSimulation | Sequence[Miss]) -> pd.DataFrame:
    """Return one row per group of misses that have agent, cause, verdict, block and kind of change in common.

    Parameters
    ----------
    data : CacheSimulation or sequence of Miss
        Read, never changed.

    Returns
    -------
    DataFrame
        Dearest first; groups without a price follow, by tokens. agent_id, cause, verdict (categorical; ``verdict`` is a
        consequence of ``cause``, mostly they are the same); block (in the body: ``tools``, ``system[0]``,
        ``messages[2]``; ``messages`` where no message leads); kind (categorical: what kind of change it is,
        ``unknown`` where no detector is sure, missing where no content changed); requests; tokens (that earlier
        requests held too and that were not read); lost, avoidable (US dollars: cost less cost at the limit, which adds
        up to the loss of the whole simulation; and what each request could have saved at most; NaN without a price);
        lost_tokens, avoidable_tokens (the same in uncached tokens); first_seen, last_seen (UTC); words (in short).

    Raises
    ------
    UsageError
        If it is neither.

    Examples
    --------
    >>> import acg_lab as acg
    >>> sim = acg.simulate(acg.load("data/sample", agent_id="support-mail"))
    >>> row = acg.frames.misses(sim).iloc[0]
    >>> row["cause"], row["block"], row["requests"].item()
    ('breakpoint_short', 'system[0]', 207)
    """
    if isinstance(data, Sequence) and all(isinstance(miss, Miss) for miss in data):
        found = data
    else:
        found = find_misses(_check(data))
    names = ("agent_id", "block", "tokens", "lost", "avoidable", "lost_tokens", "avoidable_tokens")
    values: dict[str, Any] = {name: [getattr(miss, name) for miss in found] for name in names}
    values |= {
        "cause": [miss.cause.value for miss in found],
        "verdict": [miss.verdict.value for miss in found],
        "kind": [None if miss.kind is None else miss.kind.value for miss in found],
        "requests": [len(miss.requests) for miss in found],
        "first_seen": np.array([miss.first_seen for miss in found], np.int64),
        "last_seen": np.array([miss.last_seen for miss in found], np.int64),
        "words": [describe_miss(miss) for miss in found],
    }
    return make_frame(MISSES, values)


def costs(
    sims: CacheSimulation | Mapping[str, CacheSimulation] | Iterable[CacheSimulation], *, money: bool | None = None
) -> pd.DataFrame:
    """Return one row per policy and agent: tokens read, written and uncached, and what they cost.

    Parameters
    ----------
    sims : CacheSimulation, or a mapping of names to them, or an iterable
        Simulations of one history. Its rows without a cache, as it was and at the limit come once; each simulation of a
        change adds rows under its name, ``tried`` where it has none.
    money : bool, optional
        Whether amounts are US dollars or uncached tokens. By default each agent has dollars if each of its requests has
        a price.

    Returns
    -------
    DataFrame
        policy (categorical, in the order ``no caching``, ``as it was``, changes, ``limit``), agent_id (categorical);
        requests (answered); tokens, read, written, uncached (the last three add up to the first); read_cost,
        written_cost, uncached_cost, cost (in ``currency``; NaN where no rate is known); currency (``USD`` where each
        request of the agent has a price, else ``uncached tokens``); share (of the agent's cost without a cache).

    Raises
    ------
    UsageError
        If one is not a CacheSimulation.

    Examples
    --------
    >>> import acg_lab as acg
    >>> sim = acg.simulate(acg.load("data/sample", agent_id="support-mail"))
    >>> acg.frames.costs(sim)[["policy", "share"]].round(2).to_numpy().tolist()
    [['no caching', 1.0], ['as it was', 0.73], ['limit', 0.37]]
    """
    rows = _policies(sims, money)
    without = {row.agent_id: row.cost for row in rows if row.policy == NO_CACHING}
    names = [name for name in PolicyCost._fields if name != "n_requests"]
    values: dict[str, Any] = {name: [getattr(row, name) for row in rows] for name in names}
    values["requests"] = [row.n_requests for row in rows]
    values["share"] = [row.cost / without[row.agent_id] if without[row.agent_id] else np.nan for row in rows]
    return make_frame(COSTS, values)


def _policies(sims: Any, money: bool | None) -> list[PolicyCost]:  # noqa: FBT001
    if isinstance(sims, CacheSimulation):
        named: list[tuple[str, CacheSimulation]] = [(TRIED, sims)]
    elif isinstance(sims, Mapping):
        named = list(sims.items())
    else:
        given = list(sims) if isinstance(sims, Iterable) and not isinstance(sims, str | bytes) else [sims]
        named = [(TRIED if len(given) == 1 else f"{TRIED} {number}", sim) for number, sim in enumerate(given, 1)]
    found: dict[tuple[str, str], PolicyCost] = {}
    for name, sim in named:
        _check(sim)
        for row in compare_policies(sim, name, money=money):
            found.setdefault((row.policy, row.agent_id), row)
    return sorted(found.values(), key=lambda row: _rank(row.policy))


def _rank(policy: str) -> int:
    return {NO_CACHING: 0, AS_IT_WAS: 1, LIMIT: 3}.get(policy, 2)


def _check(sim: Any) -> CacheSimulation:
    if not isinstance(sim, CacheSimulation):
        msg = f"Expected a CacheSimulation (of acg.simulate); got {type(sim).__name__}."
        raise UsageError(msg)
    return sim


def _or_none(names: list[str]) -> list[str | None]:
    return [name or None for name in names]
