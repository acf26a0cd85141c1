"""The numbers that decide: what one setting gives, and how it differs from another.

Belongs here: numbers and their names, no words.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.stability import StabilityThresholds
from acg_lab.history import Trace
from acg_lab.widgets.prefixes import Lengths, Prefixes

__all__ = ["Change", "Matched", "Standing", "changes", "count_matched", "standing_of"]

_NEEDED = 2  # with fewer requests production plans nothing


class Standing(NamedTuple):
    """What production holds of some profiles under one setting.

    Attributes
    ----------
    profiles, with_prefix : int
        How many; those with a stable prefix that two requests or more have made.
    median_tokens : float
        Of their stable prefixes, 0 where there is none.
    share : float
        Of the tokens of all their requests that stable prefixes cover, 0 to 1.
    """

    profiles: int
    with_prefix: int
    median_tokens: float
    share: float


class Matched(NamedTuple):
    """Of so many recorded requests those that began with the whole stable prefix that production knew by then."""

    requests: int
    matched: int

    @property
    def share(self) -> float:
        """From 0 to 1."""
        return self.matched / self.requests if self.requests else 0.0


class Change(NamedTuple):
    """A profile whose prefix another setting changes, in blocks."""

    learning_key: str
    before: int
    after: int


def standing_of(prefixes: Prefixes, lengths: Lengths, chosen: NDArray[np.bool_]) -> Standing:
    """Sum up the chosen profiles."""
    used = (prefixes.requests >= _NEEDED) & (lengths.blocks > 0)
    tokens = np.where(used, lengths.tokens, 0.0)[chosen]
    requests = prefixes.requests[chosen]
    prompt = float((prefixes.prompt_tokens[chosen] * requests).sum())
    return Standing(
        profiles=int(chosen.sum()),
        with_prefix=int(used[chosen].sum()),
        median_tokens=float(np.median(tokens)) if len(tokens) else 0.0,
        share=float((tokens * requests).sum()) / prompt if prompt else 0.0,
    )


def changes(keys: Sequence[str], before: Lengths, after: Lengths, chosen: NDArray[np.bool_]) -> list[Change]:
    """List the chosen profiles whose prefixes differ, the largest loss of tokens first."""
    differ = np.flatnonzero(chosen & (before.blocks != after.blocks))
    order = differ[np.argsort((after.tokens - before.tokens)[differ], kind="stable")]
    return [Change(keys[i], int(before.blocks[i]), int(after.blocks[i])) for i in order.tolist()]


def count_matched(trace: Trace, thresholds: StabilityThresholds, observation_window: int) -> Matched:
    """Count the requests of a trace that matched what was known."""
    stable = thresholds.stable_threshold
    lengths = trace.prefix_lengths(stable, window=observation_window)[:, 0]
    promised = trace.prefix_tokens(stable, window=observation_window)[:, 0]
    whole = trace.matched_tokens(stable, window=observation_window)[:, 0] == promised
    return Matched(len(trace), int((whole & (lengths > 0) & (lengths <= trace.n_blocks)).sum()))
