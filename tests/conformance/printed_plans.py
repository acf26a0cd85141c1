"""Plans that the runtime prints itself, with ``NEMO_RELAY_ACG_DEBUG=1``: a second oracle beside the bodies it sends.

A body shows where marks stand. What is printed says which profile was met, with how many observations and how long a
stable prefix, which prefixes were chosen, and what each is expected to save.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from acg_lab.core import BreakpointPlan


class PrintedPlan(NamedTuple):
    """What the runtime printed of one request; None where it printed nothing of the kind.

    Attributes
    ----------
    learning_key : str or None
    n_observations, depth : int or None
        Of the result that the request met.
    savings : dict of int to float
        What each breakpoint is expected to save, by the prefix's length in blocks.
    """

    learning_key: str | None
    n_observations: int | None
    depth: int | None
    savings: dict[int, float]


def read_plan(events: Iterable[Mapping[str, Any]]) -> PrintedPlan:
    """Read what was printed of one call."""
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for event in events:
        by_name.setdefault(event["event"], []).append(event)
    met = next(iter(by_name.get("translate_request_context", [])), {})
    skipped = next(iter(by_name.get("translate_request_skipped", [])), {})
    chosen = by_name.get("economics_candidate_selected", [])
    savings = {event["stable_prefix_end"]: event["expected_net_savings"] for event in chosen}
    applied = [event["stable_prefix_end"] for event in by_name.get("anthropic_translation_applied", [])]
    return PrintedPlan(
        met.get("learning_key", skipped.get("learning_key")),
        met.get("observation_count"),
        met.get("stable_prefix_length"),
        {end: savings[end] for end in applied},
    )


def first_difference(plan: BreakpointPlan, printed: PrintedPlan, *, read_alike: bool) -> tuple[str, Any, Any] | None:
    """Return the first field in which our plan and the printed one part.

    Where ``read_alike`` is false the planner read the body by the rules of another API than it is recorded by, so it
    may have met another profile than the record says; then the breakpoints alone are compared.
    """
    ours = {segment.end: segment.expected_savings for segment in plan.segments}
    if ours != printed.savings:
        return "printed plan", ours, printed.savings
    for name in ("learning_key", "n_observations", "depth") if read_alike else ():
        if (theirs := getattr(printed, name)) is not None and theirs != getattr(plan, name):
            return f"printed {name}", getattr(plan, name), theirs
    return None
