"""The exact stable prefix of a window, and its fingerprint (``acg_lab/docs/rules/learner.md``, 8.4).

Rules version `nemo-relay-0.8` uses both in place of leading scores. Blocks are compared by identity, so that columns of
codes are judged by the same functions: a block may be any hashable value, and ``reveal`` returns its `BlockIdentity`.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple, TypeVar

from msgspec import json

from acg_lab.core.canonical import hash_text

__all__ = [
    "BlockIdentity",
    "count_sharing_by_depth",
    "count_stable_depths",
    "find_majority_depth",
    "identity",
    "is_scaffold",
    "largest_threshold",
    "prefix_fingerprint",
    "window_fingerprint",
]

T = TypeVar("T")
B = TypeVar("B", bound=Hashable)
_STABLE_SCAFFOLD = "stable-scaffold"
_FIXED_TYPES = ("tool_schema", "structured_output")


def is_scaffold(role: str, content_type: str) -> bool:
    """Return whether a block belongs to the system prompt, the tools or the response format.

    Examples
    --------
    >>> is_scaffold("system", "text"), is_scaffold("user", "text")
    (True, False)
    """
    return role == "system" or content_type in _FIXED_TYPES


class BlockIdentity(NamedTuple):
    """The fields in which two blocks must agree to be the same."""

    span_id: str
    role: str
    content_type: str
    content: str

    @property
    def is_scaffold(self) -> bool:
        """Whether the block is part of the scaffold; see `is_scaffold`."""
        return is_scaffold(self.role, self.content_type)


# The fields of `BlockIdentity` as a plain tuple, in its order.
identity = attrgetter(*BlockIdentity._fields)


def find_majority_depth(
    observations: Sequence[Sequence[T]], stable_threshold: float, identify: Callable[[T], Hashable]
) -> int:
    """Return the length in blocks of the longest exact prefix that enough observations share.

    Two blocks are the same if ``identify`` returns equal values for them. Enough observations are
    ``min(max(ceil(stable_threshold * n), n // 2 + 1), n)``: always a majority, so that at most one block continues the
    prefix at each depth.

    Examples
    --------
    >>> find_majority_depth(["abc", "abd", "xyz"], 0.6, str)
    2
    """
    return count_stable_depths(count_sharing_by_depth(observations, identify), len(observations), stable_threshold)


def count_stable_depths(shared: Iterable[int], n: int, stable_threshold: float) -> int:
    """Return how many depths are shared by at least ``min(stable_threshold * n, n)`` observations.

    ``shared`` is the result of `count_sharing_by_depth`: all its depths are shared by a majority.
    """
    # Production rounds the product up first, which makes no difference when whole counts are compared.
    needed = min(stable_threshold * n, n)
    return sum(count >= needed for count in shared)


def largest_threshold(count: int, n: int) -> float:
    """Return the largest float t with ``t * n <= count`` in production's arithmetic; ``count / n`` may be too large.

    Examples
    --------
    >>> largest_threshold(3, 4)
    0.75
    """
    threshold = count / n
    while threshold * n > count:
        threshold = math.nextafter(threshold, 0)
    while (above := math.nextafter(threshold, math.inf)) * n <= count:
        threshold = above
    return threshold


def count_sharing_by_depth(observations: Sequence[Sequence[T]], identify: Callable[[T], Hashable]) -> list[int]:
    """Return how many observations share the first block of the majority's prefix, its first two blocks, and so on."""
    counts: list[int] = []
    sharing = observations
    while True:
        sharing = [blocks for blocks in sharing if len(blocks) > len(counts)]
        found = [identify(blocks[len(counts)]) for blocks in sharing]
        block, count = Counter(found).most_common(1)[0] if found else (None, 0)
        if count <= len(observations) // 2:
            break
        sharing = [blocks for blocks, other in zip(sharing, found, strict=True) if other == block]
        counts.append(count)
    return counts


def prefix_fingerprint(
    learning_key: str, blocks: Sequence[BlockIdentity], depth: int, request_hash: str | None
) -> str | None:
    """Return the fingerprint of one observation's prefix.

    A prefix of scaffold blocks only is bound to the profile, a longer one to the whole request. Return None if the
    prefix is empty or longer than the observation, or if the request's hash is needed but absent.
    """
    if depth == 0 or len(blocks) < depth:
        return None
    prefix = blocks[:depth]
    scope = _STABLE_SCAFFOLD if _is_scaffold(prefix) else request_hash
    return None if scope is None else _bind(learning_key, _hash_of(prefix), scope)


def _hash_of(prefix: Sequence[BlockIdentity]) -> str:
    return hash_text("\n".join(json.encode(tuple(block)).decode() for block in prefix))


def _bind(learning_key: str, prefix_hash: str, scope: str) -> str:
    return hash_text(f"{learning_key}\n{prefix_hash}\n{scope}")


def _is_scaffold(prefix: Sequence[BlockIdentity]) -> bool:
    return all(block.is_scaffold for block in prefix)


def window_fingerprint(
    learning_key: str,
    observations: Sequence[tuple[Sequence[B], str | None]],
    depth: int,
    reveal: Callable[[B], BlockIdentity],
) -> str | None:
    """Return the commonest fingerprint of a window's observations, the smallest if several are equally common.

    Parameters
    ----------
    learning_key : str
        Learning key of the window.
    observations : sequence of (blocks, request hash)
        In any order; blocks after the prefix may be left out.
    depth : int
        Length of the stable prefix, in blocks.
    reveal : callable
        Returns the identity of a block.

    Returns
    -------
    str or None
        None if no observation has a fingerprint; see `prefix_fingerprint`.
    """
    hashes: defaultdict[tuple[B, ...], list[str | None]] = defaultdict(list)
    for blocks, request_hash in observations:
        if len(blocks) >= depth > 0:
            hashes[tuple(blocks[:depth])].append(request_hash)
    revealed = [(list(map(reveal, prefix)), Counter(of_prefix)) for prefix, of_prefix in hashes.items()]
    counts = [(prefix, _by_scope(prefix, of_prefix)) for prefix, of_prefix in revealed]
    most = max((n for _, of_scope in counts for n in of_scope.values()), default=0)
    fingerprints: list[str] = []
    for prefix, of_scope in counts:
        if commonest := [scope for scope, n in of_scope.items() if n == most]:
            prefix_hash = _hash_of(prefix)
            fingerprints += [_bind(learning_key, prefix_hash, scope) for scope in commonest]
    return min(fingerprints, default=None)


def _by_scope(prefix: Sequence[BlockIdentity], hashes: Mapping[str | None, int]) -> Mapping[str, int]:
    """Return how many observations of one prefix have each scope; equal scopes have equal fingerprints."""
    if _is_scaffold(prefix):
        return {_STABLE_SCAFFOLD: sum(hashes.values())}
    return {request_hash: n for request_hash, n in hashes.items() if request_hash is not None}
