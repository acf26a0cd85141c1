"""The repairs that `explain` offers for what only its order, its place or its form changes, with what they save."""

import random

import pytest
from sent_requests import chat, claude, function, manual, question, sent, tool

import acg_lab as acg
from acg_lab import repairs
from acg_lab.diagnosis import Kind
from acg_lab.diagnosis.repair_costs import AgentCosts

LONG = manual(1, 1400)
FRUIT = ["apples", "pears", "plums", "figs", "quinces", "cherries"]


def shuffled(i, items):
    return random.Random(i).sample(items, len(items))


def explained(bodies, **how):
    snap = acg.from_requests(sent(bodies, run=lambda i: i, **how), agent_id="desk")
    findings = acg.explain(snap, progress=False)
    for finding in findings:
        for effect in finding.repairs:
            repaired = acg.what_if(snap, effect.repairs)
            saved = AgentCosts(snap, "desk").cost - AgentCosts(repaired, "desk").cost
            assert saved == pytest.approx(effect.money_saved, abs=1e-9)
            assert saved > 0
    return findings


def words_of(findings, finding):
    text = findings.to_text(width=10_000).splitlines()
    start = next(i for i, line in enumerate(text) if finding.sentence in line)
    return text[start + 1].strip()


def bullets(i):
    lines = "\n".join(f"- {fruit}" for fruit in shuffled(i, FRUIT))
    return chat(f"We sell:\n{lines}\n{LONG}", question(i))


def in_a_line(i):
    return claude(f"We sell: {', '.join(shuffled(i, FRUIT))}.\n{LONG}", question(i))


def files(i):
    return chat(
        f"<files>\n{chr(10).join(f'src/{fruit}.py' for fruit in shuffled(i, FRUIT))}\n</files>\n{LONG}", question(i)
    )


@pytest.mark.parametrize("body", [bullets, in_a_line, files])
def test_lists_in_texts_are_sorted(body):
    """A list in a text that comes in another order each time is sorted, which saves money."""
    findings = explained([body(i) for i in range(24)])
    assert findings[0].kind is Kind.REORDERED
    first, *_ = findings[0].repairs[0].repairs
    assert isinstance(first, repairs.SortItems)
    assert f"the items in '{first.span_id}' are sorted, so that they come in one order" in words_of(
        findings, findings[0]
    )


@pytest.mark.parametrize("make", [function, tool])
def test_arrays_in_tools_are_sorted(make):
    """Members of an enum that come from a set are sorted, whichever tool holds them."""
    body = chat if make is function else claude

    def tools(i):
        kinds = {"type": "string", "enum": shuffled(i, FRUIT)}
        return [make("weigh", unit={"type": "string"}), make("order", kind=kinds), make("price", kind=kinds)]

    findings = explained([body(LONG, question(i), tools=tools(i)) for i in range(24)])
    assert findings[0].kind is Kind.REORDERED
    assert repairs.SortItems in map(type, findings[0].repairs[0].repairs)
    assert "the items in the definitions of tools are sorted" in words_of(findings, findings[0])


def test_a_stable_start_becomes_the_system_prompt():
    """A brief before each question is split off, and the part that varies stays the user's."""
    findings = explained([claude(None, f"{LONG}\n\nThe customer writes: {question(i)}") for i in range(24)])
    assert findings[0].kind is Kind.STABLE_START
    split, move, _ = findings[0].repairs[0].repairs
    assert (split.span_id, move.span_id) == ("user-0", "user-0")
    assert f"the first {split.n_characters:,} characters of 'user-0' move into the system prompt" in words_of(
        findings, findings[0]
    )


@pytest.mark.parametrize("body", [chat, claude])
def test_few_shot_pairs_are_sorted(body):
    """Examples in random order are sorted, each with its answer; what follows them stays where it is."""
    shots = [(f"Is {fruit} in stock?", f"Shelf {k}. {manual(40 + k, 200)}") for k, fruit in enumerate(FRUIT)]

    def request(i):
        told = [text for shot in shuffled(i, shots) for text in shot]
        return body(LONG, *told, "Now to the customer.", "Go on.", question(i))

    finding, *_ = explained([request(i) for i in range(24)])
    assert finding.kind is Kind.REORDERED
    sort, *more = finding.repairs[0].repairs
    assert (type(sort), sort.n_blocks, bool(more)) == (repairs.SortMessages, 12, body is claude)
