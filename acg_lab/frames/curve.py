"""The length of one profile's stable prefix at every threshold."""

import pandas as pd

from acg_lab.core.keys import parse_learning_key
from acg_lab.frames.columns import make_frame
from acg_lab.frames.schema import CURVE
from acg_lab.snapshot.snapshot import Snapshot, check_snapshot
from acg_lab.snapshot.threshold_curve import find_threshold_steps

__all__ = ["threshold_curve"]


def threshold_curve(snap: Snapshot, learning_key: str | None = None, *, agent_id: str | None = None) -> pd.DataFrame:
    """Return one row per level of the prefix's length over ``stable_threshold``, lowest thresholds first.

    Parameters
    ----------
    snap : Snapshot
        Read, never changed.
    learning_key : str, optional
        The profile, by learning key or display name; may be left out if there is only one.
    agent_id : str, optional
        Its agent; enough if the agent has one profile.

    Returns
    -------
    DataFrame
        learning_key, profile (its display name), agent_id (categorical); model; above, upto (the level holds for
        thresholds above ``above``, -inf for the lowest, up to and including ``upto``, inf for the highest);
        prefix_blocks, prefix_tokens (length of the stable prefix; tokens are means over requests); matching (requests
        that have all of it, block by block; under nemo-relay-0.8, those with the most common fingerprint); requests (in
        the window); read_tokens (mean tokens that a request would read: prefix_tokens times the share of requests that
        match); breaking_span, breaking_score (of the first block after the prefix, missing if there is none).

    Raises
    ------
    UsageError
        If no profile fits, or more than one.

    Examples
    --------
    >>> import acg_lab as acg
    >>> from acg_lab.core import PromptBlock, PromptIR
    >>> kind = {"role": "system", "content_type": "text", "provenance": "system"}
    >>> block = PromptBlock(span_id="system-0", sequence_index=0, content="You book flights.", **kind)
    >>> at = {"ir_id": "4d2f0c0e-8a50-4bb0-9a3c-5a52b7b52f3a", "created_at": "2026-11-02T08:00:00Z"}
    >>> backend = acg.MemoryBackend()
    >>> key = "agent::model=m::seed=no-seed::system=no-system::tools=no-tools"
    >>> backend.store_observations(key, (PromptIR(blocks=(block,), **at), PromptIR(blocks=(block,), **at)))
    >>> snap = acg.load(backend, progress=False)
    >>> acg.frames.threshold_curve(snap)[["prefix_blocks", "prefix_tokens", "matching"]].values.tolist()
    [[1.0, 4.0, 2.0]]
    """
    check_snapshot(snap)
    learning_key = snap.profile_names.resolve(learning_key, agent_id=agent_id)
    treads, n = find_threshold_steps(snap, learning_key), snap.n_observations(learning_key)
    agent_id = snap.owners[learning_key].agent_id
    parsed = parse_learning_key(learning_key, agent_id=agent_id)
    values = {
        **{name: [getattr(tread, name) for tread in treads] for name in CURVE if name in treads[0]._fields},
        "learning_key": [learning_key] * len(treads),
        "profile": [snap.profile_names[learning_key]] * len(treads),
        "agent_id": [agent_id] * len(treads),
        "model": [parsed and parsed.model] * len(treads),
        "requests": [n] * len(treads),
        "read_tokens": [tread.prefix_tokens * tread.matching / max(n, 1) for tread in treads],
        "breaking_span": [tread.breaks and tread.breaks.span_id for tread in treads],
        "breaking_score": [tread.breaks and tread.breaks.score for tread in treads],
    }
    return make_frame(CURVE, values)
