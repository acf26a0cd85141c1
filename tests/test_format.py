"""Words and numbers say what is so, and names stay different."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acg_lab._format import MINUS, between, counted, cut, cut_all, joined, percent, score, setting, tokens

scores = st.floats(0, 1)


@given(scores, st.lists(scores, max_size=2))
def test_scores_never_cross(value, thresholds):
    """A score as written stands on the same side of each threshold as the score itself."""
    written = float(score(value, *thresholds))
    assert all((written >= threshold) == (value >= threshold) for threshold in thresholds)


@pytest.mark.parametrize(
    ("value", "thresholds", "text"),
    [
        (0.9496, [0.95], "0.9496"),
        (0.9496, [], "0.95"),
        (1.0, [0.95], "1.00"),
        (2.0, [0.95], "2.00"),
        (0, [0.5], "0.00"),
    ],
)
def test_scores(value, thresholds, text):
    """Scores have 2 decimals, and more only where those would lie."""
    assert score(value, *thresholds) == text


@given(scores, scores, scores)
def test_between(one, other, near):
    """The threshold told is one that does: above the one, up to and with the other."""
    above, upto = sorted((one, other))
    if above < upto:
        assert above < float(between(above, upto, near)) <= upto


@given(st.floats(0, 1))
def test_percent(share):
    """Nothing and all are said only of nothing and all."""
    assert (percent(share) == "0%") == (share == 0)
    assert (percent(share) == "100%") == (share == 1)


def test_numbers():
    """Thousands are separated, a minus is a minus sign, settings stand as entered."""
    assert [tokens(-1234.4), setting(0.90), setting(100), percent(-0.33)] == [
        f"{MINUS}1,234",
        "0.9",
        "100",
        f"{MINUS}33%",
    ]
    assert [counted(0, "block"), counted(1, "block"), counted(1200, "block")] == ["0 blocks", "1 block", "1,200 blocks"]
    assert joined("a", None, "", "b") == "a · b"


@given(st.text(max_size=60), st.integers(3, 40))
def test_cut(name, width):
    """A cut name is no longer than allowed, and begins and ends as the name does."""
    short = cut(name, width)
    assert len(short) <= max(width, 3)
    assert short == name or (name.startswith(short.split("…")[0]) and name.endswith(short.rsplit("…", 1)[1]))


@given(st.sets(st.text("ab-", max_size=30), max_size=12), st.integers(3, 12))
def test_names_stay_different(names, width):
    """However short they are cut, no two names of a figure look the same."""
    cut_names = cut_all(names, width)
    assert set(cut_names) == names
    assert len(set(cut_names.values())) == len(names)
