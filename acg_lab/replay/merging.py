"""Putting steps together: of the histories of one replay, and of several traces.

Belongs here: one order for all steps, whatever they are put together from.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from acg_lab.core.errors import UsageError
from acg_lab.replay.part import Part
from acg_lab.replay.trace import Trace

__all__ = ["merge", "trace_of"]


def merge(traces: Iterable[Trace]) -> Trace:
    """Return one trace of the steps of several; in whatever groups they are merged, the result is the same.

    Parameters
    ----------
    traces : iterable of Trace
        Of the same windows: selections of one trace, or traces of different agents.

    Returns
    -------
    Trace
        Each step once.

    Raises
    ------
    UsageError
        If there are none, their windows differ, or an agent was replayed twice.
    """
    traces = tuple(traces)
    parts = tuple({id(part): part for trace in traces for part in trace.parts}.values())
    agents = [agent_id for part in parts for agent_id in part.agents]
    windows = {trace.windows for trace in traces}
    if len(windows) != 1 or len(set(agents)) < len(agents):
        twice = ", ".join(sorted({repr(agent_id) for agent_id in agents if agents.count(agent_id) > 1}))
        msg = (
            "Traces to merge must be of the same windows, one trace at least, and no two replays of one agent; "
            f"got windows {' and '.join(map(str, sorted(windows))) or 'none'}, and twice {twice or 'no agent'}."
        )
        raise UsageError(msg)
    number = {id(part): i for i, part in enumerate(parts)}
    steps = [
        np.stack((np.array([number[id(part)] for part in trace.parts], np.int64)[trace.part], trace.row))
        for trace in traces
    ]
    part, row = np.unique(np.concatenate(steps, axis=1), axis=1)
    remarks = tuple(dict.fromkeys(remark for trace in traces for remark in trace.remarks))
    return _in_order(Trace(parts=parts, part=part, row=row, windows=traces[0].windows, remarks=remarks))


def trace_of(parts: Sequence[Part], windows: Iterable[int], remarks: Iterable[str]) -> Trace:
    """Return the trace of all rows of histories that were walked."""
    sizes = [len(part.profile) for part in parts]
    row = np.concatenate([np.arange(size) for size in sizes])
    part = np.repeat(np.arange(len(sizes)), sizes)
    return _in_order(Trace(parts=tuple(parts), part=part, row=row, windows=tuple(windows), remarks=tuple(remarks)))


def _in_order(trace: Trace) -> Trace:
    """Return the same steps by start, then agent, run and call."""
    profiles = trace.profiles
    rank = {agent_id: i for i, agent_id in enumerate(sorted({profile.agent_id for profile in profiles}))}
    agent = np.array([rank[profile.agent_id] for profile in profiles], np.int64)[trace.profile]
    order = np.lexsort((trace.calls, trace.runs, agent, trace.started))
    return replace(trace, part=trace.part[order], row=trace.row[order])
