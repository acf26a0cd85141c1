"""A threshold that is recommended lies inside the range of those that save most, never at the score of one window."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acg_lab.diagnosis.threshold_plateau import find_plateau


@pytest.mark.parametrize(
    ("saved_by", "reach", "threshold"),
    [
        (lambda one: 2.0 if one < 0.87 else 0.4, 0.92, 0.74),
        (lambda one: 2.0 if 0.79 < one < 0.91 else 0.4, 0.92, 0.85),
        (lambda one: 2.0 if one > 0.89 else 0.0, 0.92, 0.91),
        (lambda _: 1.0, 0.8, 0.68),
        (lambda one: 2.0 if one > 0.919 else 1.0, 0.92, None),
        (lambda _: 0.0, 0.92, None),
        (lambda _: -1.0, 0.92, None),
        (lambda _: 1.0, 0.53, None),
    ],
)
def test_where_the_threshold_lies(saved_by, reach, threshold):
    """In the middle, or three standard errors below the top; nowhere if only the score itself saves most."""
    found = find_plateau(saved_by, reach, 100)
    assert found is None if threshold is None else found.threshold == pytest.approx(threshold, abs=0.011)
    assert found is None or found.saved == saved_by(found.threshold) > 0


@given(
    edges=st.tuples(st.floats(0.4, 0.95), st.floats(0.4, 0.95)).map(sorted),
    reach=st.integers(51, 99).map(lambda n: n / 100),
    requests=st.integers(3, 1000),
)
def test_a_threshold_saves_what_is_said_and_is_below_the_score(edges, reach, requests):
    """Whatever range of thresholds saves, the one found is below the score and saves what is said."""

    def saved_by(one):
        return 3.0 if edges[0] <= one <= edges[1] else 1.0

    found = find_plateau(saved_by, reach, requests)
    assert found is None or (found.threshold < reach and found.saved == saved_by(found.threshold))
