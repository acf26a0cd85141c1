"""The problem line: what ends the prefix, whether a threshold takes it in, and what production makes of the rest.

Belongs here: sentences about one profile. A threshold that is named has been checked to include the block.
"""

from collections.abc import Iterator
from html import escape
from typing import NamedTuple

from msgspec.structs import replace

from acg_lab._format import between, cut, tokens
from acg_lab.core.planner import MIN_OBSERVATIONS
from acg_lab.core.stability import StabilityThresholds
from acg_lab.diagnosis.context import AnalysisContext
from acg_lab.diagnosis.planner_refusals import find_refusals
from acg_lab.plots.reasons import breaking, reason_of
from acg_lab.widgets.profile import ProfileScores

__all__ = ["Problem", "find_problem", "refusals"]

_NAME = 60


class Problem(NamedTuple):
    """What ends a profile's prefix.

    Attributes
    ----------
    name : str
        The block's, empty if there is none.
    sentences : tuple of str
    can_be_mended : bool
        Whether stable tokens behind the block are out of reach.
    threshold : float or None
        The largest ``stable_threshold`` with few decimals that takes the block in.
    """

    name: str
    sentences: tuple[str, ...]
    can_be_mended: bool = False
    threshold: float | None = None

    def html(self) -> str:
        """Return the line."""
        kind = " acg-can" if self.can_be_mended else ""
        name = f'<b title="{escape(self.name)}">{escape(cut(self.name, _NAME))}</b> ' if self.name else ""
        said = escape(" ".join(self.sentences))
        return f'<div class="acg-line{kind}" role="status">{name}{said}</div>'


def find_problem(profile: ProfileScores, thresholds: StabilityThresholds, *, thorough: bool = False) -> Problem:
    """Say what ends the prefix of a profile under a setting.

    Parameters
    ----------
    profile : ProfileScores
    thresholds : StabilityThresholds
    thorough : bool
        Look also at what production would do with a longer prefix; too slow for a drag.
    """
    result = profile.result(thresholds)
    if not result.total_observations:
        return Problem("", ("No requests observed yet: let the agent run once.",))
    if result.total_observations < MIN_OBSERVATIONS:
        return Problem("", ("One request so far: production plans nothing yet, and every block looks stable.",))
    if result.stable_prefix_length >= len(result.scores):
        return Problem("", (f"All {len(result.scores):,} blocks are stable: nothing breaks the prefix.",))
    scores = profile.scores(thresholds)
    block = breaking(scores)
    reason = reason_of(block, stable_threshold=thresholds.stable_threshold)
    behind, name = profile.tokens_out_of_reach(thresholds), str(block.span_id)
    threshold = _threshold(profile, thresholds, name)
    ends = "breaks" if behind else "ends"
    sentences = [f"{ends} the prefix: {reason.sentence}." if reason else f"{ends} the prefix."]
    if behind:
        sentences.append(f"{tokens(behind)} stable tokens behind it are out of reach.")
        joins = (
            _joining(profile, thresholds, threshold, thorough=thorough) if threshold else "No threshold takes it in."
        )
        sentences.append(joins)
    else:
        sentences.append("Nothing stable follows it: this is the longest useful prefix.")
    return Problem(name, tuple(sentences), can_be_mended=behind > 0, threshold=float(threshold) if threshold else None)


def _threshold(profile: ProfileScores, thresholds: StabilityThresholds, span_id: str) -> str | None:
    """Return the largest threshold, with few decimals, whose prefix has the block; None if there is none above 0."""
    upto = profile.joins_at(thresholds)
    if not 0 < upto < thresholds.stable_threshold:
        return None
    found = between(0.0, upto, thresholds.stable_threshold)
    result = profile.result(_lowered(thresholds, float(found)))
    is_in = span_id in {score.span_id for score in result.scores[: result.stable_prefix_length]}
    return found if is_in else None


def _lowered(thresholds: StabilityThresholds, stable: float) -> StabilityThresholds:
    semi = min(thresholds.semi_stable_threshold, stable)
    return replace(thresholds, stable_threshold=stable, semi_stable_threshold=semi)


def _joining(profile: ProfileScores, thresholds: StabilityThresholds, threshold: str, *, thorough: bool) -> str:
    """Say at which threshold the block joins, and what else that means."""
    low = float(threshold) < thresholds.semi_stable_threshold
    also = " (semi_stable_threshold too)" if low else ""
    sentence = f"At {threshold} or less{also} it joins the prefix."
    if thorough and any(refusals(profile, _lowered(thresholds, float(threshold)))):
        return f"{sentence[:-1]}, but then production plans nothing for it."
    return sentence


def refusals(profile: ProfileScores, thresholds: StabilityThresholds) -> Iterator[str]:
    """Yield why production plans nothing for the profile's requests, though there is a stable prefix."""
    case = AnalysisContext(profile.snap, thresholds, {profile.key: profile.result(thresholds)})
    for refusal in find_refusals(case, [profile.key]):
        words = refusal.wording
        yield f"Production does nothing with it: {words}."
