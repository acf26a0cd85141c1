"""When a content changes: once, in every request, back and forth, or on and on.

Belongs here: reading the sequence of contents in time. Contents are codes, so it works without texts.


One block of several requests in the order of time: what detectors look at.

Belongs here: reading columns of codes as the history of a block, and what follows from it without knowing kinds. The
requests may be of one profile, or of several that would be one.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import NamedTuple

import msgspec

from acg_lab.core.canonical import hash_text
from acg_lab.diagnosis.finding import Timing, Variant
from acg_lab.diagnosis.text_diff import TextDifference, differing, shared_ends
from acg_lab.storage.columns import Form, ObservationColumns, is_redacted

__all__ = ["BlockHistory", "ChangeHistory", "Request", "in_time", "read_sequence", "short_hash"]

_MOSTLY = 0.8
_STRAY = 0.02  # requests that were under way when it changed


class ChangeHistory(NamedTuple):
    """How a content went on in time: its changes, the position of the last one (None: never), and the timing."""

    changes: int
    last_change: int | None
    timing: Timing | None


def read_sequence(contents: Sequence[Hashable]) -> ChangeHistory:
    """Read a sequence of contents, oldest first; None stands for absent, and counts as a content.

    Examples
    --------
    >>> read_sequence("aaab").timing.value, read_sequence("abcd").timing.value
    ('once', 'every_request')
    >>> read_sequence("aabaab").timing.value, read_sequence("aabbcc").timing.value
    ('alternating', 'drifting')
    """
    changed = [i for i, (before, after) in enumerate(pairwise(contents), 1) if before != after]
    if not changed:
        return ChangeHistory(0, None, None)
    if (moment := _moment(contents)) is not None:
        return ChangeHistory(len(changed), moment, Timing.ONCE)
    return ChangeHistory(len(changed), changed[-1], _timing(len(contents), len(set(contents)), len(changed)))


def _moment(contents: Sequence[Hashable]) -> int | None:
    """Return where one content gives way to another for good, but for a few strays; None if none does."""
    n = len(contents)
    if len(set(contents)) != 2 or n == 2:  # noqa: PLR2004  # of two requests nobody knows
        return None
    later = list(accumulate((content != contents[0] for content in contents), initial=0))
    strays = [later[i] + (n - i) - (later[n] - later[i]) for i in range(n + 1)]
    best = min(range(n + 1), key=strays.__getitem__)
    return best if 0 < best < n and strays[best] <= _STRAY * n else None


def _timing(n: int, distinct: int, changes: int) -> Timing:
    if distinct >= _MOSTLY * n or (distinct > n / 2 and changes >= _MOSTLY * (n - 1)):
        return Timing.EVERY_REQUEST
    # Each content has its own time if none comes back; a few that come back may be requests that overlapped.
    returns = changes - (distinct - 1)
    return Timing.DRIFTING if returns <= (distinct - 1) / 2 else Timing.ALTERNATING


_SHOWN = 5
_HASH = slice(7, 23)  # behind "sha256:"
_NEAR = 256  # characters; no date, identifier or path is longer


def short_hash(text: str) -> str:
    """Return the first 16 hex digits of a text's SHA-256, by which frames and repairs name a content."""
    return hash_text(text)[_HASH]


@dataclass(frozen=True, eq=False)
class Request:
    """One request as codes, a block each: span, content and form."""

    spans: Sequence[int]
    contents: Sequence[int]
    forms: Sequence[int]


def in_time(source: ObservationColumns, windows: Sequence[int]) -> list[int]:
    """Return the rows of all observations of some windows, oldest first."""
    rows = [row for window in windows for row in source.observations_of(window)]
    return rows if len(windows) == 1 else sorted(rows, key=source.created.nanoseconds.__getitem__)


@dataclass(frozen=True, eq=False)
class BlockHistory:
    """The history of one block.

    Attributes
    ----------
    source : ObservationColumns
    rows : sequence of int
        The observations, oldest first.
    span : int
        Code of the block's span.
    threshold : float
        From which share of the requests a content counts as stable.
    """

    source: ObservationColumns
    rows: Sequence[int]
    span: int
    threshold: float

    @property
    def span_id(self) -> str:
        """Name of the block."""
        return self.source.span_pool[self.span]

    @cached_property
    def requests(self) -> Sequence[Request]:
        """All blocks of each request."""
        return [self._request(row) for row in self.rows]

    def _request(self, row: int) -> Request:
        source = self.source
        blocks = slice(int(source.block_offsets[row]), int(source.block_offsets[row + 1]))
        return Request(*(column[blocks].tolist() for column in (source.spans, source.contents, source.forms)))

    @cached_property
    def places(self) -> Sequence[int | None]:
        """Position of the block in each request; None where it is absent."""
        return [r.spans.index(self.span) if self.span in r.spans else None for r in self.requests]

    @cached_property
    def codes(self) -> Sequence[int | None]:
        """Its content in each request, by code; None where it is absent."""
        pairs = zip(self.requests, self.places, strict=True)
        return [None if place is None else request.contents[place] for request, place in pairs]

    @cached_property
    def counts(self) -> Counter[int]:
        """In how many requests each content stands."""
        return Counter(code for code in self.codes if code is not None)

    @cached_property
    def by_count(self) -> Sequence[int]:
        """The contents, the commonest first; of equals, the older one."""
        return [code for code, _ in self.counts.most_common()]

    @cached_property
    def form(self) -> Form:
        """Role, content type and provenance, where it holds its commonest content."""
        at = next(i for i, code in enumerate(self.codes) if code == self.by_count[0])
        place = self.places[at]
        return self.source.form_pool[self.requests[at].forms[place or 0]]

    @property
    def present(self) -> int:
        """In how many requests it is there."""
        return sum(self.counts.values())

    @cached_property
    def share(self) -> float:
        """Share of all requests that hold the commonest content."""
        return max(self.counts.values()) / len(self.rows)

    @cached_property
    def sequel(self) -> ChangeHistory:
        """How it went on in time; of a tool, how the list of tools did, of which its place and name are part."""
        if self.form.content_type == "tool_schema":
            return read_sequence(self.tools)
        return read_sequence(self.codes)

    @cached_property
    def tools(self) -> Sequence[tuple[tuple[int, int], ...]]:
        """Span and content of each tool of each request, by code."""
        is_tool = [form.content_type == "tool_schema" for form in self.source.form_pool]
        return [
            tuple((s, c) for s, c, form in zip(r.spans, r.contents, r.forms, strict=True) if is_tool[form])
            for r in self.requests
        ]

    def text(self, code: int) -> str:
        """Return the text of a content."""
        return self.source.content_pool[code]

    @cached_property
    def _around(self) -> tuple[int, int]:
        """How much of each text can be left out before and behind what differs: to a space some way off, if any."""
        texts = [self.text(code) for code in self.counts]
        head, tail = shared_ends(texts)
        start = texts[0].rfind(" ", 0, max(head - _NEAR, 0)) + 1
        stop = texts[0].find(" ", len(texts[0]) - tail + _NEAR)
        return start, 0 if stop < 0 else len(texts[0]) - stop

    def core(self, code: int) -> str:
        """Return the part of a text in which the contents differ, with what is near: texts may be megabytes."""
        return self._cut(self.text(code))

    def _cut(self, text: str) -> str:
        start, behind = self._around
        return text[start : len(text) - behind]

    @cached_property
    def readable(self) -> bool:
        """Whether the contents are texts, and no hashes in their place."""
        return not all(is_redacted(self.text(code)) for code in self.counts)

    @cached_property
    def pair(self) -> tuple[str, str] | None:
        """The texts of the two commonest contents; of equals, those that changed last. None if there is but one."""
        if len(self.by_count) < 2:  # noqa: PLR2004
            return None
        dominant, other = self.by_count[:2]
        if self.counts[dominant] == 1:
            other, dominant = [code for code in self.codes if code is not None][-2:]
        return self.text(dominant), self.text(other)

    @cached_property
    def differences(self) -> tuple[TextDifference, ...]:
        """Where these two differ; none where they can't be read."""
        return differing(*self.pair) if self.pair and self.readable else ()

    @property
    def differing_core(self) -> tuple[str, tuple[TextDifference, ...]]:
        """That part of the commonest text, and where in it the two differ."""
        dominant, _ = self.pair or ("", "")
        start, _ = self._around
        moved = (msgspec.structs.replace(place, offset=place.offset - start) for place in self.differences)
        return self._cut(dominant), tuple(moved)

    @cached_property
    def hashes(self) -> Sequence[str]:
        """The contents as the first hex digits of their SHA-256, the commonest first."""
        return [short_hash(self.text(code)) for code in self.by_count]

    def variants(self) -> tuple[Variant, ...]:
        """Return the commonest contents."""
        named = zip(self.hashes[:_SHOWN], self.by_count, strict=False)
        return tuple(Variant(name, self.counts[code]) for name, code in named)

    def vanishes(self, simplify: Callable[[str], str], *, whole: bool = False) -> bool:
        """Whether, were each text simplified, enough of the requests that hold the block would hold the same.

        Texts are looked at where they differ, as a ``whole`` if what is far away may matter.
        """
        if not self.readable or len(self.counts) < 2:  # noqa: PLR2004
            return False
        simple: Counter[str] = Counter()
        most, left = 0, self.present
        for code in self.by_count:
            # Texts may be long and many: two that stay apart can be enough to know.
            if most + left < self.threshold * self.present:
                return False
            text = simplify(self.text(code) if whole else self.core(code))
            simple[text] += self.counts[code]
            most, left = max(most, simple[text]), left - self.counts[code]
        return most > self.counts[self.by_count[0]] and most >= self.threshold * self.present
