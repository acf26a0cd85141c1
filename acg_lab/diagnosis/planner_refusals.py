"""Find out why production plans nothing for a profile although its prefix is stable.

Source: acg_lab/docs/rules/planner.md, sections 3, 4 and 8. Nothing stored shows the provider in use, so a refusal is
reported only if it holds for any provider, or for a model that only one provider has.
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
from acg_lab.storage.observation_columns import ObservationColumns

__all__ = ["LEAST_CACHED", "PlannerRefusal", "count_scaffold_blocks", "find_refusals"]

_HALF = 0.5
LEAST_CACHED = min(MINIMUM_TOKENS.values())  # no provider with breakpoints caches less


class PlannerRefusal(NamedTuple):
    """Why production plans nothing for some profiles of an agent.

    Attributes
    ----------
    kind : Kind
    keys : tuple of str
        Learning keys of the profiles, the largest first.
    lost : float
        Mean tokens per request that are stable but not cached.
    wording : str
        The reason, as a clause.
    """

    kind: Kind
    keys: tuple[str, ...]
    lost: float
    wording: str


def find_refusals(context: AnalysisContext, keys: Sequence[str]) -> Iterator[PlannerRefusal]:
    """Yield why production plans nothing for some profiles of one agent, one refusal per cause and model."""
    together: dict[tuple[Kind, str], list[tuple[str, float]]] = {}
    for key in keys:
        if (found := _find_refusal(context, key)) is not None:
            kind, wording, lost = found
            together.setdefault((kind, wording), []).append((key, lost))
    for (kind, wording), of_kind in together.items():
        counts = {key: context.results[key].total_observations for key, _ in of_kind}
        lost = sum(counts[key] * tokens for key, tokens in of_kind) / sum(counts.values())
        largest = tuple(sorted(counts, key=lambda key: (-counts[key], key)))
        profiles = "" if len(largest) == 1 else f" of {counted(len(largest), 'profile')}"
        yield PlannerRefusal(kind, largest, lost, wording.format(profiles=profiles))


def _find_refusal(context: AnalysisContext, key: str) -> tuple[Kind, str, float] | None:
    result = context.results[key]
    prefix = context.prefix_tokens(key)
    if not result.total_observations or not prefix:
        return None
    if result.total_observations < requests_needed(context.thresholds):
        if prefix < LEAST_CACHED:
            return None
        n = requests_needed(context.thresholds)
        wording = f"production plans nothing for requests{{profiles}} until a profile has {n:,} requests"
        return Kind.TOO_FEW_REQUESTS, wording, prefix
    if (repeated := _share_of_commonest_request(context, key)) is not None and repeated < _HALF:
        wording = (
            "the stable prefix{profiles} extends beyond system prompt and tools, so production binds it to whole "
            "requests, and few requests are equal"
        )
        return Kind.BOUND_TO_REQUESTS, wording, prefix * (1 - repeated)
    return _check_model(context, key, prefix)


def _check_model(context: AnalysisContext, key: str, prefix: float) -> tuple[Kind, str, float] | None:
    """Return why provider ``anthropic`` plans nothing for a Claude model; None for any other model."""
    parsed = parse_learning_key(key, agent_id=context.snapshot.owners[key].agent_id)
    if parsed is None or "claude" not in parsed.model.lower():
        return None
    model = repr(parsed.model).replace("{", "{{").replace("}", "}}")  # anything may stand in a name
    minimum = minimum_tokens(parsed.model, MINIMUM_TOKENS)
    if minimum is None:
        wording = (
            f"production does not know the family of model {model}, so it sets no breakpoint in requests{{profiles}}"
        )
        return Kind.UNKNOWN_MODEL_FAMILY, wording, prefix
    newest = context.newest(key)
    if any(find_candidates(newest, context.results[key], minimum)):
        return None
    wording = f"the stable prefix{{profiles}} is shorter than {minimum:,} tokens, the minimum that {model} caches"
    return Kind.BELOW_MINIMUM, wording, prefix


def count_scaffold_blocks(source: ObservationColumns, window: int) -> int:
    """Return how many leading blocks of a window's newest request are scaffold; 0 if there is no request."""
    rows = source.observations_of(window)
    if not rows:
        return 0
    forms = source.forms[int(source.block_offsets[rows[-1]]) : int(source.block_offsets[rows[-1] + 1])].tolist()
    leading = takewhile(lambda form: source.form_pool[form].is_scaffold, forms)
    return sum(1 for _ in leading)


def _share_of_commonest_request(context: AnalysisContext, key: str) -> float | None:
    """Return the share of the commonest request if the prefix is bound to whole requests, else None."""
    if not get_rules(context.snapshot.rules[key].rules).exact_prefix:
        return None
    if context.results[key].stable_prefix_length <= count_scaffold_blocks(context.source, context.source.number[key]):
        return None
    source = context.source
    rows = source.observations_of(source.number[key])
    hashes = Counter(found for row in rows if (found := source.request_hashes[row]) is not None)
    return max(hashes.values(), default=0) / len(rows)
