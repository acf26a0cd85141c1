"""The bounded window of observations, and its counts (spec section 4 and 5, step 2).

Belongs here: sliding a window, and counting what it holds so that every push has an exact undo: a slide costs the
blocks of the observations that enter and leave, not the window.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from itertools import chain
from operator import attrgetter
from typing import NamedTuple, TypeVar

from acg_lab.core.records import PromptBlock, PromptIR

__all__ = ["CountedWindow", "SpanCount"]

K = TypeVar("K")

_blocks = attrgetter("blocks")
_span_id = attrgetter("span_id")
_identity = attrgetter("span_id", "sequence_index", "content")


class SpanCount(NamedTuple):
    """What a window holds of one span.

    ``sequence_index`` is the smallest it was seen at; ``present`` the number of observations that have it;
    ``dominant`` how often its commonest content occurs, more than ``present`` where observations repeat the span.
    """

    span_id: str
    sequence_index: int
    present: int
    dominant: int


class _Span:
    __slots__ = ("contents", "indexes", "present")

    def __init__(self) -> None:
        self.contents: Counter[str] = Counter()
        self.indexes: Counter[int] = Counter()
        self.present = 0


class CountedWindow:
    """A window that knows how often each span and content occurs in it.

    Parameters
    ----------
    observations : iterable of PromptIR
        Oldest first.
    """

    def __init__(self, observations: Iterable[PromptIR] = ()) -> None:
        self._kept = deque(observations)
        self._spans: dict[str, _Span] = {}
        for (span_id, index, content), n in Counter(
            map(_identity, chain.from_iterable(map(_blocks, self._kept)))
        ).items():
            self._count(span_id, index, content, n)
        for observation in self._kept:
            self._correct(observation.blocks, -1)

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[PromptIR]:
        return iter(self._kept)

    def push(self, observation: PromptIR, limit: int) -> None:
        """Append an observation, dropping the oldest if the window is full.

        As in production a limit of 0 keeps one, and a window that was stored longer than the limit keeps its length:
        each append drops one at most.
        """
        if self._kept and len(self._kept) >= limit:
            self._add(self._kept.popleft(), -1)
        self._kept.append(observation)
        self._add(observation, 1)

    def counts(self) -> list[SpanCount]:
        """Return what the window holds of each span, in no particular order."""
        return [
            SpanCount(span_id, min(span.indexes), span.present, max(span.contents.values()))
            for span_id, span in self._spans.items()
        ]

    def _add(self, observation: PromptIR, sign: int) -> None:
        for block in observation.blocks:
            self._count(block.span_id, block.sequence_index, block.content, sign)
        self._correct(observation.blocks, -sign)

    def _count(self, span_id: str, index: int, content: str, n: int) -> None:
        span = self._spans.get(span_id)
        if span is None:
            span = self._spans[span_id] = _Span()
        span.present += n
        _shift(span.indexes, index, n)
        _shift(span.contents, content, n)
        if not span.contents:
            del self._spans[span_id]

    def _correct(self, blocks: tuple[PromptBlock, ...], sign: int) -> None:
        """Count as present but once what an observation repeats."""
        if len(set(map(_span_id, blocks))) < len(blocks):
            for span_id, n in Counter(map(_span_id, blocks)).items():
                if span_id in self._spans:
                    self._spans[span_id].present += sign * (n - 1)


def _shift(counter: Counter[K], key: K, n: int) -> None:
    left = counter[key] + n
    if left:
        counter[key] = left
    else:
        del counter[key]
