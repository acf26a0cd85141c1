"""Tokens, and the caches of imaginary providers.

`PromptCache` is a simple one: prefixes live for 5 minutes after their last use where a request marks them, for 30
minutes where the provider caches every prompt. `BreakpointCache` also knows positions, lifetimes, and when an entry
becomes readable. Neither caches a prefix below 1,024 tokens.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256
from itertools import accumulate, pairwise
from typing import NamedTuple

__all__ = ["Billed", "BreakpointCache", "Piece", "Prefixes", "PromptCache", "chain_prefixes"]

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


# --- with positions, lifetimes and first tokens ---


class Piece(NamedTuple):
    """One block of a prompt; ``ttl`` is the lifetime in seconds of the breakpoint on it, 0 without one."""

    text: str
    kind: str
    ttl: int = 0
    extra_tokens: int = 0


class Billed(NamedTuple):
    """Tokens of one request: the whole prompt, and of these what was read, and written by lifetime."""

    prompt: int
    read: int
    written_5m: int
    written_1h: int


class _Entry(NamedTuple):
    readable: int
    touched: int
    lifetime: int


class BreakpointCache:
    """A provider's cache of one agent, as literally as its documentation puts it; see `acg_lab/docs/providers.md`.

    An entry is a prefix that ends at a breakpoint (A-3). It can be read from the writer's first token on (A-10), until
    its lifetime has passed since the start of the request that wrote or read it last (A-8).
    """

    def __init__(self) -> None:
        self._entries: dict[bytes, list[_Entry]] = {}

    def bill(self, model: str, pieces: Sequence[Piece], started: int, first_token: int) -> Billed:
        """Take one request, in order of start; return what the provider bills for it."""
        measured = [_measure(piece.text) for piece in pieces]
        ends = list(accumulate(n + piece.extra_tokens for (n, _), piece in zip(measured, pieces, strict=True)))
        chained = accumulate(measured, lambda so_far, item: sha256(so_far + item[1]).digest(), initial=model.encode())
        ids = list(chained)[1:]
        marks = [i for i, piece in enumerate(pieces) if piece.ttl and ends[i] >= _MINIMUM]
        hit = self._find(ids, marks, _positions(pieces), started)
        for prefix in ids[: hit + 1]:  # a read renews what it passes
            kept = self._entries.get(prefix, [])
            kept[:] = [e._replace(touched=started) if _is_live(e, started) else e for e in kept]
        marks = [mark for mark in marks if mark > hit]
        for mark in marks:
            entry = _Entry(first_token, started, pieces[mark].ttl * _SECOND)
            self._entries.setdefault(ids[mark], []).append(entry)
        read = ends[hit] if hit >= 0 else 0
        last = ends[marks[-1]] if marks else read
        last_1h = max((ends[mark] for mark in marks if pieces[mark].ttl > _SHORT_TTL), default=read)
        return Billed(ends[-1], read, last - last_1h, last_1h - read)

    def _find(self, ids: Sequence[bytes], marks: Sequence[int], positions: Sequence[int], now: int) -> int:
        """Return the piece that the longest readable prefix ends with, -1 for none.

        From the last breakpoint 20 positions are tried, itself included, then from the one before it (A-4).
        """
        for mark in reversed(marks):
            for at in range(mark, -1, -1):
                if positions[mark] - positions[at] >= _LOOK_BACK:
                    break
                if any(_is_live(entry, now) for entry in self._entries.get(ids[at], ())):
                    return at
        return -1


_SHORT_TTL = 300


def _is_live(entry: _Entry, now: int) -> bool:
    return entry.readable <= now <= entry.touched + entry.lifetime


def _positions(pieces: Sequence[Piece]) -> list[int]:
    """Number the positions of a prompt: calls in a row are one, and so are results in a row (A-5)."""
    kinds = [piece.kind for piece in pieces]
    joined = [kind == before and kind in ("tool_use", "tool_result") for before, kind in pairwise(kinds)]
    return list(accumulate((not is_joined for is_joined in joined), initial=0))
