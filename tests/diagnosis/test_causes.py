"""Several causes of a change are several findings, and what is one cause is one."""

import string

import pytest
from cause_reports import PAIRS, SINGLES, clock, history, locale, number_id, person
from hypothesis import given
from hypothesis import strategies as st
from sent_requests import GPT, chat, claude, function, manual, question, sent, tool

import acg_lab as acg
from acg_lab import repairs
from acg_lab.diagnosis import Kind
from acg_lab.diagnosis.repair_costs import AgentCosts
from acg_lab.diagnosis.repair_words import describe_repairs

NAMES = [f"{one.__name__}, {other.__name__}" for one, _, other, _ in PAIRS]
# Kinds that are seen in the order of requests.
ORDERED = {"changed_once", "counter", "variants"}
TOOLS = ["book_slot", "cancel_slot", "find_person", "list_rooms", "move_slot", "send_note"]


def explained(lines, agent_id="desk", **how):
    return acg.explain(acg.from_requests(lines, agent_id=agent_id), progress=False, **how)


def kinds(lines, agent_id="desk"):
    return sorted(finding.kind.value for finding in explained(lines, agent_id, money=False))


# --- two causes in one block ---


@pytest.mark.parametrize(("number", "pair"), list(enumerate(PAIRS)), ids=NAMES)
def test_two_causes_are_two_findings(number, pair):
    """Each cause has a finding of its kind, at its own place, which names the other one."""
    one, kind, other, second = pair
    findings = explained(history((one, other), number), money=False, text=True)
    found = {finding.kind.value: finding for finding in findings}
    assert {*found} == {kind, second}
    (system_prompt,) = {finding.span_id for finding in findings}
    assert found[kind].evidence.beside == ((system_prompt, Kind(second)),)
    begin, end = (found[name].evidence.places[0].offset for name in (kind, second))
    assert (begin < 200, end > 1000) == (True, True)
    assert all("with the other change mended" in finding.sentence for finding in findings)


@pytest.mark.parametrize(("number", "row"), list(enumerate(SINGLES)))
def test_one_cause_is_one_finding(number, row):
    """What always changes together, stands in one phrase, or is one kind, is told once and never wrong."""
    part, expected = row
    (finding,) = explained(history((part,), number), money=False)
    assert finding.kind.value in expected
    assert finding.evidence.beside == ()


def test_three_causes_are_three_findings():
    """A clock, a name and a language are three findings, in the order of what they cost."""
    findings = explained(history((clock, person, locale), 3))
    assert {finding.kind for finding in findings} == {Kind.DATETIME, Kind.PERSON, Kind.LOCALE}
    assert findings[0].kind is Kind.DATETIME
    assert all("with the 2 other changes mended" in finding.sentence for finding in findings)


def test_what_a_cause_costs_is_simulated_with_the_others_mended():
    """It is what mending everything saves beyond what mending the others saves; its own slots are named."""
    snap = acg.from_requests(history((clock, person), 0), agent_id="desk")
    by_kind = {finding.kind: finding for finding in acg.explain(snap, progress=False)}
    costs = AgentCosts(snap, "desk")
    everything = costs.saved(snap, [repairs.Pin("system-0")])
    for kind, other in ((Kind.DATETIME, Kind.PERSON), (Kind.PERSON, Kind.DATETIME)):
        others = costs.saved(snap, [repairs.Pin("system-0", slots=by_kind[other].evidence.slots)])
        assert by_kind[kind].money_lost == pytest.approx(everything - max(others, 0))
        assert not by_kind[kind].lost_at_most
    assert by_kind[Kind.DATETIME].money_lost > by_kind[Kind.PERSON].money_lost > 0


def test_a_repair_of_several_causes_says_all_that_it_moves():
    """One repair mends both, and is said in words of both; of prompts it says nothing."""
    findings = explained(history((clock, number_id), 0))
    text = " ".join(findings.to_text().split())
    assert "if the date or time and the identifier are taken out of 'system-0' and said in the last message" in text
    assert {len(finding.repairs[0].repairs[0].slots) for finding in findings} == {2}


# --- in several blocks ---


def two_messages(i):
    contents = (f"{clock(i)}\n{manual(1, 700)}", f"{person(i)}\n{manual(2, 700)}")
    return {"model": GPT, "messages": [*({"role": "system", "content": text} for text in contents), *asked(i)]}


def asked(i):
    return [{"role": "user", "content": question(i)}]


def in_messages(i):
    said = f"{clock(i)}\n{manual(1, 600)}", "Noted.", f"{person(i)}\n{manual(2, 600)}", "Yes."
    return chat(manual(3, 1300), *said, question(i))


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (two_messages, {(Kind.DATETIME, "system-0"), (Kind.PERSON, "system-1")}),
        (in_messages, {(Kind.DATETIME, "user-1"), (Kind.PERSON, "user-3")}),
    ],
)
def test_causes_in_two_blocks_are_two_findings(body, found):
    """Each block has its finding, though the first one hides what the second costs."""
    findings = explained(sent([body(i) for i in range(16)], usage=True))
    assert {(finding.kind, finding.span_id) for finding in findings} == found
    assert all(finding.money_lost > 0 for finding in findings)


def test_a_clock_beside_shuffled_tools():
    """The clock hides what the tools cost; both causes are found, and what their repairs save together."""
    orders = [TOOLS[i % 6 :] + TOOLS[: i % 6] if i % 2 else TOOLS[i % 5 :: -1] + TOOLS[i % 5 + 1 :] for i in range(16)]
    bodies = [
        chat(f"{clock(i)}\n{manual(1, 1200)}", question(i), tools=[function(name) for name in orders[i]])
        for i in range(16)
    ]
    findings = explained(sent(bodies, usage=True))
    assert {finding.kind for finding in findings} == {Kind.DATETIME, Kind.TOOLS_REORDERED}
    clocks, tools = findings
    both, alone = clocks.repairs
    assert {type(repair) for repair in both.repairs} == {repairs.MoveToEnd, repairs.SortTools}
    assert [type(repair) for repair in alone.repairs] == [repairs.MoveToEnd]
    assert tools.repairs == (both,)
    assert both.money_saved == pytest.approx(alone.money_saved + tools.money_lost, rel=0.1)


def test_tools_that_join_and_change_places():
    """A list of tools that grows and is shuffled has two causes."""
    lists = [TOOLS[: 3 + i // 6] for i in range(16)]
    orders = [one[i % 3 :] + one[: i % 3] if i % 4 else one[::-1] for i, one in enumerate(lists)]
    bodies = [claude(manual(5, 1400), question(i), tools=[tool(name) for name in orders[i]]) for i in range(16)]
    findings = explained(sent(bodies), money=False)
    assert {finding.kind for finding in findings} == {Kind.TOOLS_REORDERED, Kind.TOOLS_ADDED}
    assert all(finding.evidence.beside for finding in findings)


# --- versions, order and many places ---

ARMS = ["Answer briefly, in one sentence.", "Explain step by step, with your reasons.", "Ask back first."]


@pytest.mark.parametrize(
    ("choose", "shares"),
    [
        (lambda i: "011010011010011001011010"[i], "50%, 50%"),
        (lambda i: "012012102021201021012102"[i], "33%, 33%, 33%"),
        (lambda i: "000111000111000111000111"[i], "50%, 50%"),
        (lambda i: "001000100010010000100100"[i], "75%, 25%"),
        (lambda i: "110111011101101111011011"[i], "75%, 25%"),
    ],
)
def test_versions_side_by_side(choose, shares):
    """A few versions of one text that are each used often, all the time, are told with their shares."""
    lines = history((lambda i: ARMS[int(choose(i))],), 1, n=24)
    (finding,) = explained(lines)
    assert (finding.kind, finding.evidence.details) == (Kind.FEATURE_VARIANTS, (shares,))
    assert "no fault if it is meant" in finding.sentence
    said = describe_repairs(finding.repairs[0].repairs, finding.kind)
    assert said == "one version of 'system-0-instructions' is sent in every request"


@pytest.mark.parametrize(
    "choose",
    [
        lambda i: int(i > 11),
        lambda i: int(8 < i < 16),
        lambda i: int(i % 12 == 5),
        lambda i: i // 8,
        lambda i: int(i in {3, 4, 5}),
    ],
)
def test_no_versions_side_by_side(choose):
    """One change in time, a time in between, a rare exception, or one version after the other are something else."""
    findings = explained(history((lambda i: ARMS[choose(i)],), 1, n=24), money=False)
    assert Kind.FEATURE_VARIANTS not in {finding.kind for finding in findings}


WORDS = [f"item-{word}" for word in string.ascii_lowercase]


def turned(items, i):
    """Return the items in an order of request ``i``."""
    return sorted(items, key=lambda item: (hash_of(item) * (2 * i + 3)) % 101)


def hash_of(item):
    return sum(7**k * ord(c) for k, c in enumerate(item)) % 97


@pytest.mark.parametrize(
    "write",
    [
        lambda items: f"You may use `{'`, `'.join(items)}`.",
        lambda items: f"Tags: {{{', '.join(map(repr, items))}}}",
        lambda items: f"Choose one of {' | '.join(items)}.",
        lambda items: f"Tags: {' '.join(items)}",
        lambda items: "\n".join(f"| {item} | open |" for item in items),
        lambda items: "\n".join(f'<file path="{item}">here</file>' for item in items),
        lambda items: f"Erlaubt sind {', '.join(items)}; sonst nichts.",
    ],
)
@pytest.mark.parametrize("n", [6, 26])
def test_lists_in_running_text_change_order(write, n):
    """The same items in another order are found, whatever separates or wraps them."""
    (finding,) = explained(history((lambda i: write(turned(WORDS[:n], i)),), 2), money=False)
    assert finding.kind is Kind.REORDERED


@pytest.mark.parametrize(
    "write",
    [
        lambda i: f"You may use `{'`, `'.join(WORDS[i : i + 6])}`.",
        lambda i: f"Tags: {' '.join(turned(WORDS[:9], i)[:5])}",
        lambda i: f"Ask {WORDS[i]} about {WORDS[i + 3]} and {WORDS[i + 5]}.",
        lambda i: "\n".join(f"| {item} | {i * k} |" for k, item in enumerate(WORDS[:5])),
        lambda i: f"From {WORDS[i % 5]} to {WORDS[i % 7]}.",
    ],
)
def test_other_items_are_no_other_order(write):
    """Lists with other items are not the same items in another order."""
    findings = explained(history((write,), 2), money=False)
    assert Kind.REORDERED not in {finding.kind for finding in findings}


def test_a_long_list_is_lost_though_it_is_most_of_the_prompt():
    """A shuffled list that is most of a prompt costs what the prompt costs."""
    paths = [f"src/{a}/{b}.py" for a in WORDS for b in WORDS[:12]]
    bodies = [claude("Files:\n" + "\n".join(turned(paths, i)) + "\nBe brief.", question(i)) for i in range(16)]
    (finding,) = explained(sent(bodies, usage=True))
    assert (finding.kind, finding.lost_at_most) == (Kind.REORDERED, False)
    assert finding.money_lost > 0.7 * finding.agent_cost


def test_many_places_are_counted():
    """A text that differs in many places without a name says how many, and where the first and the last are."""
    rows = manual(8, 900).splitlines()
    words = ["lamps", "seals", "crates", "keys", "oars"]

    def prompt(i):
        chosen = (words[(i * i * (k + 3) + 7 * k * i) % 11 % 5] for k in range(23))
        return "\n".join(f"{row} Then think of {word}." for row, word in zip(rows, chosen, strict=False))

    bodies = [chat(f"{prompt(i)}\n{manual(9, 900)}", question(i)) for i in range(16)]
    findings = explained(sent(bodies), text=True)
    (finding,) = findings
    assert finding.kind is Kind.UNKNOWN
    assert "characters differ in 23 places, the first at offset " in finding.sentence
    assert (len(finding.evidence.places), finding.evidence.n_places) == (8, 23)
    assert "and 15 more places" in findings.to_text()
    assert "and 15 more places" in findings._repr_html_()


# --- laws ---

pairs = st.sampled_from(list(enumerate(PAIRS)))


@given(row=pairs, i=st.integers(0, 15))
@pytest.mark.slow
def test_one_request_less_or_twice_changes_no_kind(row, i):
    """Whichever request is missing, or was sent again right after, the findings are of the same kinds."""
    k, (one, kind, other, second) = row
    lines = [{name: value for name, value in line.items() if name != "response"} for line in history((one, other), k)]
    again = {**lines[i], "started_at": lines[i]["ended_at"]}
    assert kinds(lines[:i] + lines[i + 1 :]) == sorted((kind, second))
    assert kinds([*lines[: i + 1], again, *lines[i + 1 :]]) == sorted((kind, second))


@given(row=pairs, order=st.permutations(range(16)), agent_id=st.text(string.ascii_letters, min_size=1, max_size=9))
@pytest.mark.slow
def test_neither_order_nor_name_changes_a_kind(row, order, agent_id):
    """Where the order of requests is no evidence, another one changes nothing, nor does another agent's name."""
    k, (one, kind, other, second) = row
    lines = history((one, other), 2 * k + 1 + k % 2 * 3)
    lines = [{name: value for name, value in line.items() if name != "response"} for line in lines]
    if not ORDERED & {kind, second}:
        lines = [{**lines[i], "body": lines[j]["body"]} for i, j in enumerate(order)]
    assert kinds(lines, agent_id) == sorted((kind, second))


@given(row=pairs, language=st.sampled_from(["de", "ja"]), seed=st.integers(1, 50))
def test_the_words_around_change_no_kind(row, language, seed):
    """In another language, and with other words of the same shape, the findings are of the same kinds."""
    k, (one, kind, other, second) = row
    assert kinds(history((one, other), k, language, seed)) == sorted((kind, second))
