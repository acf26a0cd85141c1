"""Templates: what all contents of a block share, and the slots between."""

import random
from itertools import pairwise, permutations

import pytest
from changing_windows import LEAD, NAMES, TAIL, WORDS
from hypothesis import given, settings
from hypothesis import strategies as st

from acg_lab.repairs.text_diff import align
from acg_lab.repairs.text_template import find_template

LONG = "".join(f"Rule {i}: keep item {i * 7919 % 1000} dry, and never promise a date for it.\n" for i in range(2_000))


def values(texts, counts=None):
    """Return what stands in each slot, by slot."""
    template = find_template(texts, counts or [1] * len(texts))
    return [list(template.values(slot)) for slot in template.slots]


@pytest.mark.parametrize(
    ("texts", "slots"),
    [
        (["It is 14:32 now.", "It is 14:35 now.", "It is 15:35 now."], [["14:32", "14:35", "15:35"]]),
        (
            [f"User: {name}\nId: {i}\n{LEAD}" for i, name in enumerate(NAMES[:3])],
            [NAMES[:3], ["0", "1", "2"]],
        ),
        ([f"{LEAD}{word}" for word in WORDS[:4]], [WORDS[:4]]),
        ([f"{word}{LEAD}" for word in ("a ", "b ", "c ")], [["a", "b", "c"]]),
        ([f"{LEAD}Thanks.", f"{LEAD}"[:-1]], [[" Thanks.", ""]]),
        ([f"{LEAD}{extra}{TAIL.strip()}" for extra in ("", "Be brief. ")], [["", "Be brief. "]]),
        (["你好,今天是星期一,请回答。", "你好,今天是星期二,请回答。"], [["一", "二"]]),
        (
            [f"{LONG}{i}\n{LONG[::-1]}\n{name}\n{LONG}" for i, name in enumerate(NAMES[:3])],
            [["0", "1", "2"], NAMES[:3]],
        ),
    ],
)
def test_slots_hold_what_varies(texts, slots):
    """Each slot holds what each text has there, in whole words, and nothing that all share."""
    assert values(texts) == slots


def test_the_offset_is_that_of_the_reference():
    """A text that varies from its first character on has its slot at offset 0."""
    template = find_template([f"{name} of {LEAD}" for name in NAMES], [1] * len(NAMES))
    assert [slot.offset for slot in template.slots] == [0]


def test_all_contents_count_not_two():
    """Of questions A, B, C and C with thanks, only what all four share does not change."""
    questions = ["Where is my parcel? " * 20, "How do I pay by card? " * 20, "May I send it back? " * 20]
    template = find_template([*questions, questions[2] + "Thanks."], [1, 1, 1, 1])
    assert template.count_shared_bytes() == 0


def test_a_stray_is_set_aside():
    """One text that is another text does not hide the template of the others."""
    texts = [f"{LEAD}{name}{TAIL}" for name in NAMES] + ["Ping."]
    template = find_template(texts, [1] * len(texts))
    assert template.strays == [12]
    assert [list(template.values(slot)) for slot in template.slots] == [NAMES]


def test_no_order_is_another():
    """The template is the same in every order of the texts."""
    texts = [
        f"{LEAD}{name} and {word}, {i} times.{TAIL}" for i, (name, word) in enumerate(zip(NAMES, WORDS, strict=True))
    ]
    found = {tuple(sorted(map(tuple, map(sorted, values(order))))) for order in permutations(texts[:5])}
    assert len(found) == 1


WORD = st.sampled_from([*NAMES, *WORDS, "2026-11-20", "a", ",", "\n", " ", "é", "日本"])
TEXT = st.lists(WORD, max_size=40).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXT, min_size=2, max_size=6, unique=True), st.randoms(use_true_random=False))
def test_pieces_and_values_are_the_texts(texts, rng):
    """Pieces and values, one after the other, are each text again; shuffled texts have the same pieces."""
    template = find_template(texts, [1] * len(texts))
    for number, text in enumerate(template.texts):
        ends = [0, *(slot.stops[number] for slot in template.slots)]
        starts = [*(slot.starts[number] for slot in template.slots), len(text)]
        parts = [text[end:start] for end, start in zip(ends, starts, strict=True)]
        reference = template.texts[template.reference]
        ends = [0, *(slot.stops[template.reference] for slot in template.slots)]
        starts = [*(slot.starts[template.reference] for slot in template.slots), len(reference)]
        assert parts == [reference[end:start] for end, start in zip(ends, starts, strict=True)]
    shuffled = rng.sample(texts, len(texts))
    again = find_template(shuffled, [1] * len(texts))
    assert (again.texts[again.reference], again.pieces) == (template.texts[template.reference], template.pieces)


@settings(max_examples=100, deadline=None)
@given(TEXT, TEXT)
def test_alignments_are_shared(one, other):
    """What is aligned is the same in both texts, in order, and nowhere twice."""
    matches = align(one, other)
    for match in matches:
        assert one[match.start :][: match.length] == other[match.other_start :][: match.length]
    for before, after in pairwise(matches):
        assert before.start + before.length <= after.start
        assert before.other_start + before.length <= after.other_start


def test_long_texts_are_aligned_around_all_differences():
    """Ten words replaced in a text of 130,000 characters are ten slots."""
    rng = random.Random(7)
    lines = LONG.splitlines(keepends=True)
    changed = sorted(rng.sample(range(2_000), 10))
    other = "".join("Another rule.\n" if i in changed else line for i, line in enumerate(lines))
    assert len(values([LONG, other])) == 10
