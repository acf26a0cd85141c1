"""From a history to a simulation: what a provider's cache did with each request, and would do under a change."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from acg_lab.core.errors import UsageError
from acg_lab.history.replay import replay
from acg_lab.history.trace import Trace
from acg_lab.providers.prices import PriceList, TokenPrices
from acg_lab.simulation.history import PreparedHistory, prepare_history, read_settings
from acg_lab.simulation.judged_history import JudgedHistory
from acg_lab.simulation.repaired import simulate_repair
from acg_lab.simulation.result import CacheSimulation
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.storage.recorded_runs import Runs

if TYPE_CHECKING:
    from acg_lab.providers.rules import CacheProvider, Multipliers
    from acg_lab.simulation.breakpoints import Policy
    from acg_lab.simulation.readers import Scope

__all__ = ["simulate", "simulate_change"]

_WINDOW: Final = 100


def simulate(
    source: Snapshot | Trace,
    settings: Any = None,
    *,
    cache_provider: "CacheProvider | str" = "auto",
    breakpoints: "str | Policy" = "sent",
    scope: "str | Scope" = "agent",
    config: Any = None,
    prices: "Mapping[str, TokenPrices] | None" = None,
    count_tokens: "Callable[[str], int] | None" = None,
) -> CacheSimulation:
    """Return what a provider's cache did with each recorded request, and would do under a change.

    The bill is the base: where usage is recorded, a change adds the difference of two simulations to it. A change that
    touches nothing changes nothing.

    Parameters
    ----------
    source : Snapshot or Trace
        Read, never changed. A trace answers for every setting at once; simulate it where there are many.
    settings : float, StabilityThresholds or settings, optional
        What the governor is to plan with; as it was when left out.
    cache_provider : str or CacheProvider, default "auto"
        By API, model and date of each request; or one for all, by name or as a value.
    breakpoints : {"sent", "planned", "automatic", "none", "limit"} or callable, default "sent"
        The application's own and the governor's where it acts; the governor's alone; one at the end of each request;
        none; at best, had the future been known. A callable gets a `PromptView` of each request and returns its pieces
        that take one, each alone or with a TTL in seconds.
    scope : {"agent", "workspace", "account"} or callable, default "agent"
        Who shares a cache.
    config : settings, optional
        What the governor ran with. When left out, production's defaults; whether it acts is then inferred from bills
        that show writes of requests without breakpoints.
    prices : mapping of str to TokenPrices, optional
        Prices of your own, by model.
    count_tokens : callable, optional
        Counts the tokens of a text, for prompts that no bill states; else bytes // 4.

    Returns
    -------
    CacheSimulation
        One row per recorded LLM call, in order of start.

    Raises
    ------
    UsageError
        If an option makes no sense, or nothing with requests was recorded.

    Examples
    --------
    >>> from acg_lab.core import CallRecord, RunRecord
    >>> from acg_lab.core.records import Exchange, Usage
    >>> from acg_lab.storage.memory import MemoryBackend
    >>> from acg_lab import load
    >>> body = {
    ...     "model": "claude-sonnet-4-5",
    ...     "system": [{"type": "text", "text": "policy " * 1000, "cache_control": {"type": "ephemeral"}}],
    ...     "messages": [{"role": "user", "content": "hello"}],
    ... }
    >>> calls = [
    ...     CallRecord(
    ...         kind="llm",
    ...         name="anthropic",
    ...         started_at=f"2026-11-06T10:00:{second}Z",
    ...         ended_at=f"2026-11-06T10:00:{second + 1}Z",
    ...         exchange=Exchange(
    ...             api="anthropic",
    ...             request=body,
    ...             usage=Usage(prompt_tokens=1758, cache_read_tokens=read, cache_write_tokens=1750 - read),
    ...         ),
    ...     )
    ...     for second, read in ((10, 0), (20, 1750))
    ... ]
    >>> backend = MemoryBackend()
    >>> run = RunRecord(
    ...     id="00000000-0000-4000-8000-000000000001",
    ...     agent_id="shop",
    ...     calls=tuple(calls),
    ...     started_at="2026-11-06T10:00:00Z",
    ... )
    >>> backend.store_run(run)
    >>> sim = simulate(load(backend))
    >>> [str(verdict) for verdict in sim.verdicts], sim.read.tolist()
    (['first_seen', 'hit'], [0, 1750])
    """
    if isinstance(source, Snapshot) and source.recorded is not source:
        if settings is not None or breakpoints != "sent":
            msg = "A repaired snapshot is simulated as sent: leave out 'settings' and 'breakpoints'."
            raise UsageError(msg)
        recorded = simulate(
            source.recorded,
            cache_provider=cache_provider,
            scope=scope,
            config=config,
            prices=prices,
            count_tokens=count_tokens,
        )
        return simulate_change(recorded, *_trace_of(source), cache_provider=cache_provider, scope=scope)
    trace, others = _trace_of(source)
    windows = (_WINDOW,) if trace is None else trace.windows
    window = windows[0]
    ran = read_settings(config, window, "config")
    asked = ran if settings is None else read_settings(settings, window, "settings")
    for name, one in (("config", ran), ("settings", asked)):
        if one.window not in windows:
            walked = ", ".join(map(str, windows))
            msg = f"The observation window of {name!r} must be one that was replayed, {walked}; got {one.window}."
            raise UsageError(msg)
    history = prepare_history(trace, cache_provider, scope, others=others)
    if not len(history.requests):
        msg = "Nothing to simulate: the source has no recorded LLM calls. Load one that holds runs, or a request log."
        raise UsageError(msg)
    if count_tokens is not None and history.requests.is_redacted:
        msg = "The 'count_tokens' option counts texts, but those of this source are redacted; leave it out."
        raise UsageError(msg)
    counter = None if count_tokens is None else _count_bytes(count_tokens)
    sizes = history.sizes(ran, counter)
    before = history.run(ran, "sent", ran, sizes)
    acts = breakpoints == "planned" or (breakpoints == "sent" and history.acts(ran))
    is_limit = isinstance(breakpoints, str) and breakpoints == "limit"
    after = None if is_limit else history.run(asked, breakpoints, ran, sizes)
    policy = breakpoints if isinstance(breakpoints, str) else getattr(breakpoints, "__name__", "own policy")
    simulated = JudgedHistory(
        history,
        sizes,
        before,
        after,
        asked,
        ran,
        _prices(history, prices),
        refused=0 if is_limit else history.count_refused(asked, breakpoints, ran, sizes),
        acts=acts,
    )
    return CacheSimulation(simulated, _rows(history, trace), policy, tuple(_remarks(history, simulated, trace, scope)))


def simulate_change(
    recorded: CacheSimulation,
    trace: Trace | None,
    others: Runs | None = None,
    *,
    sent: Runs | None = None,
    cache_provider: "CacheProvider | str" = "auto",
    scope: "str | Scope" = "agent",
) -> CacheSimulation:
    """Return the simulation of a repaired history, with the bills of the recorded one as its base.

    Parameters
    ----------
    recorded : CacheSimulation
        Of the requests as they were recorded, simulated as sent.
    trace, others
        The replay of the repaired runs, and the runs that it may leave out.
    sent : Runs, optional
        The replayed runs after further repairs, which change only how requests are sent.
    cache_provider, scope
        As ``recorded`` was simulated with.
    """
    history = prepare_history(trace, cache_provider, scope, others=others)
    if sent is not None:
        history = history.sent_as(sent)
    simulated = simulate_repair(recorded.history, history)
    remarks = tuple(_remarks(history, simulated, trace, scope))
    return CacheSimulation(simulated, _rows(history, trace), "sent", remarks)


def _trace_of(source: Any) -> tuple[Trace | None, Runs | None]:
    """Return the trace of a source, None if the learner saw none of it, and the runs that a trace may leave out."""
    if isinstance(source, Trace):
        return source, None
    if isinstance(source, Snapshot):
        runs = source.runs
        has_requests = any(call.request is not None for calls in runs.calls for call in calls)
        return (replay(source, progress=False) if has_requests else None), runs
    msg = f"The 'source' must be a Snapshot or a Trace (see acg_lab.load, acg_lab.replay); got {type(source).__name__}."
    raise UsageError(msg)


def _count_bytes(count_tokens: "Callable[[str], int]") -> Callable[[bytes], int]:
    return lambda text: count_tokens(text.decode(errors="replace"))


def _prices(history: PreparedHistory, prices: "Mapping[str, TokenPrices] | None") -> PriceList:
    multipliers: dict[str, Multipliers] = {}
    for provider in history.providers:
        for model in history.requests.model_names:
            rates = provider.multipliers_of(model)
            if rates is not None:
                multipliers.setdefault(model, rates)
    return PriceList(prices, multipliers)


def _rows(history: PreparedHistory, trace: Trace | None) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """Return the requests of a trace: all of the history, or those of the steps that were selected."""
    if trace is None:
        return np.arange(len(history.requests))
    n_rows = sum(len(part.profile) for part in trace.parts)
    if len(trace) == n_rows:
        return np.arange(len(history.requests))
    shifts = np.cumsum([0, *(len(part.profile) for part in trace.parts)])
    steps = trace.row + shifts[trace.part]
    return np.flatnonzero(np.isin(history.requests.steps, steps))


def _remarks(
    history: PreparedHistory, simulated: JudgedHistory, trace: Trace | None, scope: "str | Scope"
) -> list[str]:
    notes = [] if trace is None else list(trace.caveats)
    who = f"each {scope}" if isinstance(scope, str) else "each scope of yours"
    notes.append(f"a cache is shared within {who}; requests of others that share it in truth are not seen")
    if simulated.acts:
        notes.append("the governor's breakpoints are simulated with what it had learned by then")
    if simulated.refused:
        notes.append(
            f"{simulated.refused:,} requests would carry more than four breakpoints with the planned ones, which "
            "Anthropic refuses: simulated without the planned ones"
        )
    if history.early_entries:
        notes.append("first tokens are not recorded: entries count as readable from the start, as the bills suggest")
    notes.append(f"prices: {simulated.price_list.source}")
    return notes
