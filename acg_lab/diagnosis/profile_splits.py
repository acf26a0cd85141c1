"""Find what splits the requests of an agent into several profiles where one could serve.

Profiles are compared by the parts of their learning keys (acg_lab/docs/rules/learner.md, section 3). Each part is
traced to the blocks that it comes from.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, zip_longest
from typing import Literal, NamedTuple, TypeAlias

from acg_lab._format import counted
from acg_lab.core.keys import LearningKey, parse_learning_key
from acg_lab.diagnosis.block_history import BlockHistory, ChangeHistory, find_changes, sort_by_time
from acg_lab.diagnosis.causes import find_causes_of_block
from acg_lab.diagnosis.context import AnalysisContext, requests_needed
from acg_lab.diagnosis.detectors import Detection, detect
from acg_lab.diagnosis.finding import Kind, Timing
from acg_lab.diagnosis.phrases import (
    describe_change,
    describe_moment,
    describe_slots,
    name_others,
    to_sentence,
    tokens_per_request,
)
from acg_lab.diagnosis.raw_differences import compare_parts
from acg_lab.diagnosis.sent_forms import MARKS, describe_respects
from acg_lab.storage.observation_columns import Form

__all__ = ["ProfileSplit", "SplitCause", "describe_splits", "find_splits", "mean_tokens"]

_PARTS = {
    "system": "the system prompt",
    "tools": "the tools",
    "response_format": "the response format",
    "model": "the model",
}
_MERGED = "*"  # in place of a part that no longer separates keys
_HALF = 0.5
_MAX_COMPARED = 32  # first messages that show whether all of them are alike
_MAX_BLOCKS = 8  # of a part that are looked at
_STRUCTURAL = (Kind.BLOCK_MISSING, Kind.SHIFTED)  # the blocks after it stand elsewhere
_EXACT = 1.0  # a key changes with every change, not only with a majority
_UNNAMED = (Kind.UNKNOWN, Kind.VARIANTS, Kind.CHANGED_ONCE, Kind.OPTIONAL_SENTENCE)  # described after others


class SplitCause(NamedTuple):
    """The block that one part of learning keys comes from, and how it changes.

    ``differ`` holds the respects in which requests differ that no block shows.
    """

    part: str
    block: BlockHistory
    change_history: ChangeHistory
    kind: Kind
    detection: Detection | None
    differ: tuple[str, ...] = ()


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
    if len(parts) == 1 and parts[0] in ("system", "tools", "response_format"):
        several = list(_find_causes(context, parts[0], keys, rows))
        if len(several) > 1:
            yield from _split_by_cause(context, several, keys, members)
            return
    causes = [cause for part in parts if (cause := _find_cause(context, part, keys, rows)) is not None]
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
    inside = {cause.block.span: _tokens_inside(context, cause) for cause in causes}
    first_rows = {key: context.source.observations_of(context.source.number[key])[0] for key in keys}
    for cause in causes:
        contents = dict(zip(cause.block.rows, cause.block.codes, strict=True))
        alike: dict[int | None, list[str]] = {}
        for together in members:
            alike.setdefault(contents[first_rows[together[0]]], []).extend(together)
        if len(alike) < 2:  # noqa: PLR2004
            continue
        shared = steady + sum({**inside, cause.block.span: _tokens_inside(context, cause)}.values())
        lost = shared * _count_young_requests(context, list(alike.values())) / len(cause.block.rows)
        others = tuple(other for other in causes if other is not cause)
        yield ProfileSplit((cause,), tuple(keys), len(alike), shared, lost, others=others)


def _find_cause(context: AnalysisContext, part: str, keys: Sequence[str], rows: Sequence[int]) -> SplitCause | None:
    span = _find_changed_span(context, part, rows)
    if span is None:
        return None
    block = BlockHistory(context.source, rows, span, _EXACT)
    detection, kind, change_history = None, Kind.UNKNOWN, block.change_history
    differ = compare_parts(context, part, keys)
    if part == "model":
        kind, change_history = Kind.MODEL_CHANGED, _find_key_changes(context, keys)
    elif part == "seed":
        kind = Kind.FRAGMENTED_BY_FIRST_MESSAGE
        if _varies_before_stable_text(context, block):
            detection = detect(block)
            kind = detection.detector.kind if detection else Kind.UNKNOWN
    elif differ == (MARKS,):
        kind, change_history = Kind.CACHE_MARKS, _find_key_changes(context, keys)
    elif change_history.timing is None:
        kind, change_history = Kind.RAW_BYTES_DIFFER, _find_key_changes(context, keys)
    elif (detection := detect(block)) is not None:
        kind = detection.detector.kind
    return SplitCause(part, block, change_history, kind, detection, differ)


def _find_causes(context: AnalysisContext, part: str, keys: Sequence[str], rows: Sequence[int]) -> Iterator[SplitCause]:
    """Yield the causes in one part of learning keys: of each block that differs, and in it of each kind."""
    differ = compare_parts(context, part, keys)
    if differ == (MARKS,):
        return
    for span in _find_changed_spans(context, part, rows):
        block = BlockHistory(context.source, rows, span, _EXACT)
        if block.change_history.timing is None:
            return
        for cause in find_causes_of_block(block):
            yield SplitCause(part, cause.block, cause.block.change_history, cause.kind, cause.detection, differ)
            if cause.kind in _STRUCTURAL:
                return


def _varies_before_stable_text(context: AnalysisContext, block: BlockHistory) -> bool:
    """Return whether something varies in first messages before most of what they all say; few of many are looked at."""
    step = max(len(block.rows) // _MAX_COMPARED, 1)
    sample = BlockHistory(block.source, block.rows[::step], block.span, block.threshold)
    if context.count_template_tokens(sample) == 0:
        return False
    template = block.template
    if template is None or not template.slots or context.count_template_tokens(block) == 0:
        return False
    before = len(template.texts[template.reference][: template.slots[0].offset].encode())
    return template.count_shared_bytes() - before >= _HALF * template.count_shared_bytes()


def _find_changed_span(context: AnalysisContext, part: str, rows: Sequence[int]) -> int | None:
    """Return the span of the first block of a part that differs between requests, else of its first block."""
    return next(iter(_find_changed_spans(context, part, rows)), None)


def _find_changed_spans(context: AnalysisContext, part: str, rows: Sequence[int]) -> list[int]:
    """Return the spans of the blocks of a part that differ between requests, in order, else that of its first block.

    Of tools it is the first one, which stands for the list.
    """
    source = context.source
    belongs = [_belongs(form, part) for form in source.form_pool]
    of_requests: list[list[tuple[int, int]]] = []
    for row in rows:
        blocks = slice(int(source.block_offsets[row]), int(source.block_offsets[row + 1]))
        columns = (column[blocks].tolist() for column in (source.spans, source.contents, source.forms))
        of_requests.append([(span, content) for span, content, form in zip(*columns, strict=True) if belongs[form]])
    positions = list(zip_longest(*of_requests)) or [()]
    changed = [blocks for blocks in positions if len(set(blocks)) > 1] or positions[:1]
    counts = [Counter(block[0] for block in blocks if block is not None) for blocks in changed]
    spans = [of_position.most_common(1)[0][0] for of_position in counts if of_position]
    return spans[:1] if part == "tools" else list(dict.fromkeys(spans))[:_MAX_BLOCKS]


def _belongs(form: Form, part: str) -> bool:
    """Return whether a part of the learning key comes from blocks of a form; for the model, any block will do."""
    is_tool, is_format = form.content_type == "tool_schema", form.content_type == "structured_output"
    is_system = form.role == "system" and not is_tool and not is_format
    belongs = {"tools": is_tool, "response_format": is_format, "system": is_system, "model": True}
    return bool(belongs.get(part, not (is_tool or is_format or is_system)))


def _find_key_changes(context: AnalysisContext, keys: Sequence[str]) -> ChangeHistory:
    source = context.source
    owner = {row: key for key in keys for row in source.observations_of(source.number[key])}
    rows = sort_by_time(source, [source.number[key] for key in keys])
    return find_changes([owner[row] for row in rows])


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
