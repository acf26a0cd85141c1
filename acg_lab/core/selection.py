"""The choice among places where a cached prefix may end (spec planner.md, section 4).

Belongs here: what a breakpoint is worth, and the best few of many candidates. Numbers only: nothing here knows of
blocks, requests or results. The order of floating-point operations is production's: where sums exceed about
1e7 it decides which ends are taken.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypeAlias

__all__ = ["MAX_BREAKPOINTS", "MULTIPLIERS", "Candidate", "Kind", "Multipliers", "choose_ends", "worth"]

Kind: TypeAlias = Literal["user", "retrieval", "tool", "system", "structured", "generic"]
MAX_BREAKPOINTS: Final = 4
_TOLERANCE: Final = 1e-9
_PREFERENCE: Final[Mapping[Kind, int]] = MappingProxyType(
    {"user": 5, "retrieval": 4, "tool": 3, "system": 2, "structured": 1, "generic": 0}
)


class Multipliers(NamedTuple):
    """What a cached token costs, in prices of an input token that is not cached."""

    write: float = 1.25
    read: float = 0.1


MULTIPLIERS: Final = Multipliers()


class Candidate(NamedTuple):
    """A place where a cached prefix may end.

    Attributes
    ----------
    end : int
        Length of the prefix, in blocks.
    tokens : int
        Of the whole prefix.
    reads : float
        How often the prefix is expected to be read.
    kind : str
        Of the last block; it decides between ends of equal worth.
    """

    end: int
    tokens: int
    reads: float
    kind: Kind


def worth(tokens: int, reads: float, multipliers: Multipliers = MULTIPLIERS) -> float:
    """Return what caching is expected to save, in input tokens at full price; negative where it costs more.

    The order of the floating-point operations is production's.
    """
    return tokens * (((1.0 - multipliers.read) * reads) - (multipliers.write - 1.0))


class _Chain(NamedTuple):
    """The best way to end at a candidate with so many breakpoints; ``before`` is the candidate of the one before."""

    value: float
    before: int | None


def choose_ends(
    candidates: Sequence[Candidate], multipliers: Multipliers = MULTIPLIERS, *, max_breakpoints: int = MAX_BREAKPOINTS
) -> tuple[Candidate, ...]:
    """Choose the candidates whose segments are together worth most, at most ``max_breakpoints`` of them.

    Every segment must be worth something by itself. Within 1e-9 of each other fewer breakpoints win, then the
    preferred kind of the last end (user, retrieval, tool, system, structured, generic), then the longer prefix.

    Parameters
    ----------
    candidates : sequence of Candidate
        Shortest first.

    Returns
    -------
    tuple of Candidate
        Shortest first; empty where nothing is worth a write.
    """
    chains: list[list[_Chain | None]] = []
    best: tuple[float, tuple[int, int, int], int, int] | None = None
    for i, candidate in enumerate(candidates):
        chains.append(_chains_to(i, candidates, chains, multipliers, max_breakpoints))
        for k, chain in enumerate(chains[i]):
            if chain is None:
                continue
            rank = (-k, _PREFERENCE[candidate.kind], candidate.end)
            if best is None or (lead := chain.value - best[0]) > _TOLERANCE or (lead >= -_TOLERANCE and rank > best[1]):
                best = chain.value, rank, i, k
    return tuple(_follow(candidates, chains, best[2], best[3])) if best else ()


def _chains_to(
    i: int,
    candidates: Sequence[Candidate],
    chains: Sequence[Sequence[_Chain | None]],
    multipliers: Multipliers,
    max_breakpoints: int,
) -> list[_Chain | None]:
    """Return the best chains that end at candidate i, by their number of breakpoints less one."""
    tokens, reads = candidates[i].tokens, candidates[i].reads
    value = worth(tokens, reads, multipliers)
    if not value > 0:
        return [None] * max_breakpoints
    gains = [(j, worth(tokens - other.tokens, reads, multipliers)) for j, other in enumerate(candidates[:i])]
    row: list[_Chain | None] = [_Chain(value, None)]
    for k in range(max_breakpoints - 1):
        found: _Chain | None = None
        for j, gain in gains:
            before = chains[j][k]
            if before is None or not gain > 0:
                continue
            total = before.value + gain
            # More by 1e-9, or within 1e-9: of equals the later predecessor.
            if found is None or total - found.value >= -_TOLERANCE:
                found = _Chain(total, j)
        row.append(found)
    return row


def _follow(
    candidates: Sequence[Candidate], chains: Sequence[Sequence[_Chain | None]], i: int, k: int
) -> list[Candidate]:
    """Return the candidates of a chain, first to last."""
    chosen, place = [candidates[i]], chains[i][k]
    while place is not None and place.before is not None:
        k -= 1
        chosen.append(candidates[place.before])
        place = chains[place.before][k]
    return chosen[::-1]
