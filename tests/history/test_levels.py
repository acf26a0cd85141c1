"""Thresholds are compared with counts as production compares them, to the last bit."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acg_lab.core.exact_prefix import find_majority_depth, largest_threshold
from acg_lab.history import lookup
from acg_lab.history.lookup import prefix_lengths
from acg_lab.history.walk_types import PrefixCurves


def curves_of(found):
    """Make curves from pairs of (n, levels)."""
    table = np.array([level for _, of_curve in found for level in of_curve], np.int32).reshape(-1, 3)
    offsets = np.concatenate(([0], np.cumsum([len(of_curve) for _, of_curve in found])))
    return PrefixCurves(np.array([n for n, _ in found]), offsets, *table.T)


def test_scores_are_products_as_production_rounds_them():
    """A threshold of exactly (present / n) * (dominant / present) is reached, though dominant / n may differ."""
    triples = [(n, p, d) for n in range(1, 40) for p in range(1, n + 1) for d in range(1, p + 1)]
    scores = [(p / n) * (d / p) for n, p, d in triples]
    assert any(score != d / n for score, (n, _, d) in zip(scores, triples, strict=True))
    curves = curves_of([(n, [(1, p, d)]) for n, p, d in triples])
    numbers = np.array(sorted({near for s in scores for near in (s, math.nextafter(s, 2), math.nextafter(s, -1))}))
    for chunk in np.array_split(numbers, 40):
        lengths = prefix_lengths(curves, np.zeros(len(triples), bool), chunk)
        assert (lengths == (np.array(scores)[:, np.newaxis] >= chunk)).all()


@given(st.data())
def test_shares_are_those_of_the_majority_prefix(data):
    """For exact prefixes a threshold reaches the depth of `find_majority_depth`, at each share and next to it."""
    n = data.draw(st.integers(1, 60))
    counts = sorted(data.draw(st.sets(st.integers(n // 2 + 1, n), max_size=5)), reverse=True)
    window = [list(range(sum(i < count for count in counts))) for i in range(n)]
    numbers = data.draw(
        st.lists(st.sampled_from([k / n for k in range(n + 2)]) | st.floats(-2, 2) | st.just(1e308), min_size=1)
    )
    near = [one for number in numbers for one in (number, math.nextafter(number, 9), math.nextafter(number, -9))]
    curves = curves_of([(n, [(depth, count, count) for depth, count in enumerate(counts, 1)])])
    lengths = prefix_lengths(curves, np.array([True]), np.array(near))
    assert lengths[0].tolist() == [find_majority_depth(window, number, lambda block: block) for number in near]


def test_largest_thresholds_are_the_cores():
    """The thresholds of an array equal those computed one by one; a count is enough up to them, and not above."""
    pairs = [(count, n) for n in (*range(1, 60), 1000, 2**31 - 1) for count in range(max(n // 2, n - 60) + 1, n + 1)]
    counts, n = np.array(pairs, np.int64).T
    found = lookup._largest_thresholds(counts, n)
    assert found.tolist() == [largest_threshold(*pair) for pair in pairs]
    assert (found * n <= counts).all()
    assert (np.nextafter(found, 9) * n > counts).all()


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_pieces_do_not_matter(monkeypatch, at_once):
    """The answer depends neither on how many curves are compared at once nor on the order of the thresholds."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(7):
        n, k = int(rng.integers(1, 30)), int(rng.integers(0, 5))
        values = sorted(rng.choice(np.arange(1, n + 1), min(k, n), replace=False).tolist(), reverse=True)
        found.append((n, [(3 * i + 1, n, value) for i, value in enumerate(values)]))
    numbers = rng.random(11)
    monkeypatch.setattr(lookup, "_CURVES_AT_ONCE", at_once)
    lengths = prefix_lengths(curves_of(found), np.zeros(7, bool), numbers)
    for (n, of_curve), row in zip(found, lengths.tolist(), strict=True):
        expected = [max((d for d, p, c in of_curve if (p / n) * (c / p) >= t), default=0) for t in numbers]
        assert row == expected
    assert all(a[0] < b[0] for _, of_curve in found for a, b in pairwise(of_curve))
