"""Misses: groups, their kinds, their order, and that losses add up."""

import numpy as np
import pytest
from simulation.histories import MARKER, block, body, sent, simulated, text, user
from simulation.spending import clock, growing, reordered, unpriced

from acg_lab.diagnosis.agent_costs import order_agents, summarize_costs
from acg_lab.diagnosis.finding import Kind
from acg_lab.diagnosis.miss_words import describe_miss
from acg_lab.diagnosis.misses import NO_MISS, find_misses
from acg_lab.simulation.contents import plain_text


def only(*calls):
    """The one miss of a history."""
    (miss,) = find_misses(simulated(*calls))
    return miss


def test_a_clock():
    """A time that changes in the system prompt is a change of kind datetime at that block."""
    miss = only(*clock(n=6))
    assert (miss.cause, miss.verdict, miss.block, miss.kind) == (
        "system_changed",
        "system_changed",
        "system[0]",
        Kind.DATETIME,
    )
    assert len(miss.requests) == 5
    assert describe_miss(miss) == "date or time in system prompt"


def test_reordered_tools():
    """The same tools in another order are a change of that kind, whichever tool differs first."""
    found = [miss for miss in find_misses(simulated(*reordered())) if miss.cause == "tools_changed"]
    (miss,) = found
    assert (miss.block, miss.kind, describe_miss(miss)) == ("tools", Kind.TOOLS_REORDERED, "tools reordered")


@pytest.mark.parametrize(
    ("lead", "kind"),
    [
        (lambda i: f"id 4f9a0c{i:02}e7d1b6a2", Kind.IDENTIFIER),
        (lambda i: f"in /home/user{i}/code/project", Kind.PATH),
        (lambda i: "one  two" if i % 2 else "one two", Kind.WHITESPACE),
        (lambda i: ("polite and brief", "curt", "warm", "formal", "chatty", "plain")[i], Kind.UNKNOWN),
    ],
)
def test_kinds(lead, kind):
    """A pair of contents is named by the detectors of findings; what none is sure of is unknown."""
    calls = [
        sent(
            body(
                user(block(text(50, f"q{i}"))), system=[block(text(2900, "same") + " " + text(900) + lead(i), MARKER)]
            ),
            at=i * 60,
            usage=(3960, 0, 3900),
            run=f"r{i}",
        )
        for i in range(6)
    ]
    kinds = {miss.kind for miss in find_misses(simulated(*calls)) if miss.cause == "system_changed"}
    assert kinds == {kind}


def test_nothing_missed():
    """Requests that read all they could are no misses."""
    sim = simulated(*growing(n=1))
    assert find_misses(sim) == []


def test_losses_add_up(sample):
    """Losses of misses and of the requests that are none add up to the loss of the simulation, and so do counts."""
    sim = sample_simulation(sample)
    misses = find_misses(sim)
    rest = np.array([verdict in NO_MISS for verdict in sim.verdicts])
    assert sum(miss.lost for miss in misses) + sim.lost[rest].sum() == pytest.approx(sim.totals().lost)
    assert sum(len(miss.requests) for miss in misses) + rest.sum() == len(sim)
    losses = [miss.lost for miss in misses]
    assert losses == sorted(losses, reverse=True)


def sample_simulation(snap, _made=[]):  # noqa: B006 - simulated once for all tests
    from acg_lab import simulate  # noqa: PLC0415

    if not _made:
        _made.append(simulate(snap))
    return _made[0]


def test_the_sample(sample):
    """The clock of support-chat is the dearest miss, and four agents lose most before the system prompt."""
    misses = find_misses(sample_simulation(sample))
    first = misses[0]
    assert (first.agent_id, first.cause, first.verdict) == ("support-chat", "system_changed", "no_breakpoint")
    assert (first.block, first.kind) == ("system[0]", Kind.DATETIME)
    worst = {}
    for miss in misses:
        worst.setdefault(miss.agent_id, describe_miss(miss))
    for agent in ("sales-analyst", "code-review", "support-mail"):
        assert worst[agent] == "breakpoint ends before system prompt"
    assert worst["handbook-search"] == "prefix below the minimum"


def test_order_of_agents(sample):
    """Agents come dearest loss first; the losses are those of the simulation."""
    sim = sample_simulation(sample)
    costs = summarize_costs(sim)
    assert [cost.agent_id for cost in costs][:2] == ["support-chat", "sales-analyst"]
    for cost in costs:
        totals = sim.select(agent_id=cost.agent_id).totals()
        assert (cost.cost, cost.limit, cost.lost) == (totals.as_was, totals.limit, totals.lost)


def test_agents_without_prices_come_last():
    """An agent of a model without a price follows those with one, however much it loses."""
    costs = summarize_costs(simulated(*unpriced(), *clock(n=2)))
    assert [cost.agent_id for cost in costs] == ["clock", "unpriced"]
    assert not costs[1].has_prices
    assert costs[1].n_without_price == costs[1].n_requests == 6
    assert order_agents({cost.agent_id: cost for cost in costs}) == ["clock", "unpriced"]


@pytest.mark.parametrize(
    ("content", "plain"),
    [
        (b's"a \\"b\\""', 'a "b"'),
        (b'S{"type":"text","text":"x\\ny"}', "x\ny"),
        (b'{"role":"user"},"content":"hello"', "hello"),
        (b'{"type":"tool_result","content":"5"}', '{"type":"tool_result","content":"5"}'),
        (b"\x00gap", "\x00gap"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"s" + b"[" * 50_000, "[" * 50_000),
    ],
)
def test_plain_text(content, plain):
    """A piece is shown as its text, and as it was sent where it has none or can't be read."""
    assert plain_text(content) == plain
