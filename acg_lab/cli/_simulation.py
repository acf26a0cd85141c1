"""What the commands about money share: their options, and the simulation that they print."""

from typing import Annotated, Any

import typer

from acg_lab.cli._app import read
from acg_lab.core import UsageError
from acg_lab.simulation import CacheSimulation, simulate
from acg_lab.snapshot import Snapshot

__all__ = ["CacheProvider", "Scope", "SinceSent", "Until", "read_simulation", "simulate_recorded"]

SinceSent = Annotated[
    str | None, typer.Option("--since", help="Only requests sent from this date or RFC 3339 time on.")
]
Until = Annotated[str | None, typer.Option(help="Only requests sent before this date or RFC 3339 time.")]
CacheProvider = Annotated[
    str, typer.Option(help="Whose cache rules to use; 'auto' chooses by API, model and date of each request.")
]
Scope = Annotated[str, typer.Option(help="Who shares a cache: agent, workspace or account.")]
_SCOPES = ("agent", "workspace", "account")


def read_simulation(
    source: str,
    agent: str | None,
    *,
    since: str | None,
    until: str | None,
    cache_provider: str,
    scope: str,
    **options: Any,
) -> "tuple[Snapshot, CacheSimulation | None]":
    """Load a source and simulate it; None where no LLM call was recorded.

    The whole history is simulated, and what was asked for is cut out of it: what a cache held before counts.
    """
    if scope not in _SCOPES:
        msg = f"The scope (--scope) must be one of {', '.join(_SCOPES)}; got {scope!r}."
        raise UsageError(msg)
    is_shared = agent is not None and scope != "agent"
    snapshot = read(source, agent, **options)
    whole = read(source, None, **options) if is_shared else snapshot
    sim = simulate_recorded(whole, cache_provider=cache_provider, scope=scope)
    return snapshot, None if sim is None else sim.select(
        agent_id=agent if is_shared else None, since=since, until=until
    )


def simulate_recorded(snapshot: Snapshot, **options: Any) -> "CacheSimulation | None":
    """Return the simulation of what was recorded, None where nothing was."""
    if not any(map(len, snapshot.runs.calls)):
        return None
    return simulate(snapshot, **options)
