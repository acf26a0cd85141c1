"""What makes several profiles of an agent where there could be one.

Belongs here: profiles whose learning keys differ in one part, and what of the requests that part comes from.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, zip_longest
from typing import NamedTuple

from acg_lab.core.keys import LearningKey, parse_learning_key
from acg_lab.explain.case import Case, requests_needed
from acg_lab.explain.change import Change, in_time
from acg_lab.explain.detectors import Match, detect
from acg_lab.explain.finding import Kind, Timing
from acg_lab.explain.timing import Sequel, read_sequence
from acg_lab.explain.words import lost, moment, sentence, when
from acg_lab.snapshot.model import counted
from acg_lab.storage.columns import Form

__all__ = ["Group", "find_groups", "tell_group"]

# Beside the part itself, these are not asked for: before 0.8 a fresh first message goes with any other difference.
_PARTS: Mapping[str, tuple[str, ...]] = {
    "seed": ("seed",),
    "system": ("seed", "system"),
    "tools": ("seed", "tools"),
    "response_format": ("seed", "response_format"),
    "model": ("seed", "model"),
}
_EXACTLY = 1.0  # keys know no majority


class Group(NamedTuple):
    """Profiles that one part of their keys keeps apart, largest first.

    ``lost`` are tokens of a request, in the mean: those that all of them share, of requests that met a profile too
    young for production to plan anything, beyond what one profile would have cost.
    """

    part: str
    keys: tuple[str, ...]
    change: Change
    sequel: Sequel
    kind: Kind
    match: Match | None
    shared: float
    lost: float

    @property
    def details(self) -> tuple[str, ...]:
        """What the detector saw, never prompt text."""
        return self.match.details if self.match else ()


def find_groups(case: Case) -> Iterator[Group]:
    """Yield the groups of every agent; a profile may be in several."""
    snapshot = case.snapshot
    keys = [key for key in case.results if case.results[key].total_observations]
    for agent_id, of_agent in groupby(
        sorted(keys, key=lambda k: snapshot.owners[k].agent_id), lambda k: snapshot.owners[k].agent_id
    ):
        parsed = {key: found for key in of_agent if (found := parse_learning_key(key, agent_id=agent_id))}
        for part, ignored in _PARTS.items():
            for members in _apart(parsed, part, ignored):
                largest = sorted(members, key=lambda key: (-case.results[key].total_observations, key))
                if (group := _group(case, part, largest)) is not None:
                    yield group


def _apart(parsed: Mapping[str, LearningKey], part: str, ignored: Sequence[str]) -> Iterator[list[str]]:
    """Yield the keys that agree in all but some parts, where they differ in the one that is looked at."""
    together: dict[LearningKey, list[str]] = {}
    for key, parts in parsed.items():
        together.setdefault(parts._replace(**dict.fromkeys(ignored, "")), []).append(key)
    for members in together.values():
        if len({getattr(parsed[key], part) for key in members}) > 1:
            yield members


def _group(case: Case, part: str, keys: Sequence[str]) -> Group | None:
    """Tell what keeps profiles apart; None where their requests have no block that the part could come from."""
    rows = in_time(case.source, [case.source.number[key] for key in keys])
    span = _changed_span(case, part, rows)
    if span is None:
        return None
    change = Change(case.source, rows, span, _EXACTLY)
    match, kind, sequel = None, Kind.UNKNOWN, change.sequel
    shared = case.steady_tokens(change, ())
    if part == "model":
        kind, sequel = Kind.MODEL_CHANGED, _sequel_of_keys(case, keys)
    elif part == "seed":
        kind = Kind.FRAGMENTED_BY_FIRST_MESSAGE
    elif sequel.timing is None:
        kind, sequel = Kind.NORMALISED_AWAY, _sequel_of_keys(case, keys)
    elif (match := detect(change)) is not None:
        kind = match.detector.kind
    if change.form.content_type != "tool_schema" and part in ("system", "response_format"):
        shared += case.template_tokens(change)
    return Group(part, tuple(keys), change, sequel, kind, match, shared, shared * _too_young(case, keys))


def _changed_span(case: Case, part: str, rows: Sequence[int]) -> int | None:
    """Return the span of the first block of a part that is not the same in all requests; of its first, if all are."""
    source = case.source
    belongs = [_belongs(form, part) for form in source.form_pool]
    of_requests: list[list[tuple[int, int]]] = []
    for row in rows:
        blocks = slice(int(source.block_offsets[row]), int(source.block_offsets[row + 1]))
        columns = (column[blocks].tolist() for column in (source.spans, source.contents, source.forms))
        of_requests.append([(span, content) for span, content, form in zip(*columns, strict=True) if belongs[form]])
    places = list(zip_longest(*of_requests)) or [()]
    changed = next((blocks for blocks in places if len(set(blocks)) > 1), places[0])
    spans = Counter(block[0] for block in changed if block is not None)
    return spans.most_common(1)[0][0] if spans else None


def _belongs(form: Form, part: str) -> bool:
    """Whether blocks of a form are what a part of the learning key is made of; for the model, any block will do."""
    is_tool, is_format = form.content_type == "tool_schema", form.content_type == "structured_output"
    is_system = form.role == "system" and not is_tool and not is_format
    belongs = {"tools": is_tool, "response_format": is_format, "system": is_system, "model": True}
    return bool(belongs.get(part, not (is_tool or is_format or is_system)))


def _sequel_of_keys(case: Case, keys: Sequence[str]) -> Sequel:
    source = case.source
    owner = {row: key for key in keys for row in source.observations_of(source.number[key])}
    rows = in_time(source, [source.number[key] for key in keys])
    return read_sequence([owner[row] for row in rows])


def _too_young(case: Case, keys: Sequence[str]) -> float:
    """Return which share of the requests met a profile too young to plan for, beyond those that one would have had."""
    needed = requests_needed(case.thresholds)
    counts = [case.results[key].total_observations for key in keys]
    return (sum(min(count, needed) for count in counts) - min(sum(counts), needed)) / sum(counts)


def tell_group(case: Case, group: Group) -> str:
    """Say what keeps profiles apart, in one sentence."""
    agent_id = case.snapshot.owners[group.keys[0]].agent_id
    profiles = counted(len(group.keys), "profile")
    cost = f"{profiles} of {agent_id!r} learn apart what one could, which costs {lost(group.lost)}"
    return sentence(f"{_why(case, group, agent_id)}: {cost}")


def _why(case: Case, group: Group, agent_id: str) -> str:
    change = group.change
    if group.kind is Kind.MODEL_CHANGED:
        parsed = (parse_learning_key(key, agent_id=agent_id) for key in _by_age(case, group.keys))
        models = ", ".join(dict.fromkeys(repr(key.model) for key in parsed if key))
        if group.sequel.timing is Timing.ONCE:
            return f"the model changed{moment(change, group.sequel)}, no fault if it was meant ({models})"
        often = "time and again" if group.sequel.timing is Timing.DRIFTING else "back and forth"
        return f"the model changes {often}, no fault if it was meant ({models})"
    if group.kind is Kind.FRAGMENTED_BY_FIRST_MESSAGE:
        return f"the first message, {change.span_id!r}, is part of the learning key and hardly ever the same"
    if group.kind is Kind.NORMALISED_AWAY:
        return f"learning keys differ in {group.part}= though the blocks do not: in white space, or images"
    if group.match is None:
        return f"{change.span_id!r} changes {when(change)}, by no known pattern"
    return group.match.tell(change)


def _by_age(case: Case, keys: Sequence[str]) -> list[str]:
    """Return keys in the order in which their windows began."""
    source = case.source
    return sorted(keys, key=lambda key: source.created.nanoseconds[source.observations_of(source.number[key])[0]])
