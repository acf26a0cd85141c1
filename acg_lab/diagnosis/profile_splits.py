"""Find what splits the requests of an agent into several profiles where one could serve.

Profiles are compared by the parts of their learning keys (acg_lab/docs/rules/learner.md, section 3). Each part is
traced to the blocks that it comes from.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Literal, NamedTuple, TypeAlias

from acg_lab._format import counted
from acg_lab.core.keys import LearningKey, parse_learning_key
from acg_lab.diagnosis.block_history import sort_by_time
from acg_lab.diagnosis.context import AnalysisContext, requests_needed
from acg_lab.diagnosis.finding import Kind, Timing
from acg_lab.diagnosis.phrases import (
    describe_change,
    describe_moment,
    describe_slots,
    name_others,
    to_sentence,
    tokens_per_request,
)
from acg_lab.diagnosis.sent_forms import describe_respects
from acg_lab.diagnosis.split_causes import (
    MIN_ENTANGLED,
    SplitCause,
    are_independent,
    find_split_cause,
    find_split_causes,
    values_of_cause,
)

__all__ = ["ProfileSplit", "describe_splits", "find_splits", "mean_tokens"]

_PARTS = {
    "system": "the system prompt",
    "tools": "the tools",
    "response_format": "the response format",
    "model": "the model",
}
_MERGED = "*"  # in place of a part that no longer separates keys
_HALF = 0.5
_UNNAMED = (
    Kind.UNKNOWN,
    Kind.REDACTED,
    Kind.VARIANTS,
    Kind.FEATURE_VARIANTS,
    Kind.CHANGED_ONCE,
    Kind.OPTIONAL_SENTENCE,
)  # described after others


class ProfileSplit(NamedTuple):
    """Profiles that differ in one part of their keys, or in several parts that change together.

    Attributes
    ----------
    causes : tuple of SplitCause
        One for each part, those of a known kind first.
    keys : tuple of str
        Learning keys of the profiles, the largest first.
    n_apart : int
        How many profiles there would be if first messages separated none, since those have a split of their own.
    shared : float
        Tokens per request that all profiles share.
    lost : float
        Of these, the tokens per request that could not be cached because a request met a profile too young for
        production to plan for, beyond what one profile would have lost.
    is_replaced : bool
        Whether one prompt replaced another that it shares nothing with; ``shared`` is then the length of either.
    others : tuple of SplitCause
        Other causes in the same part, of which each has a split of its own; this one is as if they were mended.
    """

    causes: tuple[SplitCause, ...]
    keys: tuple[str, ...]
    n_apart: int
    shared: float
    lost: float
    is_replaced: bool = False
    others: tuple[SplitCause, ...] = ()

    @property
    def main(self) -> SplitCause:
        """The cause that is described first."""
        return self.causes[0]

    @property
    def kind(self) -> Kind:
        """The kind of the main cause."""
        return self.main.kind

    @property
    def details(self) -> tuple[str, ...]:
        """What the detector found, and which other parts change too; never prompt text."""
        seen = self.main.detection.details if self.main.detection else ()
        return (*seen, *(f"also {cause.part}" for cause in self.causes[1:]))

    @property
    def requests(self) -> int:
        """How many requests the profiles have."""
        return len(self.main.block.rows)


def find_splits(context: AnalysisContext) -> Iterator[ProfileSplit]:
    """Yield the splits of all agents; a profile may be in several."""
    snapshot = context.snapshot
    keys = [key for key in context.results if context.results[key].total_observations]
    for agent_id, of_agent in groupby(
        sorted(keys, key=lambda k: snapshot.owners[k].agent_id), lambda k: snapshot.owners[k].agent_id
    ):
        parsed = {key: found for key in of_agent if (found := parse_learning_key(key, agent_id=agent_id))}
        for parts, members in _separate(context, parsed):
            yield from _build_splits(context, parts, members)


_Separated: TypeAlias = tuple[Sequence[str], Sequence[Sequence[str]]]
_Units: TypeAlias = Mapping[LearningKey, list[str]]


def _separate(context: AnalysisContext, parsed: Mapping[str, LearningKey]) -> Iterator[_Separated]:
    """Yield parts in which keys differ, with these keys; keys in one inner list do not differ in these parts.

    Parts are taken one after the other, as if the parts before were fixed, so that each gets its own share of the loss.
    First messages come first, since before 0.8 a new one accompanies any other difference; then the part that costs
    most. The keys that are left differ in several parts that only change together.
    """
    units: dict[LearningKey, list[str]] = {}
    for key, parts in parsed.items():
        units.setdefault(parts._replace(seed=""), []).append(key)
    yield from ((("seed",), [[key] for key in keys]) for keys in units.values() if len(keys) > 1)
    if entangled := _find_entangled(units):
        yield entangled, list(units.values())
        return
    left = [*_PARTS]
    while left:
        apart = {part: _group_alike_but(units, part) for part in left}
        costs = {
            part: sum(_count_young_requests(context, [units[u] for u in alike]) for alike in apart[part])
            for part in left
        }
        part = max(left, key=costs.__getitem__)
        left.remove(part)
        for alike in apart[part]:
            members = [units.pop(unit) for unit in alike]
            yield (part,), members
            units[alike[0]._replace(**{part: _MERGED})] = [key for keys in members for key in keys]
    values = {part: {getattr(unit, part) for unit in units} for part in _PARTS}
    if several := [part for part, found in values.items() if len(found) > 1 and _MERGED not in found]:
        yield several, list(units.values())


def _find_entangled(units: _Units) -> list[str]:
    """Return the parts that differ, if two of them have another value in most keys, which then agree in neither."""
    counts = {part: len({getattr(unit, part) for unit in units}) for part in _PARTS}
    many = [part for part, count in counts.items() if count >= _HALF * len(units)]
    is_entangled = len(many) > 1 and len(units) >= MIN_ENTANGLED
    return [part for part, count in counts.items() if count > 1] if is_entangled else []


def _group_alike_but(units: _Units, part: str) -> list[list[LearningKey]]:
    """Return lists of the units that agree in all but one part."""
    found: dict[LearningKey, list[LearningKey]] = {}
    for unit in units:
        found.setdefault(unit._replace(**{part: _MERGED}), []).append(unit)
    return [members for members in found.values() if len(members) > 1]


def _build_splits(
    context: AnalysisContext, parts: Sequence[str], members: Sequence[Sequence[str]]
) -> Iterator[ProfileSplit]:
    """Yield the split of some profiles, or one for each cause; none if no block is what a part could come from."""
    keys = sorted(
        (key for together in members for key in together),
        key=lambda key: (-context.results[key].total_observations, key),
    )
    rows = sort_by_time(context.source, [context.source.number[key] for key in keys])
    of_parts = {part: list(find_split_causes(context, part, keys, rows)) for part in parts}
    several = [cause for found in of_parts.values() for cause in found]
    if len(several) > 1 and are_independent(context, several, members):
        yield from _split_by_cause(context, several, keys, members)
        return
    together = {part: found[0] for part, found in of_parts.items() if len(found) == 1}
    known = (together.get(part) or find_split_cause(context, part, keys, rows) for part in parts)
    causes = [cause for cause in known if cause is not None]
    if not causes:
        return
    causes.sort(key=lambda cause: cause.kind in _UNNAMED)
    templates = [
        cause.block
        for cause in causes
        if cause.part in ("system", "response_format")
        or (cause.part == "seed" and cause.kind is not Kind.FRAGMENTED_BY_FIRST_MESSAGE)
    ]
    shared = context.count_steady_tokens(causes[0].block, ())
    shared += sum(_tokens_inside(context, cause) for cause in causes if cause.block in templates)
    is_replaced = shared < 1 and causes[0].change_history.timing is Timing.ONCE
    if is_replaced:
        shared = sum(context.prefix_tokens(key) * context.results[key].total_observations for key in keys) / len(rows)
    lost = shared * _count_young_requests(context, members) / len(rows)
    yield ProfileSplit(tuple(causes), tuple(keys), len(members), shared, lost, is_replaced=is_replaced)


def _tokens_inside(context: AnalysisContext, cause: SplitCause) -> float:
    """Return the tokens per request of a cause's block that do not change, or say the same in other forms."""
    if cause.block.form.content_type == "tool_schema":
        return 0.0
    return context.count_tokens_inside(cause.block, cause.kind)


def _split_by_cause(
    context: AnalysisContext, causes: Sequence[SplitCause], keys: Sequence[str], members: Sequence[Sequence[str]]
) -> Iterator[ProfileSplit]:
    """Yield a split for each of several causes, as it would be if the others were mended."""
    steady = context.count_steady_tokens(causes[0].block, ())
    inside = {(cause.part, cause.block.span): _tokens_inside(context, cause) for cause in causes}
    for cause in causes:
        alike: dict[object, list[str]] = {}
        for together, value in zip(members, values_of_cause(context, cause, members), strict=True):
            alike.setdefault(value, []).extend(together)
        if len(alike) < 2:  # noqa: PLR2004
            continue
        of_block = {(cause.part, cause.block.span): _tokens_inside(context, cause)}
        shared = steady + sum({**inside, **of_block}.values())
        lost = shared * _count_young_requests(context, list(alike.values())) / len(cause.block.rows)
        others = tuple(other for other in causes if other is not cause)
        yield ProfileSplit((cause,), tuple(keys), len(alike), shared, lost, others=others)


def _count_young_requests(context: AnalysisContext, members: Sequence[Sequence[str]]) -> int:
    """Return how many requests met a profile too young to plan for, beyond those of one single profile."""
    needed = requests_needed(context.thresholds)
    counts = [sum(context.results[key].total_observations for key in together) for together in members]
    return sum(min(count, needed) for count in counts) - min(sum(counts), needed)


def describe_splits(context: AnalysisContext, splits: Sequence[ProfileSplit]) -> str:
    """Return one sentence on what causes similar splits, by the first of them."""
    main = splits[0].main
    others = [name for part, name in _PARTS.items() if part in {cause.part for cause in splits[0].causes[1:]}]
    agent_id = context.snapshot.owners[splits[0].keys[0]].agent_id
    profiles = counted(sum(len(split.keys) for split in splits), "profile")
    fewer = "each learn what one profile" if len(splits) == 1 else f"learn what {len(splits):,} profiles"
    lost = tokens_per_request(mean_tokens(splits, "lost"))
    if splits[0].others:
        profiles = counted(sum(split.n_apart for split in splits), "profile")
        fewer = f"would still {fewer}"
    cost = f"{profiles} of {agent_id!r} {fewer} could, which costs {lost}"
    if splits[0].is_replaced:
        cost = f"the governor learned it anew, which costs {lost}"
    why = _describe_cause(context, splits[0].keys, main)
    if splits[0].others:
        why += f"; with {name_others(len(splits[0].others))} mended"
        return to_sentence(f"{why}, {cost}")
    if others:
        why += f", and with it {' and '.join(others)}"
    return to_sentence(f"{why}: {cost}")


def mean_tokens(splits: Sequence[ProfileSplit], name: Literal["lost", "shared"]) -> float:
    """Return the mean tokens per request of some splits."""
    tokens: float = sum(getattr(split, name) * split.requests for split in splits)
    return tokens / sum(split.requests for split in splits)


def _describe_cause(context: AnalysisContext, keys: Sequence[str], cause: SplitCause) -> str:
    block = cause.block
    if cause.kind is Kind.MODEL_CHANGED:
        return _describe_models(context, keys, cause)
    if cause.kind is Kind.FRAGMENTED_BY_FIRST_MESSAGE:
        return f"the first message, {block.span_id!r}, is part of the learning key and {describe_change(block)}"
    if cause.kind is Kind.RAW_BYTES_DIFFER:
        how = describe_respects(cause.differ or ("white space or images",))
        return f"learning keys differ in {cause.part}= although the blocks are equal: {how}"
    if cause.kind is Kind.CACHE_MARKS:
        return (
            f"only the cache marks of {_PARTS[cause.part]} differ; the provider sees the same content, but the "
            "governor learns by it: send them in every request or in none"
        )
    if cause.detection is None:
        return f"{block.name} {describe_change(block)}: {describe_slots(block)}"
    return cause.detection.describe(block)


def _describe_models(context: AnalysisContext, keys: Sequence[str], cause: SplitCause) -> str:
    agent_id = context.snapshot.owners[keys[0]].agent_id
    parsed = (parse_learning_key(key, agent_id=agent_id) for key in _sort_by_age(context, keys))
    models = ", ".join(dict.fromkeys(repr(key.model) for key in parsed if key))
    if cause.change_history.timing is Timing.ONCE:
        return f"the model ({models}) changed{describe_moment(cause.block, cause.change_history)}"
    how = "changes repeatedly" if cause.change_history.timing is Timing.DRIFTING else "changes alternately"
    return f"the model {how}, which may be intended ({models})"


def _sort_by_age(context: AnalysisContext, keys: Sequence[str]) -> list[str]:
    """Return keys in the order of their oldest observations."""
    source = context.source
    return sorted(keys, key=lambda key: source.created.nanoseconds[source.observations_of(source.number[key])[0]])
