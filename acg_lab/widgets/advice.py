"""Advice on one profile: what breaks its prefix, which threshold would include the block, and what production would do.

Invariant: a threshold that is named has been checked to include the block.
"""

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Final, NamedTuple

from msgspec.structs import replace

from acg_lab._format import between, cut, tokens
from acg_lab.core.planner import MIN_OBSERVATIONS
from acg_lab.core.stability import StabilityThresholds
from acg_lab.diagnosis.context import AnalysisContext
from acg_lab.diagnosis.planner_refusals import find_refusals
from acg_lab.plots.inputs import breaking_row, reason_of
from acg_lab.widgets.profile import ProfileScores

if TYPE_CHECKING:
    from acg_lab.widgets.state import TunerState

__all__ = ["BreakAdvice", "describe_break", "is_short_of_requests", "list_refusals"]

_NAME: Final = 60


class BreakAdvice(NamedTuple):
    """What ends a profile's prefix, and what to do about it.

    Attributes
    ----------
    name : str
        Of the block that ends it; empty if none does.
    sentences : tuple of str
        Continue the name.
    can_be_fixed : bool
        Whether stable tokens after the block are out of reach.
    threshold : float or None
        The largest ``stable_threshold`` with few decimals whose prefix includes the block.
    """

    name: str
    sentences: tuple[str, ...]
    can_be_fixed: bool = False
    threshold: float | None = None

    def html(self) -> str:
        """Return the advice as one line of HTML."""
        kind = " acg-can" if self.can_be_fixed else ""
        name = f'<b title="{escape(self.name)}">{escape(cut(self.name, _NAME))}</b> ' if self.name else ""
        sentences = escape(" ".join(self.sentences))
        return f'<div class="acg-line{kind}" role="status">{name}{sentences}</div>'


def describe_break(profile: ProfileScores, thresholds: StabilityThresholds, *, thorough: bool = False) -> BreakAdvice:
    """Describe what ends the prefix of a profile under a setting.

    Parameters
    ----------
    profile : ProfileScores
        The profile being shown.
    thresholds : StabilityThresholds
        The setting being tried.
    thorough : bool
        Also check what production would do with a longer prefix; too slow for a drag.
    """
    result = profile.result(thresholds)
    if not result.total_observations:
        return BreakAdvice("", ("No requests observed yet: let the agent run once.",))
    if result.total_observations < MIN_OBSERVATIONS:
        return BreakAdvice("", ("One request so far: production plans nothing yet, and every block looks stable.",))
    if result.stable_prefix_length >= len(result.scores):
        return BreakAdvice("", (f"All {len(result.scores):,} blocks are stable: nothing breaks the prefix.",))
    scores = profile.scores(thresholds)
    block = breaking_row(scores)
    reason = reason_of(block, thresholds.stable_threshold)
    lost, name = profile.tokens_out_of_reach(thresholds), str(block.span_id)
    threshold = _threshold(profile, thresholds, name)
    ends = "breaks" if lost else "ends"
    sentences = [f"{ends} the prefix: {reason.sentence}." if reason else f"{ends} the prefix."]
    if lost:
        sentences.append(f"{tokens(lost)} stable tokens behind it are out of reach.")
        joins = (
            _joining(profile, thresholds, threshold, thorough=thorough) if threshold else "No threshold takes it in."
        )
        sentences.append(joins)
    else:
        sentences.append("Nothing stable follows it: this is the longest useful prefix.")
    return BreakAdvice(name, tuple(sentences), can_be_fixed=lost > 0, threshold=float(threshold) if threshold else None)


def _threshold(profile: ProfileScores, thresholds: StabilityThresholds, span_id: str) -> str | None:
    """Return the largest threshold with few decimals whose prefix includes the block; None if none above 0 does."""
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
    """Return at which threshold the block joins the prefix, and what else that means."""
    low = float(threshold) < thresholds.semi_stable_threshold
    also = " (semi_stable_threshold too)" if low else ""
    sentence = f"At {threshold} or less{also} it joins the prefix."
    if thorough and any(list_refusals(profile, _lowered(thresholds, float(threshold)))):
        return f"{sentence[:-1]}, but then production plans nothing for it."
    return sentence


def list_refusals(profile: ProfileScores, thresholds: StabilityThresholds) -> Iterator[str]:
    """Yield the reasons why production plans nothing for the profile's requests although it has a stable prefix."""
    context = AnalysisContext(profile.snap, thresholds, {profile.key: profile.result(thresholds)})
    for refusal in find_refusals(context, [profile.key]):
        yield f"Production does nothing with it: {refusal.wording}."


def is_short_of_requests(state: "TunerState") -> bool:
    """Whether the window being tried is larger than the current one, but no more requests are known to fill it."""
    current, size = (settings.observation_window for settings in (state.current, state.settings))
    if not state.learning_key or (window := state.window(size)) is None or window.trace is None:
        return False
    stored = state.snap.n_observations(state.learning_key)
    return bool(current <= stored == state.profile(state.settings).requests < size)
