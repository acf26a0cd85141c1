"""No repair that `explain` offers makes anything worse: not the bill, not the prefix, not what the model is told."""

import gzip
import json
import os
from datetime import timedelta
from pathlib import Path

import pytest
from blind_reports import REPORTS
from hypothesis import given
from hypothesis import strategies as st
from sent_requests import CLAUDE, GPT, MARK, QUESTIONS, START, chat, claude, manual, question, sent

import acg_lab as acg
from acg_lab import repairs
from acg_lab.diagnosis import Kind
from acg_lab.diagnosis.repair_costs import AgentCosts

DATA = Path(os.environ.get("ACG_LAB_SHARED") or Path(__file__).parents[3] / "shared") / "data"
LONG, STEADY = manual(1, 1200), manual(2, 400)
REMINDER = "Remember: promise nothing by phone, be kind, and close the case. " * 6
RULES = ["nemo-relay-0.8", "nemo-flow-0.2"]
NAMES = ["Ada Li", "Bo Ek", "Cleo Marsh", "Dan Oduya Jr"]


def clock(i):
    return f"Now {START + timedelta(seconds=61 * i):%Y-%m-%d %H:%M:%S}."


def learned(bodies, rules="nemo-relay-0.8", **how):
    return acg.from_requests(sent(bodies, **how), agent_id="desk", rules=rules)


def harms(snap):
    """Return the offered repairs that make any agent dearer, or save less than they say."""
    found = []
    before = {agent_id: AgentCosts(snap, agent_id).cost for agent_id in snap.agent_ids}
    for finding in acg.explain(snap, progress=False):
        for effect in finding.repairs:
            repaired = acg.what_if(snap, effect.repairs)
            after = {agent_id: AgentCosts(repaired, agent_id).cost for agent_id in before}
            dearer = [name for name, cost in after.items() if cost > before[name] + 1e-9]
            saved = before[finding.agent_id] - after[finding.agent_id]
            if dearer or saved < (effect.money_saved or 0.0) - 1e-9:
                found.append((finding.kind, effect, dearer))
    return found


def dropped(snap):
    return [
        repair
        for finding in acg.explain(snap, progress=False)
        for effect in finding.repairs
        for repair in effect.repairs
        if isinstance(repair, repairs.Drop)
    ]


# --- the examples, and others of their kind ---


def with_system(texts, i, *, as_messages):
    if as_messages:
        return {
            "model": GPT,
            "messages": [*({"role": "system", "content": t} for t in texts), {"role": "user", "content": question(i)}],
        }
    parts = [{"type": "text", "text": text} for text in texts]
    return {
        "model": CLAUDE,
        "max_tokens": 400,
        "system": [*parts[:-1], parts[-1] | MARK],
        "messages": [{"role": "user", "content": question(i)}],
    }


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("usage", [False, True], ids=["bare", "usage"])
@pytest.mark.parametrize("as_messages", [False, True], ids=["messages", "chat"])
def test_instructions_that_stand_twice_are_never_dropped(as_messages, usage, rules):
    """A clock in one copy of the instructions does not shift them, and no repair drops either copy."""
    texts = [[f"{LONG}\n{clock(i)}" if i % 3 == 0 else LONG, STEADY, LONG] for i in range(40)]
    snap = learned([with_system(t, i, as_messages=as_messages) for i, t in enumerate(texts)], rules, usage=usage)
    assert Kind.SHIFTED not in {finding.kind for finding in acg.explain(snap, progress=False)}
    assert (dropped(snap), harms(snap)) == ([], [])


@pytest.mark.parametrize("rules", RULES)
def test_a_reminder_that_is_repeated_is_not_shifted(rules):
    """A reminder that recurs in a prompt, with a clock in one copy, has not moved."""
    said = [[f"{REMINDER}{clock(i)}" if i % 3 == 0 else REMINDER, "Yes.", REMINDER, "I will."] for i in range(40)]
    snap = learned([chat(LONG, *texts, question(i)) for i, texts in enumerate(said)], rules)
    assert Kind.SHIFTED not in {finding.kind for finding in acg.explain(snap, progress=False, money=False)}
    assert (dropped(snap), harms(snap)) == ([], [])


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("money", [False, True], ids=["tokens", "money"])
def test_shots_in_any_order_are_not_taken_apart(money, rules):
    """Few-shot pairs in random order are neither dropped nor moved one by one."""
    shots = [(QUESTIONS[k], f"Desk {k} has it. {manual(41 + k, 30)}") for k in range(6)]
    orders = [sorted(range(6), key=lambda k, i=i: hash_of(i, k)) for i in range(40)]
    snap = learned(
        [chat(LONG, *(t for k in order for t in shots[k]), question(i)) for i, order in enumerate(orders)], rules
    )
    taken = (repairs.Drop, repairs.MoveToEnd)
    offered = [e for f in acg.explain(snap, progress=False, money=money) for e in f.repairs]
    assert not any(isinstance(repair, taken) for effect in offered for repair in effect.repairs)


def hash_of(i, k):
    return (7919 * (i + 1) * (k + 3)) % 101


@pytest.mark.parametrize("every", [3, 4, 5])
def test_a_note_that_comes_and_goes_becomes_the_users(every):
    """A system message that some requests have moves to the end as the user's, which keeps it, and saves money."""
    texts = [[*[REMINDER] * (i % every == 0), LONG, STEADY] for i in range(40)]
    snap = learned([with_system(t, i, as_messages=True) for i, t in enumerate(texts)], apart=1000)
    findings = acg.explain(snap, progress=False)
    (move,) = findings[0].repairs[0].repairs
    assert (type(move), move.as_user) == (repairs.MoveToEnd, True)
    assert findings[0].repairs[0].money_saved > 0
    assert harms(snap) == []


# --- the law ---


@st.composite
def histories(draw):
    """Requests with a few blocks, each of some kind, in one of two orders, and perhaps a brief before the question."""
    kinds = ["steady", "clock", "optional", "either", "twice", "named", "listed", "spaced"]
    kinds = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=4))
    has_brief = draw(st.integers(0, 4)) == 0
    every = draw(st.integers(2, 4))
    as_messages, swapped = draw(st.booleans()), draw(st.booleans())
    bodies = []
    for i in range(draw(st.integers(4, 14))):
        texts = [text for k, kind in enumerate(kinds) for text in block_texts(kind, k, i, every)] or [LONG]
        if swapped and i % every == 0:
            texts.reverse()
        bodies.append(with_system(texts, i, as_messages=as_messages))
        if has_brief:
            bodies[-1] = claude(None, f"{STEADY}\n{LONG}\n\n{question(i)}")
    apart = draw(st.sampled_from([20, 200, 400]))
    return learned(bodies, draw(st.sampled_from(RULES)), apart=apart, usage=draw(st.booleans()))


def block_texts(kind, k, i, every):
    text = manual(10 + k, 500)
    is_other = i % every == 0
    listed = ", ".join(sorted(NAMES, key=lambda name: hash_of(i, len(name))))
    return {
        "steady": [text],
        "clock": [text if is_other else f"{text}\n{clock(i)}"],
        "optional": [] if is_other else [text],
        "either": [manual(30 + k, 300) if is_other else text],
        "twice": [text, text],
        "named": [f"The user is {NAMES[i % every]}.\n{clock(i)}\n{text}"],
        "listed": [f"We sell: {listed}.\n{text}"],
        "spaced": [text if is_other else text.replace(", ", ",  ")],
    }[kind]


@given(histories())
def test_no_offered_repair_makes_an_agent_dearer(snap):
    """Whatever a history holds, each repair that is offered saves what it says, and no agent pays more."""
    assert harms(snap) == []


@pytest.mark.slow
def test_no_repair_of_a_report_makes_an_agent_dearer():
    """Nor do the repairs offered for fifty reports of users."""
    assert {report.name: found for report in REPORTS if (found := harms(learned_report(report)))} == {}


def learned_report(report):
    return acg.from_requests(report.lines(), agent_id="desk")


@pytest.mark.slow
def test_no_repair_of_the_sample_makes_an_agent_dearer(sample):
    """Nor do those of the sample."""
    assert harms(sample) == []


@pytest.mark.slow
def test_no_repair_of_real_traffic_makes_an_agent_dearer():
    """Nor do those of tau_airline, sent as Messages bodies."""
    path = DATA / "tau_airline" / "requests.jsonl.gz"
    if not path.exists():
        pytest.skip("the recorded traffic is not here")
    with gzip.open(path, "rt") as lines:
        runs = [json.loads(line)["calls"] for line in lines]
    rows = [
        row
        for n, calls in enumerate(runs)
        for row in sent([as_messages_body(b) for b in calls], apart=9, run=lambda _, n=n: n)
    ]
    snap = acg.from_requests(rows, agent_id="airline")
    assert len(snap.runs) == len(runs)
    assert harms(snap) == []


def as_messages_body(body):
    """Return an Anthropic Messages body that says what a Chat Completions body says, marked at the system prompt."""
    system = [m["content"] for m in body["messages"] if m["role"] == "system"]
    messages = [as_message(m) for m in body["messages"] if m["role"] != "system"]
    tools = [
        {
            "name": t["function"]["name"],
            "description": t["function"]["description"],
            "input_schema": t["function"]["parameters"],
        }
        for t in body.get("tools", [])
    ]
    parts = [{"type": "text", "text": text, **MARK} for text in system]
    return {"model": CLAUDE, "max_tokens": 800, "system": parts, "tools": tools, "messages": messages}


def as_message(message):
    if message["role"] == "tool":
        part = {"type": "tool_result", "tool_use_id": message["tool_call_id"], "content": message["content"]}
        return {"role": "user", "content": [part]}
    parts = [{"type": "text", "text": message["content"]}] if message.get("content") else []
    for call in message.get("tool_calls") or ():
        made = call["function"]
        use = {"type": "tool_use", "id": call["id"], "name": made["name"], "input": json.loads(made["arguments"])}
        parts.append(use)
    return {"role": message["role"], "content": parts}
