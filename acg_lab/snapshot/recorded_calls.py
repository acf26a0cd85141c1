"""The LLM calls of recorded runs, with the profile each was learned in and what the provider said of its tokens."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from acg_lab.core.errors import RecordError
from acg_lab.core.keys import learning_key
from acg_lab.core.records import CallRecord
from acg_lab.snapshot.rules_detection import RequestHeads
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.storage.columns import Call
from acg_lab.storage.times import read_time

__all__ = ["CallFacts", "list_calls"]


class CallFacts(NamedTuple):
    """One LLM call.

    Attributes
    ----------
    agent_id, run_id : str
    call : int
        Position in its run, 0 = first; tool calls count.
    started_at, ended_at : int
        Nanoseconds since 1970; `NO_TIME` where there is none.
    model : str or None
        That of the request, else the one recorded of the call.
    learning_key : str or None
        Of the profile that learned from it; None where no request is recorded, or one that production can't read, or
        where no profile of the agent tells by which generation of the rules.
    prompt_tokens, output_tokens, cache_read_tokens, cache_write_tokens : int or None
        As recorded, None where they are not.
    """

    agent_id: str
    run_id: str
    call: int
    started_at: int
    ended_at: int
    model: str | None
    learning_key: str | None
    prompt_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None


def list_calls(snapshot: Snapshot) -> Iterator[CallFacts]:
    """Yield the LLM calls of all runs, in the order of runs and calls."""
    find_key = _key_finder(snapshot)
    runs = snapshot.runs
    for run, calls in zip(runs.records, runs.calls, strict=True):
        for position, call in enumerate(calls):
            record = call.record
            if record.kind != "llm":
                continue
            yield CallFacts(
                run.agent_id,
                run.id,
                position,
                read_time(record.started_at),
                read_time(record.ended_at),
                (call.request and call.request.model) or record.model_name,
                find_key(run.agent_id, call),
                *_tokens(record, {} if call.response < 0 else runs.values.value(call.response)),
            )


def _tokens(record: CallRecord, response: Mapping[str, Any]) -> tuple[int | None, ...]:
    """Return tokens of prompt and output, read from the cache and written to it."""
    if record.exchange is not None and (logged := record.exchange.usage) is not None:
        return logged.prompt_tokens, logged.output_tokens, logged.cache_read_tokens, logged.cache_write_tokens
    usage = response.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    names = ("prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens")
    known = [_count(usage.get(name)) for name in names]
    own = (record.prompt_tokens, record.output_tokens, None, None)
    return tuple(theirs if mine is None else mine for mine, theirs in zip(own, known, strict=True))


def _count(value: Any) -> int | None:
    """Return a count that a provider put into its usage; what is none, nothing is known by."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None


def _key_finder(snapshot: Snapshot) -> Callable[[str, Call], str | None]:
    """Return what finds the learning key of a call; each conversation is looked at but once."""
    rules, heads = _rules_of_agents(snapshot), RequestHeads(snapshot.runs)
    known: dict[tuple[object, ...], str | None] = {}

    def find(agent_id: str, call: Call) -> str | None:
        if call.request is None:
            return None
        head = agent_id, *heads.of(call)
        if head not in known:
            known[head] = _find_key(snapshot, agent_id, call, rules.get(agent_id, {}))
        return known[head]

    return find


def _rules_of_agents(snapshot: Snapshot) -> Mapping[str, Mapping[str, None]]:
    """Return by which generations of the rules each agent's profiles were made."""
    found: dict[str, dict[str, None]] = {}
    for key in snapshot.windows:
        found.setdefault(snapshot.owners[key].agent_id, {})[snapshot.rules[key].rules] = None
    return found


def _find_key(snapshot: Snapshot, agent_id: str, call: Call, rules: Mapping[str, None]) -> str | None:
    request = snapshot.runs.request(call)
    keys: list[str] = []
    for name in rules:
        try:
            key = learning_key(agent_id, request, rules=name)
        except RecordError:
            continue  # production skips it too
        if key in snapshot.windows and snapshot.rules[key].rules == name:
            return key
        keys.append(key)
    return keys[0] if len(rules) == len(keys) == 1 else None
