"""Recorded LLM calls, one row per call, and replayed requests, one row per step and setting."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from acg_lab.core.errors import UsageError
from acg_lab.frames.columns import category, counts_of, make_frame
from acg_lab.frames.schema import CALLS, STEPS
from acg_lab.history import Trace
from acg_lab.history.trace import Thresholds, parse_thresholds
from acg_lab.snapshot.recorded_calls import CallFacts, list_calls
from acg_lab.snapshot.snapshot import Snapshot, check_snapshot

__all__ = ["calls", "steps"]


def calls(snap: Snapshot) -> pd.DataFrame:
    """Return one row per LLM call of the recorded runs, in the order of runs and calls.

    Parameters
    ----------
    snap : Snapshot
        Read, never changed. Without runs the frame is empty.

    Returns
    -------
    DataFrame
        agent_id, learning_key (categorical); run_id, model; call (position in its run, 0 = first, tool calls counted);
        started_at, ended_at (UTC); prompt_tokens, output_tokens, cache_read_tokens, cache_write_tokens (as the provider
        counted them, missing if not recorded).

    Raises
    ------
    UsageError
        If it is not a snapshot.

    Examples
    --------
    >>> import acg_lab as acg
    >>> snap = acg.load(acg.MemoryBackend())
    >>> acg.frames.calls(snap).empty
    True
    """
    check_snapshot(snap)
    found = list(list_calls(snap))
    rows = zip(*found, strict=True) if found else [()] * len(CallFacts._fields)
    return make_frame(CALLS, dict(zip(CallFacts._fields, map(list, rows), strict=True)))


def steps(
    trace: Trace,
    thresholds: Thresholds,
    *,
    window: int | None = None,
) -> pd.DataFrame:
    """Return one row per step of a replay and setting: by window, then threshold as given, then step.

    Parameters
    ----------
    trace : Trace
        Read, never changed.
    thresholds : float, StabilityThresholds, or an iterable of either
        The stable thresholds.
    window : int, optional
        The observation window; all that were replayed when left out.

    Returns
    -------
    DataFrame
        step (position in the trace, 0 = first); agent_id, learning_key, profile (its display name; categorical);
        run_id; call (position in its run, 0 = first, tool calls counted); started_at (UTC); window, stable_threshold
        (the setting); known_runs (runs of the agent learned before); entry (categorical, which stored result applied:
        profile, or agent for its seed entry; missing if nothing was known); requests (in that result's window); blocks,
        tokens (of the recorded request); prefix_blocks, prefix_tokens (of the stable prefix known); matched_tokens (of
        these, the tokens that the request itself repeated); usage_tokens (of the whole prompt as the provider counted
        them, missing if not recorded).

    Raises
    ------
    UsageError
        If a threshold is not a finite number or is written in per cent, or if the window was not replayed.

    Examples
    --------
    >>> import acg_lab as acg
    >>> from acg_lab.core import PromptBlock, PromptIR
    >>> kind = {"role": "system", "content_type": "text", "provenance": "system"}
    >>> block = PromptBlock(span_id="system-0", sequence_index=0, content="You book flights.", **kind)
    >>> backend = acg.MemoryBackend()
    >>> key = "agent::model=m::seed=no-seed::system=no-system::tools=no-tools"
    >>> at = {"ir_id": "4d2f0c0e-8a50-4bb0-9a3c-5a52b7b52f3a", "created_at": "2026-11-02T08:00:00Z"}
    >>> request = PromptIR(blocks=(block,), **at)
    >>> backend.store_observations(key, (request, request))
    >>> trace = acg.replay(acg.load(backend, progress=False), progress=False)
    >>> acg.frames.steps(trace, 0.9)[["step", "blocks", "tokens"]].values.tolist()
    [[0, 1, 4], [1, 1, 4]]
    """
    if not isinstance(trace, Trace):
        msg = f"Expected a Trace, as acg_lab.replay returns it; got {type(trace).__name__}."
        raise UsageError(msg)
    windows = trace.windows if window is None else (window,)
    given = parse_thresholds(thresholds)
    n, repeats = len(trace), len(windows) * len(given)

    def repeat(values: Any) -> Any:
        return np.tile(values, repeats)

    def per_setting(method: Any) -> Any:
        return np.concatenate([method(given, window=size).T.ravel() for size in windows])

    usage, profile = repeat(trace.usage_tokens), repeat(trace.profile)
    columns = {
        "step": repeat(np.arange(n)),
        "agent_id": _names(profile, [described.agent_id for described in trace.profiles]),
        "learning_key": _names(profile, [described.learning_key for described in trace.profiles]),
        "profile": _names(profile, [trace.profile_names[described.learning_key] for described in trace.profiles]),
        "run_id": repeat(np.array(trace.run_ids, object)),
        "call": repeat(trace.calls),
        "started_at": repeat(trace.started_ns),
        "window": np.repeat(np.array(windows, np.int64), len(given) * n),
        "stable_threshold": np.tile(np.repeat(given, n), len(windows)),
        "known_runs": repeat(trace.n_runs),
        "entry": [name or None for name in repeat(trace.entry).tolist()],
        "requests": per_setting(trace.n_observations),
        "blocks": repeat(trace.n_blocks),
        "tokens": repeat(trace.tokens),
        "prefix_blocks": per_setting(trace.prefix_lengths).astype(np.int64),
        "prefix_tokens": per_setting(trace.prefix_tokens),
        "matched_tokens": per_setting(trace.matched_tokens),
        "usage_tokens": counts_of(np.maximum(usage, 0), usage < 0),
    }
    return make_frame(STEPS, columns)


def _names(codes: Any, pool: Sequence[str]) -> pd.Categorical:
    """Return a categorical of codes into a pool of names, some of which may be equal."""
    code_of = {name: i for i, name in enumerate(dict.fromkeys(pool))}
    return category(np.array([code_of[name] for name in pool], np.int64)[codes], tuple(code_of))
