"""One profile as blocks in prompt order, for `prefix_stability`.

Reads a frame of scores into values, and says in words what they show. Nothing here draws or knows of inches.
"""

from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

import pandas as pd

from acg_lab._format import counted, joined, percent, score, setting, tokens
from acg_lab.core.errors import UsageError
from acg_lab.core.planner import MIN_OBSERVATIONS
from acg_lab.core.stability import StabilityThresholds
from acg_lab.plots.empty import all_stable_title
from acg_lab.plots.inputs import breaking_row, reason_of

__all__ = ["Block", "BlockKind", "PlottedProfile", "read_profile"]

BlockKind: TypeAlias = Literal["prefix", "breaking", "out_of_reach", "semi_stable", "variable", "unknown"]


class Block(NamedTuple):
    """One block of the prompt.

    Attributes
    ----------
    position : int
        In the prompt, 0 = first.
    name : str
        Its span id, uncut.
    kind : BlockKind
        Its part in the prefix, else its class; ``out_of_reach`` is stable but after the breaking block, ``unknown`` is
        any block of a single request.
    score, present : float
        Its score, and the share of requests that have it.
    tokens : float or None
        Mean over the requests that have it.
    """

    position: int
    name: str
    kind: BlockKind
    score: float
    present: float
    tokens: float | None

    @property
    def width(self) -> float:
        """Its share of the mean prompt in tokens per request, or 1 if tokens are unknown."""
        return 1.0 if self.tokens is None else self.present * self.tokens


class PlottedProfile:
    """The blocks of one profile, at least one.

    Attributes
    ----------
    blocks : tuple of Block
        In prompt order.
    n_requests, prefix_length : int
        Requests in the window; blocks in the stable prefix.
    thresholds : StabilityThresholds
        By which the blocks were classified.
    """

    def __init__(self, scores: pd.DataFrame, thresholds: StabilityThresholds) -> None:
        self.thresholds = thresholds
        self.n_requests = int(scores["requests"].iloc[0])
        self.prefix_length = int(scores["in_prefix"].sum())
        self._breaking_row = breaking_row(scores)
        has_tokens = bool(scores["tokens"].notna().all())
        columns = [scores[name].tolist() for name in ("position", "span_id", "score", "present", "tokens")]
        self.blocks = tuple(
            Block(position, name, kind, own, present / self.n_requests, size if has_tokens else None)
            for kind, position, name, own, present, size in zip(self._kinds(scores), *columns, strict=True)
        )

    def _kinds(self, scores: pd.DataFrame) -> list[BlockKind]:
        if self.is_single_request:
            return ["unknown"] * len(scores)
        kinds: list[BlockKind] = []
        for position, classification in enumerate(scores["classification"].tolist()):
            if position <= self.prefix_length:
                kinds.append("prefix" if position < self.prefix_length else "breaking")
            else:
                kinds.append("out_of_reach" if classification == "stable" else classification)
        return kinds

    @property
    def is_single_request(self) -> bool:
        """Whether there is one request only, so that nothing is known yet."""
        return self.n_requests < MIN_OBSERVATIONS

    @property
    def has_tokens(self) -> bool:
        """Whether the tokens of blocks are known."""
        return self.blocks[0].tokens is not None

    @property
    def breaking(self) -> Block | None:
        """The block that ends the prefix, if one does."""
        is_whole = self.prefix_length >= len(self.blocks)
        return None if self.is_single_request or is_whole else self.blocks[self.prefix_length]

    @cached_property
    def prompt_width(self) -> float:
        """Width of the mean prompt."""
        return sum(block.width for block in self.blocks)

    @cached_property
    def prefix_width(self) -> float:
        """Width of the stable prefix in the mean prompt."""
        return sum(block.width for block in self.blocks[: self.prefix_length])

    @property
    def share(self) -> float:
        """Share of the prompt that the prefix covers, 0 to 1."""
        return self.prefix_width / self.prompt_width if self.prompt_width else 0.0

    def count(self, kind: BlockKind) -> int:
        """Return how many blocks are of a kind; the breaking block counts by its class."""
        row = None if self.is_single_request else self._breaking_row
        is_breaking = row is not None and row.classification == kind
        return sum(block.kind == kind for block in self.blocks) + is_breaking

    def format_score(self, value: float) -> str:
        """Return a score as text, never rounded across a threshold."""
        return score(value, self.thresholds.stable_threshold, self.thresholds.semi_stable_threshold)

    # --- words ---

    @property
    def title(self) -> str:
        """Title of the bars; ``{name}`` stands for the breaking block."""
        if self.is_single_request:
            stable = "every block looks stable, " if self.prefix_length == len(self.blocks) else ""
            return f"One request so far: {stable}nothing is known yet"
        if self.breaking is None:
            return all_stable_title(len(self.blocks))
        if not self.prefix_length:
            return "No stable prefix: {name} breaks it at the first block"
        return f"{counted(self.prefix_length, 'stable block')}, then {{name}} breaks the prefix"

    @property
    def title_in_tokens(self) -> str:
        """Title of the columns."""
        if self.breaking is None or not self.prefix_length or not self.has_tokens:
            return self.title
        return f"{percent(self.share)} of the prompt is a stable prefix; {{name}} breaks it"

    def subtitle(self, confidence: str | None, title: str) -> tuple[str | None, ...]:
        """Return the numbers behind the title; the share only if the title does not say it."""
        if not self.is_single_request:
            cacheable = f"{self.prefix_length:,} of {counted(len(self.blocks), 'block')} can be cached"
            if self.has_tokens:
                cacheable = f"{tokens(self.prefix_width)} of {tokens(self.prompt_width)} tokens per request"
                cacheable += " can be cached" + (f" ({percent(self.share)})" if "%" not in title else "")
            return cacheable, counted(self.n_requests, "request"), confidence
        size = f"{tokens(self.prompt_width)} tokens" if self.has_tokens else counted(len(self.blocks), "block")
        full = self.thresholds.min_observations_for_full_confidence
        needs = f"needs {MIN_OBSERVATIONS} requests to be used"
        return (joined(size, f"{needs} and {full:,} for full confidence" if full > MIN_OBSERVATIONS else needs),)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the drawing cannot show, for the note."""
        stable, semi = self.thresholds.stable_threshold, self.thresholds.semi_stable_threshold
        remarks = []
        if not self.has_tokens:
            remarks.append("The tokens of blocks are not known.")
        if semi >= stable:
            remarks.append("No block can be semi-stable: its threshold is not below the stable one.")
        drawn = {"stable_threshold": stable} | ({"semi_stable_threshold": semi} if semi < stable else {})
        remarks += [f"{name} {setting(at)} is off the scale." for name, at in drawn.items() if not 0 <= at <= 1]
        if any(block.score > 1 for block in self.blocks):
            remarks.append("A score above 1: requests repeat the block.")
        return tuple(remarks)

    @property
    def message(self) -> tuple[str, ...]:
        """Why the breaking block breaks the prefix, and what is out of reach after it."""
        if self.breaking is None:
            return ()
        limit = setting(self.thresholds.stable_threshold)
        reason = reason_of(self._breaking_row, self.thresholds.stable_threshold)
        below = f"its score of {self.format_score(self.breaking.score)} is below {limit}"
        sentence = reason.sentence if reason else below
        after = [block for block in self.blocks if block.kind == "out_of_reach"]
        if not after:
            return (sentence,)
        lost = sum(block.width for block in after)
        what = f"{tokens(lost)} stable tokens" if self.has_tokens else counted(len(after), "stable block")
        return sentence, f"{what} behind it {'is' if what.startswith('1 ') else 'are'} out of reach"


def read_profile(scores: pd.DataFrame, thresholds: StabilityThresholds) -> PlottedProfile:
    """Read the rows of one profile, at least one.

    Raises
    ------
    UsageError
        If the thresholds would give other classes than the rows have.
    """
    stable, semi = thresholds.stable_threshold, thresholds.semi_stable_threshold
    for name, own, found in zip(scores["span_id"], scores["score"], scores["classification"], strict=True):
        expected = "stable" if own >= stable else "semi_stable" if own >= semi else "variable"
        if found != expected:
            msg = (
                f"The scores were judged by other thresholds than stable_threshold {setting(stable)} and "
                f"semi_stable_threshold {setting(semi)}: {name!r} with the score {score(own, stable, semi)} is "
                f"{found!r}. Give thresholds=..., the ones of the analysis."
            )
            raise UsageError(msg)
    return PlottedProfile(scores, thresholds)
