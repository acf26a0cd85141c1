"""The blocks of a window as codes, and what each code stands for."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from acg_lab.core.exact_prefix import BlockIdentity
from acg_lab.storage.observation_columns import ObservationColumns

__all__ = ["identify_blocks"]


def identify_blocks(
    source: ObservationColumns, key: str
) -> tuple[list[list[int]], list[str | None], Mapping[int, BlockIdentity]]:
    """Return the blocks of a window as codes, the request hashes, and the identity that each code stands for."""
    window = source.number[key]
    rows, observations = source.blocks_of(window), source.observations_of(window)
    columns = (source.spans[rows], source.contents[rows], _kinds(source)[source.forms[rows]])
    together = np.stack(columns, axis=1).astype(np.int64)
    distinct, codes = np.unique(together, axis=0, return_inverse=True)
    first = {code: row for row, code in reversed(list(enumerate(codes.tolist())))}
    identities = {
        code: BlockIdentity(
            source.span_pool[distinct[code, 0]],
            source.form_pool[source.forms[rows][row]].role,
            source.form_pool[source.forms[rows][row]].content_type,
            source.content_pool[distinct[code, 1]],
        )
        for code, row in first.items()
    }
    ends = (source.block_offsets[observations.start : observations.stop + 1] - rows.start).tolist()
    listed: list[int] = codes.tolist()
    blocks = [listed[a:b] for a, b in pairwise(ends)]
    return blocks, [source.request_hashes[row] for row in observations], identities


def _kinds(source: ObservationColumns) -> NDArray[np.int64]:
    """Return a number for each form; forms with the same role and content type have the same number."""
    forms: Sequence[tuple[str, str]] = [(f.role, f.content_type) for f in source.form_pool]
    numbers = {form: i for i, form in enumerate(dict.fromkeys(forms))}
    return np.array([numbers[form] for form in forms], np.int64)
