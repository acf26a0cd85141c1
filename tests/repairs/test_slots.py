"""Repairs of slots: what varies in a text is pinned or moved, and the rest of it stays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from repaired_bodies import SPAN, bodies_of, body, comparable, last_of, learned, system_of
from sent_requests import MARK, manual, question

import acg_lab as acg
from acg_lab.core import normalize_whitespace
from acg_lab.repairs import MoveToEnd, Pin

RULES = ["nemo-flow-0.2", "nemo-relay-0.6", "nemo-relay-0.8"]
NAMES = ["Ada Lovelace", "Bo Ek", "Cleo Marsh Jr"]
GUIDE, MORE = manual(1, 200), manual(2, 150)


def clock(i):
    return f"10:{10 + i}"


def prompt(i, *, spaced=False, name=None):
    gap = "  \t" if spaced else " "
    return f"You serve{gap}{name or NAMES[i % 3]}.\nNow it is {clock(i)}, so act.\n{GUIDE}"


def histories(api, **how):
    return [body(api, prompt(i, **how), question(i)) for i in range(12)]


@pytest.mark.parametrize("api", SPAN)
@pytest.mark.parametrize("spaced", [False, True], ids=["as stored", "spaced"])
class TestOneSlot:
    """Of two slots one is repaired, and the other stays as it was sent."""

    def test_the_clock_moves(self, api, spaced):
        """The clock, and nothing else, becomes the last message of the user."""
        repaired = acg.what_if(learned(histories(api, spaced=spaced)), MoveToEnd(SPAN[api], slots=(1,)))
        assert (len(repaired.runs), repaired.unrepaired) == (12, ())
        for i, request in enumerate(bodies_of(repaired)):
            assert system_of(request) == prompt(i, spaced=spaced).replace(clock(i), "")
            assert last_of(request) == {"role": "user", "content": clock(i)}

    def test_the_name_is_pinned(self, api, spaced):
        """Every prompt names the same person, at its own time."""
        repaired = acg.what_if(learned(histories(api, spaced=spaced)), Pin(SPAN[api], slots=(0,)))
        names = {system_of(request).partition("\n")[0] for request in bodies_of(repaired)}
        assert len(names) == 1
        clocks = [system_of(request).partition("Now it is ")[2][:5] for request in bodies_of(repaired)]
        assert clocks == [clock(i) for i in range(12)]

    def test_all_slots_move(self, api, spaced):
        """All values become one message, one a line, and the prompts are the same."""
        repaired = acg.what_if(learned(histories(api, spaced=spaced)), MoveToEnd(SPAN[api], slots="all"))
        assert len({system_of(request) for request in bodies_of(repaired)}) == 1
        told = [last_of(request)["content"] for request in bodies_of(repaired)]
        assert told == [f"{NAMES[i % 3]}\n{clock(i)}" for i in range(12)]
        assert len(repaired.windows) == 1


def test_slots_are_as_wide_as_recorded_requests_need_them():
    """Windows show the newest requests only, where the date does not vary; older requests hold another one."""
    texts = [f"Today is 2026-{9 + i // 90:02}-03 at {i // 10 % 24:02}:{10 + i % 50}, Ada. {GUIDE}" for i in range(240)]
    snap = learned([body("openai-responses", text, question(i)) for i, text in enumerate(texts)], full_payloads=True)
    repaired = acg.what_if(snap, MoveToEnd("system-0-instructions", slots="all"))
    assert repaired.unrepaired == ()
    assert {system_of(request) for request in bodies_of(repaired)} == {f"Today is at , Ada. {GUIDE}"}
    assert comparable(repaired) == comparable(learned(bodies_of(repaired), full_payloads=True))


def test_a_request_without_the_shared_text_stays():
    """A request whose prompt is another one is left as sent and counted, in windows and runs alike."""
    bodies = [*histories("anthropic"), body("anthropic", MORE, "What now?")]
    repaired = acg.what_if(learned(bodies), MoveToEnd("system-0-instructions", slots=(1,)))
    (sentence,) = repaired.unrepaired
    assert sentence.startswith("1 recorded request can't be changed so that slot 1 of 'system-0-instructions' moves")
    assert bodies_of(repaired)[-1] == bodies[-1]
    assert comparable(repaired) == comparable(learned(bodies_of(repaired)))


def test_a_mark_stays_at_the_end_of_the_steady_part():
    """Where the part with the cache mark moves, the part before it is marked: it is what recurs."""
    parts = [[{"type": "text", "text": GUIDE}, {"type": "text", "text": clock(i), **MARK}] for i in range(9)]
    snap = learned([body("anthropic", system, question(i)) for i, system in enumerate(parts)])
    for i, request in enumerate(bodies_of(acg.what_if(snap, MoveToEnd("system-0-instructions", slots="all")))):
        assert request["system"] == [{"type": "text", "text": GUIDE, **MARK}]
        assert last_of(request)["content"] == clock(i)


def test_repairs_one_after_the_other():
    """A slot that is pinned varies no more, so the next one takes its number."""
    snap = learned(histories("openai-chat"))
    one = acg.what_if(snap, [Pin("system-0", slots=(0,)), MoveToEnd("system-0", slots=(0,))])
    other = acg.what_if(acg.what_if(snap, Pin("system-0", slots=(0,))), MoveToEnd("system-0", slots=(0,)))
    assert bodies_of(one) == bodies_of(other)
    assert len({system_of(request) for request in bodies_of(one)}) == 1
    assert (one, len(one.windows)) == (other, 1)


def test_what_moves_is_paid_for():
    """The simulated prompts hold what was moved: they have as many tokens as before, or a few more."""
    snap = learned(histories("openai-chat"))
    before, after = (acg.simulate(one) for one in (snap, acg.what_if(snap, MoveToEnd("system-0", slots="all"))))
    assert after.tokens.sum() >= before.tokens.sum()
    assert after.tokens.sum() <= before.tokens.sum() + 8 * len(before)


# --- the law ---

REPAIRS = [
    *(MoveToEnd("", slots=slots) for slots in ("all", (0,), (1,), (0, 1))),
    *(Pin("", slots=slots) for slots in ("all", (0,), (1,))),
]


@st.composite
def texts(draw):
    """What the values of two slots are in some requests, and what stands around them."""
    values = st.sampled_from(["9:05", "10:30", "Ada", "Bo Ek", "", "x@y.eu", "1,234", "a\nb", "now."])
    around = draw(st.sampled_from([(" ", " "), ("\n", "\n"), ("(", ")"), ("\n- ", "\n"), ("=", "/"), (" \n", ".\n\n")]))
    pairs = draw(st.lists(st.tuples(values, values), min_size=2, max_size=6))
    first, middle, last = (manual(k, 60) for k in (5, 6, 7))
    return [f"{first}{around[0]}{a}{around[1]}{middle}{around[0]}{b}{around[1]}{last}" for a, b in pairs]


def as_parts(text, cut):
    lines = text.split("\n")
    at = cut % len(lines)
    parts = ["\n".join(lines[:at]), "\n".join(lines[at:])]
    return [{"type": "text", "text": part} for part in parts if part.strip()]


@given(
    texts=texts(),
    api=st.sampled_from(["anthropic", "openai-chat"]),
    rules=st.sampled_from(RULES),
    repair=st.sampled_from(REPAIRS),
    in_system=st.booleans(),
    cut=st.integers(0, 30),
)
def test_windows_are_those_of_repaired_requests(texts, api, rules, repair, in_system, cut):
    """Windows hold what learning the repaired requests from scratch does, texts and parts alike."""
    texts = [normalize_whitespace(text) for text in texts]
    in_parts = cut % 3 and not any("a\nb" in text for text in texts)  # a value in two parts can't be taken out
    contents = [as_parts(text, cut) if in_parts else text for text in texts]
    bodies = [
        body(api, content, question(i)) if in_system else body(api, "Be kind.", content, question(i))
        for i, content in enumerate(contents)
    ]
    snap = learned(bodies, rules)
    spans = sorted({block.span_id for window in snap.windows.values() for ir in window for block in ir.blocks})
    wanted = "system-0" if in_system else "user-"
    span = next((span for span in spans if span.startswith(wanted)), None)
    if span is None:
        return
    try:
        repaired = acg.what_if(snap, replace(repair, span_id=span))
    except acg.UsageError:  # fewer slots vary
        return
    assert repaired.unrepaired == ()
    again = learned(bodies_of(repaired), rules)
    if repaired.stand_ins:  # keys that hash parts, of which windows show the text
        found, expected = (
            sorted((ir for window in comparable(one).values() for ir in window), key=lambda ir: ir.created_at)
            for one in (repaired, again)
        )
        assert found == expected
    else:
        assert comparable(repaired) == comparable(again)


def test_numbers_of_numpy():
    """Numbers may come from a frame or an array."""
    assert Pin("system-0", slots=(np.int64(0), np.int8(2))) == Pin("system-0", slots=(0, 2))
    assert acg.repairs.SplitMessage("user-0", n_characters=np.int64(7)).n_characters == 7
    assert repr(acg.repairs.SortMessages("user-0", n_blocks=np.uint8(4))) == repr(
        acg.repairs.SortMessages("user-0", n_blocks=4)
    )
