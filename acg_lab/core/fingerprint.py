"""The exact stable prefix of a window, and its fingerprint (spec section 8).

Belongs here: what generation 0.8 puts in the place of leading scores. Blocks are compared by identity, so that columns
of codes can be judged by the same rules: a block may be any hashable value, and ``reveal`` gives what it stands for.
"""

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from itertools import takewhile
from operator import attrgetter
from typing import NamedTuple, TypeVar

from msgspec import json

from acg_lab.core.canonical import hash_text

__all__ = ["BlockIdentity", "identity", "majority_prefix", "prefix_fingerprint", "shared_depths", "window_fingerprint"]

T = TypeVar("T")
B = TypeVar("B", bound=Hashable)
_STABLE_SCAFFOLD = "stable-scaffold"


class BlockIdentity(NamedTuple):
    """What makes two blocks the same."""

    span_id: str
    role: str
    content_type: str
    content: str

    @property
    def is_scaffold(self) -> bool:
        """Whether it may stand in the scaffold that leads a prompt."""
        return self.role == "system" or self.content_type in ("tool_schema", "structured_output")


# What makes two blocks the same, as a plain tuple in the order of `BlockIdentity`.
identity = attrgetter(*BlockIdentity._fields)


def majority_prefix(observations: Sequence[Sequence[T]], stable_threshold: float, same: Callable[[T], Hashable]) -> int:
    """Return the depth of the longest exact block prefix that enough observations share.

    Blocks with equal ``same`` are the same. Enough are ``min(max(ceil(stable_threshold * n), n // 2 + 1), n)``: always
    a majority, so at each depth at most one block can go on.
    """
    n = len(observations)
    needed = min(max(_ceil(stable_threshold * n), n // 2 + 1), n)
    return sum(count >= needed for count in shared_depths(observations, same))


def shared_depths(observations: Sequence[Sequence[T]], same: Callable[[T], Hashable]) -> list[int]:
    """Return how many observations share each depth of the prefix of a majority, from 1 block on."""
    counts: list[int] = []
    sharing = observations
    while sharing:
        sharing = [blocks for blocks in sharing if len(blocks) > len(counts)]
        found = [same(blocks[len(counts)]) for blocks in sharing]
        block, count = Counter(found).most_common(1)[0] if found else (None, 0)
        if count <= len(observations) // 2:
            break
        sharing = [blocks for blocks, other in zip(sharing, found, strict=True) if other == block]
        counts.append(count)
    return counts


def _ceil(value: float) -> int:
    """Round up as production casts it to a count: held to its range."""
    return int(min(max(math.ceil(value) if math.isfinite(value) else value, 0), 2**64 - 1))


def prefix_fingerprint(
    learning_key: str, blocks: Sequence[BlockIdentity], depth: int, request_hash: str | None
) -> str | None:
    """Return the fingerprint of one observation's prefix.

    A prefix that ends within the leading scaffold is bound to the profile; one that goes beyond, to the whole request.
    None where the observation is shorter than the prefix, the prefix is empty, or the request's hash is needed and
    absent.
    """
    scope = _scope(blocks, depth, request_hash)
    if scope is None:
        return None
    lines = [json.encode(tuple(block)).decode() for block in blocks[:depth]]
    return hash_text("\n".join((learning_key, hash_text("\n".join(lines)), scope)))


def _scope(blocks: Sequence[BlockIdentity], depth: int, request_hash: str | None) -> str | None:
    if depth == 0 or len(blocks) < depth:
        return None
    return _STABLE_SCAFFOLD if all(block.is_scaffold for block in blocks[:depth]) else request_hash


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
    by_prefix: dict[tuple[B, ...], Counter[str | None]] = {}
    for blocks, request_hash in observations:
        by_prefix.setdefault(tuple(blocks[:depth]), Counter())[request_hash] += 1
    counts: Counter[tuple[tuple[B, ...], str]] = Counter()
    for prefix, hashes in by_prefix.items():
        revealed = list(map(reveal, prefix))
        for request_hash, n in hashes.items():
            if (scope := _scope(revealed, depth, request_hash)) is not None:
                counts[prefix, scope] += n
    # Equal prefix and scope, equal fingerprint: only the commonest need be hashed.
    most = max(counts.values(), default=0)
    commonest = takewhile(lambda item: item[1] == most, counts.most_common())
    found = (
        prefix_fingerprint(learning_key, [reveal(block) for block in prefix], depth, scope)
        for (prefix, scope), _ in commonest
    )
    return min((fingerprint for fingerprint in found if fingerprint is not None), default=None)
