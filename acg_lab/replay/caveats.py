"""What a reader of a replay's numbers must know about the history."""

from collections.abc import Iterable, Iterator, Mapping

from acg_lab.core.messages import MessageRule
from acg_lab.core.rules import RulesName, get_rules
from acg_lab.replay.from_runs import requests_of
from acg_lab.replay.history import Profile
from acg_lab.snapshot.model import Snapshot, counted
from acg_lab.storage.columns import Call, Runs

__all__ = ["find_caveats"]


def find_caveats(snapshot: Snapshot, rules: Mapping[str, RulesName], profiles: Iterable[Profile]) -> Iterator[str]:
    """Yield what holds of a snapshot.

    Parameters
    ----------
    snapshot : Snapshot
    rules : mapping of str to str
        Generation of the agents whose runs are replayed.
    profiles : iterable of Profile
        Those that are replayed from their windows.
    """
    if snapshot.is_cut:
        yield "the snapshot was cut (since, limit): the first steps knew more than is replayed"
    by_windows = sorted({profile.agent_id for profile in profiles})
    if by_windows:
        yield (
            f"no recorded requests of {counted(len(by_windows), 'agent')}: each stored observation is taken for a run "
            "of its own, at the time at which it was learned; older ones had left the windows"
        )
    mixed = [a for a in by_windows if len({p.rules for p in profiles if p.agent_id == a}) > 1]
    if mixed:
        yield f"profiles of several generations, each replayed by its own: {', '.join(map(repr, mixed))}"
    n_cut, n_requests = _count_cut(snapshot.runs, rules)
    if n_cut:
        yield (
            f"{n_cut:,} of {n_requests:,} recorded requests seem to be cut to one turn, as rules from 0.6 on record them: "
            "tokens are of what was recorded, usage_tokens of the whole prompt where the provider's count is known"
        )


def _count_cut(runs: Runs, rules: Mapping[str, RulesName]) -> tuple[int, int]:
    """Count the requests that begin with another message than their run, which is then their only user message."""
    n_cut = n_requests = 0
    roles = _Roles(runs)
    for record, calls in zip(runs.records, runs.calls, strict=True):
        if record.agent_id not in rules:
            continue
        table = get_rules(rules[record.agent_id])
        requests = [call for _, call in requests_of(calls)]
        n_requests += len(requests)
        if table.records_turns and len(requests) > 1:
            turns = [_turn(roles, table.messages, call) for call in requests]
            n_cut += sum(is_turn and first != turns[0][0] for first, is_turn in turns[1:])
    return n_cut, n_requests


class _Roles(dict[int, str]):
    """Role of each message by code."""

    def __init__(self, runs: Runs) -> None:
        super().__init__()
        self._messages = runs.messages

    def __missing__(self, code: int) -> str:
        role = self[code] = str(self._messages.value(code).get("role"))
        return role


def _turn(by_code: _Roles, messages: Mapping[str, MessageRule], call: Call) -> tuple[int, bool]:
    """Return the first message that is not system, by code, and whether it is the only one of a user."""
    codes = call.messages.tolist()
    roles = [by_code[code] for code in codes]
    lead = next((i for i, role in enumerate(roles) if role not in messages or not messages[role].scaffold), -1)
    return (codes[lead], roles[lead] == "user" and roles.count("user") == 1) if lead >= 0 else (-1, False)
