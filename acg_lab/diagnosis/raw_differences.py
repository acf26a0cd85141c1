"""Find blocks that are stable to the learner but that the provider gets in several forms.

The learner compares texts with white space normalised, tools in canonical form, and no images; a provider compares
bytes, from the first one on. Marks of the cache itself (``cache_control``) do not count as a difference.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from acg_lab.core.errors import RecordError
from acg_lab.core.messages import message_rule
from acg_lab.core.prompt_ir import normalize_whitespace
from acg_lab.core.records import AnnotatedLlmRequest
from acg_lab.core.rule_types import Draft
from acg_lab.core.rules import Rules, get_rules
from acg_lab.diagnosis.context import AnalysisContext
from acg_lab.snapshot.request_reader import LearningKeys
from acg_lab.storage.recorded_runs import Call, Runs

__all__ = ["RawDifference", "find_raw_differences"]

_MARK = "cache_control"
_IMAGES = ("image_url", "image")


class RawDifference(NamedTuple):
    """A block of a profile's stable prefix that the provider gets in several forms.

    ``rank`` is the block's position, ``counts`` the requests of each form, the commonest first, and ``differ`` the
    respect in which the two commonest forms differ.
    """

    key: str
    span_id: str
    rank: int
    counts: tuple[int, ...]
    differ: str

    @property
    def share(self) -> float:
        """Share of the requests that do not have the commonest form."""
        return 1 - self.counts[0] / sum(self.counts)


class _SentBlock(NamedTuple):
    """What was sent as one or more blocks: position and name of the first, what the learner sees, and the JSON."""

    rank: int
    span_id: str
    seen: object
    form: str


def find_raw_differences(context: AnalysisContext) -> Iterator[RawDifference]:
    """Yield the first block of each profile's stable prefix that recorded runs show in several forms."""
    lengths = {
        key: result.stable_prefix_length for key, result in context.results.items() if result.stable_prefix_length
    }
    readers: dict[tuple[str, str], dict[str, int]] = {}
    for key, length in lengths.items():
        readers.setdefault((context.snapshot.owners[key].agent_id, context.snapshot.rules[key].rules), {})[key] = length
    for (agent_id, rules), of_agent in readers.items():
        yield from _find_in_runs(_Reader(context.snapshot.runs, agent_id, get_rules(rules)), of_agent)


def _find_in_runs(reader: "_Reader", lengths: Mapping[str, int]) -> Iterator[RawDifference]:
    forms: dict[str, dict[tuple[int, str, object], Counter[str]]] = {}
    for key, call in reader.calls(lengths):
        of_key = forms.setdefault(key, {})
        for sent in reader.sent(call, lengths[key]):
            of_key.setdefault((sent.rank, sent.span_id, sent.seen), Counter())[sent.form] += 1
    for key, of_key in forms.items():
        several = [(rank, span_id, counts) for (rank, span_id, _), counts in of_key.items() if len(counts) > 1]
        if several:
            rank, span_id, counts = min(several, key=lambda item: (item[0], -item[2].total()))
            (dominant, _), (other, _) = counts.most_common(2)
            yield RawDifference(
                key, span_id, rank, tuple(n for _, n in counts.most_common()), _describe_difference(dominant, other)
            )


class _Reader:
    """Reads an agent's recorded requests by one rules version, each distinct message once."""

    def __init__(self, runs: Runs, agent_id: str, rules: Rules) -> None:
        self._runs, self._agent_id, self._rules = runs, agent_id, rules
        self._messages: dict[int, tuple[bool, tuple[Draft, ...], str]] = {}
        self._tools: dict[int, str] = {}
        self._keys = LearningKeys(runs)

    def calls(self, wanted: Mapping[str, int]) -> Iterator[tuple[str, Call]]:
        """Yield the requests of the wanted profiles."""
        for record, calls in zip(self._runs.records, self._runs.calls, strict=True):
            if record.agent_id != self._agent_id:
                continue
            for call in calls:
                with suppress(RecordError):  # production skips it too
                    if call.request is not None and (key := self._key(call)) in wanted:
                        yield key, call

    def _key(self, call: Call) -> str:
        for code in call.messages.tolist():
            self._message(code)  # raises if production cannot read the message
        return self._keys.key(self._agent_id, call, self._rules.name)

    def _message(self, code: int) -> tuple[bool, tuple[Draft, ...], str]:
        """Return whether a message belongs to the scaffold, its blocks, and its JSON."""
        if code not in self._messages:
            message = self._runs.messages.value(code)
            rule = message_rule(self._rules, message)
            drafts = tuple(
                draft._replace(content=normalize_whitespace(draft.content))
                for draft in rule.drafts(self._rules, message)
            )
            self._messages[code] = rule.scaffold, drafts, _print_json(message)
        return self._messages[code]

    def sent(self, call: Call, length: int) -> Iterator[_SentBlock]:
        """Yield what a request sends as its first ``length`` blocks."""
        request, rank = _without_messages(call), 0
        for draft in self._rules.opening(self._rules, request):
            yield _SentBlock(
                rank, f"{draft.role}-{rank}{draft.suffix}", draft.content, _print_json(request.unknown["instructions"])
            )
            rank += 1
        tools = False
        for code in call.messages.tolist():
            scaffold, drafts, form = self._message(code)
            if not scaffold and not tools:
                tools = True
                yield from self._sent_tools(call, rank)
                n_tools = 0 if call.tools < 0 else len(self._runs.values.value(call.tools))
                rank += n_tools + len(list(self._rules.closing(self._rules, request)))
            if rank >= length:
                return
            if drafts:
                yield _SentBlock(rank, f"{drafts[0].role}-{rank}{drafts[0].suffix}", drafts, form)
            rank += len(drafts)

    def _sent_tools(self, call: Call, rank: int) -> Iterator[_SentBlock]:
        if call.tools < 0:
            return
        tools = self._runs.values.value(call.tools)
        if call.tools not in self._tools:
            self._tools[call.tools] = _print_json(tools)
        if tools:
            yield _SentBlock(rank, f"system-{rank}-{self._rules.tool_name(tools[0])}", "tools", self._tools[call.tools])


def _without_messages(call: Call) -> AnnotatedLlmRequest:
    return call.request or AnnotatedLlmRequest(messages=())


def _print_json(value: Any) -> str:
    """Return what was sent as JSON, in its own order, without marks of the cache."""
    return json.dumps(_remove_marks(value), ensure_ascii=False)


def _remove_marks(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _remove_marks(item) for name, item in value.items() if name != _MARK}
    return [_remove_marks(item) for item in value] if isinstance(value, list | tuple) else value


# --- the difference between two forms ---


def _describe_difference(dominant: str, other: str) -> str:
    """Describe the difference between two JSON values in a few words."""
    ours, theirs = json.loads(dominant), json.loads(other)
    if ours == theirs:
        return "key order or number format"
    mine, its = _content(ours), _content(theirs)
    if isinstance(mine, str) != isinstance(its, str):
        return "the form of the content, a text or a list of parts"
    if _remove_images(mine) == _remove_images(its) and mine != its:
        return "images"
    if _remove_spaces(ours) == _remove_spaces(theirs):
        return "white space"
    return "fields that no block holds"


def _content(value: Any) -> Any:
    return value.get("content") if isinstance(value, dict) else value


def _remove_images(content: Any) -> Any:
    if not isinstance(content, list):
        return content
    return [part for part in content if not isinstance(part, dict) or part.get("type") not in _IMAGES]


def _remove_spaces(value: Any) -> Any:
    if isinstance(value, str):
        return "".join(value.split())
    if isinstance(value, dict):
        return {name: _remove_spaces(item) for name, item in value.items()}
    return [_remove_spaces(item) for item in value] if isinstance(value, list) else value
