"""The exact stable prefix of a window, and its fingerprint (spec section 8).

Belongs here: what generation 0.8 puts in the place of leading scores. Blocks are compared by identity, so that columns
of codes can be judged by the same rules: a block may be any hashable value, and ``reveal`` gives what it stands for.
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
    "count_enough",
    "identity",
    "is_scaffold",
    "largest_threshold",
    "majority_prefix",
    "prefix_fingerprint",
    "shared_depths",
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
    """What makes two blocks the same."""

    span_id: str
    role: str
    content_type: str
    content: str

    @property
    def is_scaffold(self) -> bool:
        """Whether the block is part of the scaffold; see `is_scaffold`."""
        return is_scaffold(self.role, self.content_type)


# What makes two blocks the same, as a plain tuple in the order of `BlockIdentity`.
identity = attrgetter(*BlockIdentity._fields)


def majority_prefix(observations: Sequence[Sequence[T]], stable_threshold: float, same: Callable[[T], Hashable]) -> int:
    """Return the depth of the longest exact block prefix that enough observations share.

    Blocks with equal ``same`` are the same. Enough are ``min(max(ceil(stable_threshold * n), n // 2 + 1), n)``: always
    a majority, so at each depth at most one block can go on.
    """
    return count_enough(shared_depths(observations, same), len(observations), stable_threshold)


def count_enough(shared: Iterable[int], n: int, stable_threshold: float) -> int:
    """Return at how many of the depths that a majority of n observations shares enough do; see `majority_prefix`."""
    # Production rounds the product up first; to whole counts that makes no difference.
    needed = min(stable_threshold * n, n)
    return sum(count >= needed for count in shared)


def largest_threshold(count: int, n: int) -> float:
    """Return the largest float t with ``t * n <= count``, as production multiplies; ``count / n`` may be too large."""
    threshold = count / n
    while threshold * n > count:
        threshold = math.nextafter(threshold, 0)
    while (above := math.nextafter(threshold, math.inf)) * n <= count:
        threshold = above
    return threshold


def shared_depths(observations: Sequence[Sequence[T]], same: Callable[[T], Hashable]) -> list[int]:
    """Return how many observations share each depth of the prefix of a majority, from 1 block on."""
    counts: list[int] = []
    sharing = observations
    while True:
        sharing = [blocks for blocks in sharing if len(blocks) > len(counts)]
        found = [same(blocks[len(counts)]) for blocks in sharing]
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

    A prefix that ends within the leading scaffold is bound to the profile; one that goes beyond, to the whole request.
    None where the observation is shorter than the prefix, the prefix is empty, or the request's hash is needed and
    absent.
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
    """Return the commonest fingerprint of a window's observations, the smallest of several.

    Parameters
    ----------
    learning_key : str
        Of the window.
    observations : sequence of (blocks, request hash)
        In any order; blocks behind the prefix may be left out.
    depth : int
        Of the stable prefix.
    reveal : callable
        Gives the identity of a block.
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
    """Return how many observations with this prefix each scope has: with equal scope goes an equal fingerprint."""
    if _is_scaffold(prefix):
        return {_STABLE_SCAFFOLD: sum(hashes.values())}
    return {request_hash: n for request_hash, n in hashes.items() if request_hash is not None}
