"""Stable text at the start of a first message that varies."""

import pytest

import acg_lab as acg
from acg_lab.diagnosis import Kind
from acg_lab.repairs import AddBreakpoint, MoveToSystemPrompt, SplitMessage

CLAUDE, GPT = "claude-sonnet-4-5", "gpt-5"


def filler(n, words):
    """A text that is like no other one."""
    return " ".join(f"w{(n * 7919 + i * 104729) % 99991}" for i in range(words))


BRIEF = filler(1, 1000)


def found(messages, model=CLAUDE, **more):
    """The findings of one request a minute, whose messages depend on its number."""
    lines = [
        {
            "timestamp": f"2026-11-02T09:{i:02}:00Z",
            "session_id": f"s{i}",
            "request": {"model": model, "max_tokens": 50, "messages": messages(i), **more},
        }
        for i in range(12)
    ]
    return acg.explain(acg.from_requests(lines, agent_id="desk"), progress=False)


def user(text):
    return {"role": "user", "content": text}


def test_a_brief_and_a_question_in_one_message():
    """The shared start is told with its tokens, its place and what splitting it off saves, and comes first."""
    finding = found(lambda i: [user(f"{BRIEF}\n\nThe customer writes: {filler(50 + i, 20)}")])[0]
    assert (finding.kind, finding.span_id, finding.lost_at_most) == (Kind.STABLE_START, "user-0", False)
    tokens = len(f"{BRIEF}\n\nThe customer writes:") / 4
    assert finding.tokens_lost == pytest.approx(tokens, abs=2)
    assert f"About {finding.tokens_lost:,.0f} tokens at the start of the first message" in finding.sentence
    assert "no breakpoint can stand there; split them off into a block of their own" in finding.sentence
    assert 0.5 * finding.agent_cost < finding.money_lost < finding.agent_cost
    assert [type(repair) for repair in finding.repairs[0].repairs] == [SplitMessage, MoveToSystemPrompt, AddBreakpoint]
    assert finding.repairs[0].money_saved == finding.money_lost


@pytest.mark.parametrize("separator", [" ", "\n", "\n---\n"])
def test_the_start_ends_at_a_word(separator):
    """Words that happen to begin alike are no part of the shared text."""
    finding = found(lambda i: [user(f"{BRIEF}{separator}alike{filler(50 + i, 20)}")])[0]
    assert finding.kind is Kind.STABLE_START
    assert finding.tokens_lost <= len(f"{BRIEF}{separator}") / 4


NEAR = {
    "a brief that is too short": (lambda i: [user(f"{filler(1, 300)} {filler(50 + i, 20)}")], {}),
    "an id before the brief": (lambda i: [user(f"trace {filler(50 + i, 3)} {BRIEF}")], {}),
    "a block of its own": (lambda i: [user(BRIEF), {"role": "assistant", "content": "Yes."}, user(filler(i, 20))], {}),
    "a system prompt": (lambda i: [user(f"{BRIEF} {filler(50 + i, 20)}")], {"system": "Be brief."}),
    "two briefs in turn": (lambda i: [user(f"{filler(1 + i % 2, 1000)} {filler(50 + i, 20)}")], {}),
    "the same message": (lambda _: [user(BRIEF)], {}),
}


@pytest.mark.parametrize("name", NEAR)
def test_near_misses(name):
    """What is too short for any cache, comes after what varies, or is a block already has no such finding."""
    messages, more = NEAR[name]
    assert Kind.STABLE_START not in {finding.kind for finding in found(messages, **more)}


def test_a_cache_that_needs_no_breakpoint():
    """A provider that matches the bytes of a prompt reads the shared start wherever it ends, so nothing is lost."""
    findings = found(lambda i: [user(f"{BRIEF} {filler(50 + i, 20)}")], model=GPT)
    assert Kind.STABLE_START not in {finding.kind for finding in findings}
