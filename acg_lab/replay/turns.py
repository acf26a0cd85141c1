"""Which recorded requests are cut to the current turn (spec section 8).

Belongs here: a guess from what is recorded. From 0.6 on all but the first request of a run are cut to their system
messages and what follows the last user message, unless full payloads are recorded (a choice from 0.7.1 on); nothing
stored says which it was.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter

from acg_lab.core.rule_types import MessageRule
from acg_lab.core.rules import Rules
from acg_lab.storage.columns import Call, Runs

__all__ = ["find_turns"]


def find_turns(runs: Runs, requests: Sequence[tuple[int, Rules, Call]]) -> Iterator[bool]:
    """Yield for each request whether it seems to be cut: it begins with another message than its run.

    That message is then the only one of a user.

    Parameters
    ----------
    runs : Runs
    requests : sequence of (int, Rules, Call)
        Number of the run, generation, and call, in order.
    """
    roles = _Roles(runs)
    for _, group in groupby(requests, itemgetter(0)):
        (_, rules, opening), *later = group
        yield False
        if later:
            first, _ = _turn(roles, rules.messages, opening)
            turns = (_turn(roles, rules.messages, call) for _, _, call in later)
            yield from (rules.records_turns and is_turn and lead != first for lead, is_turn in turns)


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
    lead = next((i for i, role in enumerate(roles) if not messages[role].scaffold), None)
    return (-1, False) if lead is None else (codes[lead], roles[lead] == "user" and roles.count("user") == 1)
