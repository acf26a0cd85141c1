"""What makes several profiles of an agent where there could be one.

Belongs here: profiles whose learning keys differ in one part, and what of the requests that part comes from.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections import Counter
from itertools import groupby, zip_longest
from typing import NamedTuple

from acg_lab.core.keys import LearningKey, parse_learning_key
from acg_lab.explain.case import Case, requests_needed
from acg_lab.explain.change import Change, in_time
from acg_lab.explain.detectors import Match, detect
from acg_lab.explain.finding import Kind, Timing
from acg_lab.explain.timing import read_sequence
from acg_lab.storage.columns import Form

__all__ = ["Group", "find_groups"]

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
    kind: Kind
    timing: Timing | None
    match: Match | None
    shared: float
    lost: float


def find_groups(case: Case) -> Iterator[Group]:
    """Yield the groups of every agent; a profile may be in several."""
    snapshot = case.snapshot
    keys = [key for key in case.results if case.results[key].total_observations]
    for agent_id, of_agent in groupby(sorted(keys, key=lambda k: snapshot.owners[k].agent_id), lambda k: snapshot.owners[k].agent_id):
        parsed = {key: found for key in of_agent if (found := parse_learning_key(key, agent_id=agent_id))}
        for part, ignored in _PARTS.items():
            for members in _apart(parsed, part, ignored):
                largest = sorted(members, key=lambda key: (-case.results[key].total_observations, key))
                yield _group(case, part, largest)


def _apart(parsed: Mapping[str, LearningKey], part: str, ignored: Sequence[str]) -> Iterator[list[str]]:
    """Yield the keys that agree in all but some parts, where they differ in the one that is looked at."""
    together: dict[LearningKey, list[str]] = {}
    for key, parts in parsed.items():
        together.setdefault(parts._replace(**dict.fromkeys(ignored, "")), []).append(key)
    for members in together.values():
        if len({getattr(parsed[key], part) for key in members}) > 1:
            yield members


def _group(case: Case, part: str, keys: Sequence[str]) -> Group:
    rows = in_time(case.source, [case.source.number[key] for key in keys])
    change = Change(case.source, rows, _changed_span(case, part, rows), _EXACTLY)
    match, kind, timing = None, Kind.UNKNOWN, change.sequel.timing
    shared = case.steady_tokens(change, ())
    if part == "model":
        kind, timing = Kind.MODEL_CHANGED, _timing_of_keys(case, keys)
    elif part == "seed":
        kind = Kind.FRAGMENTED_BY_FIRST_MESSAGE
    elif timing is None:
        kind, timing = Kind.NORMALISED_AWAY, _timing_of_keys(case, keys)
    elif (match := detect(change)) is not None:
        kind = match.detector.kind
    if change.form.content_type != "tool_schema" and part in ("system", "response_format"):
        shared = case.steady_tokens(change, {change.span}) + case.unchanging_tokens(change)
    return Group(part, tuple(keys), change, kind, timing, match, shared, shared * _too_young(case, keys))


def _changed_span(case: Case, part: str, rows: Sequence[int]) -> int:
    """Return the span of the first block of that part that is not the same in all requests; of its first, if none is."""
    source = case.source
    belongs = [_belongs(form, part) for form in source.form_pool]
    lists = []
    for row in rows:
        blocks = slice(int(source.block_offsets[row]), int(source.block_offsets[row + 1]))
        columns = (column[blocks].tolist() for column in (source.spans, source.contents, source.forms))
        lists.append([(span, content) for span, content, form in zip(*columns, strict=True) if belongs[form]])
    columns = list(zip_longest(*lists)) or [()]
    changed = next((column for column in columns if len(set(column)) > 1), columns[0])
    spans = Counter(block[0] for block in changed if block is not None)
    return spans.most_common(1)[0][0] if spans else int(source.spans[source.block_offsets[rows[0]]])


def _belongs(form: Form, part: str) -> bool:
    """Whether blocks of a form are what a part of the learning key is made of; for the model, any block will do."""
    if part == "tools":
        return form.content_type == "tool_schema"
    if part == "response_format":
        return form.content_type == "structured_output"
    return part == "model" or (form.role == "system" and form.content_type == "text") == (part == "system")


def _timing_of_keys(case: Case, keys: Sequence[str]) -> Timing | None:
    source = case.source
    owner = {row: key for key in keys for row in source.observations_of(source.number[key])}
    rows = in_time(source, [source.number[key] for key in keys])
    return read_sequence([owner[row] for row in rows]).timing


def _too_young(case: Case, keys: Sequence[str]) -> float:
    """Return which share of the requests met a profile too young to plan for, beyond those that one would have had."""
    needed = requests_needed(case.thresholds)
    counts = [case.results[key].total_observations for key in keys]
    return (sum(min(count, needed) for count in counts) - min(sum(counts), needed)) / sum(counts)
