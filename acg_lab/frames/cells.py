"""What one window looks like, block by block."""

import numpy as np
import pandas as pd

from acg_lab.frames.names import CELLS, category, make_frame
from acg_lab.snapshot.snapshot import Snapshot, check_keys
from acg_lab.snapshot.window_cells import Kind, find_cells

__all__ = ["cells"]


def cells(snap: Snapshot, learning_key: str) -> pd.DataFrame:
    """Return a row a block of each request of one window, and whether it agrees with the others; oldest request first.

    Parameters
    ----------
    snap : Snapshot
        Read, never changed.
    learning_key : str
        Of the profile.

    Returns
    -------
    DataFrame
        learning_key, agent_id, span_id (categorical); request (position in the window, 0 = oldest); created_at (UTC);
        position (in the prompt, 0 = first); content (categorical: ``usual``, the commonest of the span, of several the
        one seen first; ``repeated``, another that occurs more than once; ``once``); first_difference (whether it is
        the first block of its request that is not the commonest one, span and content, at its position; where all
        requests have different ones, none is).

    Raises
    ------
    UsageError
        If the snapshot has no window under that key.
    """
    check_keys(snap, [learning_key])
    source, found = snap.columns.observations, find_cells(snap, learning_key)
    observations = source.observations_of(source.number[learning_key])
    whose = np.zeros(len(found.rows), np.int64)
    values = {
        "learning_key": category(whose, [learning_key]),
        "agent_id": category(whose, [snap.owners[learning_key].agent_id]),
        "request": found.requests,
        "created_at": source.created.nanoseconds[observations.start : observations.stop][found.requests],
        "position": found.positions,
        "span_id": category(source.spans[found.rows], source.span_pool),
        "content": category(found.kinds, [kind.name for kind in Kind], "content"),
        "first_difference": found.differs,
    }
    return make_frame(CELLS, values)
