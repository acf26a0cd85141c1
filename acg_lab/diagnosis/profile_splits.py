"""What makes several profiles of an agent where there could be one.

Belongs here: profiles whose learning keys differ in one part, and what of the requests that part comes from.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, zip_longest
from typing import Literal, NamedTuple, TypeAlias

from acg_lab._format import counted
from acg_lab.core.keys import LearningKey, parse_learning_key
from acg_lab.diagnosis.block_history import BlockHistory, ChangeHistory, in_time, read_sequence
from acg_lab.diagnosis.context import AnalysisContext, requests_needed
from acg_lab.diagnosis.detectors import Match, detect
from acg_lab.diagnosis.finding import Kind, Timing
from acg_lab.diagnosis.phrases import lost, moment, sentence, when
from acg_lab.storage.columns import Form

__all__ = ["Cause", "Group", "find_groups", "mean_of", "tell_groups"]

_PARTS = {
    "system": "the system prompt",
    "tools": "the tools",
    "response_format": "the response format",
    "model": "the model",
}
_MERGED = "*"  # of keys that are taken for one
_EXACTLY = 1.0  # keys know no majority
_BEYOND_NAMES = (Kind.UNKNOWN, Kind.VARIANTS)


class Cause(NamedTuple):
    """What one part of learning keys comes from, and how it changes."""

    part: str
    change: BlockHistory
    sequel: ChangeHistory
    kind: Kind
    match: Match | None


class Group(NamedTuple):
    """Profiles that one part of their keys keeps apart, largest first, or several parts that change together.

    ``causes`` are one for each part, what can be named first. ``n_apart`` is how many profiles there would be if first
    messages kept none apart: those have a group of their own. ``lost`` are tokens of a request, in the mean: those that
    all profiles share, of requests that met one of these that was too young for production to plan anything, beyond
    what one profile would have cost.
    """

    causes: tuple[Cause, ...]
    keys: tuple[str, ...]
    n_apart: int
    shared: float
    lost: float

    @property
    def main(self) -> Cause:
        """What is told first."""
        return self.causes[0]

    @property
    def kind(self) -> Kind:
        """What kind of change it is."""
        return self.main.kind

    @property
    def details(self) -> tuple[str, ...]:
        """What the detector saw, and which other parts change too; never prompt text."""
        seen = self.main.match.details if self.main.match else ()
        return (*seen, *(f"{cause.part} too" for cause in self.causes[1:]))

    @property
    def requests(self) -> int:
        """How many requests its profiles have."""
        return len(self.main.change.rows)


def find_groups(case: AnalysisContext) -> Iterator[Group]:
    """Yield the groups of every agent; a profile may be in several."""
    snapshot = case.snapshot
    keys = [key for key in case.results if case.results[key].total_observations]
    for agent_id, of_agent in groupby(
        sorted(keys, key=lambda k: snapshot.owners[k].agent_id), lambda k: snapshot.owners[k].agent_id
    ):
        parsed = {key: found for key in of_agent if (found := parse_learning_key(key, agent_id=agent_id))}
        for parts, members in _apart(case, parsed):
            if (group := _group(case, parts, members)) is not None:
                yield group


_Apart: TypeAlias = tuple[Sequence[str], Sequence[Sequence[str]]]
_Units: TypeAlias = Mapping[LearningKey, list[str]]


def _apart(case: AnalysisContext, parsed: Mapping[str, LearningKey]) -> Iterator[_Apart]:
    """Yield parts that keys differ in, and these keys; those that are together need no mending of these parts.

    Parts are taken one after the other, as if those before were mended: so each has its own share of what is lost.
    First messages come first, as before 0.8 a fresh one goes with any other difference; then what costs most. What is
    left differs in several parts that only change together.
    """
    units: dict[LearningKey, list[str]] = {}
    for key, parts in parsed.items():
        units.setdefault(parts._replace(seed=""), []).append(key)
    yield from ((("seed",), [[key] for key in keys]) for keys in units.values() if len(keys) > 1)
    left = [*_PARTS]
    while left:
        apart = {part: _alike_but(units, part) for part in left}
        costs = {part: sum(_young(case, [units[u] for u in alike]) for alike in apart[part]) for part in left}
        part = max(left, key=costs.__getitem__)
        left.remove(part)
        for alike in apart[part]:
            members = [units.pop(unit) for unit in alike]
            yield (part,), members
            units[alike[0]._replace(**{part: _MERGED})] = [key for keys in members for key in keys]
    values = {part: {getattr(unit, part) for unit in units} for part in _PARTS}
    if several := [part for part, found in values.items() if len(found) > 1 and _MERGED not in found]:
        yield several, list(units.values())


def _alike_but(units: _Units, part: str) -> list[list[LearningKey]]:
    """Return the units together that agree in all but one part."""
    found: dict[LearningKey, list[LearningKey]] = {}
    for unit in units:
        found.setdefault(unit._replace(**{part: _MERGED}), []).append(unit)
    return [members for members in found.values() if len(members) > 1]


def _group(case: AnalysisContext, parts: Sequence[str], members: Sequence[Sequence[str]]) -> Group | None:
    """Tell what keeps profiles apart; None where their requests have no block that a part could come from."""
    keys = sorted(
        (key for together in members for key in together),
        key=lambda key: (-case.results[key].total_observations, key),
    )
    rows = in_time(case.source, [case.source.number[key] for key in keys])
    causes = [cause for part in parts if (cause := _cause(case, part, keys, rows)) is not None]
    if not causes:
        return None
    causes.sort(key=lambda cause: cause.kind in _BEYOND_NAMES)
    templates = [cause.change for cause in causes if cause.part in ("system", "response_format")]
    shared = case.steady_tokens(causes[0].change, ())
    shared += sum(case.template_tokens(change) for change in templates if change.form.content_type != "tool_schema")
    lost = shared * _young(case, members) / len(rows)
    return Group(tuple(causes), tuple(keys), len(members), shared, lost)


def _cause(case: AnalysisContext, part: str, keys: Sequence[str], rows: Sequence[int]) -> Cause | None:
    span = _changed_span(case, part, rows)
    if span is None:
        return None
    change = BlockHistory(case.source, rows, span, _EXACTLY)
    match, kind, sequel = None, Kind.UNKNOWN, change.sequel
    if part == "model":
        kind, sequel = Kind.MODEL_CHANGED, _sequel_of_keys(case, keys)
    elif part == "seed":
        kind = Kind.FRAGMENTED_BY_FIRST_MESSAGE
    elif sequel.timing is None:
        kind, sequel = Kind.RAW_BYTES_DIFFER, _sequel_of_keys(case, keys)
    elif (match := detect(change)) is not None:
        kind = match.detector.kind
    return Cause(part, change, sequel, kind, match)


def _changed_span(case: AnalysisContext, part: str, rows: Sequence[int]) -> int | None:
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


def _sequel_of_keys(case: AnalysisContext, keys: Sequence[str]) -> ChangeHistory:
    source = case.source
    owner = {row: key for key in keys for row in source.observations_of(source.number[key])}
    rows = in_time(source, [source.number[key] for key in keys])
    return read_sequence([owner[row] for row in rows])


def _young(case: AnalysisContext, members: Sequence[Sequence[str]]) -> int:
    """Return how many requests met a profile too young to plan for, beyond those that one would have had."""
    needed = requests_needed(case.thresholds)
    counts = [sum(case.results[key].total_observations for key in together) for together in members]
    return sum(min(count, needed) for count in counts) - min(sum(counts), needed)


def tell_groups(case: AnalysisContext, groups: Sequence[Group]) -> str:
    """Say what keeps the profiles of groups that are alike apart, in one sentence, told of the first."""
    main = groups[0].main
    others = [name for part, name in _PARTS.items() if part in {cause.part for cause in groups[0].causes[1:]}]
    agent_id = case.snapshot.owners[groups[0].keys[0]].agent_id
    profiles = counted(sum(len(group.keys) for group in groups), "profile")
    fewer = "one" if len(groups) == 1 else f"{len(groups):,}"
    cost = f"{profiles} of {agent_id!r} learn apart what {fewer} could, which costs {lost(mean_of(groups, 'lost'))}"
    why = _why(case, groups[0].keys, main)
    if others:
        why += f", and with it {' and '.join(others)}"
    return sentence(f"{why}: {cost}")


def mean_of(groups: Sequence[Group], name: Literal["lost", "shared"]) -> float:
    """Return the tokens of a request of some groups, in the mean."""
    tokens: float = sum(getattr(group, name) * group.requests for group in groups)
    return tokens / sum(group.requests for group in groups)


def _why(case: AnalysisContext, keys: Sequence[str], cause: Cause) -> str:
    agent_id = case.snapshot.owners[keys[0]].agent_id
    change = cause.change
    if cause.kind is Kind.MODEL_CHANGED:
        parsed = (parse_learning_key(key, agent_id=agent_id) for key in _by_age(case, keys))
        models = ", ".join(dict.fromkeys(repr(key.model) for key in parsed if key))
        if cause.sequel.timing is Timing.ONCE:
            return f"the model changed{moment(change, cause.sequel)}, no fault if it was meant ({models})"
        often = "time and again" if cause.sequel.timing is Timing.DRIFTING else "back and forth"
        return f"the model changes {often}, no fault if it was meant ({models})"
    if cause.kind is Kind.FRAGMENTED_BY_FIRST_MESSAGE:
        return f"the first message, {change.span_id!r}, is part of the learning key and changes {when(change)}"
    if cause.kind is Kind.RAW_BYTES_DIFFER:
        return f"learning keys differ in {cause.part}= though the blocks do not: in white space, or images"
    if cause.match is None:
        return f"{change.span_id!r} changes {when(change)}, by no known pattern"
    return cause.match.tell(change)


def _by_age(case: AnalysisContext, keys: Sequence[str]) -> list[str]:
    """Return keys in the order in which their windows began."""
    source = case.source
    return sorted(keys, key=lambda key: source.created.nanoseconds[source.observations_of(source.number[key])[0]])
