"""Find stable text at the start of a first message that varies: no breakpoint can stand inside a block.

Invariant: the text is shared by all requests of an agent, ends at a white space, and is long enough for some cache.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby

import numpy as np

from acg_lab.core.breakpoints import BYTES_PER_TOKEN
from acg_lab.diagnosis.context import AnalysisContext
from acg_lab.diagnosis.finding import Evidence, Finding, Kind
from acg_lab.diagnosis.planner_refusals import LEAST_CACHED
from acg_lab.diagnosis.suggestions import try_start_repairs
from acg_lab.repairs.text_diff import count_shared_ends

__all__ = ["build_start_findings"]

_MIN_REQUESTS, _MIN_CONTENTS = 3, 3


def build_start_findings(context: AnalysisContext, keys: Collection[str]) -> Iterator[Finding]:
    """Yield a finding for each agent whose requests begin with a message that starts alike and ends differently."""
    owners = context.snapshot.owners
    chosen = sorted((key for key in context.results if key in keys), key=lambda key: (owners[key].agent_id, key))
    for agent_id, of_agent in groupby(chosen, lambda key: owners[key].agent_id):
        finding = _of_agent(context, agent_id, tuple(of_agent))
        if finding is not None:
            yield finding


def _of_agent(context: AnalysisContext, agent_id: str, keys: tuple[str, ...]) -> Finding | None:
    source = context.source
    rows = np.array([row for key in keys for row in source.observations_of(source.number[key])], np.int64)
    rows = rows[np.diff(source.block_offsets)[rows] > 0]
    if len(rows) < _MIN_REQUESTS:
        return None
    first = source.block_offsets[rows]
    if {source.form_pool[form].role for form in np.unique(source.forms[first]).tolist()} != {"user"}:
        return None
    texts = [source.content_pool[code] for code in np.unique(source.contents[first]).tolist()]
    start = _shared_start(texts)
    tokens = len(start.encode()) / BYTES_PER_TOKEN
    if len(texts) < _MIN_CONTENTS or tokens < LEAST_CACHED or start in texts:
        return None
    span_id = source.span_pool[int(source.spans[first[0]])]
    return Finding(
        learning_key=keys[0],
        agent_id=agent_id,
        span_id=span_id,
        kind=Kind.STABLE_START,
        timing=None,
        tokens_lost=tokens,
        requests=len(rows),
        sentence=f"About {tokens:,.0f} tokens at the start of the first message, {span_id!r}, are the same in all "
        f"{len(rows):,} requests and end inside a block: no breakpoint can stand there; split them off into a block of "
        "their own, or into the system prompt.",
        evidence=Evidence(requests=len(rows), present=len(rows), distinct=len(texts), unchanging=tokens, profiles=keys),
        repairs=try_start_repairs(context, keys, span_id, len(start)),
    )


def _shared_start(texts: Sequence[str]) -> str:
    """Return what all texts begin with, up to the end of a word."""
    shared = texts[0][: count_shared_ends(texts)[0]]
    words = shared.rstrip()
    return words if words != shared else shared[: max(shared.rfind(" "), shared.rfind("\n"), 0)].rstrip()
