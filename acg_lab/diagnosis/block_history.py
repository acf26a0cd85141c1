"""The contents of one block over time, which detectors look at, and when they change.

Contents are codes, so most of this works without texts, as in redacted exports. The requests may be those of one
profile, or of several that could be one.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import msgspec

from acg_lab.core.canonical import hash_text
from acg_lab.diagnosis.finding import Kind, Timing, Variant
from acg_lab.repairs.text_diff import TextDifference, ValueCount, count_shared_ends
from acg_lab.repairs.text_template import Slot, Template, find_template
from acg_lab.storage.columns import is_redacted
from acg_lab.storage.observation_columns import Form, ObservationColumns

__all__ = [
    "BlockHistory",
    "ChangeHistory",
    "PartHistory",
    "Request",
    "find_changes",
    "find_moment",
    "short_hash",
    "sort_by_time",
]

_MOSTLY = 0.8
_MAX_STRAY_SHARE = 0.02  # requests that were in flight when the content changed
_MAX_VARIANTS = _MAX_VALUES = 5
_HASH = slice(7, 23)  # after "sha256:"
_NEAR = 256  # characters, more than any date, identifier or path has


class ChangeHistory(NamedTuple):
    """How often a content changed, the position of the last change (None if there is none), and the timing."""

    changes: int
    last_change: int | None
    timing: Timing | None


def find_changes(contents: Sequence[Hashable]) -> ChangeHistory:
    """Find the changes in a sequence of contents, oldest first; None stands for an absent block and is a content too.

    Examples
    --------
    >>> find_changes("aaab").timing.value, find_changes("abcd").timing.value
    ('once', 'every_request')
    >>> find_changes("aabaab").timing.value, find_changes("aabbcc").timing.value
    ('alternating', 'drifting')
    """
    starts = [0, *(i for i, (before, after) in enumerate(pairwise(contents), 1) if before != after)]
    if len(starts) == 1:
        return ChangeHistory(0, None, None)
    changes = len(starts) - 1
    if (moment := find_moment([(start, contents[start]) for start in starts], len(contents))) is not None:
        return ChangeHistory(changes, moment, Timing.ONCE)
    return ChangeHistory(changes, starts[-1], _classify_timing(len(contents), len(set(contents)), changes))


def find_moment(runs: Sequence[tuple[int, Hashable]], n: int) -> int | None:
    """Return where one content replaces another for good, apart from a few stray requests; None if nowhere.

    Parameters
    ----------
    runs : sequence of (int, hashable)
        Where each run of equal contents begins, and the content.
    n : int
        How many requests there are.

    Examples
    --------
    >>> find_moment([(0, "a"), (60, "b"), (80, "a"), (81, "b")], 120)
    60
    """
    if len({content for _, content in runs}) != 2 or n == 2:  # noqa: PLR2004  # two requests do not show it
        return None
    ends = [*(start for start, _ in runs[1:]), n]
    old = sum(end - start for (start, content), end in zip(runs, ends, strict=True) if content == runs[0][1])
    best, strays, fewest = 0, old, min(old, n - old)
    for (start, content), end in zip(runs, ends, strict=True):
        strays += start - end if content == runs[0][1] else end - start
        if (few := min(strays, n - strays)) < fewest:  # the first request may be a stray too
            best, fewest = end, few
    return best if 0 < best < n and fewest <= _MAX_STRAY_SHARE * n else None


def _classify_timing(n: int, distinct: int, changes: int) -> Timing:
    if distinct >= _MOSTLY * n or (distinct > n / 2 and changes >= _MOSTLY * (n - 1)):
        return Timing.EVERY_REQUEST
    # Each content has its own time if none returns; the few that return may be requests that overlapped.
    returns = changes - (distinct - 1)
    return Timing.DRIFTING if returns <= (distinct - 1) / 2 else Timing.ALTERNATING


def short_hash(text: str) -> str:
    """Return the first 16 hex digits of a text's SHA-256; frames and repairs name contents by it."""
    return hash_text(text)[_HASH]


@dataclass(frozen=True, eq=False)
class Request:
    """One request as codes: span, content and form of each block."""

    spans: Sequence[int]
    contents: Sequence[int]
    forms: Sequence[int]


def sort_by_time(source: ObservationColumns, windows: Sequence[int]) -> list[int]:
    """Return the rows of all observations of some windows, oldest first."""
    rows = [row for window in windows for row in source.observations_of(window)]
    return rows if len(windows) == 1 else sorted(rows, key=source.created.nanoseconds.__getitem__)


@dataclass(frozen=True, eq=False)
class BlockHistory:
    """The history of one block in some requests.

    Attributes
    ----------
    source : ObservationColumns
    rows : sequence of int
        The observations, oldest first.
    span : int
        Code of the block's span.
    threshold : float
        Share of the requests from which on a content counts as stable.
    """

    source: ObservationColumns
    rows: Sequence[int]
    span: int
    threshold: float

    @property
    def span_id(self) -> str:
        """Span id of the block."""
        return self.source.span_pool[self.span]

    @property
    def name(self) -> str:
        """What sentences call the block."""
        return repr(self.span_id)

    @property
    def unit(self) -> str:
        """What sentences count."""
        return "content"

    @cached_property
    def requests(self) -> Sequence[Request]:
        """All blocks of each request."""
        return [self._request(row) for row in self.rows]

    def _request(self, row: int) -> Request:
        source = self.source
        blocks = slice(int(source.block_offsets[row]), int(source.block_offsets[row + 1]))
        return Request(*(column[blocks].tolist() for column in (source.spans, source.contents, source.forms)))

    @cached_property
    def positions(self) -> Sequence[int | None]:
        """Position of the block in each request, None where it is absent."""
        return [r.spans.index(self.span) if self.span in r.spans else None for r in self.requests]

    @cached_property
    def codes(self) -> Sequence[int | None]:
        """Code of the block's content in each request, None where it is absent."""
        pairs = zip(self.requests, self.positions, strict=True)
        return [None if position is None else request.contents[position] for request, position in pairs]

    @cached_property
    def counts(self) -> Counter[int]:
        """How many requests have each content."""
        return Counter(code for code in self.codes if code is not None)

    @cached_property
    def by_count(self) -> Sequence[int]:
        """Codes of the contents, the commonest first, of equals the older."""
        return [code for code, _ in self.counts.most_common()]

    @cached_property
    def form(self) -> Form:
        """Role, content type and provenance of the block where it has its dominant content."""
        at = next(i for i, code in enumerate(self.codes) if code == self.by_count[0])
        position = self.positions[at]
        return self.source.form_pool[self.requests[at].forms[position or 0]]

    @cached_property
    def present(self) -> int:
        """How many requests have the block."""
        return sum(self.counts.values())

    @cached_property
    def share(self) -> float:
        """Share of all requests that have the dominant content."""
        return max(self.counts.values()) / len(self.rows)

    @cached_property
    def change_history(self) -> ChangeHistory:
        """When the content changed; for a tool, when the list of tools did, which determines position and name."""
        if self.form.content_type == "tool_schema":
            return find_changes(self.tools)
        return find_changes(self.codes)

    @cached_property
    def tools(self) -> Sequence[tuple[tuple[int, int], ...]]:
        """Codes of span and content of each tool, by request."""
        is_tool = [form.content_type == "tool_schema" for form in self.source.form_pool]
        return [
            tuple((s, c) for s, c, form in zip(r.spans, r.contents, r.forms, strict=True) if is_tool[form])
            for r in self.requests
        ]

    def text(self, code: int) -> str:
        """Return the text of a content."""
        return self.source.content_pool[code]

    @cached_property
    def texts(self) -> Sequence[str]:
        """The texts of all contents, the commonest first."""
        return [self.text(code) for code in self.by_count]

    @cached_property
    def template(self) -> Template | None:
        """What all contents share, and where they differ; None if there is only one, or hashes in place of texts."""
        if len(self.counts) < 2 or not self.readable:  # noqa: PLR2004
            return None
        return find_template(self.texts, [self.counts[code] for code in self.by_count])

    @cached_property
    def _shared_margins(self) -> tuple[int, int]:
        """How many characters to leave out at the start and end of each text: up to a space at some distance."""
        text, (head, tail) = self.texts[0], count_shared_ends(self.texts)
        start = text.rfind(" ", 0, max(head - _NEAR, 0)) + 1
        stop = text.find(" ", len(text) - tail + _NEAR)
        return start, 0 if stop < 0 else len(text) - stop

    def differing_part(self, code: int) -> str:
        """Return the part of a text in which the contents differ, with some context, since texts may be megabytes."""
        return self._cut(self.text(code))

    def _cut(self, text: str) -> str:
        start, tokens_after = self._shared_margins
        return text[start : len(text) - tokens_after]

    @cached_property
    def readable(self) -> bool:
        """Whether the contents are texts rather than pseudonyms or hashes in place of texts."""
        return not (self._is_hidden or all(is_redacted(self.text(code)) for code in self.counts))

    @property
    def _is_hidden(self) -> bool:
        """Whether pseudonyms stand for the contents."""
        return self.source.is_redacted or (self.source.is_partly_redacted and self.is_private)

    @cached_property
    def is_private(self) -> bool:
        """Whether a request labels the block private or restricted."""
        pairs = zip(self.requests, self.positions, strict=True)
        forms = {request.forms[position] for request, position in pairs if position is not None}
        return any(self.source.form_pool[form].is_private for form in forms)

    @property
    def unnamed_kind(self) -> Kind:
        """The kind of a change that no detector names: most kinds cannot be recognised in pseudonyms."""
        return Kind.REDACTED if self._is_hidden else Kind.UNKNOWN

    @cached_property
    def dominant_text(self) -> str:
        """The text of the dominant content; of equally common ones, that of the template's reference."""
        return self.template.texts[self.template.reference] if self.template else self.texts[0]

    @cached_property
    def differences(self) -> tuple[TextDifference, ...]:
        """Where the contents differ: in the dominant text and, by slot, in the commonest other that differs there."""
        return tuple(self.find_places(text=False))

    def find_places(self, *, text: bool) -> Iterator[TextDifference]:
        """Yield where the contents differ, in order, with excerpts and the commonest values if ``text`` is true."""
        if (template := self.template) is None:
            return
        for slot in template.slots:
            ours = template.value(slot, template.reference)
            other, theirs = next((i, value) for i, value in enumerate(template.values(slot)) if value != ours)
            excerpts = (ours, theirs, *self._count_values(template, slot)) if text else ()
            yield TextDifference(slot.offset, slot.length, slot.starts[other], len(theirs), *excerpts)

    def _count_values(self, template: Template, slot: Slot) -> tuple[tuple[ValueCount, ...], int]:
        """Return the commonest values of a slot, of equals that of the reference first, and how many there are."""
        values = Counter({template.value(slot, template.reference): 0})
        for member, value in zip(template.members, template.values(slot), strict=True):
            values[value] += self.counts[self.by_count[member]]
        return tuple(ValueCount(*pair) for pair in values.most_common(_MAX_VALUES)), len(values)

    @property
    def dominant_part(self) -> tuple[str, tuple[TextDifference, ...]]:
        """The differing part of the dominant text, and where in it the texts differ."""
        start, _ = self._shared_margins
        moved = (msgspec.structs.replace(place, offset=place.offset - start) for place in self.differences)
        return self._cut(self.dominant_text), tuple(moved)

    @cached_property
    def hashes(self) -> Sequence[str]:
        """Short hashes of the contents, the commonest first."""
        return [short_hash(self.text(code)) for code in self.by_count]

    def variants(self) -> tuple[Variant, ...]:
        """Return the commonest contents with their counts."""
        named = zip(self.hashes[:_MAX_VARIANTS], self.by_count, strict=False)
        return tuple(Variant(name, self.counts[code]) for name, code in named)

    def is_stable_after(self, simplify: Callable[[str], str], *, whole: bool = False) -> bool:
        """Return whether the block would be stable among the requests that have it if each text were simplified.

        Only the differing part of each text is simplified, or the ``whole`` text if distant parts may matter.
        """
        asked = simplify, whole  # several detectors ask the same
        if asked not in self._stable_after:
            self._stable_after[asked] = self._would_be_stable(simplify, whole=whole)
        return self._stable_after[asked]

    @cached_property
    def _stable_after(self) -> dict[tuple[Callable[[str], str], bool], bool]:
        return {}

    def _would_be_stable(self, simplify: Callable[[str], str], *, whole: bool) -> bool:
        if not self.readable or len(self.counts) < 2:  # noqa: PLR2004
            return False
        simple: Counter[str] = Counter()
        most, left, enough = 0, self.present, self.threshold * self.present
        for code in self.by_count:
            # Texts may be long and many, so stop as soon as the answer is certain.
            if most + left < enough:
                return False
            text = simplify(self.text(code) if whole else self.differing_part(code))
            simple[text] += self.counts[code]
            most, left = max(most, simple[text]), left - self.counts[code]
        return most > self.counts[self.by_count[0]] and most >= enough


@dataclass(frozen=True, eq=False)
class PartHistory(BlockHistory):
    """The history of a part of a block, in the same requests.

    Attributes
    ----------
    whole : BlockHistory
        The block as it is.
    """

    whole: BlockHistory

    @cached_property
    def requests(self) -> Sequence[Request]:
        """All blocks of each request."""
        return self.whole.requests

    @cached_property
    def positions(self) -> Sequence[int | None]:
        """Position of the block in each request, None where it is absent."""
        return self.whole.positions

    @cached_property
    def form(self) -> Form:
        """Role, content type and provenance of the block."""
        return self.whole.form
