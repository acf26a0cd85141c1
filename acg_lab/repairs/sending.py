"""Change how recorded requests are sent: their breakpoints, how long these live, and when requests start.

Contents stay what they are, so windows and learning keys do too. What changes stands beside the call, in its `Sending`;
a request that waits starts later.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace as replace_fields
from typing import Final

from msgspec.structs import replace

from acg_lab.core.errors import RecordError
from acg_lab.repairs.chosen_calls import ChosenCall
from acg_lab.repairs.repairs import Repair
from acg_lab.repairs.request_blocks import BlockFinder
from acg_lab.repairs.sending_repairs import AddBreakpoint, SetTtl, StaggerParallelRequests, UseAutomaticCaching
from acg_lab.storage.recorded_runs import Call, Runs, Sending
from acg_lab.storage.times import NO_TIME, read_time, render_time

__all__ = ["MARKINGS", "SENDINGS", "change_sending"]

MARKINGS: Final = (AddBreakpoint, SetTtl, UseAutomaticCaching)  # which leave all times as they are
SENDINGS: Final = (*MARKINGS, StaggerParallelRequests)
_SECONDS: Final = {"5m": 300, "1h": 3600}
_COLD: Final = 300 * 10**9  # an entry unused for so long is gone by every provider's shortest TTL
_NOTHING: Final = Sending()


def change_sending(
    runs: Runs, repair: Repair, chosen: Sequence[ChosenCall], finder_of: Callable[[str], BlockFinder]
) -> tuple[Runs, int, int]:
    """Return runs whose requests are sent otherwise, how many are, and how many can't be.

    Parameters
    ----------
    runs : Runs
        Read, never changed.
    repair : AddBreakpoint, SetTtl, UseAutomaticCaching or StaggerParallelRequests
    chosen : sequence of ChosenCall
    finder_of : callable
        Returns what finds blocks in the requests of an agent.
    """
    calls = [list(of_run) for of_run in runs.calls]
    n_changed = n_left = 0
    if isinstance(repair, StaggerParallelRequests):
        changed = dict(_staggered(runs, chosen))
    else:
        changed = {}
        for one in chosen:
            call = _sent_otherwise(repair, one, finder_of(one.agent_id))
            if call is None:
                n_left += 1
            else:
                changed[one.run, one.position] = call
    for (run, position), call in changed.items():
        if call is not calls[run][position]:
            calls[run][position] = call
            n_changed += 1
    return (replace_fields(runs, calls=calls) if n_changed else runs), n_changed, n_left


def _sent_otherwise(repair: Repair, one: ChosenCall, finder: BlockFinder) -> Call | None:
    """Return a call that is sent otherwise, itself if nothing changes; None if that is not possible."""
    call, sending = one.call, one.call.sending or _NOTHING
    if isinstance(repair, SetTtl):
        return call._replace(sending=sending._replace(ttl=_SECONDS[repair.ttl]))
    if isinstance(repair, UseAutomaticCaching):
        return call._replace(sending=sending._replace(automatic=True))
    if not isinstance(repair, AddBreakpoint):
        return call
    places: dict[str, tuple[str, int]] = {name: (name, -1) for name in AddBreakpoint.PLACES}
    if repair.at not in places:
        try:
            found = finder.find(call, repair.at)
        except RecordError:
            found = None
        if found is None:
            return call
        if found.place.field == "format":
            return None
        places[repair.at] = found.place.field, found.place.position
    return call._replace(sending=sending._replace(breakpoints=(*sending.breakpoints, places[repair.at])))


def _staggered(runs: Runs, chosen: Iterable[ChosenCall]) -> Iterator[tuple[tuple[int, int], Call]]:
    """Yield the calls that wait, and what follows in their runs; by how much, so that order within a run is kept."""
    delays: dict[int, tuple[int, int]] = {}
    by_key: dict[str, list[tuple[int, ChosenCall]]] = {}
    for one in chosen:
        started = read_time(one.call.record.started_at)
        if started != NO_TIME:
            by_key.setdefault(one.key, []).append((started, one))
    for of_key in by_key.values():
        ready = last = NO_TIME
        for started, one in sorted(of_key, key=lambda item: item[0]):
            if started < ready:
                # A later request of the same run waits no longer than the first one made it wait.
                position, delay = delays.get(one.run, (one.position, 0))
                delays[one.run] = min(position, one.position), max(delay, ready - started)
            elif last == NO_TIME or started - last >= _COLD:
                ready = _first_token(one.call)
            last = max(last, started)
    for run, (position, delay) in delays.items():
        for i, call in enumerate(runs.calls[run]):
            if i >= position and call.record.kind == "llm":
                yield (run, i), _delayed(call, delay)


def _first_token(call: Call) -> int:
    exchange = call.record.exchange
    return read_time((exchange and exchange.first_token_at) or call.record.ended_at)


def _delayed(call: Call, delay: int) -> Call:
    record = call.record
    exchange = record.exchange
    if exchange is not None:
        exchange = replace(exchange, first_token_at=_later(exchange.first_token_at, delay))
    started = _later(record.started_at, delay) or ""
    return call._replace(
        record=replace(record, started_at=started, ended_at=_later(record.ended_at, delay), exchange=exchange)
    )


def _later(text: str | None, delay: int) -> str | None:
    time = read_time(text)
    return text if time == NO_TIME else render_time(time + delay)
