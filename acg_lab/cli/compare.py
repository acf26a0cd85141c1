"""``acg-lab compare``: what a change did to cost, misses and profiles, and what of that is more than chance."""

from typing import Annotated, Any, Final

import numpy as np
import typer
from rich.cells import cell_len
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from acg_lab._format import cut, printable
from acg_lab.advice import AgentComparison, Comparison, compare
from acg_lab.advice.comparison import describe_agent
from acg_lab.cli._app import Agent, AsJson, KeyPrefix, RulesOption, Source, Strict, out, print_json, read, say
from acg_lab.cli._log_options import LogOptions, source_command
from acg_lab.cli._simulation import CacheProvider, SinceSent, Until
from acg_lab.core import UsageError
from acg_lab.storage.times import NO_TIME, render_time

_TITLES: Final = ("agent", "requests", "per 1,000 requests", "like against like (95%)", "what changed")
_NAME: Final = 20

After = Annotated[
    str | None,
    typer.Argument(help="What was recorded after the change; --at instead where SOURCE holds both.", metavar="[AFTER]"),
]
At = Annotated[
    str | None, typer.Option("--at", help="When the change was made: a date or RFC 3339 time.", metavar="TIME")
]


@source_command("compare")
def _compare(
    source: Source,
    log: LogOptions,
    after: After = None,
    at: At = None,
    agent: Agent = None,
    since: SinceSent = None,
    until: Until = None,
    cache_provider: CacheProvider = "auto",
    key_prefix: KeyPrefix = "auto",
    rules: RulesOption = "auto",
    strict: Strict = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Say what a change did to cost, misses and profiles, like against like.

    Either SOURCE holds both and --at says when the change was made, or SOURCE is from before and AFTER from after it.
    Requests are compared with requests of the same agent, model and prompt size. What may be chance is not called a
    change.
    """
    if (after is None) == (at is None):
        msg = (
            "Say when the change was made, with --at TIME, or name a second source from after it: compare BEFORE AFTER."
        )
        raise UsageError(msg)
    options = {"key_prefix": key_prefix, "rules": rules, "strict": strict, **log}
    sources = [source] if after is None else [source, after]
    snapshots = [read(one, agent if after is None else None, **options) for one in sources]
    found = compare(
        snapshots[0],
        snapshots[1] if after is not None else None,
        at=at,
        since=since,
        until=until,
        agent_id=agent,
        cache_provider=cache_provider,
    )
    if as_json:
        print_json(_as_json([snapshot.source for snapshot in snapshots], at, found))
    else:
        _print(found)


def _print(found: Comparison) -> None:
    first, *_ = found.lines
    out.print(Text(printable(first)))
    out.print()
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in _TITLES:
        is_number = title in _TITLES[1:-1]
        table.add_column(title, justify="right" if is_number else "left", no_wrap=title != _TITLES[-1])
    for agent in found.agents:
        name, requests, before, after, change, *_, words = describe_agent(agent)
        cost = before if before == after else " → ".join(filter(None, (before, after)))
        cells = cut(name, _NAME, cell_len), requests, cost, change, words
        table.add_row(*map(escape, cells))
    out.print(table)
    out.print()
    say(f"before: {found.before}\nafter:  {found.after}")
    for remark in found.remarks:
        out.print(Text(printable(f"{remark[:1].upper()}{remark[1:]}.")))


def _as_json(sources: list[str], at: str | None, found: Comparison) -> dict[str, Any]:
    return {
        "sources": sources,
        "at": at,
        "changed": found.is_changed,
        "before": _side(found.before._asdict()),
        "after": _side(found.after._asdict()),
        "change": _known(found.change._asdict()),
        "saved": _known(found.saved._asdict()),
        "saved_a_month": found.saved_a_month,
        "agents": [_record(agent) for agent in found.agents],
        "remarks": found.remarks,
    }


def _side(values: dict[str, Any]) -> dict[str, Any]:
    times = {name: None if values[name] == NO_TIME else render_time(values[name]) for name in ("begin", "end")}
    return values | times


def _record(agent: AgentComparison) -> dict[str, Any]:
    pairs = ("requests", "runs", "cost", "read", "prefix", "profiles", "matched")
    values = {name: _known(dict(zip(("before", "after"), getattr(agent, name), strict=True))) for name in pairs}
    return {
        "agent_id": agent.agent_id,
        "outcome": agent.outcome,
        "currency": agent.currency,
        "change": _known(agent.change._asdict()),
        "saved": _known(agent.saved._asdict()),
        **values,
        "left_out": [stratum._asdict() for stratum in agent.left_out],
        "shifts": [shift._asdict() | {"difference": shift.difference._asdict()} for shift in agent.shifts],
        "changed_parts": agent.changed_parts,
        "words": agent.words,
    }


def _known(values: dict[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in values.items()}
