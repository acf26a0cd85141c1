"""Find blocks that are stable to the learner but that the provider gets in several forms.

The learner compares texts with white space normalised, tools and response formats in canonical form, and no images; a
provider compares bytes, from the first one on. Invariant: marks of the cache do not count as a difference.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from acg_lab.core.errors import RecordError
from acg_lab.core.messages import message_rule, system_items
from acg_lab.core.prompt_ir import normalize_whitespace
from acg_lab.core.records import AnnotatedLlmRequest
from acg_lab.core.rule_types import Draft
from acg_lab.core.rules import Rules, get_rules
from acg_lab.diagnosis.context import AnalysisContext
from acg_lab.diagnosis.sent_forms import MARKS, describe_forms, print_form
from acg_lab.snapshot.request_reader import LearningKeys
from acg_lab.storage.recorded_runs import Call, Runs
from acg_lab.storage.times import parse_time

__all__ = ["RawDifference", "compare_parts", "find_raw_differences"]


_SETTINGS = ("text", "output_config")  # settings of which the format is one
_FORMATS = ("response_format", "output_format", *_SETTINGS)


class RawDifference(NamedTuple):
    """A block of a profile's stable prefix that the provider gets in several forms.

    ``span_id`` is None for a response format that is no block to the learner. ``rank`` is the first block that the
    provider gets differently, ``counts`` the requests of each form, the commonest first, and ``differ`` the respects in
    which the forms differ from the commonest. ``changed_at`` is the time, in nanoseconds since 1970, from which
    on one form replaced the other for good; None if it did not.
    """

    key: str
    span_id: str | None
    rank: int
    counts: tuple[int, ...]
    differ: tuple[str, ...]
    changed_at: int | None = None

    @property
    def share(self) -> float:
        """Share of the requests that do not have the commonest form."""
        return 1 - self.counts[0] / sum(self.counts)


class _SentBlock(NamedTuple):
    """What was sent as one or more blocks: position and name of the first, what the learner sees, and the JSON."""

    rank: int
    span_id: str | None
    seen: object
    form: str


def find_raw_differences(context: AnalysisContext) -> Iterator[RawDifference]:
    """Yield the blocks of each profile's stable prefix that recorded runs show in several forms.

    Of blocks whose forms differ in the same respects, only the first is yielded: from there on nothing is read.
    """
    lengths = {
        key: result.stable_prefix_length for key, result in context.results.items() if result.stable_prefix_length
    }
    readers: dict[tuple[str, str], dict[str, int]] = {}
    for key, length in lengths.items():
        readers.setdefault((context.snapshot.owners[key].agent_id, context.snapshot.rules[key].rules), {})[key] = length
    for (agent_id, rules), of_agent in readers.items():
        yield from _find_in_runs(_Reader(context.snapshot.runs, agent_id, get_rules(rules)), of_agent)


def _find_in_runs(reader: "_Reader", lengths: Mapping[str, int]) -> Iterator[RawDifference]:
    forms: dict[str, dict[tuple[int, str, object], dict[str, _Sent]]] = {}
    for key, call in reader.calls(lengths):
        of_key = forms.setdefault(key, {})
        started = parse_time(call.record.started_at) if call.record.started_at else None
        for sent in reader.sent(call, lengths[key]):
            known = of_key.setdefault((sent.rank, sent.span_id or "", sent.seen), {})
            known.setdefault(sent.form, _Sent()).add(started)
    for key, of_key in forms.items():
        several = [(rank, span_id, known) for (rank, span_id, _), known in of_key.items() if len(known) > 1]
        several.sort(key=lambda item: (item[0], -sum(one.n for one in item[2].values())))
        reported: set[tuple[str, ...]] = set()
        for rank, span_id, known in several:
            ordered = dict(sorted(known.items(), key=lambda item: -item[1].n))
            differ = describe_forms(ordered)
            if differ not in reported:
                reported.add(differ)
                counts = tuple(one.n for one in ordered.values())
                yield RawDifference(key, span_id or None, rank, counts, differ, _find_moment([*ordered.values()]))


@dataclass
class _Sent:
    """How often one form was sent, and when first and last, in nanoseconds since 1970."""

    n: int = 0
    first: int | None = None
    last: int | None = None

    def add(self, started: int | None) -> None:
        self.n += 1
        if started is not None:
            self.first = started if self.first is None else min(self.first, started)
            self.last = started if self.last is None else max(self.last, started)


def _find_moment(sent: Sequence[_Sent]) -> int | None:
    """Return from when on one form replaced another for good; None if it did not, or if no times are known."""
    if len(sent) != 2 or min(one.n for one in sent) < 2:  # noqa: PLR2004  one request may be a stray
        return None
    if any(one.first is None for one in sent):
        return None
    old, new = sorted(sent, key=lambda one: one.first or 0)
    return new.first if (old.last or 0) < (new.first or 0) else None


class _Reader:
    """Reads an agent's recorded requests by one rules version, each distinct message once."""

    def __init__(self, runs: Runs, agent_id: str, rules: Rules) -> None:
        self._runs, self._agent_id, self._rules = runs, agent_id, rules
        self._messages: dict[int, tuple[bool, tuple[Draft, ...], str]] = {}
        self._tools: dict[int, tuple[tuple[str, str], ...]] = {}
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
            self._messages[code] = rule.scaffold, drafts, print_form(message)
        return self._messages[code]

    def sent(self, call: Call, length: int) -> Iterator[_SentBlock]:
        """Yield what a request sends as its first ``length`` blocks."""
        request, rank = _without_messages(call), 0
        for draft in self._rules.opening(self._rules, request):
            form = print_form({"content": request.unknown["instructions"]})
            yield _SentBlock(rank, f"{draft.role}-{rank}{draft.suffix}", draft.content, form)
            rank += 1
        before_tools = True
        for scaffold, drafts, form in map(self._message, call.messages.tolist()):
            if before_tools and not scaffold:
                before_tools = False
                yield from self._sent_tools(call, request, rank)
                rank += self._count_tools(call, request)
            if rank >= length:
                return
            if drafts:
                yield _SentBlock(rank, f"{drafts[0].role}-{rank}{drafts[0].suffix}", drafts, form)
            rank += len(drafts)
        if before_tools:
            yield from self._sent_tools(call, request, rank)

    def _count_tools(self, call: Call, request: AnnotatedLlmRequest) -> int:
        n_tools = 0 if call.tools < 0 else len(self._runs.values.value(call.tools))
        return n_tools + len(list(self._rules.closing(self._rules, request)))

    def _sent_tools(self, call: Call, request: AnnotatedLlmRequest, rank: int) -> Iterator[_SentBlock]:
        """Yield each tool and the response format, which a provider renders before everything else."""
        if call.tools >= 0:
            tools = self._tools.get(call.tools)
            if tools is None:
                found = self._runs.values.value(call.tools)
                tools = tuple((self._rules.tool_name(tool), print_form(tool)) for tool in found)
                self._tools[call.tools] = tools
            for number, (name, form) in enumerate(tools, rank):
                yield _SentBlock(number, f"system-{number}-{name}", "tool", form)
        value = _find_format(request)
        if value is not None:
            last = rank + self._count_tools(call, request) - 1
            names = [f"{draft.role}-{last}{draft.suffix}" for draft in self._rules.closing(self._rules, request)]
            yield _SentBlock(0, names[0] if names else None, "response format", print_form(value))


def _find_format(request: AnnotatedLlmRequest) -> object:
    """Return the response format, which codecs of the runtime keep among the fields of an API; None without one."""
    unknown = request.unknown
    specific = unknown.get("api_specific")
    for fields in (unknown, specific if isinstance(specific, Mapping) else {}):
        for name in _FORMATS:
            found = fields.get(name)
            found = found.get("format") if name in _SETTINGS and isinstance(found, Mapping) else found
            if isinstance(found, Mapping):
                return found
    return None


def _without_messages(call: Call) -> AnnotatedLlmRequest:
    return call.request or AnnotatedLlmRequest(messages=())


# --- parts of learning keys ---


def compare_parts(context: AnalysisContext, part: str, keys: Sequence[str]) -> tuple[str, ...]:
    """Return in which respects requests differ that one part of their learning keys separates.

    `MARKS` is the only respect if it is all that differs. Nothing is returned where requests are not recorded.

    Parameters
    ----------
    part : str
        ``"system"``, ``"tools"`` or ``"response_format"``; of any other, nothing is known.
    keys : sequence of str
        Learning keys of one agent.
    """
    calls = [context.first_calls[key] for key in keys if key in context.first_calls]
    if part not in _PARTS or len(calls) < len(keys):
        return ()
    runs = context.snapshot.runs
    values = [_PARTS[part](get_rules(context.snapshot.rules[keys[0]].rules), runs.request(call)) for call in calls]
    forms = list(dict.fromkeys(map(print_form, values)))
    if len(forms) > 1:
        return describe_forms(forms)
    return (MARKS,) if any(value != values[0] for value in values) else ()


_PARTS: Mapping[str, Callable[[Rules, AnnotatedLlmRequest], object]] = {
    "system": system_items,
    "tools": lambda _rules, request: list(request.tools or ()),
    "response_format": lambda _rules, request: request.unknown.get("response_format"),
}
