"""Why a block breaks the prefix, in one plain sentence made of counts (acg_lab/docs/look.md, section 4).

Plots and the tuner print it: it needs no prompt text and no history, only how often the block and its contents occur.
The first reason that holds is taken; `_REASONS` is their order.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from acg_lab._format import counted, score

__all__ = ["BlockCounts", "BreakReason", "find_break_reason"]

_NEARLY_ALL_DISTINCT: Final = 0.8


class BlockCounts(NamedTuple):
    """What a window holds of one block.

    Attributes
    ----------
    requests, present : int
        Requests in the window; those that have the block.
    n_dominant, contents : int
        Requests with its dominant content; distinct contents.
    changes, last_change : int, optional
        How often its content changed from one request that has it to the next; how many requests ago it last did.
    tools, tool_orders : int, optional
        Where all requests have the same tools in several orders: how many tools, in how many orders.
    n_sharing_prefix : int, optional
        Where an exact prefix counts (rules of nemo-relay-0.8): requests that share it up to and including this block.
    """

    requests: int
    present: int
    n_dominant: int
    contents: int
    changes: int | None = None
    last_change: int | None = None
    tools: int | None = None
    tool_orders: int | None = None
    n_sharing_prefix: int | None = None


class BreakReason(NamedTuple):
    """A reason in words.

    Attributes
    ----------
    sentence : str
        To stand beside the block, as in "60 different contents in 60 requests".
    clause : str
        To follow its name, as in "user-6 **changes with every request** and breaks the prefix".
    """

    sentence: str
    clause: str


def find_break_reason(
    counts: BlockCounts, *, own_score: float | None = None, stable_threshold: float | None = None
) -> BreakReason:
    """Return the first reason that holds for a block that breaks the prefix.

    Parameters
    ----------
    counts : BlockCounts
        Of the breaking block.
    own_score, stable_threshold : float, optional
        If an exact prefix counts and the block's own score is stable, the reason says that.

    Examples
    --------
    >>> find_break_reason(BlockCounts(requests=60, present=60, n_dominant=53, contents=4, changes=9)).sentence
    'content differs from the dominant one in 7 of 60 requests'
    """
    if (
        own_score is not None
        and stable_threshold is not None
        and own_score >= stable_threshold
        and counts.n_sharing_prefix is not None
    ):
        return _shared_by_few(counts, own_score, stable_threshold)
    return next(say(counts) for holds, say in _REASONS if holds(counts))


def _shared_by_few(c: BlockCounts, own_score: float, stable_threshold: float) -> BreakReason:
    few = f"only {c.n_sharing_prefix:,} of {counted(c.requests, 'request')} share the whole prefix up to it"
    return BreakReason(f"stable by itself ({score(own_score, stable_threshold)}), but {few}", "is stable by itself")


def _seen_once(_: BlockCounts) -> BreakReason:
    return BreakReason("one request so far", "has been seen once")


def _reordered(c: BlockCounts) -> BreakReason:
    orders = counted(c.tool_orders or 0, "order")
    return BreakReason(f"The same {c.tools:,} tools come in {orders}", "is a tool out of order")


def _missing(c: BlockCounts) -> BreakReason:
    missing = f"missing from {c.requests - c.present:,} of {counted(c.requests, 'request')}"
    return BreakReason(f"{missing}; same content wherever it is present", f"is {missing}")


def _changed_once(c: BlockCounts) -> BreakReason:
    changed = f"changed once, {counted(c.last_change or 0, 'request')} ago"
    return BreakReason(changed, f"{changed},")


def _always_new(c: BlockCounts) -> BreakReason:
    within = "" if c.present == c.requests else f"{c.present:,} of "
    sentence = f"{counted(c.contents, 'different content')} in {within}{counted(c.requests, 'request')}"
    return BreakReason(sentence, "changes with every request")


def _same(c: BlockCounts) -> BreakReason:
    same = f"same content in all {counted(c.requests, 'request')}"
    return BreakReason(f"{same}, and still below the threshold", "never changes")


def _differs(c: BlockCounts) -> BreakReason:
    others = f"in {max(c.requests - c.n_dominant, 0):,} of {counted(c.requests, 'request')}"
    return BreakReason(f"content differs from the dominant one {others}", f"differs {others}")


def _missing_and_differs(c: BlockCounts) -> BreakReason:
    present = f"present in {c.present:,} of {counted(c.requests, 'request')}"
    return BreakReason(f"{present}, and only {c.n_dominant:,} of those share one content", f"is only {present}")


_REASONS: Final[tuple[tuple[Callable[[BlockCounts], bool], Callable[[BlockCounts], BreakReason]], ...]] = (
    (lambda c: c.requests == 1, _seen_once),
    (lambda c: (c.tool_orders or 0) > 1, _reordered),
    (lambda c: c.contents == 1 and c.present < c.requests, _missing),
    (lambda c: c.changes == 1, _changed_once),
    (lambda c: c.contents > 1 and c.contents >= _NEARLY_ALL_DISTINCT * c.present, _always_new),
    (lambda c: c.contents == 1, _same),
    (lambda c: c.present == c.requests, _differs),
    (lambda _: True, _missing_and_differs),
)
