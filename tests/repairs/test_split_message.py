"""The start of a message becomes a message of its own, or the system prompt, in windows and in what was sent."""

import pytest
from repaired_bodies import SPAN, bodies_of, body, comparable, learned, told
from sent_requests import MARK, manual, question

import acg_lab as acg
from acg_lab.core import normalize_whitespace
from acg_lab.repairs import MoveToSystemPrompt, SplitMessage

RULES = ["nemo-flow-0.2", "nemo-relay-0.6", "nemo-relay-0.8"]
BRIEF = manual(1, 100)


def first_message(snap):
    return next(b.span_id for w in snap.windows.values() for b in w[0].blocks if b.role == "user")


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("api", SPAN)
@pytest.mark.parametrize("spaced", [False, True], ids=["as stored", "spaced"])
def test_two_messages(api, rules, spaced):
    """The start and the rest are sent as they were, one after the other, and the learner sees both."""
    brief = BRIEF.replace(", ", ",  ") if spaced else BRIEF
    snap = learned([body(api, "Be kind.", f"{brief}\n\n{question(i)}", "And now?") for i in range(6)], rules)
    repaired = acg.what_if(snap, SplitMessage(first_message(snap), n_characters=len(BRIEF)))
    assert repaired.unrepaired == ()
    assert [told(request) for request in bodies_of(repaired)] == [[brief, question(i), "And now?"] for i in range(6)]
    if not repaired.stand_ins:  # a key that hashes the first message as it was sent
        assert comparable(repaired) == comparable(learned(bodies_of(repaired), rules))


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("api", SPAN)
def test_into_the_system_prompt(api, rules):
    """Split off, the start can move into the system prompt; a message that is no longer than it stays whole."""
    texts = [*(f"{BRIEF} {question(i)}" for i in range(5)), "Hello!"]
    snap = learned([body(api, "Be kind.", text, "And now?") for text in texts], rules)
    span = first_message(snap)
    split = acg.what_if(snap, SplitMessage(span, n_characters=len(BRIEF)))
    assert told(bodies_of(split)[-1]) == ["Hello!", "And now?"]
    moved = acg.what_if(split, MoveToSystemPrompt(span))
    assert all(BRIEF not in "".join(told(request)) for request in bodies_of(moved))
    if api == "openai-chat" or rules != "nemo-flow-0.2":  # which does not see instructions
        assert comparable(moved) == comparable(learned(bodies_of(moved), rules))


def test_parts_keep_their_marks():
    """The part in which the split falls is cut in two; parts behind it, and their marks, go to the rest."""
    parts = [{"type": "text", "text": f"{BRIEF} Go."}, {"type": "text", "text": "Ask.", **MARK}]
    snap = learned([body("anthropic", "Be kind.", parts) for _ in range(3)])
    (request, *_) = bodies_of(acg.what_if(snap, SplitMessage("user-1", n_characters=len(normalize_whitespace(BRIEF)))))
    assert told(request) == [[{"type": "text", "text": BRIEF}], [{"type": "text", "text": "Go."}, parts[1]]]
