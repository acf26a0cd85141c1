"""``acg-lab cost``: what each agent pays for input, what it loses, for what, and what it could pay."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.cells import cell_len
from rich.markup import escape
from rich.table import Table

from acg_lab._format import counted, cut, money, percent, printable
from acg_lab.cli._app import Agent, AsJson, KeyPrefix, RulesOption, Source, Strict, out, print_json, say
from acg_lab.cli._log_options import LogOptions, source_command
from acg_lab.cli._simulation import CacheProvider, Scope, SinceSent, Until, amount, read_simulation
from acg_lab.diagnosis.agent_costs import AgentCost, summarize_costs
from acg_lab.diagnosis.miss_words import describe_miss
from acg_lab.simulation import CacheSimulation, calibrate
from acg_lab.simulation.origins import CHANGES

__all__ = ["print_costs"]

_TITLES = ("agent", "requests", "cost", "read", "lost", "could be", "lost mostly for")
_NAME, _NARROW = 30, 100
_MORE = 1.25  # times the loss, from which it is said what changes of content cost that no breakpoint can save


def print_costs(costs: Sequence[AgentCost]) -> None:
    """Print one line per agent, and the totals of several."""
    gap = 2 if out.width >= _NARROW else 1
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, gap, 0, 0))
    table.add_column(_TITLES[0], no_wrap=True)
    for title in _TITLES[1:-1]:
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column(_TITLES[-1])
    width = _NAME if out.width >= _NARROW else _NAME * 3 // 5
    for cost in costs:
        table.add_row(*map(escape, (cut(printable(cost.agent_id), width, cell_len), *_numbers(cost), _cause(cost))))
    if len(costs) > 1:
        table.add_row(*("total", *_numbers(_total(costs)), ""), style="bold")
    out.print(table)


def _numbers(cost: AgentCost) -> tuple[str, ...]:
    known = (cost.cost, cost.cost_tokens), (cost.lost, cost.lost_tokens), (cost.limit, cost.limit_tokens)
    as_was, lost, limit = (amount(dollars, tokens, cost.full_tokens) for dollars, tokens in known)
    read_share = "unknown" if np.isnan(cost.read_share) else percent(cost.read_share)
    return f"{cost.n_requests:,}", as_was, read_share, lost, limit


def _cause(cost: AgentCost) -> str:
    if cost.worst is None or not (cost.worst.lost > 0 or cost.worst.lost_tokens > 0):
        return "" if cost.worst is None else f"({printable(describe_miss(cost.worst))})"
    return printable(describe_miss(cost.worst))


def _total(costs: Sequence[AgentCost]) -> AgentCost:
    """Add up agents; money over those that have prices."""
    tokens = np.array([cost.tokens for cost in costs], float)
    read = np.nan_to_num([cost.read_share for cost in costs])
    in_money = any(cost.has_prices for cost in costs)

    def dollars(amounts: Sequence[float]) -> float:
        return float(np.nansum(amounts)) if in_money else float("nan")

    return AgentCost(
        agent_id="total",
        n_requests=sum(cost.n_requests for cost in costs),
        n_without_usage=sum(cost.n_without_usage for cost in costs),
        n_failed=sum(cost.n_failed for cost in costs),
        n_without_price=sum(cost.n_without_price for cost in costs),
        tokens=int(tokens.sum()),
        read_share=float((tokens * read).sum() / tokens.sum()) if tokens.sum() else float("nan"),
        cost=dollars([cost.cost for cost in costs]),
        limit=dollars([cost.limit for cost in costs]),
        lost=dollars([cost.lost for cost in costs]),
        cost_tokens=float(np.nansum([cost.cost_tokens for cost in costs])),
        limit_tokens=float(np.nansum([cost.limit_tokens for cost in costs])),
        lost_tokens=float(np.nansum([cost.lost_tokens for cost in costs])),
        full_tokens=float(np.nansum([cost.full_tokens for cost in costs])),
        worst=None,
    )


@source_command("cost")
def _cost(
    source: Source,
    log: LogOptions,
    agent: Agent = None,
    since: SinceSent = None,
    until: Until = None,
    cache_provider: CacheProvider = "auto",
    scope: Scope = "agent",
    key_prefix: KeyPrefix = "auto",
    rules: RulesOption = "auto",
    strict: Strict = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Show what each agent pays for input, what it loses to cache misses, and what it could pay.

    Agents are sorted by loss, largest first. "could be" is the cost at the limit: with every prefix cached that an
    earlier request held, as far as the provider's rules allow.
    """
    snapshot, sim = read_simulation(
        source,
        agent,
        since=since,
        until=until,
        cache_provider=cache_provider,
        scope=scope,
        key_prefix=key_prefix,
        rules=rules,
        strict=strict,
        **log,
    )
    costs = [] if sim is None else summarize_costs(sim)
    if as_json:
        problems = [str(problem) for problem in snapshot.problems]
        print_json(_as_json(snapshot.source, snapshot.sample_rate, sim, costs) | {"problems": problems})
        return
    if sim is None or not costs:
        say(f"{snapshot.source}: no recorded requests{f' of agent {agent!r}' if agent else ''}.")
    else:
        print_costs(costs)
        say(f"\n{_notes(sim, costs, snapshot.sample_rate)}")
    if snapshot.problems:
        say(f"{counted(len(snapshot.problems), 'entry')} can't be read; --json lists them.")


def _notes(sim: CacheSimulation, costs: Sequence[AgentCost], sample_rate: float) -> str:
    total = _total(costs)
    known = sim.started[~np.isnat(sim.started)]
    when = f" from {str(known.min())[:10]} to {str(known.max())[:10]} (UTC)" if len(known) else ", without times"
    lines = [
        "lost: cost as billed less the least it could have been, with every prefix that was sent again cached.",
        f"{counted(total.n_requests, 'request')}{when}.",
    ]
    if sample_rate < 1 and not np.isnan(total.cost):
        lines.append(
            f"The log holds {sample_rate:g} of the traffic: all of it costs about {money(total.cost / sample_rate)} "
            f"and loses about {money(total.lost / sample_rate)}. The table is of the log alone."
        )
    is_change = np.isin(sim.caused_by, list(map(str, CHANGES)))
    changes, lost = float(np.nansum(sim.avoidable[is_change])), sim.totals().lost
    if changes > _MORE * max(lost, 0):
        lines.append(f"Up to {money(changes)} would be saved if contents did not change; 'acg-lab misses' says which.")
    if total.n_without_usage:
        lines.append(f"{counted(total.n_without_usage, 'request')} without recorded usage: simulated.")
    else:
        lines.append(
            "All have recorded usage." if not total.n_failed else "All that were answered have recorded usage."
        )
    if total.n_failed:
        lines.append(f"{counted(total.n_failed, 'request')} failed: not billed.")
    if total.n_without_price:
        lines.append(
            f"{counted(total.n_without_price, 'request')} of models without a price: per cent of the cost without a "
            "cache, and not in the totals."
        )
    lines.append(f"Prices: {sim.history.price_list.source}.")
    if not sim.history.is_change:
        lines.append(f"Simulation against bills: {calibrate(sim).verdict}")
    if total.lost > 0 or total.lost_tokens > 0:
        lines.append("Next: 'acg-lab explain' says what to change; 'acg-lab misses' lists what was paid for in vain.")
    return "\n".join(lines)


def _as_json(
    source: str, sample_rate: float, sim: "CacheSimulation | None", costs: Sequence[AgentCost]
) -> dict[str, Any]:
    return {
        "source": source,
        "sample_rate": sample_rate,
        "prices": None if sim is None else sim.history.price_list.source,
        "agents": [_record(cost) for cost in costs],
        "total": _record(_total(costs)) if costs else None,
        "caveats": [] if sim is None else sim.caveats,
        "calibration": None if sim is None else calibrate(sim).verdict,
    }


def _record(cost: AgentCost) -> dict[str, Any]:
    values = {name: _finite(value) for name, value in cost._asdict().items() if name != "worst"}
    worst = cost.worst
    if worst is None:
        return values | {"cause": None}
    return values | {"cause": worst.cause, "verdict": worst.verdict, "block": worst.block, "kind": worst.kind}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and np.isnan(value) else value
