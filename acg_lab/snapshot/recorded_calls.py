"""The LLM calls of recorded runs, with the profile that learned from each and the usage that the provider reported."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from acg_lab.core.errors import RecordError
from acg_lab.core.records import CallRecord
from acg_lab.snapshot.request_reader import LearningKeys
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.storage.recorded_runs import Call
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
        Nanoseconds since 1970; `NO_TIME` if not recorded.
    model : str or None
        The request's model, else the one recorded with the call.
    learning_key : str or None
        The profile that learned from the call; None if no request is recorded, if production cannot read it, or if
        the agent's profiles leave the rules version open.
    prompt_tokens, output_tokens, cache_read_tokens, cache_write_tokens : int or None
        As recorded; None if not recorded.
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
    profiles = _ProfileFinder(snapshot)
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
                profiles.find(run.agent_id, call),
                *_tokens(record, {} if call.response < 0 else runs.values.value(call.response)),
            )


def _tokens(record: CallRecord, response: Mapping[str, Any]) -> tuple[int | None, ...]:
    """Return the tokens of prompt, output, cache reads and cache writes."""
    if record.exchange is not None and (logged := record.exchange.usage) is not None:
        return logged.prompt_tokens, logged.output_tokens, logged.cache_read_tokens, logged.cache_write_tokens
    usage = response.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    names = ("prompt_tokens", "completion_tokens", "cache_read_tokens", "cache_write_tokens")
    known = [_count(usage.get(name)) for name in names]
    own = (record.prompt_tokens, record.output_tokens, None, None)
    return tuple(theirs if mine is None else mine for mine, theirs in zip(own, known, strict=True))


def _count(value: Any) -> int | None:
    """Return the provider-reported count if it is valid, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None


class _ProfileFinder:
    """Find the profile that learned from a recorded call."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot, self._keys = snapshot, LearningKeys(snapshot.runs)
        self._rules: dict[str, dict[str, None]] = {}
        for key in snapshot.windows:
            self._rules.setdefault(snapshot.owners[key].agent_id, {})[snapshot.rules[key].rules] = None

    def find(self, agent_id: str, call: Call) -> str | None:
        """Return the learning key of a call; None without a readable request, or if the rules version is open."""
        if call.request is None:
            return None
        rules, keys = self._rules.get(agent_id, {}), list[str]()
        for name in rules:
            try:
                key = self._keys.key(agent_id, call, name)
            except RecordError:
                continue  # production skips it too
            if key in self._snapshot.windows and self._snapshot.rules[key].rules == name:
                return key
            keys.append(key)
        return keys[0] if len(rules) == len(keys) == 1 else None
