"""Put steps together into one trace: those of the histories of one replay, and those of several traces.

Invariant: steps have one order, whatever they are put together from.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from acg_lab.core.errors import UsageError
from acg_lab.history.lookup import ReplayedHistory
from acg_lab.history.trace import Trace

__all__ = ["build_trace", "merge"]


def build_trace(parts: Sequence[ReplayedHistory], windows: Iterable[int], caveats: Iterable[str]) -> Trace:
    """Return the trace of all requests of histories that were walked with the same windows."""
    sizes = [len(part.profile) for part in parts]
    row = np.concatenate([np.arange(size) for size in sizes])
    part = np.repeat(np.arange(len(sizes)), sizes)
    trace = Trace(parts=tuple(parts), part=part, row=row, windows=tuple(windows), source_caveats=tuple(caveats))
    return _sort_steps(trace)


def merge(traces: Iterable[Trace]) -> Trace:
    """Merge traces into one; the grouping in which traces are merged does not matter.

    Parameters
    ----------
    traces : iterable of Trace
        Selections of one trace, or traces of different agents, all with the same windows.

    Returns
    -------
    Trace
        Each step once.

    Raises
    ------
    UsageError
        If there is no trace, windows differ, or an agent was replayed twice.

    Examples
    --------
    >>> import acg_lab as acg
    >>> from acg_lab.core import AnnotatedLlmRequest, CallRecord, RunRecord
    >>> request, backend = AnnotatedLlmRequest(messages=({"role": "user", "content": "Hi"},)), acg.MemoryBackend()
    >>> call = CallRecord(kind="llm", name="n", started_at="2026-11-01T08:00:00Z", annotated_request=request)
    >>> for agent in ("a", "b"):
    ...     backend.store_run(RunRecord(id=agent, agent_id=agent, calls=(call,), started_at=call.started_at))
    >>> trace = acg.replay(acg.load(backend), progress=False)
    >>> merge([trace.select(agent_id="b"), trace.select(agent_id="a")]).agent_ids
    ['a', 'b']
    """
    traces = tuple(traces)
    parts = tuple({id(part): part for trace in traces for part in trace.parts}.values())
    agents = [agent_id for part in parts for agent_id in part.agents]
    windows = {trace.windows for trace in traces}
    if len(windows) != 1 or len(set(agents)) < len(agents):
        twice = ", ".join(sorted({repr(agent_id) for agent_id in agents if agents.count(agent_id) > 1}))
        msg = (
            "Traces to merge must be at least one, have the same windows, and hold one replay of each agent; "
            f"got windows {' and '.join(map(str, sorted(windows))) or 'none'}, and twice {twice or 'no agent'}."
        )
        raise UsageError(msg)
    number = {id(part): i for i, part in enumerate(parts)}
    steps = [
        np.stack((np.array([number[id(part)] for part in trace.parts], np.int64)[trace.part], trace.row))
        for trace in traces
    ]
    part, row = np.unique(np.concatenate(steps, axis=1), axis=1)
    caveats = tuple(dict.fromkeys(caveat for trace in traces for caveat in trace.source_caveats))
    return _sort_steps(Trace(parts=parts, part=part, row=row, windows=traces[0].windows, source_caveats=caveats))


def _sort_steps(trace: Trace) -> Trace:
    """Return the same steps by start, then agent, run and call."""
    profiles = trace.profiles
    rank = {agent_id: i for i, agent_id in enumerate(sorted({profile.agent_id for profile in profiles}))}
    agent = np.array([rank[profile.agent_id] for profile in profiles], np.int64)[trace.profile]
    order = np.lexsort((trace.calls, trace.runs, agent, trace.started))
    return replace(trace, part=trace.part[order], row=trace.row[order])
