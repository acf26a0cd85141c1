"""Find what ends the stable prefix of one profile, and what a fault costs.

A block of the conversation with nothing stable after it is no fault: there the prefix ends because the conversation
starts or goes on.
"""

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from acg_lab._format import counted
from acg_lab.core.exact_prefix import largest_threshold
from acg_lab.core.planner import MIN_OBSERVATIONS
from acg_lab.core.rules import get_rules
from acg_lab.diagnosis.block_history import BlockHistory, ChangeHistory
from acg_lab.diagnosis.causes import Cause, find_causes_of_block
from acg_lab.diagnosis.context import AnalysisContext
from acg_lab.diagnosis.detectors import Detection
from acg_lab.diagnosis.finding import Evidence, Kind, Timing
from acg_lab.diagnosis.form_checks import says_the_same
from acg_lab.diagnosis.phrases import (
    KIND_LABELS,
    describe_change,
    describe_slots,
    name_others,
    to_sentence,
    tokens_per_request,
)
from acg_lab.diagnosis.structure import PERMUTED, is_growth, is_missing, is_permuted
from acg_lab.snapshot.analysis import shared_prefixes

__all__ = ["CONVERSATION", "MIN_TOKENS_LOST", "Fault", "PrefixBreak", "build_evidence", "find_break", "find_threshold"]

CONVERSATION = "conversation"  # the label of a prefix that ends where the conversation starts or goes on
MIN_TOKENS_LOST = 64  # per request; for less nobody changes an application
_MAX_DIFFERENCES = 8
_MAX_LATER = 8  # blocks after the breaking one that are looked at
_STRUCTURAL = (Kind.BLOCK_MISSING, Kind.SHIFTED)  # the blocks after it stand elsewhere
_UNSURE = (
    Kind.UNKNOWN,
    Kind.REDACTED,
    Kind.VARIANTS,
    Kind.FEATURE_VARIANTS,
    Kind.CHANGED_ONCE,
    *_STRUCTURAL,
)
_RECURRING = (Kind.VARIANTS, Kind.FEATURE_VARIANTS, Kind.BLOCK_MISSING, Kind.SHIFTED)


class Fault(NamedTuple):
    """A change that ends a stable prefix and could be avoided.

    Attributes
    ----------
    block : BlockHistory
        The breaking block; where it has several causes, as it would be if the others were mended.
    detection : Detection or None
        What named the change; None if no detector did.
    tokens_after, tokens_inside : float
        Tokens per request that do not change but cannot be cached: those of other blocks, and of the block itself.
    others : tuple of Cause
        The other causes in the same block, and in later ones.
    """

    block: BlockHistory
    detection: Detection | None
    tokens_after: float
    tokens_inside: float
    others: tuple[Cause, ...] = ()

    @property
    def kind(self) -> Kind:
        """The kind of the change."""
        return self.detection.detector.kind if self.detection else self.block.unnamed_kind

    @property
    def lost(self) -> float:
        """Tokens per request that do not change but cannot be cached."""
        return self.tokens_after + self.tokens_inside

    def describe(self, tokens: float, profiles: int) -> str:
        """Return one sentence on the change and the mean tokens lost in a number of profiles."""
        block = self.block
        if self.detection:
            change = self.detection.describe(block)
        else:
            change = f"{block.name} {describe_change(block)}: {describe_slots(block)}"
        where = f", in {counted(profiles, 'profile')}" if profiles > 1 else ""
        still = f" still, with {name_others(len(self.others))} mended" if self.others else ""
        return to_sentence(f"{change}{where}; {tokens_per_request(tokens)} that do not change are out of reach{still}")


class PrefixBreak(NamedTuple):
    """Why a stable prefix ends: a label for tables, and the faults if there are any."""

    label: str
    faults: tuple[Fault, ...] = ()


def find_break(context: AnalysisContext, key: str) -> PrefixBreak:
    """Return what ends the stable prefix of a profile."""
    result = context.results[key]
    length = result.stable_prefix_length
    if result.total_observations < MIN_OBSERVATIONS:
        return PrefixBreak("one request" if result.total_observations else "no requests")
    if length >= len(result.scores):
        return PrefixBreak("all stable")
    block = context.block_history([key], context.breaking_span(key), context.thresholds.stable_threshold)
    before = {context.span_codes[score.span_id] for score in result.scores[:length]}
    # Production cuts some requests to their last turn, which then lack what changes places in the others.
    tokens_after = context.count_steady_tokens(block, before, PERMUTED if is_permuted(block) else 1.0)
    grows = not block.form.is_scaffold and is_growth(block)
    if grows:
        tokens_inside = 0.0
    else:
        tokens_inside = _tokens_inside(context, block, Kind.REORDERED if says_the_same(block) else Kind.UNKNOWN)
    if not block.form.is_scaffold and tokens_after + tokens_inside < MIN_TOKENS_LOST:
        return PrefixBreak(CONVERSATION)
    causes = find_causes_of_block(block)
    found = [(cause, tokens_after, grows) for cause in causes]
    # Tools are one list, and the blocks after one that comes and goes stand elsewhere.
    if causes[0].kind not in _STRUCTURAL and not is_permuted(block) and block.form.content_type != "tool_schema":
        found += [(cause, after, False) for cause, after in _find_later_causes(context, key, block, before)]
    return PrefixBreak(KIND_LABELS[causes[0].kind], tuple(_judge_causes(context, found)))


def _find_later_causes(
    context: AnalysisContext, key: str, block: BlockHistory, before: set[int]
) -> Iterator[tuple[Cause, float]]:
    """Yield what else would end the prefix after the breaking block, each of a known kind, with the tokens after it."""
    result = context.results[key]
    spans = [score.span_id for score in result.scores[result.stable_prefix_length :]]
    before = before | {block.span}
    for span_id in islice((one for one in spans if one != block.span_id), _MAX_LATER):
        later = context.block_history([key], span_id, block.threshold)
        before = before | {later.span}
        if later.share >= later.threshold or is_growth(later) or later.form.content_type == "tool_schema":
            continue
        tokens_after = context.count_steady_tokens(later, before)
        for cause in find_causes_of_block(later):
            tokens = tokens_after + _tokens_inside(context, cause.block, cause.kind)
            if cause.kind not in _UNSURE and tokens >= MIN_TOKENS_LOST:
                yield cause, tokens_after


def _judge_causes(context: AnalysisContext, found: list[tuple[Cause, float, bool]]) -> Iterator[Fault]:
    """Yield a fault for each cause that alone would end the prefix too."""
    for cause, tokens_after, grows in found:
        others = tuple(other for other, *_ in found if other is not cause)
        if not others or cause.block.share < cause.block.threshold:
            tokens_inside = 0.0 if grows else _tokens_inside(context, cause.block, cause.kind)
            yield Fault(cause.block, cause.detection, tokens_after, tokens_inside, others)


def _tokens_inside(context: AnalysisContext, block: BlockHistory, kind: Kind) -> float:
    """Return the tokens per request of the block itself that could be cached without the change."""
    if block.share >= block.threshold:
        return 0.0  # counted among the steady ones already
    if is_missing(block):
        return context.count_dominant_tokens(block)
    return 0.0 if block.form.role in ("assistant", "tool") else context.count_tokens_inside(block, kind)


def build_evidence(block: BlockHistory, change_history: ChangeHistory, *, text: bool, **more: object) -> Evidence:
    """Return the evidence of a change, with excerpts of the texts only if `text` is true."""
    places = tuple(islice(block.find_places(text=text), _MAX_DIFFERENCES))
    last = change_history.last_change
    known = {"present": block.present, "distinct": len(block.counts), "variants": block.variants(), "places": places}
    known["n_places"] = len(block.template.slots) if block.template else 0
    return Evidence(
        requests=len(block.rows),
        changes=change_history.changes,
        last_change=None if last is None else block.source.created.text(block.rows[last]),
        **{**known, **more},  # type: ignore[arg-type]
    )


def find_threshold(context: AnalysisContext, key: str, fault: Fault) -> float | None:
    """Return the largest ``stable_threshold``, in hundredths, that includes the breaking block in the prefix.

    None where that does not help: the contents do not alternate, the threshold would be one half or less, or the prefix
    would then be bound to whole requests (rules of 0.8, beyond the scaffold), which is worse.
    """
    if fault.kind not in _RECURRING or fault.block.change_history.timing is not Timing.ALTERNATING:
        return None
    result = context.results[key]
    length = result.stable_prefix_length
    if not get_rules(context.snapshot.rules[key].rules).exact_prefix:
        return _round_down(result.scores[length].score)
    return _round_down(_largest_threshold(context, key, length)) if fault.block.form.is_scaffold else None


def _largest_threshold(context: AnalysisContext, key: str, length: int) -> float:
    depths = shared_prefixes(context.snapshot, key)
    return largest_threshold(depths[length], context.results[key].total_observations) if length < len(depths) else 0.0


def _round_down(reach: float) -> float | None:
    hundredths = round(reach * 100)
    if hundredths / 100 > reach:
        hundredths -= 1
    return hundredths / 100 if hundredths > 50 else None  # noqa: PLR2004
