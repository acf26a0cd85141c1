"""Which recorded requests production can learn under a rules version, and why it cannot read the others.

A request is learned if its blocks and its learning key can be made. Each distinct message is read once, so that a long
log costs one look-up per message.
"""

from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Mapping
from typing import Any

import msgspec

from acg_lab._format import counted, printable
from acg_lab.core.errors import RecordError
from acg_lab.core.messages import message_rule
from acg_lab.core.prompt_ir import tool_drafts
from acg_lab.core.records import JsonObject
from acg_lab.core.rules import get_rules
from acg_lab.snapshot.request_reader import LearningKeys
from acg_lab.storage.recorded_runs import Call, Runs

__all__ = ["LearnableRequests", "Roles", "count_unread", "cut_to_turn", "word_refusals"]

_decode = msgspec.json.decode
_USER, _SYSTEM = "user", "system"


class _Message(msgspec.Struct):
    role: Any = None


_read_role = msgspec.json.Decoder(_Message).decode


class LearnableRequests:
    """Find the learning keys of the recorded requests that production can read.

    Parameters
    ----------
    runs : Runs
        The runs whose calls are read.
    rules : str
        Name of the rules version.
    """

    def __init__(self, runs: Runs, rules: str) -> None:
        self._runs, self.rules = runs, get_rules(rules)
        self._is_read = bytearray(len(runs.messages))
        self._refusals: dict[int, RecordError] = {}
        self._rests: dict[Hashable, RecordError | None] = {}
        self._keys = LearningKeys(runs)

    def key(self, agent_id: str, call: Call) -> str:
        """Return the learning key of a call that has a request.

        Raises
        ------
        RecordError
            If production cannot read the request, and so skips it.
        """
        for i, code in enumerate(call.messages.tolist()):
            if not self._is_read[code]:
                self._read(i, code)
        if (error := self._check_rest(call)) is not None:
            raise error
        return self._keys.key(agent_id, call, self.rules.name)

    def refusal(self, agent_id: str, call: Call) -> str | None:
        """Return why production cannot read a request, or None if it can."""
        try:
            self.key(agent_id, call)
        except RecordError as error:
            return error.reason
        return None

    def _read(self, position: int, code: int) -> None:
        if code not in self._refusals:
            try:
                self._make_blocks(_decode(self._runs.messages.texts[code]))
            except RecordError as error:
                self._refusals[code] = error
            else:
                self._is_read[code] = 1
                return
        raise self._refusals[code].at(path=f"$.messages[{position}]")

    def _make_blocks(self, message: JsonObject) -> None:
        role = message.get("role")
        if isinstance(role, str) and role not in self.rules.messages:
            msg = f"role {printable(role[:40])!r}"
            raise RecordError(msg)
        for _ in message_rule(self.rules, message).drafts(self.rules, message):
            pass

    def _check_rest(self, call: Call) -> RecordError | None:
        """Return why instructions, tools or response format cannot be read, or None."""
        rest = id(call.request), call.tools  # calls with equal requests share one object, which runs keep alive
        if rest not in self._rests:
            request = self._runs.request(call._replace(messages=call.messages[:0]))
            self._rests[rest] = None
            try:
                tuple(self.rules.opening(self.rules, request))
                tool_drafts(self.rules, request)
            except RecordError as error:
                self._rests[rest] = error
        return self._rests[rest]


class Roles(dict[int, str]):
    """The role of each message, by code."""

    def __init__(self, runs: Runs) -> None:
        super().__init__()
        self._texts = runs.messages.texts

    def __missing__(self, code: int) -> str:
        role = self[code] = str(_read_role(self._texts[code]).role)
        return role


def cut_to_turn(call: Call, roles: Roles) -> Call:
    """Return a call as production records calls after the first of a run: system messages and the current turn.

    The turn starts at the last message of the user, or else at the last message
    (``acg_lab/docs/rules/learner.md``, 8.5).
    """
    codes = call.messages.tolist()
    if not codes:
        return call
    start = max((i for i, code in enumerate(codes) if roles[code] == _USER), default=len(codes) - 1)
    kept = [i for i, code in enumerate(codes) if i >= start or roles[code] == _SYSTEM]
    return call if len(kept) == len(codes) else call._replace(messages=call.messages[kept])


def count_unread(runs: Runs, rules: Mapping[str, Collection[str]]) -> Iterator[str]:
    """Yield a sentence for each reason why recorded requests cannot be read, the commonest first.

    Parameters
    ----------
    runs : Runs
    rules : mapping of str to collection of str
        The rules versions by which each agent learned; a request needs to be readable under one of them only.
    """
    found: Counter[tuple[str, str]] = Counter()
    requests = {name: LearnableRequests(runs, name) for name in {name for names in rules.values() for name in names}}
    for record, calls in zip(runs.records, runs.calls, strict=True):
        names = rules.get(record.agent_id, ())
        for call in calls:
            if call.record.kind == "llm" and call.request is not None and names:
                reasons = [(name, requests[name].refusal(record.agent_id, call)) for name in names]
                if all(reason is not None for _, reason in reasons):
                    name, reason = reasons[0]
                    found[name, str(reason)] += 1
    yield from word_refusals(found)


def word_refusals(counts: Counter[tuple[str, str]]) -> Iterator[str]:
    """Yield a sentence for each rules version and reason, the commonest first."""
    for (name, reason), n in counts.most_common():
        yield f"{counted(n, 'request')} can't be read under {name}: {reason}"
