"""What says the same is sent in one form; what says something else, and every cache mark, stays."""

import pytest
from repaired_bodies import bodies_of, body, comparable, learned, system_of, told
from sent_requests import MARK, conversation, manual, question, sent

import acg_lab as acg
from acg_lab.repairs import Pin, UseOneForm

RULES = ["nemo-flow-0.2", "nemo-relay-0.6", "nemo-relay-0.8"]
GUIDE = manual(1, 100)
NAMED = [
    {"name": "find", "description": "Finds.", "input_schema": {"type": "object", "properties": {"n": {"minimum": 1}}}},
    {
        "description": "Finds.",
        "input_schema": {"properties": {"n": {"minimum": 1.0}}, "type": "object"},
        "name": "find",
    },
]


def one_form(snap, rules="nemo-relay-0.8"):
    """Return the bodies in one form; learning them from scratch gives the windows."""
    repaired = acg.what_if(snap, UseOneForm())
    assert repaired.unrepaired == ()
    assert comparable(repaired) == comparable(learned(bodies_of(repaired), rules))
    return bodies_of(repaired)


@pytest.mark.parametrize("rules", RULES)
def test_tools(rules):
    """Tools with other keys first, or 1.0 for 1, become the commonest of them, to the last byte."""
    snap = learned([{**body("anthropic", GUIDE, question(i)), "tools": [NAMED[i % 3 > 0]]} for i in range(9)], rules)
    assert {str(request["tools"]) for request in one_form(snap, rules)} == {str([NAMED[1]])}


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("api", ["anthropic", "openai-chat", "openai-responses"])
def test_white_space_of_a_system_prompt(api, rules):
    """Prompts that only white space tells apart are one, and so are the learning keys that hash them."""
    snap = learned([body(api, GUIDE.replace(", ", ",  " if i % 3 else ", "), question(i)) for i in range(9)], rules)
    assert {system_of(request) for request in one_form(snap, rules)} == {GUIDE.replace(", ", ",  ")}


def test_texts_and_parts():
    """A text, and a list whose only part is that text, are sent alike."""
    contents = ["Hello", [{"type": "text", "text": "Hello"}], "Hello"]
    snap = learned([body("anthropic", GUIDE, contents[i % 3], question(i)) for i in range(9)])
    assert [told(request)[0] for request in one_form(snap)] == ["Hello"] * 9


def test_what_says_something_else_stays():
    """Images, several parts and cache marks are no form of the same text."""
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    text = {"type": "text", "text": "Hello"}
    contents = ["Hello", [text, image], [text | MARK], [text, text]]
    bodies = [body("anthropic", GUIDE, contents[i % 4], question(i)) for i in range(8)]
    assert bodies_of(acg.what_if(learned(bodies), UseOneForm())) == bodies


def test_earlier_turns_that_were_not_learned():
    """Later requests of a run are learned without their earlier turns; their bodies are repaired all the same."""
    bodies = conversation(f"It is 9:00. {GUIDE}", 4)
    bodies = [{**b, "messages": [dict(m) for m in b["messages"]]} for b in bodies]
    for i, one in enumerate(bodies):
        one["messages"][0]["content"] = f"It is 9:0{i}. {GUIDE}"
        if i % 2:
            one["messages"][1] = dict(reversed(one["messages"][1].items()))
    snap = acg.from_requests(sent(bodies, run=lambda _: 0), agent_id="desk")
    assert min(len(call.annotated_request.messages) for run in snap.runs for call in run.calls[2:]) == 2
    repaired = acg.what_if(snap, [UseOneForm(), Pin("system-0")])
    assert repaired.unrepaired == ()
    found = bodies_of(repaired)
    assert len({str(one["messages"][:2]) for one in found}) == 1
    assert [len(one["messages"]) for one in found] == [len(one["messages"]) for one in bodies]


def test_response_formats():
    """A schema with its keys in another order becomes the commonest of them."""
    schemas = [{"type": "object", "properties": {}}, {"properties": {}, "type": "object"}]
    bodies = [
        {
            **body("openai-chat", GUIDE, question(i)),
            "response_format": {"type": "json_schema", "json_schema": schemas[i % 3 > 0]},
        }
        for i in range(9)
    ]
    assert {str(request["response_format"]["json_schema"]) for request in one_form(learned(bodies))} == {
        str(schemas[1])
    }
