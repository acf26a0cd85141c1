"""What we say beside what the runtime stored: the first difference between two windows or two results.

Pure: records and bytes in, a `Difference` out. Identity and time of observations are the only fields left out.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, zip_longest
from typing import Any

import msgspec

from acg_lab.core import PromptIR, StabilityAnalysisResult
from acg_lab.core.codec import decode, decode_window, encode, encode_window

WINDOW, RESULT = "acg_observations:", "acg_stability:"
IDENTITY = ("ir_id", "created_at")
ABSENT = "(absent)"

Stored = Mapping[str, bytes]


def rules_of(version: str) -> str:
    """Return the generation of the rules that a version of the runtime has."""
    release = _release(version)
    return "nemo-flow-0.2" if release < (0, 6) else "nemo-relay-0.6" if release < (0, 8) else "nemo-relay-0.8"


def records_whole(version: str) -> bool:
    """Tell whether it can record whole requests: from 0.6 on they are cut to a turn, with a choice from 0.7.1 on."""
    return not (0, 6) <= _release(version) < (0, 7, 1)


def _release(version: str) -> tuple[int, ...]:
    """Return the numbers of a version; a pre-release counts as what it comes before."""
    return tuple(map(int, re.findall(r"\d+", re.split("[a-z]", version)[0])))


@dataclass(frozen=True)
class Difference:
    """The first thing in which two learners part.

    Attributes
    ----------
    key : str
        Learning key or agent id; empty where it is about the run as a whole.
    span : str
        Span id, or the number of an observation; empty where it is about neither.
    field : str
    ours, stored : object
        What we say, and what the runtime stored.
    """

    key: str
    span: str
    field: str
    ours: Any
    stored: Any


def rank(result: StabilityAnalysisResult) -> tuple[int, int]:
    """Return by what the seed entry is chosen."""
    return result.stable_prefix_length, result.total_observations


def compare_windows(key: str, ours: tuple[PromptIR, ...], raw: bytes) -> Difference | None:
    """Return the first difference between our window and the stored one."""
    stored = decode_window(raw)
    if encode_window(stored) != raw:
        return Difference(key, "", "window", "is printed in another way", "")
    if list(map(_content, ours)) == list(map(_content, stored)):
        return None
    for number, (one, other) in enumerate(zip_longest(ours, stored)):
        if one is None or other is None:
            return Difference(key, "", "length of the window", len(ours), len(stored))
        if found := _first(key, _blocks_of(one), _blocks_of(other)):
            return found
        if found := _first(key, [(str(number), _plain(one))], [(str(number), _plain(other))]):
            return found
    return None


def compare_results(
    key: str, ours: StabilityAnalysisResult, raw: bytes, window: Iterable[PromptIR], *, is_exact: bool
) -> Difference | None:
    """Return the first difference between our result and the stored one.

    Where ``is_exact`` is false, spans that tie on their index may be listed in any order, and the prefix length is what
    that order gives.
    """
    stored = decode(StabilityAnalysisResult, raw)
    if encode(stored) != raw:
        return Difference(key, "", "result", "is printed in another way", "")
    if ours == stored:
        return None
    indexes = smallest_indexes(window)
    one, other = ours, stored
    if not is_exact and len(set(indexes.values())) < len(indexes):
        if stored.stable_prefix_length != count_leading_stable(stored):
            return Difference(
                key, "", "stable_prefix_length", count_leading_stable(stored), stored.stable_prefix_length
            )
        one, other = _untied(ours, indexes), _untied(stored, indexes)
    names = [[score.span_id for score in result.scores] for result in (one, other)]
    if names[0] != names[1]:
        return Difference(key, "", "order of spans", *names)
    found = _first(key, _scores_of(one), _scores_of(other))
    return found or _first(key, [("", _plain(one))], [("", _plain(other))])


def smallest_indexes(window: Iterable[PromptIR]) -> dict[str, int]:
    """Return the smallest index that each span of a window was seen at."""
    indexes: dict[str, int] = {}
    for block in (block for observation in window for block in observation.blocks):
        indexes[block.span_id] = min(indexes.get(block.span_id, block.sequence_index), block.sequence_index)
    return indexes


def count_leading_stable(result: StabilityAnalysisResult) -> int:
    """Return how many scores lead with class ``stable``."""
    classes = [score.classification for score in result.scores]
    return next((i for i, name in enumerate(classes) if name != "stable"), len(classes))


def _untied(result: StabilityAnalysisResult, indexes: Mapping[str, int]) -> StabilityAnalysisResult:
    """Return a result with tied spans sorted by id, and without the prefix length that their order gave."""
    groups = groupby(result.scores, lambda score: indexes.get(score.span_id))
    scores = [score for _, group in groups for score in sorted(group, key=lambda score: score.span_id)]
    return msgspec.structs.replace(result, scores=tuple(scores), stable_prefix_length=0)


def _content(observation: PromptIR) -> PromptIR:
    return msgspec.structs.replace(observation, ir_id="", created_at="")


def _plain(record: msgspec.Struct) -> dict[str, Any]:
    """Return all fields of a record but those that hold others, and its identity."""
    fields = msgspec.structs.asdict(record)
    return {name: value for name, value in fields.items() if name not in {"blocks", "scores", *IDENTITY}}


def _blocks_of(observation: PromptIR) -> list[tuple[str, dict[str, Any]]]:
    return [(block.span_id, _plain(block)) for block in observation.blocks]


def _scores_of(result: StabilityAnalysisResult) -> list[tuple[str, dict[str, Any]]]:
    return [(score.span_id, _plain(score)) for score in result.scores]


def _first(key: str, ours: Iterable[tuple], stored: Iterable[tuple]) -> Difference | None:
    """Return the first field in which two lists of (name, fields) part."""
    for one, other in zip_longest(ours, stored, fillvalue=(ABSENT, {})):
        if one[0] != other[0]:
            return Difference(key, "", "span", one[0], other[0])
        for name, ours_, stored_ in _values(one[1], other[1]):
            if ours_ != stored_:
                return Difference(key, one[0], name, ours_, stored_)
    return None


def _values(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in (*one, *(name for name in other if name not in one)):
        yield name, one.get(name, ABSENT), other.get(name, ABSENT)
