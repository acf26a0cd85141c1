"""Numbers of other libraries become Python's own."""

from fractions import Fraction

import numpy as np

from acg_lab.core.plain_numbers import plain_number


def test_plain_number():
    """Integers and reals become int and float with the same value; everything else stays as it is."""
    for value in (np.int64(50), np.uint8(5), np.float32(0.5), np.float64(0.1)):
        assert plain_number(value) == value
        assert type(plain_number(value)) in (int, float)
    for value in (True, "5", None, np.bool_(True), Fraction(1, 2), 1j):
        assert plain_number(value) is value
