"""One profile as blocks in prompt order, for `prefix_stability`: what is drawn of each, and what is said of all.

Belongs here: reading a frame of scores into values, and the words made of them. No drawing, no place.
"""

from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

import pandas as pd

from acg_lab._format import counted, joined, percent, score, setting, tokens
from acg_lab.core.errors import UsageError
from acg_lab.core.planner import MIN_OBSERVATIONS
from acg_lab.core.stability import StabilityThresholds
from acg_lab.plots.reasons import breaking, reason_of

__all__ = ["Block", "PlottedProfile", "SpanKind", "read_profile"]

SpanKind: TypeAlias = Literal["prefix", "breaks", "reach", "semi_stable", "variable", "unknown"]


class Block(NamedTuple):
    """One block of the prompt.

    Attributes
    ----------
    position : int
        In the prompt, 0 = first.
    name : str
        Its span id, whole.
    kind : SpanKind
        What it is to the prefix, its class if nothing else; ``reach`` is stable but behind the breaking block,
        ``unknown`` whatever there is with one request.
    score, present : float
        Its score, and the share of requests that have it.
    tokens : float or None
        Mean where it is present.
    """

    position: int
    name: str
    kind: SpanKind
    score: float
    present: float
    tokens: float | None

    @property
    def width(self) -> float:
        """Its part of the mean prompt: tokens per request, or 1 where they are not known."""
        return 1.0 if self.tokens is None else self.present * self.tokens


class PlottedProfile:
    """The blocks of one profile, at least one.

    Attributes
    ----------
    blocks : tuple of Block
        In prompt order.
    n_requests, length : int
        Requests in the window; blocks in the stable prefix.
    thresholds : StabilityThresholds
        That it was judged by.
    """

    def __init__(self, spans: pd.DataFrame, thresholds: StabilityThresholds) -> None:
        self.thresholds = thresholds
        self.n_requests = int(spans["requests"].iloc[0])
        self.length = int(spans["in_prefix"].sum())
        self._breaking = breaking(spans)
        known = bool(spans["tokens"].notna().all())
        columns = [spans[name].tolist() for name in ("position", "span_id", "score", "present", "tokens")]
        self.blocks = tuple(
            Block(position, name, kind, own, present / self.n_requests, size if known else None)
            for kind, position, name, own, present, size in zip(self._kinds(spans), *columns, strict=True)
        )

    def _kinds(self, spans: pd.DataFrame) -> list[SpanKind]:
        if self.n_requests < MIN_OBSERVATIONS:
            return ["unknown"] * len(spans)
        kinds: list[SpanKind] = []
        for position, classification in enumerate(spans["classification"].tolist()):
            if position <= self.length:
                kinds.append("prefix" if position < self.length else "breaks")
            else:
                kinds.append("reach" if classification == "stable" else classification)
        return kinds

    @property
    def alone(self) -> bool:
        """Whether there is one request only, so that nothing is known yet."""
        return self.n_requests < MIN_OBSERVATIONS

    @property
    def has_tokens(self) -> bool:
        """Whether the tokens of blocks are known."""
        return self.blocks[0].tokens is not None

    @property
    def breaks(self) -> Block | None:
        """The block that ends the prefix."""
        return None if self.alone or self.length >= len(self.blocks) else self.blocks[self.length]

    @cached_property
    def prompt(self) -> float:
        """Width of the mean prompt."""
        return sum(block.width for block in self.blocks)

    @cached_property
    def prefix(self) -> float:
        """Width of the stable prefix in it."""
        return sum(block.width for block in self.blocks[: self.length])

    @property
    def share(self) -> float:
        """Share of the prompt that the prefix covers."""
        return self.prefix / self.prompt if self.prompt else 0.0

    def count(self, kind: SpanKind) -> int:
        """Return how many blocks are of a kind; the one that breaks the prefix counts by its class."""
        breaks = not self.alone and self._breaking is not None and self._breaking.classification == kind
        return sum(block.kind == kind for block in self.blocks) + breaks

    def score(self, value: float) -> str:
        """Return a score as text, never rounded across a threshold."""
        return score(value, self.thresholds.stable_threshold, self.thresholds.semi_stable_threshold)

    # --- words ---

    @property
    def title(self) -> str:
        """The finding of the bars; ``{name}`` stands for the breaking block."""
        if self.alone:
            stable = "every block looks stable, " if self.length == len(self.blocks) else ""
            return f"One request so far: {stable}nothing is known yet"
        if self.breaks is None:
            n = len(self.blocks)
            whole = {1: "The only block is", 2: "Both blocks are"}.get(n, f"All {n:,} blocks are")
            return f"{whole} stable: the whole prompt can be cached"
        if not self.length:
            return "No stable prefix: {name} breaks it at the first block"
        return f"{counted(self.length, 'stable block')}, then {{name}} breaks the prefix"

    @property
    def title_of_tokens(self) -> str:
        """The finding of the columns."""
        if self.breaks is None or not self.length or not self.has_tokens:
            return self.title
        return f"{percent(self.share)} of the prompt is a stable prefix; {{name}} breaks it"

    def subtitle(self, confidence: str | None, title: str) -> tuple[str | None, ...]:
        """Return the numbers behind the title; the share only if that does not say it."""
        if not self.alone:
            cacheable = f"{self.length:,} of {counted(len(self.blocks), 'block')} can be cached"
            if self.has_tokens:
                cacheable = f"{tokens(self.prefix)} of {tokens(self.prompt)} tokens per request can be cached"
                cacheable += f" ({percent(self.share)})" if "%" not in title else ""
            return cacheable, counted(self.n_requests, "request"), confidence
        size = f"{tokens(self.prompt)} tokens" if self.has_tokens else counted(len(self.blocks), "block")
        full = self.thresholds.min_observations_for_full_confidence
        needs = f"needs {MIN_OBSERVATIONS} requests to be used"
        return (joined(size, f"{needs} and {full:,} for full confidence" if full > MIN_OBSERVATIONS else needs),)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What can't be seen in the drawing: to stand in the note."""
        stable, semi = self.thresholds.stable_threshold, self.thresholds.semi_stable_threshold
        said = []
        if not self.has_tokens:
            said.append("The tokens of blocks are not known.")
        if semi >= stable:
            said.append("No block can be semi-stable: its threshold is not below the stable one.")
        outside = {"stable_threshold": stable} | ({"semi_stable_threshold": semi} if semi < stable else {})
        said += [f"{name} {setting(at)} is off the scale." for name, at in outside.items() if not 0 <= at <= 1]
        if any(block.score > 1 for block in self.blocks):
            said.append("A score above 1: requests repeat the block.")
        return tuple(said)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the breaking block breaks the prefix, and what is lost behind it."""
        if self.breaks is None:
            return ()
        why = reason_of(self._breaking, self.thresholds.stable_threshold)
        limit = setting(self.thresholds.stable_threshold)
        said = why.sentence if why else f"its score of {self.score(self.breaks.score)} is below {limit}"
        behind = [block for block in self.blocks if block.kind == "reach"]
        if not behind:
            return (said,)
        lost = sum(block.width for block in behind)
        what = f"{tokens(lost)} stable tokens" if self.has_tokens else counted(len(behind), "stable block")
        return said, f"{what} behind it {'is' if what.startswith('1 ') else 'are'} out of reach"


def read_profile(spans: pd.DataFrame, thresholds: StabilityThresholds) -> PlottedProfile:
    """Read the rows of one profile; there is at least one.

    Raises
    ------
    UsageError
        If the classes are not those that the thresholds give.
    """
    stable, semi = thresholds.stable_threshold, thresholds.semi_stable_threshold
    for name, own, found in zip(spans["span_id"], spans["score"], spans["classification"], strict=True):
        expected = "stable" if own >= stable else "semi_stable" if own >= semi else "variable"
        if found != expected:
            msg = (
                f"The scores were judged by other thresholds than stable_threshold {setting(stable)} and "
                f"semi_stable_threshold {setting(semi)}: {name!r} with the score {score(own, stable, semi)} is "
                f"{found!r}. Give thresholds=..., the ones of the analysis."
            )
            raise UsageError(msg)
    return PlottedProfile(spans, thresholds)
