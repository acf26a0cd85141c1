"""Numbers of other libraries, such as numpy's scalars, as Python's own."""

from numbers import Integral, Rational, Real
from typing import Any

__all__ = ["plain_number"]


def plain_number(value: Any) -> Any:
    """Return an integer or real number as ``int`` or ``float``; anything else, booleans too, as it is.

    Parameters
    ----------
    value : object
        Numpy's scalars are numbers; a ``numpy.float32`` keeps its exact value.

    Examples
    --------
    >>> plain_number(50), plain_number("50"), plain_number(True)
    (50, '50', True)
    """
    if type(value) in (int, float, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) and not isinstance(value, Rational) else value
