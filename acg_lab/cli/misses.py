"""``acg-lab misses``: why requests missed the cache and what that cost; or each request of one conversation."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import numpy as np
import typer
from rich.cells import cell_len
from rich.markup import escape
from rich.table import Table

from acg_lab._format import counted, cut, money, printable
from acg_lab.cli._app import Agent, AsJson, IncludePrivate, KeyPrefix, RulesOption, Source, Strict, out, print_json, say
from acg_lab.cli._log_options import LogOptions, source_command
from acg_lab.cli._simulation import CacheProvider, Scope, SinceSent, Until, read_simulation
from acg_lab.core import UsageError
from acg_lab.diagnosis.cost_words import explain_unknown_reads
from acg_lab.diagnosis.miss_words import describe_miss
from acg_lab.diagnosis.misses import Miss, find_misses
from acg_lab.diagnosis.repair_trials import MIN_SAVED
from acg_lab.repairs.text_diff import find_differences
from acg_lab.simulation import CacheSimulation
from acg_lab.simulation.contents import plain_text
from acg_lab.simulation.origins import CHANGES
from acg_lab.storage.times import NO_TIME, render_time

__all__: list[str] = []

_SHOWN, _NAME, _NARROW, _EXCERPT = 20, 24, 100, 60
_MORE = 1.25  # times the loss, from which it is said what changes of content cost that no breakpoint can save
_TITLES = ("lost", "requests", "tokens", "agent", "paid for", "last seen")
_CALLS = ("call", "sent at", "tokens", "read", "missed", "changed", "new", "cut", "lost", "verdict")

Run = Annotated[
    str | None, typer.Option("--run", help="Each request of this run: its id, or the first digits of it.", metavar="ID")
]
Text = Annotated[bool, typer.Option("--text", help="Show excerpts of the differing texts.")]
Rows = Annotated[int, typer.Option(help="Rows to list, dearest first; 0 lists all.", min=0)]


@source_command("misses")
def _misses(
    source: Source,
    log: LogOptions,
    agent: Agent = None,
    run: Run = None,
    text: Text = False,  # noqa: FBT002
    since: SinceSent = None,
    until: Until = None,
    cache_provider: CacheProvider = "auto",
    scope: Scope = "agent",
    rows: Rows = _SHOWN,
    key_prefix: KeyPrefix = "auto",
    rules: RulesOption = "auto",
    include_private: IncludePrivate = False,  # noqa: FBT002
    strict: Strict = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Show why requests missed the cache, and what that cost, dearest first.

    With --run, show what the cache did with each request of one conversation.
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
        include_private=include_private,
        strict=strict,
        **log,
    )
    if run is not None:
        _show_run(snapshot.source, sim, run, text=text, as_json=as_json)
        return
    misses = [] if sim is None else find_misses(sim)
    if as_json:
        listed = [] if sim is None else [_record(sim, miss, text=text) for miss in misses[: rows or None]]
        print_json({"source": snapshot.source, "misses": listed, "caveats": [] if sim is None else sim.caveats})
    elif sim is None or not len(sim):
        say(f"{snapshot.source}: no recorded requests{f' of agent {agent!r}' if agent else ''}.")
    elif (unknown := explain_unknown_reads(sim)) is not None:
        say(f"{': '.join(unknown)}.")
    elif not misses:
        lost = sim.totals().lost
        more = f" {money(lost)} was paid for writes that nothing read." if lost >= MIN_SAVED else ""
        say(f"No misses in {counted(len(sim), 'request')}: what could be read was read.{more}")
    else:
        _print_misses(sim, misses, misses[: rows or None], text=text)


def _print_misses(sim: CacheSimulation, misses: Sequence[Miss], shown: Sequence[Miss], *, text: bool) -> None:
    gap = 2 if out.width >= _NARROW else 1
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, gap, 0, 0))
    for title in _TITLES:
        is_words = title in ("agent", "paid for")
        table.add_column(title, justify="left" if is_words else "right", no_wrap=title != "paid for")
    width = _NAME if out.width >= _NARROW else _NAME * 3 // 4
    for miss in shown:
        table.add_row(*map(escape, _row(miss, width)))
        for line in _excerpts(sim, miss) if text else ():
            table.add_row("", "", "", "", escape(line), "")
    out.print(table)
    if rest := misses[len(shown) :]:
        say(f"... and {counted(len(rest), 'more row')} with {_lost_of(rest)}; --rows 0 lists all.")
    n = sum(len(miss.requests) for miss in misses)
    source = sim.history.price_list.source
    say(f"\n{n:,} of {counted(len(sim), 'request')} missed, {_lost_of(misses)}. Prices: {source}.")
    if words := _explain_total(sim.totals().lost, float(np.nansum([miss.lost for miss in misses]))):
        say(words)


def _explain_total(lost: float, of_misses: float) -> str:
    """Return why 'acg-lab cost' says another amount than the misses add up to; empty where both read the same."""
    if money(lost) == money(of_misses):
        return ""
    more = money(abs(lost - of_misses))
    if lost < of_misses:
        why = f"at the limit the other requests write what these read, which costs {more} more"
    else:
        why = f"requests that did not miss lost {more} too, as by writing what nothing read"
    return f"'acg-lab cost' says {money(lost)}: {why}."


def _lost_of(misses: Sequence[Miss]) -> str:
    dollars = [miss.lost for miss in misses if not np.isnan(miss.lost)]
    tokens = f"{sum(miss.tokens for miss in misses):,} tokens"
    if not dollars:
        return f"{tokens} lost"
    lost = sum(dollars)
    avoidable = float(np.nansum([miss.avoidable for miss in misses if miss.cause in CHANGES]))
    more = f" (up to {money(avoidable)} if contents did not change)" if avoidable > _MORE * max(lost, 0) else ""
    return f"{tokens}, {money(lost)} lost{more}"


def _row(miss: Miss, width: int) -> tuple[str, ...]:
    return (
        "" if np.isnan(miss.lost) else money(miss.lost),
        f"{len(miss.requests):,}",
        f"{miss.tokens:,}",
        cut(printable(miss.agent_id), width, cell_len),
        printable(describe_miss(miss)) + _consequence(str(miss.cause), str(miss.verdict)),
        (_when(miss.last_seen) or "unknown")[:10],
    )


def _consequence(cause: str, verdict: str) -> str:
    return "" if cause == verdict else f" ({verdict})"


# --- texts ---


def _excerpts(sim: CacheSimulation, miss: Miss) -> Iterator[str]:
    """Yield where the contents of the newest request of a group differ, and how."""
    for _, ours, theirs in _pairs(sim, miss.requests[-1]):
        yield f"{printable(repr(_shortened(theirs)))} → {printable(repr(_shortened(ours)))}"


def _pairs(sim: CacheSimulation, request: int) -> Iterator[tuple[str, str, str]]:
    """Yield path, text and other text of the first difference behind a request's verdict."""
    place = sim.cause_place(request)
    if place is None or place.other_content < 0 or place.content == place.other_content:
        return
    if any(map(sim.history.requests.is_private, (place.content, place.other_content))):
        return
    ours, theirs = (plain_text(sim.history.requests.texts[code]) for code in (place.content, place.other_content))
    if found := find_differences(ours, theirs):
        yield (
            place.path,
            _span(ours, [(one.offset, one.length) for one in found]),
            _span(theirs, [(one.other_offset, one.other_length) for one in found]),
        )


def _span(text: str, places: Sequence[tuple[int, int]]) -> str:
    """Return the text from the first difference to the last, or the first alone if that is much."""
    (begin, length), (last, last_length) = places[0], places[-1]
    end = last + last_length
    return text[begin : end if end - begin <= _EXCERPT else begin + length]


def _shortened(text: str) -> str:
    return text if len(text) <= _EXCERPT else f"{text[: _EXCERPT - 1]}…"


def _record(sim: CacheSimulation, miss: Miss, *, text: bool) -> dict[str, Any]:
    values = {name: _finite(value) for name, value in miss._asdict().items() if name != "requests"}
    times = {name: _when(getattr(miss, name)) for name in ("first_seen", "last_seen")}
    pairs = [dict(zip(("path", "text", "other_text"), pair, strict=True)) for pair in _pairs(sim, miss.requests[-1])]
    return (
        values
        | times
        | {"requests": len(miss.requests), "words": describe_miss(miss)}
        | ({"texts": pairs} if text else {})
    )


def _when(nanoseconds: int) -> str | None:
    return None if nanoseconds == NO_TIME else render_time(nanoseconds)


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and np.isnan(value) else value


# --- one run ---


def _show_run(source: str, sim: "CacheSimulation | None", run: str, *, text: bool, as_json: bool) -> None:
    run_ids = [] if sim is None else sim.run_ids
    found = sorted({run_id for run_id in run_ids if run_id == run} or {r for r in run_ids if r.startswith(run)})
    if sim is None or len(found) != 1:
        several = f"several runs begin with it: {', '.join(map(repr, found[:3]))}" if found else "there is none"
        msg = f"The run (--run) must be the id of one run of {source}, or how it begins; got {run!r}, {several}."
        raise UsageError(msg)
    requests = [i for i, run_id in enumerate(run_ids) if run_id == found[0]]
    if as_json:
        print_json({"source": source, "run_id": found[0], "requests": list(_call_records(sim, requests, text=text))})
        return
    agent_id, model = sim.agent_ids[requests[0]], sim.models[requests[0]]
    say(f"{agent_id}, run {found[0]}, {model}")
    _print_calls(sim, requests, text=text)


def _call_records(sim: CacheSimulation, requests: Sequence[int], *, text: bool) -> Iterator[dict[str, Any]]:
    verdicts, causes, also, parts, lost = sim.verdicts, sim.caused_by, sim.also, sim.parts, sim.lost
    started = sim.started_ns
    for i in requests:
        place = sim.cause_place(i)
        values = {
            "call": int(sim.calls[i]),
            "sent_at": _when(int(started[i])),
            "tokens": int(sim.tokens[i]),
            **{name: int(column[i]) for name, column in parts._asdict().items()},
            "lost": _finite(float(lost[i])),
            "verdict": verdicts[i],
            "also": also[i],
            "caused_by": causes[i],
            "path": None if place is None else place.path,
            "byte_offset": None if place is None else place.byte_offset,
        }
        pairs = [dict(zip(("path", "text", "other_text"), pair, strict=True)) for pair in _pairs(sim, i)]
        yield values | ({"texts": pairs} if text else {})


def _print_calls(sim: CacheSimulation, requests: Sequence[int], *, text: bool) -> None:
    gap = 2 if out.width >= _NARROW else 1
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, gap, 0, 0))
    for title in _CALLS:
        table.add_column(title, justify="left" if title == "verdict" else "right", no_wrap=title != "verdict")
    for i, call in zip(requests, _call_records(sim, requests, text=False), strict=True):
        missed = call["missed_live"] + call["missed_expired"]
        tokens = (call["tokens"], call["read"], missed, call["changed"], call["new"], call["not_recorded"])
        lost = "" if call["lost"] is None else money(call["lost"])
        words = call["verdict"] + ("" if call["caused_by"] == call["verdict"] else f", caused by {call['caused_by']}")
        words += f" at {call['path'].removeprefix('$.')}" if call["path"] and call["changed"] else ""
        sent_at = (call["sent_at"] or "")[5:19].replace("T", " ")
        table.add_row(f"{call['call']}", sent_at, *(f"{n:,}" for n in tokens), lost, escape(printable(words)))
        for _, ours, theirs in _pairs(sim, i) if text else ():
            lines = f"{printable(repr(_shortened(theirs)))} → {printable(repr(_shortened(ours)))}"
            table.add_row(*[""] * 9, escape(lines))
    out.print(table)
