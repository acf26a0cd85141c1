"""What was really sent and used: the LLM calls of recorded runs."""

import pandas as pd

from acg_lab.frames.names import CALLS, make_frame
from acg_lab.snapshot.recorded_calls import CallFacts, list_calls
from acg_lab.snapshot.snapshot import Snapshot

__all__ = ["calls"]


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
