"""Where the marks of a plan are in a request (`acg_lab/docs/rules/planner.md`, 5)."""

import json

import pytest
from planner_inputs import FLOW, RELAY_6, SYSTEM, TOOL, ask, ir_of, learn, plan, text_of
from strategies import make_request

from acg_lab.core import Target, mark_paths, surface_of
from acg_lab.core.cache_marks import body_of, target_of

# --- where marks stand ---


@pytest.mark.parametrize(
    ("body", "surface"),
    [
        ({"messages": [], "system": None}, "anthropic"),
        ({"system": []}, "anthropic"),
        ({"messages": []}, "chat"),
        ({"messages": [], "system": "s", "input": None}, "responses"),
        ({"messages": [], "instructions": ""}, "responses"),
        ({"contents": []}, None),
    ],
)
def test_surfaces(body, surface):
    """The kind of a body follows from the keys that it has, whatever their values."""
    assert surface_of(body) == surface


def test_targets():
    """Tools are counted by tool blocks, messages by blocks that are not of role system."""
    ir = ir_of(
        (1, SYSTEM), (1, TOOL), (1, TOOL), 1, (1, SYSTEM), 1, (1, {**SYSTEM, "content_type": "structured_output"})
    )
    found = [target_of(ir, end) for end in range(1, 8)]
    assert [(t.field, t.index) for t in found] == [
        ("system", 0),
        ("tools", 0),
        ("tools", 1),
        ("messages", 0),
        ("system", 0),
        ("messages", 1),
        ("system", 0),
    ]


@pytest.mark.parametrize(
    ("target", "value", "path"),
    [
        (Target("system", 0), "text", "$.system[0]"),
        (Target("system", 0), "", "$.system[0]"),
        (Target("system", 0), [{}, {}], "$.system[1]"),
        (Target("system", 0), [], None),
        (Target("system", 0), None, None),
        (Target("tools", 1), [{}, {}], "$.tools[1]"),
        (Target("tools", 1), [{}], None),
        (Target("tools", 0), None, None),
        (Target("messages", 1), [{}, {"content": "text"}], "$.messages[1].content[0]"),
        (Target("messages", 0), [{"content": [{}, {}, {}]}], "$.messages[0].content[2]"),
        (Target("messages", 0), [{"content": []}], "$.messages[0]"),
        (Target("messages", 0), [{"content": None}], "$.messages[0]"),
        (Target("messages", 0), [{}], "$.messages[0]"),
        (Target("messages", 1), [{}], None),
    ],
)
def test_paths(target, value, path):
    """A text gets the mark as a part, a list on its last part, a message without content on itself."""
    assert mark_paths([target], {target.field: value}) == (path,)


def test_body_is_used_for_paths():
    """Given the body, marks are where its parts are; else where those of the normalised request are."""
    request = ask("q" * 40, system=[{"type": "text", "text": text_of(1500)}, {"type": "text", "text": "b"}])
    hot_cache = learn([request, ask("r", system=request.unknown["instructions"])] * 3)
    assert plan(request, hot_cache).paths == ("$.system[1]",)
    body = {"system": "one", "messages": []}
    assert plan(request, hot_cache, body=body).paths == ("$.system[0]",)
    assert plan(request, hot_cache, body={"messages": []}).paths == (None,)


def test_body_of_rules_version_2():
    """In 0.2 the codec's own body has one text for all system messages, and no system message elsewhere."""
    request = make_request({"role": "system", "content": "a"}, "u", {"role": "system", "content": "b"}, tools=({},))
    assert body_of(request, rules=FLOW) == {
        "system": "a\nb",
        "messages": [{"role": "user", "content": "u"}],
        "tools": ({},),
    }
    assert body_of(make_request("u"), rules=FLOW) == {"messages": [{"role": "user", "content": "u"}]}


def test_body_of_later_rules_versions():
    """From 0.6 on messages stay where they are, and native items are what they hold."""
    value = {"role": "critic", "content": ["p"]}
    native = {"role": "provider_native", "provider": "p", "kind": "critic", "value": value}
    odd = {**native, "value": 5}
    system = {"role": "system", "content": "s"}
    body = body_of(make_request(system, native, odd, unknown={"instructions": "i"}), rules=RELAY_6)
    assert json.loads(json.dumps(body)) == {"system": "i", "messages": [system, value, odd]}
