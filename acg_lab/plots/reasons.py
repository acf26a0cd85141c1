"""Why a block breaks the prefix, in one plain sentence (LOOK.md section 4).

Belongs here: what is said of a block, from counts. The first reason that holds is taken; the table is its order.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from acg_lab._format import counted, score

__all__ = ["BreakEvidence", "Reason", "breaking", "reason", "reason_of"]

_NEARLY_ALL_DISTINCT = 0.8


class BreakEvidence(NamedTuple):
    """What a window holds of one block.

    Attributes
    ----------
    requests, present : int
        In the window; those that have the block.
    dominant, contents : int
        Requests with its commonest content; distinct contents.
    changes, last_change : int, optional
        How often its content changed from one request that has it to the next; requests since the last change.
    tools, orders : int, optional
        Where requests have the same tools in several orders: how many tools, in how many orders.
    sharing : int, optional
        Where the prefix is an exact one (generation 0.8): requests that share it up to and with this block.
    """

    requests: int
    present: int
    dominant: int
    contents: int
    changes: int | None = None
    last_change: int | None = None
    tools: int | None = None
    orders: int | None = None
    sharing: int | None = None


class Reason(NamedTuple):
    """A reason.

    Attributes
    ----------
    sentence : str
        To stand beside the block.
    clause : str
        To stand behind its name, as in "user-6 **changes with every request** and breaks the prefix".
    """

    sentence: str
    clause: str


def reason(evidence: BreakEvidence, *, own_score: float | None = None, stable_threshold: float | None = None) -> Reason:
    """Return the first reason that holds.

    Parameters
    ----------
    evidence : BreakEvidence
        Of the breaking block.
    own_score, stable_threshold : float, optional
        Where the score of the block is itself stable and an exact prefix counts, that is what is said.
    """
    if (
        own_score is not None
        and stable_threshold is not None
        and own_score >= stable_threshold
        and evidence.sharing is not None
    ):
        return _shared_by_few(evidence, own_score, stable_threshold)
    return next(say(evidence) for holds, say in _REASONS if holds(evidence))


def breaking(scores: pd.DataFrame) -> Any:
    """Return the row of the block that breaks the prefix, a Series; None if none does."""
    rows = np.flatnonzero(scores["breaks"])
    return scores.iloc[rows[0]] if len(rows) else None


def reason_of(row: Any, stable_threshold: float) -> Reason | None:
    """Return the reason of a row of `acg_lab.frames.scores`; None where it was made without a snapshot.

    Parameters
    ----------
    row : Series
        As `breaking` gives it.
    stable_threshold : float
        That the row was judged by.
    """

    def known(name: str) -> int | None:
        value = getattr(row, name)
        return None if pd.isna(value) else int(value)

    contents, dominant = known("contents"), known("n_dominant")
    if contents is None or dominant is None:
        return None
    orders = known("tool_orders") if row.content_type == "tool_schema" else None
    return reason(
        BreakEvidence(
            requests=row.requests,
            present=row.present,
            dominant=dominant,
            contents=contents,
            changes=known("changes"),
            last_change=known("last_change"),
            tools=known("tools"),
            orders=orders if orders != 1 else None,
            sharing=known("n_sharing_prefix"),
        ),
        own_score=row.score,
        stable_threshold=stable_threshold,
    )


def _shared_by_few(e: BreakEvidence, own_score: float, stable_threshold: float) -> Reason:
    few = f"only {e.sharing:,} of {counted(e.requests, 'request')} share the whole prefix up to it"
    return Reason(f"stable by itself ({score(own_score, stable_threshold)}), but {few}", "is stable by itself")


def _one_request(_: BreakEvidence) -> Reason:
    return Reason("one request so far", "has been seen once")


def _reordered(e: BreakEvidence) -> Reason:
    return Reason(f"The same {e.tools:,} tools come in {counted(e.orders or 0, 'order')}", "is a tool out of order")


def _missing(e: BreakEvidence) -> Reason:
    missing = f"missing from {e.requests - e.present:,} of {counted(e.requests, 'request')}"
    return Reason(f"{missing}; same content wherever it is present", f"is {missing}")


def _changed_once(e: BreakEvidence) -> Reason:
    changed = f"changed once, {counted(e.last_change or 0, 'request')} ago"
    return Reason(changed, f"{changed},")


def _always_new(e: BreakEvidence) -> Reason:
    within = "" if e.present == e.requests else f"{e.present:,} of "
    sentence = f"{counted(e.contents, 'different content')} in {within}{counted(e.requests, 'request')}"
    return Reason(sentence, "changes with every request")


def _same(e: BreakEvidence) -> Reason:
    same = f"same content in all {counted(e.requests, 'request')}"
    return Reason(f"{same}, and still below the threshold", "never changes")


def _differs(e: BreakEvidence) -> Reason:
    others = f"in {max(e.requests - e.dominant, 0):,} of {counted(e.requests, 'request')}"
    return Reason(f"content differs from the dominant one {others}", f"differs {others}")


def _both(e: BreakEvidence) -> Reason:
    present = f"present in {e.present:,} of {counted(e.requests, 'request')}"
    return Reason(f"{present}, and only {e.dominant:,} of those share one content", f"is only {present}")


_REASONS: Final[tuple[tuple[Callable[[BreakEvidence], bool], Callable[[BreakEvidence], Reason]], ...]] = (
    (lambda e: e.requests == 1, _one_request),
    (lambda e: bool(e.orders), _reordered),
    (lambda e: e.contents == 1 and e.present < e.requests, _missing),
    (lambda e: e.changes == 1, _changed_once),
    (lambda e: e.contents > 1 and e.contents >= _NEARLY_ALL_DISTINCT * e.present, _always_new),
    (lambda e: e.contents == 1, _same),
    (lambda e: e.present == e.requests, _differs),
    (lambda _: True, _both),
)
