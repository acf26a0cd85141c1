"""What splits the requests of an agent into several profiles."""

import random

import pytest
from changing_windows import NAMES, SHUFFLED, WORDS, N
from small_snapshots import make_chat_request, snapshot_of_requests
from strategies import make_tool

import acg_lab as acg
from acg_lab import repairs
from acg_lab.diagnosis import Kind, Timing, find_causes

PROMPT = "You answer questions of customers, and are polite. " * 96
TOOLS = [make_tool(name, description=f"Does what {name} does. " * 5) for name in WORDS[:4]]
RULES = ["nemo-flow-0.2", "nemo-relay-0.6", "nemo-relay-0.8"]


def explained(requests, rules):
    (finding,) = acg.explain(snapshot_of_requests(requests, rules))
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
    """A change in the system prompt is named across profiles, since keys contain it; repaired, one profile is left."""
    finding = explained([make_chat_request(f"{PROMPT}{value(i)} {PROMPT}", NAMES[i]) for i in range(N)], rules)
    assert (finding.kind, finding.span_id, len(finding.evidence.profiles)) == (kind, "system-0", N)
    if kind is not Kind.UNKNOWN:
        assert finding.repairs[0].after.profiles == 1
        assert isinstance(finding.repairs[0].repairs[0], repairs.Pin if kind is Kind.WHITESPACE else repairs.MoveToEnd)
    assert finding.tokens_lost == pytest.approx(finding.evidence.stable_tokens_after * (N - 3) / N)
    assert finding.evidence.stable_tokens_after == pytest.approx(len(PROMPT) / 2, rel=0.05)


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
    """A change of the tools is named across profiles, with the tools or fields concerned."""
    finding = explained([make_chat_request(PROMPT, "?", tools=tools(i)) for i in range(N)], rules)
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
    """Before 0.8 a new first message makes each conversation a profile; merged, they share the system prompt."""
    finding = explained([make_chat_request(PROMPT, name) for name in NAMES], rules)
    assert (finding.kind, finding.span_id) == (Kind.FRAGMENTED_BY_FIRST_MESSAGE, "user-1")
    (effect,) = finding.repairs
    assert (effect.before.profiles, effect.after.profiles, effect.after.prefix_blocks) == (N, 1, 1)


def test_first_messages_do_not_matter_to_the_newest_rules():
    """From 0.8 on first messages do not split profiles with a system prompt."""
    assert acg.explain(snapshot_of_requests([make_chat_request(PROMPT, name) for name in NAMES])) == ()


@pytest.mark.parametrize("rules", RULES)
def test_another_model(rules):
    """A model that changes once is reported with both names and without a repair."""
    finding = explained([make_chat_request(PROMPT, "?", model="new" if i > 5 else "old") for i in range(N)], rules)
    assert (finding.kind, finding.timing, finding.repairs) == (Kind.MODEL_CHANGED, Timing.ONCE, ())
    assert "'old', 'new'" in finding.sentence
    assert "after 2026-11-20 10:05 UTC" in finding.sentence


@pytest.mark.parametrize(
    ("model", "start"),
    [
        (lambda i: f"m{i % 2}", "The model changes alternately, which may be intended ('m0', 'm1')"),
        (lambda i: f"m{i // 4}", "The model changes repeatedly, which may be intended ('m0', 'm1', 'm2')"),
    ],
)
def test_a_model_that_changes_often(model, start):
    """No time of the change is given if a model does not change once for good."""
    finding = explained([make_chat_request(PROMPT, "?", model=model(i)) for i in range(12)], "nemo-relay-0.8")
    assert finding.sentence.startswith(start)


@pytest.mark.parametrize("rules", RULES)
def test_differences_only_in_the_key(rules):
    """Learning keys hash texts as they were sent, so white space that blocks do not have splits profiles."""
    finding = explained([make_chat_request(f"{PROMPT} {' ' * i}end", "?") for i in range(N)], rules)
    assert (finding.kind, finding.repairs[0].after.profiles) == (Kind.RAW_BYTES_DIFFER, 1)


@pytest.mark.parametrize(
    ("requests", "split"),
    [
        ([make_chat_request(f"{PROMPT} {' ' * i}end", "?") for i in range(N)], "sent differently"),
        ([make_chat_request(f"{PROMPT} {i} {PROMPT}", "?") for i in SHUFFLED], "number"),
        ([make_chat_request(PROMPT, "?", model=f"m{i // 6}") for i in range(N)], "model changed"),
    ],
)
def test_labels_of_splits(requests, split):
    """find_causes labels what splits an agent's profiles."""
    assert find_causes(snapshot_of_requests(requests)).splits == {"a": split}


def test_two_prompts_are_no_fault():
    """Two system prompts of an agent that share nothing and are each used often are no finding."""
    prompts = [" ".join(words * 30) for words in (WORDS, NAMES)]
    assert acg.explain(snapshot_of_requests([make_chat_request(prompts[i % 2], "?") for i in range(40)])) == ()


def test_tokens_lost():
    """Lost are the shared tokens of requests that met a profile with fewer than 3, beyond those of one profile."""
    requests = [make_chat_request(f"2026-11-{10 + i // 4}. {PROMPT}", "?") for i in range(20)]
    finding = explained(requests, "nemo-relay-0.8")
    assert finding.tokens_lost == pytest.approx(len(PROMPT) // 4 * (5 * 3 - 3) / 20, abs=3)


# --- several parts at once ---


def deployed(i, changed=lambda i: i > 5):
    """Return a request from before or after a deployment that changes the prompt and removes a tool."""
    return make_chat_request(PROMPT + " Be brief." * changed(i), NAMES[i], tools=TOOLS[:3] if changed(i) else TOOLS)


@pytest.mark.parametrize(
    ("changed", "timing", "moment"),
    [
        (lambda i: i > 5, Timing.ONCE, "(after 2026-11-20 10:05 UTC)"),
        (lambda i: i % 2, Timing.ALTERNATING, "alternately"),
    ],
)
def test_prompt_and_tools_at_once(changed, timing, moment):
    """A prompt and tools that only change together are one split, named by the cause of a known kind."""
    finding = explained([deployed(i, changed) for i in range(N)], "nemo-relay-0.8")
    assert (finding.kind, finding.timing, finding.repairs) == (Kind.TOOLS_REMOVED, timing, ())
    assert finding.evidence.details[-1] == "also system"
    assert "and with it the system prompt: 2 profiles of 'a' each learn what one profile could" in finding.sentence
    assert moment in finding.sentence


@pytest.mark.parametrize("rules", RULES)
def test_a_repair_fixes_all_that_changes_at_once(rules):
    """If a date in the prompt and the order of tools change together, repairing both leaves one profile."""
    requests = [
        make_chat_request(f"{PROMPT} 2026-11-{10 + i // 3}", "?", tools=TOOLS[i // 3 :] + TOOLS[: i // 3])
        for i in range(N)
    ]
    finding = explained(requests, rules)
    assert (finding.kind, finding.evidence.details[-1]) == (Kind.DATETIME, "also tools")
    assert [type(repair) for repair in finding.repairs[0].repairs] == [repairs.MoveToEnd, repairs.SortTools]
    assert finding.repairs[0].after.profiles == 1


@pytest.mark.parametrize(
    ("tools", "timing"),
    [
        (lambda i: [make_tool(WORDS[i])], Timing.EVERY_REQUEST),
        (lambda i: [make_tool(WORDS[i // 3])], Timing.DRIFTING),
        (lambda i: [make_tool(WORDS[i // 6])], Timing.ONCE),
        (lambda i: [make_tool(WORDS[i % 3])], Timing.ALTERNATING),
    ],
)
def test_when_tools_change(tools, timing):
    """The timing of a change of tools is that of their list, even if each name occurs only once."""
    finding = explained([make_chat_request(PROMPT, "?", tools=tools(i)) for i in range(N)], "nemo-relay-0.8")
    assert (finding.kind, finding.timing) == (Kind.TOOLS_REMOVED, timing)


def test_sub_agents_are_no_fault():
    """Two tasks under one agent id, each with its own prompt and tools, are no finding: they share nothing."""
    tasks = [make_chat_request(" ".join(words * 30), "?", tools=[make_tool(words[0])]) for words in (WORDS, NAMES)]
    assert acg.explain(snapshot_of_requests([tasks[i % 2] for i in range(N)])) == ()


# --- one cause beside another ---


@pytest.mark.parametrize("rules", RULES[:2])
def test_each_cause_has_its_share(rules):
    """First messages and a daily date that both split profiles are a finding each, with its own share of the loss."""
    requests = [make_chat_request(f"{PROMPT}2026-11-{10 + i // 12}", f"{NAMES[i % N]} {i}") for i in range(48)]
    first, date = acg.explain(snapshot_of_requests(requests, rules))
    assert (first.kind, date.kind) == (Kind.FRAGMENTED_BY_FIRST_MESSAGE, Kind.DATETIME)
    assert "48 profiles of 'a' learn what 4 profiles could" in first.sentence
    assert "48 profiles of 'a' each learn what one profile could" in date.sentence
    assert (first.evidence.n_profiles_if_fixed, date.evidence.n_profiles_if_fixed) == (4, 1)
    together = len(PROMPT) / 4
    assert first.tokens_lost == pytest.approx(together * (48 - 4 * 3) / 48, rel=0.05)
    assert date.tokens_lost == pytest.approx(together * (4 * 3 - 3) / 48, rel=0.05)
    assert [(e.before.profiles, e.after.profiles) for e in first.repairs] == [(48, 4)]
    assert [(e.before.profiles, e.after.profiles) for e in date.repairs] == [(48, 1)]
    assert first.repairs[0].repairs == (repairs.MergeProfiles(agent_id="a"),)


@pytest.mark.parametrize("rules", RULES)
def test_two_causes_that_are_independent(rules):
    """A daily date and tools in random order are a finding each; the repair of one may include that of the other."""
    tools = [random.Random(i).sample(TOOLS, 4) for i in range(48)]
    requests = [make_chat_request(f"{PROMPT}2026-11-{10 + i // 12}", "?", tools=tools[i]) for i in range(48)]
    found = {finding.kind: finding for finding in acg.explain(snapshot_of_requests(requests, rules))}
    assert found.keys() == {Kind.TOOLS_REORDERED, Kind.DATETIME}
    assert found[Kind.TOOLS_REORDERED].repairs[0].after.profiles == 4
    assert [type(repair) for repair in found[Kind.DATETIME].repairs[0].repairs] == [
        repairs.SortTools,
        repairs.MoveToEnd,
    ]
    assert found[Kind.DATETIME].repairs[0].after.profiles == 1


def test_the_same_cause_under_two_models():
    """The same split under each of two models is one finding."""
    requests = [make_chat_request(f"{PROMPT}2026-11-{10 + i // 2}", "?", model=f"m{i % 2}") for i in range(24)]
    date, *_ = acg.explain(snapshot_of_requests(requests))
    assert (date.kind, date.requests, len(date.evidence.profiles)) == (Kind.DATETIME, 24, 24)
    assert "24 profiles of 'a' learn what 2 profiles could" in date.sentence
    assert (date.repairs[0].before.profiles, date.repairs[0].after.profiles) == (24, 2)
    assert (
        "if the date or time is taken out of 'system-0' and said in the last message: 24 profiles"
        in acg.explain(snapshot_of_requests(requests)).to_text()
    )


def test_a_split_that_costs_nothing_is_no_finding():
    """Two profiles with one request each cost nothing compared with one of two requests."""
    (finding,) = acg.explain(snapshot_of_requests([make_chat_request(PROMPT, "?", model=f"m{i}") for i in range(2)]))
    assert finding.kind is Kind.TOO_FEW_REQUESTS


@pytest.mark.parametrize("rules", RULES)
def test_a_system_message_that_comes_and_goes(rules):
    """The repair for a system message that some requests leave out is to move it: most requests have it."""
    extra = {"role": "system", "content": "Be brief. " * 30}
    finding = explained([make_chat_request(PROMPT, "?", *[extra] * (i % 3 > 0)) for i in range(N)], rules)
    assert (finding.kind, finding.span_id) == (Kind.BLOCK_MISSING, "system-1")
    (effect,) = finding.repairs
    assert (type(effect.repairs[0]), effect.repairs[0].as_user) == (repairs.MoveToEnd, True)
    assert (effect.before.profiles, effect.after.profiles) == (2, 1)


def test_system_messages_that_change_places():
    """Two system messages in either order have no repair: neither pinning nor dropping makes one profile."""
    texts = [{"role": "system", "content": text * 30} for text in ("Be brief. ", "Be polite. ")]
    requests = [{"messages": [*texts[:: 1 - 2 * (i % 2)], {"role": "user", "content": "?"}]} for i in range(N)]
    finding = explained(requests, "nemo-relay-0.8")
    assert (finding.kind, finding.repairs) == (Kind.SHIFTED, ())


@pytest.mark.parametrize("rules", RULES)
def test_a_date_in_a_tool(rules):
    """A date in a tool's description is a date and can be pinned; a single edit is an edited tool."""
    tools = [
        [make_tool("f", description=f"Looks it up. Today is 2026-11-{i}. " * 9), *TOOLS] for i in range(10, 10 + N)
    ]
    finding = explained([make_chat_request(PROMPT, "?", tools=listed) for listed in tools], rules)
    assert (finding.kind, finding.span_id, finding.repairs[0].after.profiles) == (Kind.DATETIME, "system-1-f", 1)
    finding = explained([make_chat_request(PROMPT, "?", tools=tools[i > 5]) for i in range(N)], rules)
    assert (finding.kind, finding.repairs) == (Kind.TOOLS_EDITED, ())


@pytest.mark.parametrize("rules", RULES[:2])
def test_a_first_message_that_alternates(rules):
    """A first message with two contents is reported as alternating, not as new in each request."""
    finding = explained([make_chat_request(PROMPT, NAMES[i % 2]) for i in range(N)], rules)
    assert "changes alternately (2 contents in 12 requests, 6 without the dominant one)" in finding.sentence


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("words", [40, 190, 600])
def test_a_prompt_too_short_for_any_cache(words, rules):
    """Which profile a first message leads to is not said where no cache would keep what the profiles share."""
    requests = [make_chat_request("Be polite. " * (words // 3), f"Order {i}?") for i in range(24)]
    assert acg.explain(snapshot_of_requests(requests, rules), progress=False) == ()


@pytest.mark.parametrize("rules", RULES[:2])
@pytest.mark.parametrize(
    ("tools", "kind"),
    [
        (lambda i: TOOLS[i % 4 :] + TOOLS[: i % 4], Kind.TOOLS_REORDERED),
        (lambda i: [t for k, t in enumerate(TOOLS) if k != i % 3], Kind.TOOLS_REMOVED),
    ],
)
def test_first_messages_are_said_once_beside_other_causes(tools, kind, rules):
    """Of fresh first messages there is one finding, and the dearest finding comes first."""
    requests = [make_chat_request(PROMPT, f"Order {i}?", tools=tools(i)) for i in range(48)]
    findings = acg.explain(snapshot_of_requests(requests, rules), progress=False)
    kinds = [finding.kind for finding in findings]
    assert kinds.count(Kind.FRAGMENTED_BY_FIRST_MESSAGE) <= 1
    assert kind in kinds
    assert [finding.total_lost for finding in findings] == sorted((f.total_lost for f in findings), reverse=True)
