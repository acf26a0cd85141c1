"""Which recorded requests teach a profile, under one version of the rules, and why the others do not.

A request is learned if its blocks and its learning key can be made. Each distinct message is looked at once, and keys
are made once for all requests that agree in what they depend on, so that a long log costs a look-up per message.
"""

from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Mapping
from typing import Any

import msgspec

from acg_lab._format import counted, printable
from acg_lab.core.errors import RecordError
from acg_lab.core.keys import learning_key
from acg_lab.core.messages import message_rule
from acg_lab.core.prompt_ir import tool_drafts
from acg_lab.core.records import AnnotatedLlmRequest, JsonObject
from acg_lab.core.rules import get_rules
from acg_lab.storage.columns import Call, Runs

__all__ = ["LearnableRequests", "Roles", "count_unread", "cut_to_turn", "tell_unread"]

_decode = msgspec.json.decode
_USER, _SYSTEM = "user", "system"
_REFUSED, _OTHER, _SCAFFOLD = 1, 2, 3


class _Message(msgspec.Struct):
    role: Any = None


_read_role = msgspec.json.Decoder(_Message).decode


class LearnableRequests:
    """Finds the learning key of recorded requests.

    Parameters
    ----------
    runs : Runs
        Whose calls these are.
    rules : str
        Name of the rules version.
    """

    def __init__(self, runs: Runs, rules: str) -> None:
        self._runs, self.rules = runs, get_rules(rules)
        # Of each message by code: not looked at, refused, read, or read and counting as system.
        self._kinds = bytearray(len(runs.messages))
        self._refusals: dict[int, RecordError] = {}
        self._tops: dict[Hashable, RecordError | None] = {}
        self._keys: dict[Hashable, str | RecordError] = {}

    def key(self, agent_id: str, call: Call) -> str:
        """Return the learning key of a call that has a request.

        Raises
        ------
        RecordError
            If production can't read the request, and so skips it.
        """
        request = call.request or AnnotatedLlmRequest(messages=())
        scaffold, seed = [], None
        for i, code in enumerate(call.messages.tolist()):
            kind = self._kinds[code] or self._look(code)
            if kind == _REFUSED:
                raise self._refusals[code].at(path=f"$.messages[{i}]")
            if kind == _SCAFFOLD:
                scaffold.append(code)
            elif seed is None:
                seed = code
        # Requests are made once for equal bodies, so the object stands for what is in it.
        top = id(request), call.tools
        if (error := self._top(top, call)) is not None:
            raise error
        return self._key(agent_id, call, (agent_id, *top, *scaffold), seed)

    def refusal(self, agent_id: str, call: Call) -> str | None:
        """Return why a request can't be read, None if it can."""
        try:
            self.key(agent_id, call)
        except RecordError as error:
            return error.reason
        return None

    def _look(self, code: int) -> int:
        try:
            kind = _SCAFFOLD if self._read(_decode(self._runs.messages.texts[code])) else _OTHER
        except RecordError as error:
            self._refusals[code] = error
            kind = _REFUSED
        self._kinds[code] = kind
        return kind

    def _read(self, message: JsonObject) -> bool:
        """Read a message as production does; return whether it counts as system."""
        role = message.get("role")
        if isinstance(role, str) and role not in self.rules.messages:
            msg = f"role {printable(role[:40])!r}"
            raise RecordError(msg)
        rule = message_rule(self.rules, message)
        for _ in rule.drafts(self.rules, message):
            pass
        return rule.scaffold

    def _top(self, top: Hashable, call: Call) -> RecordError | None:
        """Return why what stands beside the messages can't be read, None if it can."""
        if top not in self._tops:
            # The request is kept with its number, which another one could get otherwise.
            self._tops[top] = None
            request = self._runs.request(call._replace(messages=call.messages[:0]))
            try:
                tuple(self.rules.opening(self.rules, request))
                tool_drafts(self.rules, request)
            except RecordError as error:
                self._tops[top] = error
        return self._tops[top]

    def _key(self, agent_id: str, call: Call, head: Hashable, seed: int | None) -> str:
        found = self._keys.get(head)
        if found is None:
            # With a stable scaffold the first message is not part of the key.
            request = self._runs.request(call)
            has_scaffold = self.rules.has_scaffold(self.rules, request)
            found = self._keys[head] = self._make(agent_id, request) if has_scaffold else _BY_SEED
        if found is _BY_SEED:
            found = self._keys.get((head, seed))
        if found is None:
            found = self._keys[head, seed] = self._make(agent_id, self._runs.request(call))
        if isinstance(found, RecordError):
            raise found
        return found

    def _make(self, agent_id: str, request: AnnotatedLlmRequest) -> str | RecordError:
        try:
            return learning_key(agent_id, request, rules=self.rules.name)
        except RecordError as error:
            return error


_BY_SEED = "by seed"  # stands for keys that depend on the first message


class Roles(dict[int, str]):
    """Role of each message by code."""

    def __init__(self, runs: Runs) -> None:
        super().__init__()
        self._texts = runs.messages.texts

    def __missing__(self, code: int) -> str:
        role = self[code] = str(_read_role(self._texts[code]).role)
        return role


def cut_to_turn(call: Call, roles: Roles) -> Call:
    """Return a call as production records it behind the first of a run: system messages, and the current turn.

    That is the messages from the last one of the user on; without one, the last message
    (`acg_lab/docs/rules/learner.md`, "What is recorded").
    """
    codes = call.messages.tolist()
    if not codes:
        return call
    start = max((i for i, code in enumerate(codes) if roles[code] == _USER), default=len(codes) - 1)
    kept = [i for i, code in enumerate(codes) if i >= start or roles[code] == _SYSTEM]
    return call if len(kept) == len(codes) else call._replace(messages=call.messages[kept])


def count_unread(runs: Runs, rules: Mapping[str, Collection[str]]) -> Iterator[str]:
    """Yield a sentence for each reason why recorded requests can't be read, the commonest first.

    Parameters
    ----------
    runs : Runs
    rules : mapping of str to collection of str
        By agent the rules versions by which it learned; a request that one of them reads is read.
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
    yield from tell_unread(found)


def tell_unread(counts: Counter[tuple[str, str]]) -> Iterator[str]:
    """Yield a sentence for each rules version and reason, the commonest first."""
    for (name, reason), n in counts.most_common():
        yield f"{counted(n, 'request')} can't be read under {name}: {reason}"
