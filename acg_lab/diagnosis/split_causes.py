"""Trace the parts of learning keys in which profiles differ to the blocks that they come from, and to their causes."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations, islice, zip_longest
from typing import NamedTuple

from acg_lab.core.keys import parse_learning_key
from acg_lab.diagnosis.block_history import BlockHistory, ChangeHistory, find_changes, sort_by_time
from acg_lab.diagnosis.causes import find_causes_of_block
from acg_lab.diagnosis.context import AnalysisContext
from acg_lab.diagnosis.detectors import Detection, detect
from acg_lab.diagnosis.finding import Kind
from acg_lab.diagnosis.mended_history import MendedText, MendedTools
from acg_lab.diagnosis.raw_differences import compare_parts
from acg_lab.diagnosis.sent_forms import MARKS
from acg_lab.storage.observation_columns import Form

__all__ = ["MIN_ENTANGLED", "SplitCause", "are_independent", "find_split_cause", "find_split_causes", "values_of_cause"]

MIN_ENTANGLED = 6  # profiles; fewer show nothing of what changes together
_HALF = 0.5
_MAX_COMPARED = 32  # first messages that show whether all of them are alike
_MAX_BLOCKS = 8  # of a part that are looked at
_STRUCTURAL = (Kind.BLOCK_MISSING, Kind.SHIFTED)  # the blocks after it stand elsewhere
_EXACT = 1.0  # a key changes with every change, not only with a majority


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


def find_split_cause(
    context: AnalysisContext, part: str, keys: Sequence[str], rows: Sequence[int]
) -> SplitCause | None:
    """Return what changes in one part of learning keys as one cause; None if no block is what it could come from."""
    span = _find_changed_span(context, part, rows)
    if span is None:
        return None
    block = BlockHistory(context.source, rows, span, _EXACT)
    detection, kind, change_history = None, block.unnamed_kind, block.change_history
    differ = compare_parts(context, part, keys)
    if part == "model":
        kind, change_history = Kind.MODEL_CHANGED, _find_key_changes(context, keys)
    elif part == "seed":
        kind = Kind.FRAGMENTED_BY_FIRST_MESSAGE
        if _varies_before_stable_text(context, block):
            detection = detect(block)
            kind = detection.detector.kind if detection else block.unnamed_kind
    elif differ == (MARKS,):
        kind, change_history = Kind.CACHE_MARKS, _find_key_changes(context, keys)
    elif change_history.timing is None:
        kind, change_history = Kind.RAW_BYTES_DIFFER, _find_key_changes(context, keys)
    elif (detection := detect(block)) is not None:
        kind = detection.detector.kind
    return SplitCause(part, block, change_history, kind, detection, differ)


def find_split_causes(
    context: AnalysisContext, part: str, keys: Sequence[str], rows: Sequence[int]
) -> Iterator[SplitCause]:
    """Yield the causes in one part of learning keys: of each block that differs, and in it of each kind."""
    differ = compare_parts(context, part, keys)
    if differ == (MARKS,) or part in ("model", "seed"):
        cause = find_split_cause(context, part, keys, rows)
        yield from [cause] if cause else []
        return
    for span in _find_changed_spans(context, part, rows):
        block = BlockHistory(context.source, rows, span, _EXACT)
        if block.change_history.timing is None:
            cause = find_split_cause(context, part, keys, rows)
            yield from [cause] if cause else []
            return
        for found in find_causes_of_block(block):
            yield SplitCause(part, found.block, found.block.change_history, found.kind, found.detection, differ)
            if found.kind in _STRUCTURAL:
                return


def values_of_cause(context: AnalysisContext, cause: SplitCause, members: Sequence[Sequence[str]]) -> list[object]:
    """Return what the profiles of each inner list have in the place of a cause."""
    firsts = [together[0] for together in members]
    is_by_key = cause.part in ("model", "response_format") or (
        cause.part == "tools" and not isinstance(cause.block, MendedTools | MendedText)
    )
    if is_by_key:
        parsed = [parse_learning_key(key, agent_id=context.snapshot.owners[key].agent_id) for key in firsts]
        return [getattr(key, cause.part, None) for key in parsed]
    contents = dict(zip(cause.block.rows, cause.block.codes, strict=True))
    source = context.source
    return [contents[source.observations_of(source.number[key])[0]] for key in firsts]


def are_independent(context: AnalysisContext, causes: Sequence[SplitCause], members: Sequence[Sequence[str]]) -> bool:
    """Return whether no two causes in different blocks always change together; a few profiles do not show it."""
    values = [(cause.part, cause.block.span, values_of_cause(context, cause, members)) for cause in causes]
    unique = len(members) if len(members) >= MIN_ENTANGLED else None  # another value in each shows nothing
    return not any(
        one[:2] != other[:2]
        and len({*zip(one[2], other[2], strict=True)}) == len({*one[2]}) == len({*other[2]}) != unique
        for one, other in combinations(values, 2)
    )


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
    differing = (blocks for blocks in positions if len(set(blocks)) > 1)
    changed = list(islice(differing, 1 if part == "tools" else _MAX_BLOCKS)) or positions[:1]
    counts = [Counter(block[0] for block in blocks if block is not None) for blocks in changed]
    spans = [of_position.most_common(1)[0][0] for of_position in counts if of_position]
    return list(dict.fromkeys(spans))


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
