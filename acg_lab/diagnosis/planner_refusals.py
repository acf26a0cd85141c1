"""What production itself will do with a profile (spec planner.md, sections 3, 4 and 8).

Belongs here: why nothing is planned for requests like the newest one of a profile, though its prefix is stable. The
provider in use is not stored, so only what holds for any provider, or for a model that only one provider has, is told.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import NamedTuple

from acg_lab._format import counted
from acg_lab.core.breakpoints import MINIMUM_TOKENS, find_candidates, minimum_tokens
from acg_lab.core.keys import parse_learning_key
from acg_lab.core.rules import get_rules
from acg_lab.diagnosis.context import AnalysisContext, requests_needed
from acg_lab.diagnosis.finding import Kind
from acg_lab.storage.columns import ObservationColumns

__all__ = ["PlannerRefusal", "find_refusals", "scaffold_blocks"]

_HALF = 0.5


class PlannerRefusal(NamedTuple):
    """Why production plans nothing for some profiles of an agent; ``lost`` are tokens of a request, in the mean."""

    kind: Kind
    keys: tuple[str, ...]
    lost: float
    words: str


def find_refusals(case: AnalysisContext, keys: Sequence[str]) -> Iterator[PlannerRefusal]:
    """Yield what keeps production from planning for some profiles of one agent, a refusal a cause and model."""
    together: dict[tuple[Kind, str], list[tuple[str, float]]] = {}
    for key in keys:
        if (found := _refusal(case, key)) is not None:
            kind, words, lost = found
            together.setdefault((kind, words), []).append((key, lost))
    for (kind, words), of_kind in together.items():
        counts = {key: case.results[key].total_observations for key, _ in of_kind}
        lost = sum(counts[key] * tokens for key, tokens in of_kind) / sum(counts.values())
        largest = tuple(sorted(counts, key=lambda key: (-counts[key], key)))
        profiles = "" if len(largest) == 1 else f" of {counted(len(largest), 'profile')}"
        yield PlannerRefusal(kind, largest, lost, words.format(profiles=profiles))


def _refusal(case: AnalysisContext, key: str) -> tuple[Kind, str, float] | None:
    result = case.results[key]
    prefix = case.prefix_tokens(key)
    if not result.total_observations or not prefix:
        return None
    if result.total_observations < requests_needed(case.thresholds):
        n = requests_needed(case.thresholds)
        words = f"production plans nothing for requests{{profiles}}, as it wants {n:,} requests of a profile first"
        return Kind.TOO_FEW_REQUESTS, words, prefix
    if (repeated := _repeated(case, key)) is not None and repeated < _HALF:
        words = (
            "the stable prefix{profiles} reaches past system prompt and tools, so production binds it to whole requests"
            ", and hardly one is like another"
        )
        return Kind.BOUND_TO_REQUESTS, words, prefix * (1 - repeated)
    return _of_model(case, key, prefix)


def _of_model(case: AnalysisContext, key: str, prefix: float) -> tuple[Kind, str, float] | None:
    """Tell what provider ``anthropic`` makes of the model; nothing of models that are none of its."""
    parsed = parse_learning_key(key, agent_id=case.snapshot.owners[key].agent_id)
    if parsed is None or "claude" not in parsed.model.lower():
        return None
    model = repr(parsed.model).replace("{", "{{").replace("}", "}}")  # anything may stand in a name
    minimum = minimum_tokens(parsed.model, MINIMUM_TOKENS)
    if minimum is None:
        words = f"production knows no family of the model {model}, so it places no breakpoint{{profiles}}"
        return Kind.UNKNOWN_MODEL_FAMILY, words, prefix
    newest = case.newest(key)
    if any(find_candidates(newest, case.results[key], minimum)):
        return None
    words = f"the stable prefix{{profiles}} is shorter than the {minimum:,} tokens that {model} caches at least"
    return Kind.BELOW_MINIMUM, words, prefix


def scaffold_blocks(source: ObservationColumns, window: int) -> int:
    """Return how many blocks lead the newest request of a window as its scaffold; 0 where there is no request."""
    rows = source.observations_of(window)
    if not rows:
        return 0
    forms = source.forms[int(source.block_offsets[rows[-1]]) : int(source.block_offsets[rows[-1] + 1])].tolist()
    leading = takewhile(lambda form: source.form_pool[form].is_scaffold, forms)
    return sum(1 for _ in leading)


def _repeated(case: AnalysisContext, key: str) -> float | None:
    """Return which share of the requests is the one that the prefix is bound to; None where it is bound to none."""
    if not get_rules(case.snapshot.rules[key].rules).exact_prefix:
        return None
    if case.results[key].stable_prefix_length <= scaffold_blocks(case.source, case.source.number[key]):
        return None
    source = case.source
    rows = source.observations_of(source.number[key])
    hashes = Counter(found for row in rows if (found := source.request_hashes[row]) is not None)
    return max(hashes.values(), default=0) / len(rows)
