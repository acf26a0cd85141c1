"""Repairs of order: the same things come in one order, in windows and in requests as they were sent."""

import random

import pytest
from repaired_bodies import SPAN, bodies_of, body, comparable, learned, system_of, told
from sent_requests import manual, question

import acg_lab as acg
from acg_lab.repairs import SortItems, SortMessages

RULES = ["nemo-flow-0.2", "nemo-relay-0.6", "nemo-relay-0.8"]
GUIDE = manual(1, 200)
FRUIT = ["apples", "pears", "plums", "figs"]


def shuffled(i, items):
    return random.Random(i).sample(items, len(items))


def is_law_kept(snap, repair, rules):
    """Return what is sent, which is what the windows were learned from."""
    repaired = acg.what_if(snap, repair)
    assert repaired.unrepaired == ()
    assert comparable(repaired) == comparable(learned(bodies_of(repaired), rules))
    return bodies_of(repaired)


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("api", SPAN)
def test_messages(api, rules):
    """Pairs come in the order of their texts, each answer behind its question, and the last question stays last."""
    shots = [(f"Are {fruit} in stock?", f"Shelf {k}.") for k, fruit in enumerate(FRUIT)]
    history = [
        body(api, GUIDE, *(text for shot in shuffled(i, shots) for text in shot), question(i), in_turn=True)
        for i in range(12)
    ]
    snap = learned(history, rules)
    span = next(b.span_id for w in snap.windows.values() for b in w[0].blocks if b.role == "user")
    for i, request in enumerate(is_law_kept(snap, SortMessages(span, n_blocks=8), rules)):
        assert told(request) == [text for shot in sorted(shots) for text in shot] + [question(i)]


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("api", SPAN)
def test_items(api, rules):
    """Lists of the same items become the commonest of them; a list with other items stays."""
    lists = [["pears", "apples", "figs"], ["figs", "pears", "apples"], ["pears", "apples", "figs"], ["kiwis", "figs"]]
    texts = ["\n".join([f"We sell {i % 2}:", *(f"- {fruit}" for fruit in lists[i % 4]), GUIDE]) for i in range(12)]
    bodies = is_law_kept(learned([body(api, t, question(i)) for i, t in enumerate(texts)], rules), SortItems(), rules)
    for i, request in enumerate(bodies):
        expected = texts[i] if i % 4 != 1 else texts[1]
        assert system_of(request) == expected


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("api", ["anthropic", "openai-chat"])
def test_arrays_of_tools(api, rules):
    """Members of arrays come in one order in the tools that are sent, and in the hashes that windows hold of them."""
    bodies = []
    for i in range(12):
        schema = {"type": "object", "properties": {"kind": {"enum": shuffled(i % 5, FRUIT)}}}
        one = {"name": "find", "description": "Finds.", "input_schema": schema}
        if api == "openai-chat":
            one = {"type": "function", "function": {"name": "find", "description": "Finds.", "parameters": schema}}
        bodies.append({**body(api, GUIDE, question(i)), "tools": [one]})
    sent = is_law_kept(learned(bodies, rules), SortItems(), rules)
    assert len({str(request["tools"]) for request in sent}) == 1


def test_images_are_not_exchanged():
    """Where a message holds an image beside its list, it stays as it was sent, and is counted."""
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    parts = [
        [{"type": "text", "text": f"We sell: {', '.join(shuffled(i, FRUIT))}."}, *([image] if i % 2 else [])]
        for i in range(8)
    ]
    snap = learned([body("anthropic", GUIDE, content, question(i)) for i, content in enumerate(parts)])
    repaired = acg.what_if(snap, SortItems("user-1"))
    assert [image in request["messages"][0]["content"] for request in bodies_of(repaired)] == [False, True] * 4
    assert "can't be changed" in repaired.unrepaired[0]
