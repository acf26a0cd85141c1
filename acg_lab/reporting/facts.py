"""How the numbers of a report were computed: versions, rules with their dates, prices, and what is not known."""

from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version

from acg_lab._format import counted
from acg_lab.core.errors import UsageError
from acg_lab.providers.registry import find_provider
from acg_lab.simulation.calibrate import calibrate
from acg_lab.simulation.result import CacheSimulation
from acg_lab.snapshot.snapshot import Snapshot

__all__ = ["list_methods", "list_unknowns"]

_LIBRARIES = ("acg-lab", "numpy", "pandas", "matplotlib", "genai-prices")
_MOST = 5  # problems that are listed one by one


def list_methods(snap: Snapshot, sim: CacheSimulation | None) -> list[tuple[str, str]]:
    """Return names and values: the source, the rules of the learner and of each provider's cache, prices, versions."""
    written = Counter(snap.rules[key].rules for key in snap.windows)
    facts = [
        ("Source", snap.source),
        ("Learner", ", ".join(f"{name} ({counted(n, 'profile')})" for name, n in written.most_common()) or "none"),
    ]
    if sim is not None:
        for name, n in Counter(filter(None, sim.cache_providers)).most_common():
            facts.append((f"Cache of {counted(n, 'request')}", _describe_provider(name)))
        facts.append(("Prices", sim.history.price_list.source))
        facts.append(("Breakpoints", f"policy '{sim.breakpoints}' (acg_lab.simulate)"))
    versions = ", ".join(f"{name} {version(name)}" for name in _LIBRARIES)
    return [*facts, ("Versions", versions)]


def _describe_provider(name: str) -> str:
    try:
        provider = find_provider(name)
    except UsageError:  # the user's own
        return name
    newest = max((rule.as_of for rule in provider.rules), default="")
    return f"{provider.title}: {counted(len(provider.rules), 'rule')}, the newest as of {newest}"


def list_unknowns(snap: Snapshot, sim: CacheSimulation | None) -> Iterator[str]:
    """Yield what a reader must know before trusting a number, one sentence each."""
    if sim is None:
        yield "No requests are recorded, only what the governor has learned: costs are not known."
    else:
        yield f"Simulation against bills: {calibrate(sim).verdict}"
        yield from sim.caveats
    yield from snap.caveats
    for problem in snap.problems[:_MOST]:
        yield f"Not read: {problem}"
    if len(snap.problems) > _MOST:
        yield f"{len(snap.problems) - _MOST:,} more entries could not be read."
