"""``acg-lab cost``: what each agent pays for input, what it loses, for what, and what it could pay."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import typer
from rich.cells import cell_len
from rich.markup import escape
from rich.table import Table

from acg_lab._format import counted, cut, money, printable
from acg_lab.cli._app import (
    FAILED,
    Agent,
    AsJson,
    KeyPrefix,
    RulesOption,
    Source,
    Strict,
    complain,
    out,
    print_json,
    say,
)
from acg_lab.cli._fleet import Dask, Jobs, OutFolder, engine
from acg_lab.cli._log_options import LogOptions, source_command
from acg_lab.cli._simulation import CacheProvider, Scope, SinceSent, Until, read_simulation
from acg_lab.core import UsageError
from acg_lab.diagnosis.agent_costs import AgentCost, add_costs, summarize_costs
from acg_lab.diagnosis.cost_words import describe_amount, describe_cause, describe_read_share
from acg_lab.fleet import Survey, survey
from acg_lab.providers.prices import PriceList
from acg_lab.simulation import CacheSimulation, calibrate
from acg_lab.simulation.origins import CHANGES

__all__ = ["print_costs"]

_TITLES = ("agent", "requests", "cost", "read", "lost", "could be", "lost mostly for")
_DEFINITION = "lost: cost as billed less the least it could be, with every prefix that was sent again cached."
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
        table.add_row(
            *map(escape, (cut(printable(cost.agent_id), width, cell_len), *_numbers(cost), describe_cause(cost)))
        )
    if len(costs) > 1:
        table.add_row(*("total", *_numbers(add_costs(costs)), ""), style="bold")
    out.print(table)


def _numbers(cost: AgentCost) -> tuple[str, ...]:
    known = (cost.cost, cost.cost_tokens), (cost.lost, cost.lost_tokens), (cost.limit, cost.limit_tokens)
    as_was, lost, limit = (describe_amount(dollars, tokens, cost.full_tokens) for dollars, tokens in known)
    return f"{cost.n_requests:,}", as_was, describe_read_share(cost.read_share), lost, limit


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
    jobs: Jobs = 1,
    dask: Dask = None,
    out_folder: OutFolder = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Show what each agent pays for input, what it loses to cache misses, and what it could pay.

    Agents are sorted by loss, largest first. "could be" is the cost at the limit: with every prefix cached that an
    earlier request held, as far as the provider's rules allow.

    With --jobs, --dask or --out each agent is loaded and simulated apart, by many workers at the same time.
    """
    if jobs != 1 or dask is not None or out_folder is not None:
        _refuse_unspread({"agent": agent, "since": since, "until": until, "scope": None if scope == "agent" else scope})
        options = {"key_prefix": key_prefix, "rules": rules, "strict": strict, **log}
        with engine(dask):
            found = survey(
                source, cache_provider=cache_provider, findings=False, n_jobs=jobs, out=out_folder, **options
            )
        _print_survey(found, as_json=as_json)
        return
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


def _refuse_unspread(given: Mapping[str, object]) -> None:
    """Refuse options that need the history of all agents at once, or cut it."""
    for name, value in given.items():
        if value is not None:
            msg = f"--{name} can't be used with --jobs, --dask or --out, which survey whole agents, each apart."
            raise UsageError(msg)


def _print_survey(found: Survey, *, as_json: bool) -> None:
    prices = PriceList().source
    if as_json:
        values = {
            "source": found.source,
            "prices": prices,
            "agents": [_record(cost) for cost in found.costs],
            "total": _record(add_costs(found.costs)) if found.costs else None,
            "unsurveyed": found.unsurveyed,
            "problems": [problem._asdict() for problem in found.problems],
            "remarks": found.remarks,
        }
        print_json(values)
    elif found.costs:
        print_costs(found.costs)
        total = add_costs(found.costs)
        lines = [_DEFINITION, f"{counted(total.n_requests, 'request')}.", *_usage_notes(total), f"Prices: {prices}."]
        say("\n" + "\n".join([*lines, *(f"{remark}." for remark in found.remarks), *_next_steps(found.costs)]))
    else:
        say(f"{found.source}: no recorded requests.")
    for problem in found.problems:
        complain(f"acg-lab: {problem}", "yellow")
    if found.unsurveyed:
        complain(f"acg-lab: {counted(len(found.unsurveyed), 'agent')} not surveyed; the totals lack them.", "red")
        raise typer.Exit(FAILED)


def _notes(sim: CacheSimulation, costs: Sequence[AgentCost], sample_rate: float) -> str:
    total = add_costs(costs)
    known = sim.started[~np.isnat(sim.started)]
    when = f" from {str(known.min())[:10]} to {str(known.max())[:10]} (UTC)" if len(known) else ", without times"
    lines = [
        _DEFINITION,
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
    lines += _usage_notes(total)
    if n_unruled := sim.cache_providers.count(""):
        lines.append(
            f"{counted(n_unruled, 'request')} of models whose cache has no known rules: --cache-provider names one."
        )
    lines.append(f"Prices: {sim.history.price_list.source}.")
    if not sim.history.is_change:
        lines.append(f"Simulation against bills: {calibrate(sim).verdict}")
    return "\n".join([*lines, *_next_steps(costs)])


def _usage_notes(total: AgentCost) -> Iterator[str]:
    if total.n_without_usage:
        yield f"{counted(total.n_without_usage, 'request')} without recorded usage: simulated."
    elif total.n_failed < total.n_requests:
        yield "All have recorded usage." if not total.n_failed else "All that were answered have recorded usage."
    if total.n_failed:
        yield f"{counted(total.n_failed, 'request')} failed: not billed."
    if total.n_without_price:
        yield (
            f"{counted(total.n_without_price, 'request')} of models without a price: per cent of the cost without a "
            "cache, and not in the totals."
        )


def _next_steps(costs: Sequence[AgentCost]) -> Iterator[str]:
    if any(cause and not cause.startswith("(") for cause in map(describe_cause, costs)):
        yield "Next: 'acg-lab explain' says what to change; 'acg-lab misses' lists what was paid for in vain."


def _as_json(
    source: str, sample_rate: float, sim: "CacheSimulation | None", costs: Sequence[AgentCost]
) -> dict[str, Any]:
    return {
        "source": source,
        "sample_rate": sample_rate,
        "prices": None if sim is None else sim.history.price_list.source,
        "agents": [_record(cost) for cost in costs],
        "total": _record(add_costs(costs)) if costs else None,
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
