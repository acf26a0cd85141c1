"""Changes that may be meant are told as events, behind faults; roles of one agent are named without a complaint."""

from datetime import timedelta

import pytest
from sent_requests import GPT, START, chat, claude, function, manual, question, sent, tool

import acg_lab as acg
from acg_lab.diagnosis import Kind
from acg_lab.diagnosis.explain import find_causes

N = 20
ROLES = [["search_web", "open_page"], ["list_rooms", "show_map"], ["send_note", "open_page"]]


def schema(new):
    fields = {"desk": {"type": "string"}, **({"why": {"type": "string"}} if new else {})}
    return {"type": "json_schema", "json_schema": {"name": "case", "schema": {"type": "object", "properties": fields}}}


def of_prompt(i, new):
    rule = "Promise nothing by phone, ever." if new else "Be kind to everybody."
    return claude(f"{manual(1, 800)}\n{rule}\n{manual(2, 900)}", question(i))


def of_whole_prompt(i, new):
    return claude(manual(4 if new else 3), question(i))


def of_contract(i, new):
    return chat(manual(5), question(i), response_format=schema(new))


def of_tool(i, new):
    return claude(manual(6), question(i), tools=[tool("find"), tool("note", "Newly told. " * 20 if new else "")])


def of_list(i, new):
    return claude(manual(7), question(i), tools=[tool("find"), tool("note"), *([tool("map")] if new else [])])


def of_model(i, new):
    return {**chat(manual(8), question(i)), "model": "gpt-5.1-mini" if new else GPT}


EVENTS = {
    of_prompt: Kind.CHANGED_ONCE,
    of_whole_prompt: Kind.CHANGED_ONCE,
    of_contract: Kind.RAW_BYTES_DIFFER,
    of_tool: Kind.TOOLS_EDITED,
    of_list: Kind.TOOLS_ADDED,
    of_model: Kind.MODEL_CHANGED,
}


def learned(bodies, rules="nemo-relay-0.8", **how):
    return acg.from_requests(sent(bodies, **how), agent_id="desk", rules=rules)


@pytest.mark.parametrize("make", EVENTS, ids=lambda make: make.__name__)
def test_one_rule_for_all_that_changed_once(make):
    """A prompt, a contract, a tool, a list or a model that changed once is one event, which may have been meant."""
    snap = learned([make(i, i >= 12) for i in range(N)], apart=30)
    for money in (False, True):
        (finding,) = acg.explain(snap, money=money, progress=False)
        assert (finding.kind, finding.is_event) == (EVENTS[make], True)
        assert finding.sentence.endswith("; no fault if it was meant.")
        assert "2026-11-02 08:" in finding.sentence
    full = acg.simulate(acg.replay(snap, progress=False)).cost_without_cache[0]
    assert 0 < finding.money_lost < 1.3 * full  # writing a prefix costs 1.25 times as much


def test_an_event_stands_behind_faults():
    """A fault comes first, even if an event cost more."""

    def body(i):
        now = f"{START + timedelta(seconds=61 * i):%Y-%m-%d %H:%M:%S}"
        return {**chat(f"{now}\n{manual(9)}", question(i)), "model": "gpt-5.1-mini" if i >= 12 else GPT}

    for money in (False, True):
        findings = acg.explain(learned([body(i) for i in range(N)]), money=money, progress=False)
        assert findings[0].kind is Kind.DATETIME
        events = [finding.is_event for finding in findings]
        assert events == sorted(events)


@pytest.mark.parametrize(
    "change", [lambda i: i % 2 == 0, lambda i: 5 <= i < 12, lambda _: False], ids=["alternating", "for a time", "never"]
)
def test_what_comes_back_is_no_event(change):
    """What alternates or comes back is no event, nor is what never changes."""
    findings = acg.explain(learned([of_contract(i, change(i)) for i in range(N)]), progress=False)
    assert not any(finding.is_event for finding in findings)


def test_an_event_over_night_costs_nothing():
    """Where no cache holds the old prompt any more, a new one costs nothing, and nothing is said."""
    snap = learned([of_whole_prompt(i, i >= 12) for i in range(N)], apart=90_000)
    assert [finding.kind for finding in acg.explain(snap, progress=False) if finding.is_event] == []


# --- roles ---


def of_role(role, i, make=chat, shared=""):
    define = tool if make is claude else function
    return make(f"{shared}{manual(20 + role)}", question(i), tools=[define(name) for name in ROLES[role]])


@pytest.mark.parametrize("rules", ["nemo-relay-0.8", "nemo-relay-0.6"])
@pytest.mark.parametrize("make", [chat, claude], ids=lambda make: make.__name__)
def test_roles_are_named_once_without_a_complaint(make, rules):
    """Three sub-agents under one id, each with its own prompt and tools, are three roles, and nothing is merged."""
    snap = learned([of_role(i % 3, i // 3 % 4, make) for i in range(60)], rules, apart=20)
    for money in (False, True):
        findings = acg.explain(snap, money=money, progress=False)
        assert {finding.kind for finding in findings} <= {Kind.FRAGMENTED_BY_FIRST_MESSAGE}
        said = [note for note in findings.notes if "role" in note]
        assert said == ["'desk' has 3 roles, each with a prompt of its own: 20, 20 and 20 requests. That is no fault."]
    assert {*find_causes(snap).splits.values()} <= {"first message"}


def test_roles_that_begin_alike():
    """Roles may share a preamble and a tool."""
    preamble = f"{manual(30, 300)}\n"
    snap = learned([of_role(i % 3, 1, shared=preamble) for i in range(60)], apart=20)
    findings = acg.explain(snap, money=False, progress=False)
    assert (findings, len(findings.notes)) == ((), 1)


@pytest.mark.parametrize(
    "prompts",
    [
        lambda i: f"{'Be brief.' if i % 2 else 'Explain all of it.'}\n{manual(31)}",
        lambda i: manual(32 + (i >= 20)),
        lambda i: manual(34 + (i % 20 == 0)),
        lambda i: manual(40 + i % 12),
        lambda _: manual(60),
    ],
    ids=["two wordings", "one after the other", "hardly used", "one for each tenant", "one prompt"],
)
def test_what_are_no_roles(prompts):
    """Variants of one prompt, a new release, a stray prompt, many tenants, and one prompt are no roles."""
    findings = acg.explain(learned([chat(prompts(i), question(1)) for i in range(40)]), money=False, progress=False)
    assert not any("role" in note for note in findings.notes)


def test_a_tool_that_is_edited_to_and_fro_is_no_role():
    """Two forms of an agent's only tool are no roles."""
    bodies = [
        chat(manual(61), question(1), tools=[function("find", ["Old. ", "New. "][i % 2] * 30)]) for i in range(40)
    ]
    findings = acg.explain(learned(bodies), money=False, progress=False)
    assert ([finding.kind for finding in findings], findings.notes) == ([Kind.TOOLS_EDITED], ())


@pytest.mark.parametrize("i", [11, 12, 13])
def test_a_request_that_is_sent_again_hides_no_event(i):
    """Neither the last request before an event nor the first after it hides the event if it is sent again at once."""
    lines = sent([of_whole_prompt(n, n >= 12) for n in range(N)])
    again = {**lines[i], "started_at": lines[i]["ended_at"], "ended_at": lines[i + 1]["started_at"]}
    snap = acg.from_requests([*lines[: i + 1], again, *lines[i + 1 :]], agent_id="desk")
    (finding,) = acg.explain(snap, progress=False)
    assert (finding.kind, finding.is_event) == (Kind.CHANGED_ONCE, True)
