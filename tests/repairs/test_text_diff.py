"""Differences between texts, patterns in texts, and changes in time."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import json_values, reordered, texts

from acg_lab.diagnosis import Timing
from acg_lab.diagnosis.block_history import find_changes
from acg_lab.diagnosis.text_patterns import DATETIME, IDENTIFIER, NUMBER, PATH
from acg_lab.repairs.text_diff import add_excerpts, canonicalize_json, count_shared_bytes, find_differences
from acg_lab.storage.columns import is_redacted

sentences = st.lists(st.sampled_from(["the ", "quick ", "fox ", "10:15", "\n", ". ", "日本", "é"]), max_size=12).map(
    "".join
)


@given(sentences | texts(), sentences | texts())
def test_places_are_all_that_differs(dominant, other):
    """Replacing each place in the dominant text by the other excerpt yields the other text; no place is empty."""
    made, end = [], 0
    for place in find_differences(dominant, other):
        excerpts = add_excerpts(place, dominant, other)
        assert place.offset >= end
        assert excerpts.text != excerpts.other_text
        made += dominant[end : place.offset], excerpts.other_text
        end = place.offset + place.length
    assert "".join([*made, dominant[end:]]) == other


@given(sentences)
def test_equal_texts_have_no_places(text):
    """A text does not differ from itself, and shares all its bytes if it is long enough."""
    assert find_differences(text, text) == ()
    assert count_shared_bytes(text, ()) == (len(text.encode()) if len(text) >= 32 else 0)


def test_very_long_texts_are_one_place():
    """Texts with too many words to align differ in one place, between their common start and end."""
    dominant, other = (" ".join(f"{word}{i}" for i in range(30_000)) for word in "ab")
    (place,) = find_differences(f"same {dominant} same", f"same {other} same")
    assert (place.offset, place.length) == (5, len(dominant))


def test_data_without_words_is_cut_where_it_differs():
    """A character inside a megabyte that has no words, such as an encoded picture, is the only place that differs."""
    half = "R0lGODlhAQ" * 50_000
    (place,) = find_differences(f"see {half}a{half} there", f"see {half}b{half} there")
    assert (place.offset, place.length, place.other_length) == (4 + len(half), 1, 1)


@given(st.dictionaries(texts(3), json_values(4), max_size=4))
def test_json_in_another_order(value):
    """JSON values in a text are equal in any key order and spacing."""
    forms = [json.dumps(value), json.dumps(reordered(value), indent=1, ensure_ascii=False)]
    try:
        first, second = (canonicalize_json(f"see {form} there") for form in forms)
    except UnicodeEncodeError:
        return  # a lone surrogate, which no stored text has
    assert first == second


@pytest.mark.parametrize(
    "text", ["{" * 100_000, "[1," * 50_000, "{a} " * 40_000, "a_" * 100_000, "1." * 100_000, "/a" * 100_000]
)
def test_hostile_texts_take_no_time(text):
    """Texts made to slow down an expression or a parser are processed fast, and lose nothing."""
    assert len(canonicalize_json(text)) == len(text)
    for pattern in (DATETIME, IDENTIFIER, PATH, NUMBER):
        assert len(pattern.remove(text)) <= len(text)
    assert find_differences(text, text) == ()


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
    """A hash, with or without a size, counts as redacted; a text that contains one does not."""
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
        ("b" + "a" * 50 + "b" * 49, 2, 51, Timing.ONCE),  # one came early
        ("abababab", 7, 7, Timing.ALTERNATING),
        ("aaabaaabaa", 4, 8, Timing.ALTERNATING),
        ("abcdefgh", 7, 7, Timing.EVERY_REQUEST),
        ("abcdefga", 7, 7, Timing.EVERY_REQUEST),
        ("aaabbbccc", 2, 6, Timing.DRIFTING),
        ("aaabbabbcccdddeeefff", 7, 17, Timing.DRIFTING),  # overlapped
    ],
)
def test_timings(sequence, changes, last, timing):
    """Changes are once, in every request, alternating or drifting; strays around a single change do not count."""
    assert find_changes(sequence) == (changes, last, timing)


@given(st.lists(st.sampled_from("abc") | st.none(), max_size=12))
def test_every_change_has_a_timing(sequence):
    """There is a timing if and only if something changes."""
    found = find_changes(sequence)
    assert (found.timing is None) == (len(set(sequence)) < 2) == (found.last_change is None) == (found.changes == 0)
