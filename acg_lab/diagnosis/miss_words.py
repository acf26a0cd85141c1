"""The words for a miss, in a table, a plot and a sentence.

Invariant: names of blocks are those of the request's body, and no word comes from a prompt.
"""

from typing import Final

from acg_lab.diagnosis.finding import Kind
from acg_lab.diagnosis.misses import Miss
from acg_lab.diagnosis.phrases import KIND_LABELS
from acg_lab.simulation.verdicts import Verdict

__all__ = ["describe_miss", "name_block"]

_MECHANICAL: Final = {
    Verdict.BELOW_MINIMUM: "prefix below the minimum",
    Verdict.NO_BREAKPOINT: "no breakpoint",
    Verdict.NOT_WRITTEN: "nothing written there",
    Verdict.LOOKBACK_EXCEEDED: "look-back exceeded",
    Verdict.BOUNDARY_ABSENT: "no common boundary",
    Verdict.IN_FLIGHT: "entry still being written",
    Verdict.EXPIRED: "expired",
    Verdict.UNEXPLAINED: "unexplained",
    Verdict.MODEL_CHANGED: "another model",
    Verdict.SCOPE_CHANGED: "another scope",
    Verdict.PARAMETERS_CHANGED: "parameters changed",
}


def describe_miss(miss: Miss) -> str:
    """Return what a miss is paid for, in a few words.

    Examples
    --------
    >>> import acg_lab as acg
    >>> from acg_lab.diagnosis.misses import find_misses
    >>> sim = acg.simulate(acg.load("data/sample", agent_id="support-mail"))
    >>> describe_miss(find_misses(sim)[0])
    'breakpoint ends before system prompt'
    """
    if miss.cause == Verdict.BREAKPOINT_SHORT:
        return f"breakpoint ends before {name_block(miss.block)}"
    if miss.cause in _MECHANICAL:
        return _MECHANICAL[miss.cause]
    if miss.kind in (None, Kind.UNKNOWN, Kind.REDACTED):
        return f"{name_block(miss.block)} changed"
    if miss.cause == Verdict.TOOLS_CHANGED:
        return KIND_LABELS.get(miss.kind, "tools changed")
    return f"{KIND_LABELS.get(miss.kind, 'change')} in {name_block(miss.block)}"


def name_block(block: str) -> str:
    """Return the name of a block as people say it.

    >>> name_block("system[0]"), name_block("messages[3]"), name_block("")
    ('system prompt', 'messages[3]', 'prompt')
    """
    return "system prompt" if block == "system[0]" else block or "prompt"
