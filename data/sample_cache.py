"""Tokens, and the cache of an imaginary provider.

Prefixes live for 5 minutes after their last use where a request marks them, for 30 minutes where the provider caches
every prompt. A prefix below 1,024 tokens is not cached.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import accumulate
from typing import NamedTuple

__all__ = ["Prefixes", "PromptCache", "chain_prefixes"]

_SECOND = 10**9
_FRAMING = 5  # tokens around every tool and message
_TOOL_SYSTEM = {"anthropic_messages": 496, "openai_chat": 0}  # what the provider adds when there are tools
_MINIMUM, _LOOK_BACK, _GRAIN = 1024, 20, 128
_TTL = {"anthropic_messages": 300 * _SECOND, "openai_chat": 1800 * _SECOND}


@lru_cache(maxsize=1 << 16)
def _measure(text: str) -> tuple[int, bytes]:
    raw = text.encode()
    return len(raw) // 4 + _FRAMING, sha256(raw).digest()


class Prefixes(NamedTuple):
    """A request as the provider sees it: tools, system, messages; tokens and identity up to the end of each.

    ``n_tools`` tools lead, then the system stands, then the messages.
    """

    tokens: list[int]
    ids: list[bytes]
    n_tools: int


def chain_prefixes(api: str, model: str, *, tools: Sequence[str], system: str, messages: Iterable[str]) -> Prefixes:
    """Return the prefixes of a request from its parts as texts, in the order in which the provider renders them."""
    measured = [_measure(piece) for piece in (*tools, system, *messages)]
    tokens = [n for n, _ in measured]
    tokens[len(tools)] += _TOOL_SYSTEM[api]
    chained = accumulate(measured, lambda so_far, item: sha256(so_far + item[1]).digest(), initial=model.encode())
    return Prefixes(list(accumulate(tokens)), list(chained)[1:], len(tools))


class PromptCache:
    """A provider's cache of one agent: which prefixes it holds, and until when."""

    def __init__(self, api: str) -> None:
        self._api = api
        self._until: dict[bytes, int] = {}

    def read_and_write(self, prefixes: Prefixes, marks: Sequence[int], now: int) -> tuple[int, int | None]:
        """Return the tokens read from the cache and written to it; no write count where it is free."""
        return (
            self._marked(prefixes, marks, now) if self._api == "anthropic_messages" else self._automatic(prefixes, now)
        )

    def _is_live(self, prefix: bytes, now: int) -> bool:
        return self._until.get(prefix, 0) > now

    def _keep(self, prefix: bytes, now: int) -> None:
        self._until[prefix] = now + _TTL[self._api]

    def _marked(self, prefixes: Prefixes, marks: Sequence[int], now: int) -> tuple[int, int]:
        """Read where an earlier request wrote, at a mark or a little before; write at marks above the minimum."""
        near = (i for mark in reversed(marks) for i in range(mark, max(mark - _LOOK_BACK, -1), -1))
        hit = next((i for i in near if self._is_live(prefixes.ids[i], now)), -1)
        for prefix in prefixes.ids[: hit + 1]:
            if self._is_live(prefix, now):
                self._keep(prefix, now)
        written = [mark for mark in marks if prefixes.tokens[mark] >= _MINIMUM]
        for mark in written:
            self._keep(prefixes.ids[mark], now)
        read = prefixes.tokens[hit] if hit >= 0 else 0
        return read, max(prefixes.tokens[written[-1]] - read, 0) if written else 0

    def _automatic(self, prefixes: Prefixes, now: int) -> tuple[int, None]:
        live = [n for n, prefix in zip(prefixes.tokens, prefixes.ids, strict=True) if self._is_live(prefix, now)]
        for prefix in prefixes.ids:
            self._keep(prefix, now)
        longest = live[-1] if live else 0
        return (longest // _GRAIN * _GRAIN if longest >= _MINIMUM else 0), None
