"""The bounded window of observations and its counts (``acg_lab/docs/rules/learner.md``, 4 and 5).

Every push has an exact undo, so that sliding a window costs the blocks of the observations that enter and leave it, not
the whole window. The same holds for the shared prefixes of 0.8, which are kept as a tree.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from operator import attrgetter
from typing import NamedTuple, TypeVar

from acg_lab.core.exact_prefix import BlockIdentity, identity
from acg_lab.core.records import PromptBlock, PromptIR

__all__ = ["CountedWindow", "PrefixTree", "SpanCount"]

K = TypeVar("K")

_blocks = attrgetter("blocks")
_span_id = attrgetter("span_id")
_identity = attrgetter("span_id", "sequence_index", "content")


class SpanCount(NamedTuple):
    """The counts of one span in a window.

    Attributes
    ----------
    span_id : str
    sequence_index : int
        The smallest index of the span.
    present : int
        How many observations have the span.
    dominant : int
        How often its commonest content occurs; more than ``present`` if observations repeat the span.
    """

    span_id: str
    sequence_index: int
    present: int
    dominant: int


class _Span:
    __slots__ = ("contents", "counted", "indexes", "present")

    def __init__(self) -> None:
        self.contents: dict[str, int] = {}
        self.indexes: dict[int, int] = {}
        self.present = 0
        self.counted: SpanCount | None = None  # until the next change

    def count(self, span_id: str) -> SpanCount:
        self.counted = SpanCount(span_id, min(self.indexes), self.present, max(self.contents.values()))
        return self.counted


class _Node:
    __slots__ = ("block", "children", "count")

    def __init__(self, block: BlockIdentity) -> None:
        self.block = block
        self.children: dict[tuple[str, ...], _Node] = {}
        self.count = 0


class PrefixTree:
    """The prefixes of a window as a tree: observations with the same first blocks share nodes."""

    def __init__(self, observations: Iterable[PromptIR] = ()) -> None:
        self._root = _Node(BlockIdentity("", "", "", ""))
        self._kept: deque[tuple[list[_Node], str | None]] = deque()
        for observation in observations:
            self.push(observation)

    def push(self, observation: PromptIR) -> None:
        """Append an observation."""
        node, path = self._root, []
        for block in map(identity, observation.blocks):
            child = node.children.get(block)
            if child is None:
                child = node.children[block] = _Node(BlockIdentity._make(block))
            child.count += 1
            path.append(node := child)
        self._kept.append((path, observation.source_request_hash))

    def drop(self) -> None:
        """Drop the oldest observation."""
        path, _ = self._kept.popleft()
        parent = self._root
        for node in path:
            node.count -= 1
            if node.count == 0:  # so are all nodes below
                del parent.children[node.block]
                break
            parent = node

    def shared(self) -> Iterator[int]:
        """Yield how many observations share each depth of the majority's prefix; see `count_sharing_by_depth`."""
        node = self._root
        while node.children:
            node = max(node.children.values(), key=_count)
            if node.count <= len(self._kept) // 2:
                return
            yield node.count

    def paths(self) -> list[tuple[Sequence[_Node], str | None]]:
        """Return the nodes and the request hash of each observation, oldest first."""
        return list(self._kept)


_count = attrgetter("count")


class CountedWindow:
    """A window of observations that counts its spans and contents.

    Parameters
    ----------
    observations : iterable of PromptIR
        Oldest first.
    """

    def __init__(self, observations: Iterable[PromptIR] = ()) -> None:
        self._kept = deque(observations)
        self._spans: dict[str, _Span] = {}
        self._prefixes: PrefixTree | None = None
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

        As in production, a limit of 0 keeps one observation, and a window that is longer than the limit keeps its
        length, since each push drops at most one.
        """
        if self._kept and len(self._kept) >= limit:
            self._add(self._kept.popleft(), -1)
            if self._prefixes is not None:
                self._prefixes.drop()
        self._kept.append(observation)
        self._add(observation, 1)
        if self._prefixes is not None:
            self._prefixes.push(observation)

    @property
    def prefixes(self) -> PrefixTree:
        """The prefixes of the observations, counted from the first use on: not all rules versions need them."""
        if self._prefixes is None:
            self._prefixes = PrefixTree(self._kept)
        return self._prefixes

    def counts(self) -> list[SpanCount]:
        """Return the counts of each span, in no particular order."""
        return [span.counted or span.count(span_id) for span_id, span in self._spans.items()]

    def _add(self, observation: PromptIR, sign: int) -> None:
        for block in observation.blocks:
            self._count(block.span_id, block.sequence_index, block.content, sign)
        self._correct(observation.blocks, -sign)

    def _count(self, span_id: str, index: int, content: str, n: int) -> None:
        span = self._spans.get(span_id)
        if span is None:
            span = self._spans[span_id] = _Span()
        span.counted = None
        span.present += n
        _shift(span.indexes, index, n)
        _shift(span.contents, content, n)
        if not span.contents:
            del self._spans[span_id]

    def _correct(self, blocks: tuple[PromptBlock, ...], sign: int) -> None:
        """Count a span that an observation repeats as present once."""
        if len(set(map(_span_id, blocks))) < len(blocks):
            for span_id, n in Counter(map(_span_id, blocks)).items():
                if span_id in self._spans:
                    self._spans[span_id].present += sign * (n - 1)


def _shift(counts: dict[K, int], key: K, n: int) -> None:
    left = counts.get(key, 0) + n
    if left:
        counts[key] = left
    else:
        del counts[key]
