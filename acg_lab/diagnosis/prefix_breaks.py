"""What ends the stable prefix of one profile.

Belongs here: telling a fault from a conversation that goes its way, and what the fault costs. A block of the
conversation with nothing behind it that stays the same is no fault: there ends what could be cached.
"""

from typing import NamedTuple

from acg_lab._format import counted
from acg_lab.core.exact_prefix import largest_threshold
from acg_lab.core.planner import MIN_OBSERVATIONS
from acg_lab.core.rules import get_rules
from acg_lab.diagnosis.block_history import BlockHistory, ChangeHistory
from acg_lab.diagnosis.context import AnalysisContext
from acg_lab.diagnosis.detectors import Match, detect
from acg_lab.diagnosis.finding import Evidence, Kind, Timing
from acg_lab.diagnosis.phrases import SHORT, lost, sentence, when
from acg_lab.diagnosis.structure import is_growth, is_missing
from acg_lab.diagnosis.text_diff import with_texts
from acg_lab.snapshot.analysis import shared_prefixes

__all__ = ["CONVERSATION", "WORTH_SAYING", "Break", "Fault", "evidence_of", "find_break", "threshold_for"]

CONVERSATION = "conversation"  # the words for a prefix that ends where one starts, or goes on
WORTH_SAYING = 64  # tokens per request; below it nobody mends an application
_SHOWN = 8
_TURNS = (Kind.VARIANTS, Kind.BLOCK_MISSING, Kind.SHIFTED)


class Fault(NamedTuple):
    """What ends a stable prefix though it need not: the change, the detector that named it, and what it costs.

    ``behind`` and ``inside`` are tokens per request that do not change and are out of reach: of other blocks, and of
    the block itself.
    """

    change: BlockHistory
    match: Match | None
    behind: float
    inside: float

    @property
    def kind(self) -> Kind:
        """What kind of change it is."""
        return self.match.detector.kind if self.match else Kind.UNKNOWN

    @property
    def lost(self) -> float:
        """Tokens of a request that do not change and are out of reach."""
        return self.behind + self.inside

    def tell(self, tokens: float, profiles: int) -> str:
        """Say all that in one sentence, with what is lost in so many profiles."""
        change = self.change
        told = (
            self.match.tell(change) if self.match else f"{change.span_id!r} changes {when(change)}, by no known pattern"
        )
        so = f"so it is in {counted(profiles, 'profile')}, where " if profiles > 1 else ""
        return sentence(f"{told}; {so}{lost(tokens)} that do not change are out of reach")


class Break(NamedTuple):
    """Why a stable prefix ends, in a few words for a table, and the fault if there is one to complain of."""

    words: str
    fault: Fault | None = None


def find_break(case: AnalysisContext, key: str) -> Break:
    """Tell what ends the stable prefix of a profile."""
    result = case.results[key]
    length = result.stable_prefix_length
    if result.total_observations < MIN_OBSERVATIONS:
        return Break("one request" if result.total_observations else "no requests")
    if length >= len(result.scores):
        return Break("all stable")
    change = case.change([key], case.breaking_span(key), case.thresholds.stable_threshold)
    behind = case.steady_tokens(change, {case.span_codes[score.span_id] for score in result.scores[:length]})
    grows = not change.form.is_scaffold and is_growth(change)
    inside = 0.0 if grows else _inside(case, change)
    if not change.form.is_scaffold and behind + inside < WORTH_SAYING:
        return Break(CONVERSATION)
    fault = Fault(change, detect(change), behind, inside)
    return Break(SHORT[fault.kind], fault)


def _inside(case: AnalysisContext, change: BlockHistory) -> float:
    """Return the tokens per request of the block itself that could be read were it not for the change."""
    if change.share >= change.threshold:
        return 0.0  # it is among the steady ones already
    if is_missing(change):
        return case.usual_tokens(change)
    return 0.0 if change.form.role in ("assistant", "tool") else case.template_tokens(change)


def evidence_of(change: BlockHistory, sequel: ChangeHistory, *, text: bool, **more: object) -> Evidence:
    """Gather the numbers behind a change; excerpts only when asked for."""
    places = change.differences[:_SHOWN]
    if text and change.pair:
        places = tuple(with_texts(place, *change.pair) for place in places)
    last = sequel.last_change
    known = {"present": change.present, "distinct": len(change.counts), "variants": change.variants(), "places": places}
    return Evidence(
        requests=len(change.rows),
        changes=sequel.changes,
        last_change=None if last is None else change.source.created.text(change.rows[last]),
        **{**known, **more},  # type: ignore[arg-type]
    )


def threshold_for(case: AnalysisContext, key: str, fault: Fault) -> float | None:
    """Return the largest ``stable_threshold``, in hundredths, that takes the breaking block into the prefix.

    None where that is no remedy: where contents do not take turns, where it would have to be below one half, or where
    the prefix would then be bound to whole requests (generation 0.8, beyond the scaffold), which makes it worse.
    """
    if fault.kind not in _TURNS or fault.change.sequel.timing is not Timing.ALTERNATING:
        return None
    result = case.results[key]
    length = result.stable_prefix_length
    if not get_rules(case.snapshot.rules[key].rules).exact_prefix:
        return _floor(result.scores[length].score)
    return _floor(_reach(case, key, length)) if fault.change.form.is_scaffold else None


def _reach(case: AnalysisContext, key: str, length: int) -> float:
    depths = shared_prefixes(case.snapshot, key)
    return largest_threshold(depths[length], case.results[key].total_observations) if length < len(depths) else 0.0


def _floor(reach: float) -> float | None:
    hundredths = round(reach * 100)
    if hundredths / 100 > reach:
        hundredths -= 1
    return hundredths / 100 if hundredths > 50 else None  # noqa: PLR2004
