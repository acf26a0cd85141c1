"""Small helpers for arrays of codes."""

from functools import reduce

import numpy as np
from numpy.typing import NDArray

__all__ = ["pack"]

Numbers = NDArray[np.int64]


def pack(*columns: Numbers) -> Numbers:
    """Return one number for each row, equal where all columns are, and in their order."""

    def join(packed: Numbers, column: Numbers) -> Numbers:
        return packed * (int(column.max(initial=0)) + 1) + column

    return reduce(join, (column.astype(np.int64) for column in columns))
