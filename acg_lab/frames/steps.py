"""What was really sent and used: the LLM calls of recorded runs.

What production would have known before every request, a row a step and setting.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from acg_lab.frames.schema import CALLS, STEPS, category, counts_of, make_frame
from acg_lab.history import Trace
from acg_lab.history.trace import Thresholds, parse_thresholds
from acg_lab.snapshot.recorded_calls import CallFacts, list_calls
from acg_lab.snapshot.snapshot import Snapshot

__all__ = ["calls", "steps"]


def calls(snap: Snapshot) -> pd.DataFrame:
    """Return a row an LLM call of the recorded runs, in the order of runs and calls.

    Parameters
    ----------
    snap : Snapshot
        Read, never changed. One without runs gives an empty frame.

    Returns
    -------
    DataFrame
        agent_id, learning_key (categorical); run_id, model; call (position in its run, 0 = first, tool calls counted);
        started_at, ended_at (UTC); prompt_tokens, output_tokens, cache_read_tokens, cache_write_tokens: what the
        provider counted, read from its cache and wrote to it, missing where it is not recorded.
    """
    found = list(list_calls(snap))
    rows = zip(*found, strict=True) if found else [()] * len(CallFacts._fields)
    return make_frame(CALLS, dict(zip(CallFacts._fields, map(list, rows), strict=True)))


def steps(
    trace: Trace,
    thresholds: Thresholds,
    *,
    window: int | None = None,
) -> pd.DataFrame:
    """Return a row a step of a replay and setting: by window, then threshold as given, then step.

    Parameters
    ----------
    trace : Trace
        Read, never changed.
    thresholds : float, StabilityThresholds, or an iterable of either
        Stable thresholds.
    window : int, optional
        Which observation window; all that were replayed when left out.

    Returns
    -------
    DataFrame
        step (position in the trace, 0 = first); agent_id, learning_key, profile (its display
        name; categorical); run_id; call (position in its
        run, 0 = first, tool calls counted); started_at (UTC); window, stable_threshold: the setting; known_runs (of the
        agent, learned before); entry (categorical, whose result was met: profile, or agent for its
        seed entry; missing where nothing was known);
        requests (observations of that result); blocks, tokens (of the request as it was recorded); prefix_blocks,
        prefix_tokens (of the stable prefix met); matched_tokens (of these what the request itself repeated);
        usage_tokens (of the whole prompt as the provider counted them, missing where that is not recorded).

    Raises
    ------
    UsageError
        If a threshold is no finite number, or the window was not replayed.
    """
    windows = trace.windows if window is None else (window,)
    given = parse_thresholds(thresholds)
    n, repeats = len(trace), len(windows) * len(given)

    def every(values: Any) -> Any:
        return np.tile(values, repeats)

    def asked(answer: Any) -> Any:
        return np.concatenate([answer(given, window=size).T.ravel() for size in windows])

    usage, profile = every(trace.usage_tokens), every(trace.profile)
    columns = {
        "step": every(np.arange(n)),
        "agent_id": _names(profile, [described.agent_id for described in trace.profiles]),
        "learning_key": _names(profile, [described.learning_key for described in trace.profiles]),
        "profile": _names(profile, [trace.profile_names[described.learning_key] for described in trace.profiles]),
        "run_id": every(np.array(trace.run_ids, object)),
        "call": every(trace.calls),
        "started_at": every(trace.started_ns),
        "window": np.repeat(np.array(windows, np.int64), len(given) * n),
        "stable_threshold": np.tile(np.repeat(given, n), len(windows)),
        "known_runs": every(trace.n_runs),
        "entry": [name or None for name in every(trace.entry).tolist()],
        "requests": asked(trace.n_observations),
        "blocks": every(trace.n_blocks),
        "tokens": every(trace.tokens),
        "prefix_blocks": asked(trace.prefix_lengths).astype(np.int64),
        "prefix_tokens": asked(trace.prefix_tokens),
        "matched_tokens": asked(trace.matched_tokens),
        "usage_tokens": counts_of(np.maximum(usage, 0), usage < 0),
    }
    return make_frame(STEPS, columns)


def _names(codes: Any, pool: Sequence[str]) -> pd.Categorical:
    """Make a categorical of codes of names, of which some may be the same."""
    number = {name: i for i, name in enumerate(dict.fromkeys(pool))}
    return category(np.array([number[name] for name in pool], np.int64)[codes], tuple(number))
