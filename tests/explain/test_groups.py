"""What keeps profiles of an agent apart."""

import pytest
from explained import asking, learned_of
from kinds import NAMES, SHUFFLED, WORDS, N
from strategies import make_tool

import acg_lab as acg
from acg_lab.explain import Kind, Timing, find_causes, repairs

PROMPT = "You answer questions of customers, and are polite. " * 12
TOOLS = [make_tool(name, description=f"Does what {name} does. " * 5) for name in WORDS[:4]]
RULES = ["nemo-flow-0.2", "nemo-relay-0.6", "nemo-relay-0.8"]


def explained(requests, rules):
    (finding,) = acg.explain(learned_of(requests, rules))
    return finding


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.DATETIME, lambda i: f"2026-11-20 10:{i:02}"),
        (Kind.IDENTIFIER, lambda i: f"session {SHUFFLED[i] * 7919:08x}f0e1"),
        (Kind.COUNTER, lambda i: f"visit {i}"),
        (Kind.NUMBER, lambda i: f"{SHUFFLED[i]} articles"),
        (Kind.PATH, lambda i: f"/home/{WORDS[i]}/shop"),
        (Kind.WHITESPACE, lambda i: "\n" * (i + 1)),
        (Kind.UNKNOWN, lambda i: NAMES[i]),
    ],
)
def test_a_system_prompt_that_changes(kind, value, rules):
    """What changes in the system prompt is named across profiles, as it is part of their keys; pinned, one is left."""
    finding = explained([asking(f"{PROMPT}{value(i)} {PROMPT}", NAMES[i]) for i in range(N)], rules)
    assert (finding.kind, finding.span_id, len(finding.evidence.profiles)) == (kind, "system-0", N)
    if kind is not Kind.UNKNOWN:
        assert finding.repairs[0].after.profiles == 1
        assert isinstance(finding.repairs[0].repairs[0], repairs.Pin)
    assert finding.tokens_lost == pytest.approx(finding.evidence.stable_behind * (N - 3) / N)
    assert finding.evidence.stable_behind == pytest.approx(len(PROMPT) / 2, rel=0.05)


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize(
    ("kind", "tools"),
    [
        (Kind.TOOLS_REORDERED, lambda i: TOOLS[::-1] if i > 5 else TOOLS),
        (Kind.TOOLS_ADDED, lambda i: TOOLS if i > 5 else TOOLS[:3]),
        (Kind.TOOLS_REMOVED, lambda i: TOOLS[:3] if i > 5 else TOOLS),
        (Kind.TOOLS_EDITED, lambda i: [make_tool(WORDS[0], description="New."), *TOOLS[1:]] if i > 5 else TOOLS),
    ],
)
def test_tools_that_change(kind, tools, rules):
    """What becomes of the tools is named across profiles, with the tools or fields that it concerns."""
    finding = explained([asking(PROMPT, "?", tools=tools(i)) for i in range(N)], rules)
    assert (finding.kind, finding.timing) == (kind, Timing.ONCE)
    expected = {
        Kind.TOOLS_REORDERED: "2 orders of the same 4 tools",
        Kind.TOOLS_ADDED: "+dune",
        Kind.TOOLS_REMOVED: "-dune",
        Kind.TOOLS_EDITED: "amber: description",
    }
    assert finding.evidence.details == (expected[kind],)
    assert expected[kind] in finding.sentence


@pytest.mark.parametrize("rules", RULES[:2])
def test_first_messages(rules):
    """Before 0.8 a fresh first message makes each conversation its own profile; merged they have the system prompt."""
    finding = explained([asking(PROMPT, name) for name in NAMES], rules)
    assert (finding.kind, finding.span_id) == (Kind.FRAGMENTED_BY_FIRST_MESSAGE, "user-1")
    (effect,) = finding.repairs
    assert (effect.before.profiles, effect.after.profiles, effect.after.prefix_blocks) == (N, 1, 1)


def test_first_messages_do_not_matter_to_the_newest_rules():
    """From 0.8 on a first message keeps nothing apart that has a system prompt."""
    assert acg.explain(learned_of([asking(PROMPT, name) for name in NAMES])) == ()


@pytest.mark.parametrize("rules", RULES)
def test_another_model(rules):
    """A model that changes once is told with both names, and without a repair."""
    finding = explained([asking(PROMPT, "?", model="new" if i > 5 else "old") for i in range(N)], rules)
    assert (finding.kind, finding.timing, finding.repairs) == (Kind.MODEL_CHANGED, Timing.ONCE, ())
    assert "'old', 'new'" in finding.sentence
    assert "after 2026-11-20 10:05 UTC" in finding.sentence


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (lambda i: f"m{i % 2}", "The model changes back and forth, no fault if it was meant ('m0', 'm1')"),
        (lambda i: f"m{i // 4}", "The model changes time and again, no fault if it was meant ('m0', 'm1', 'm2')"),
    ],
)
def test_a_model_that_changes_often(model, told):
    """Of a model that does not change once and for good, no moment of the change is told."""
    finding = explained([asking(PROMPT, "?", model=model(i)) for i in range(12)], "nemo-relay-0.8")
    assert finding.sentence.startswith(told)


@pytest.mark.parametrize("rules", RULES)
def test_what_only_the_key_sees(rules):
    """Learning keys hash texts as they were sent: white space that blocks do not have keeps profiles apart."""
    finding = explained([asking(f"{PROMPT} {' ' * i}end", "?") for i in range(N)], rules)
    assert (finding.kind, finding.repairs[0].after.profiles) == (Kind.NORMALISED_AWAY, 1)


@pytest.mark.parametrize(
    ("requests", "split"),
    [
        ([asking(f"{PROMPT} {' ' * i}end", "?") for i in range(N)], "sent otherwise"),
        ([asking(f"{PROMPT} {i} {PROMPT}", "?") for i in SHUFFLED], "number"),
        ([asking(PROMPT, "?", model=f"m{i // 6}") for i in range(N)], "model changed"),
    ],
)
def test_what_splits_an_agent_in_a_few_words(requests, split):
    """For a table, what keeps an agent's profiles apart is told in a few words."""
    assert find_causes(learned_of(requests)).splits == {"a": split}


def test_two_prompts_are_no_fault():
    """An agent with two system prompts that share nothing, each used often, gives no reason to complain."""
    prompts = [" ".join(words * 30) for words in (WORDS, NAMES)]
    assert acg.explain(learned_of([asking(prompts[i % 2], "?") for i in range(40)])) == ()


def test_what_is_lost():
    """Lost are the shared tokens of requests that met a profile of fewer than 3 requests, but for those of one."""
    requests = [asking(f"2026-11-{10 + i // 4}. {PROMPT}", "?") for i in range(20)]
    finding = explained(requests, "nemo-relay-0.8")
    assert finding.tokens_lost == pytest.approx(len(PROMPT) // 4 * (5 * 3 - 3) / 20, abs=3)
