"""Comparing texts, patterns, and sequences in time."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import json_values, reordered, texts

from acg_lab.diagnosis import Timing
from acg_lab.diagnosis.block_history import read_sequence
from acg_lab.diagnosis.text_diff import differing, same_values, shared_length, with_texts
from acg_lab.diagnosis.text_patterns import DATETIME, IDENTIFIER, NUMBER, PATH
from acg_lab.storage.columns import is_redacted

sentences = st.lists(st.sampled_from(["the ", "quick ", "fox ", "10:15", "\n", ". ", "日本", "é"]), max_size=12).map(
    "".join
)


@given(sentences | texts(), sentences | texts())
def test_places_are_all_that_differs(dominant, other):
    """Putting the other text's excerpts in their places makes the dominant text the other; no place is empty."""
    made, end = [], 0
    for place in differing(dominant, other):
        excerpts = with_texts(place, dominant, other)
        assert place.offset >= end
        assert excerpts.text != excerpts.other_text
        made += dominant[end : place.offset], excerpts.other_text
        end = place.offset + place.length
    assert "".join([*made, dominant[end:]]) == other


@given(sentences)
def test_equal_texts_have_no_places(text):
    """A text does not differ from itself, and shares all of it that is long enough to tell."""
    assert differing(text, text) == ()
    assert shared_length(text, ()) == (len(text.encode()) if len(text) >= 32 else 0)


def test_very_long_texts_are_one_place():
    """Texts of more words than are worth aligning differ in one place, between what they begin and end with."""
    dominant, other = (" ".join(f"{word}{i}" for i in range(30_000)) for word in "ab")
    (place,) = differing(f"same {dominant} same", f"same {other} same")
    assert (place.offset, place.length) == (5, len(dominant))


@given(st.dictionaries(texts(3), json_values(4), max_size=4))
def test_json_in_another_order(value):
    """JSON values are the same in any order of keys, with or without spaces, and wherever they stand in a text."""
    forms = [json.dumps(value), json.dumps(reordered(value), indent=1, ensure_ascii=False)]
    try:
        first, second = (same_values(f"see {form} there") for form in forms)
    except UnicodeEncodeError:
        return  # a lone surrogate, which no stored text has
    assert first == second


@pytest.mark.parametrize(
    "text", ["{" * 100_000, "[1," * 50_000, "{a} " * 40_000, "a_" * 100_000, "1." * 100_000, "/a" * 100_000]
)
def test_hostile_texts_take_no_time(text):
    """Texts made to keep an expression or a parser busy are read in passing; nothing is lost of them."""
    assert len(same_values(text)) == len(text)
    for pattern in (DATETIME, IDENTIFIER, PATH, NUMBER):
        assert len(pattern.take_out(text)) <= len(text)
    assert differing(text, text) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sha256:" + "0" * 64, True),
        ("0123456789abcdef", True),
        ("sha256:0123456789abcdef01 (230 bytes)", True),
        ("0123456789abcdef is what he wrote, and much more than that", False),
        ("deadbeef", False),
        ("", False),
    ],
)
def test_redacted(text, expected):
    """A hash with a size beside it stands for a text; a text that holds one does not."""
    assert is_redacted(text) is expected


@pytest.mark.parametrize(
    ("sequence", "changes", "last", "timing"),
    [
        ("", 0, None, None),
        ("aaaa", 0, None, None),
        ("aab", 1, 2, Timing.ONCE),
        ("ab", 1, 1, Timing.EVERY_REQUEST),
        ("a" * 50 + "b" * 50, 1, 50, Timing.ONCE),
        ("a" * 50 + "ba" + "b" * 48, 3, 50, Timing.ONCE),  # one was under way
        ("a" * 50 + "b" + "a" * 49, 2, 51, Timing.ALTERNATING),
        ("abababab", 7, 7, Timing.ALTERNATING),
        ("aaabaaabaa", 4, 8, Timing.ALTERNATING),
        ("abcdefgh", 7, 7, Timing.EVERY_REQUEST),
        ("abcdefga", 7, 7, Timing.EVERY_REQUEST),
        ("aaabbbccc", 2, 6, Timing.DRIFTING),
        ("aaabbabbcccdddeeefff", 7, 17, Timing.DRIFTING),  # overlapped
    ],
)
def test_timings(sequence, changes, last, timing):
    """Once, in every request, back and forth, or on and on; stray requests around the moment do not count."""
    assert read_sequence(sequence) == (changes, last, timing)


@given(st.lists(st.sampled_from("abc") | st.none(), max_size=12))
def test_every_change_has_a_timing(sequence):
    """There is a timing if, and only if, something changes."""
    found = read_sequence(sequence)
    assert (found.timing is None) == (len(set(sequence)) < 2) == (found.last_change is None) == (found.changes == 0)
