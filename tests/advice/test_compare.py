"""Before and after a change: what was planted is found, and what may be chance is not called a change."""

from dataclasses import replace

import numpy as np
import pytest
from simulation.histories import MARKER, SONNET, block, body, sent, snapshot_of, text, user

import acg_lab as acg
from acg_lab.advice import AgentComparison, Comparison

DEPLOYED, MODEL_SWITCHED = "2026-11-16T09:40:00Z", "2026-11-13T11:00:00Z"  # as planted in data/sample_scenes.py
PLANTED = {"sales-analyst", "code-review"}
DAY, TOKENS = 86_400, 1100
SEEDS = range(20)


@pytest.fixture(scope="module")
def trace(sample):
    return acg.replay(sample, progress=False)


def clock(n=30, begin=0, agent="chat", *, usage=True, model=SONNET, run="", gap=200):
    """Requests whose marked system prompt begins with a time: each writes it, none reads."""
    return [
        sent(
            body(user(text(50, f"q{i}")), system=[block(text(TOKENS, f"now {begin + i}"), MARKER)], model=model),
            at=begin + i * gap,
            usage=(TOKENS + 60, 0, TOKENS) if usage else None,
            run=run or f"{agent}{begin}-{i}",
            agent=agent,
        )
        for i in range(n)
    ]


def constant(n=30, begin=0, agent="chat", *, usage=True, model=SONNET, tokens=TOKENS, gap=200):
    """The same without the time: the first writes, the others read."""
    return [
        sent(
            body(user(text(50, f"q{i}")), system=[block(text(tokens, "policy"), MARKER)], model=model),
            at=begin + i * gap,
            usage=(tokens + 60, tokens if i else 0, 0 if i else tokens) if usage else None,
            run=f"{agent}{begin}-{i}",
            agent=agent,
        )
        for i in range(n)
    ]


def only(found):
    (agent,) = found.agents
    return agent


# --- the sample ---


@pytest.mark.slow
def test_tools_in_another_order_are_found(trace):
    """Cut where sales-analyst was deployed: other profiles learn since, whose tools differ; nobody else changed."""
    found = acg.compare(trace, at=DEPLOYED)
    changed = {agent.agent_id: agent for agent in found.agents if agent.is_changed}
    sales = changed.pop("sales-analyst")
    assert sales.changed_parts == ("tools",)
    assert [(shift.before, shift.after) for shift in sales.shifts if shift.beyond_chance] == [(1, 0), (0, 1)]
    assert set(changed) <= PLANTED  # code-review has changed too, if three days before
    assert "sales-analyst" in repr(found)


def test_another_model_is_found(trace):
    """Cut where code-review got another model: nothing of before is like it, so its cost is not compared."""
    found = acg.compare(trace, at=MODEL_SWITCHED)
    assert {agent.agent_id for agent in found.agents if agent.is_changed} <= PLANTED
    (review,) = (agent for agent in found.agents if agent.agent_id == "code-review")
    assert review.is_changed
    assert review.changed_parts == ("model",)
    assert review.outcome == "not comparable"
    assert {stratum.model for stratum in review.left_out} == {"claude-sonnet-4-5-20250929", "claude-sonnet-4-6"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_where_nothing_changed_nothing_is_found(trace, seed):
    """Cut anywhere, the agents that nobody changed have no change of cost, misses or profiles."""
    draw = np.random.default_rng(seed)
    begin, end = np.datetime64("2026-11-08"), np.datetime64("2026-11-20")
    at = str(begin + (draw.random() * (end - begin).astype(int) * DAY).astype("timedelta64[s]")) + "Z"
    found = acg.compare(trace, at=at)
    assert {agent.agent_id for agent in found.agents if agent.is_changed} <= PLANTED


# --- what is found ---


def test_why_costs_are_not_comparable():
    """It is said whether counterparts are few, or missing, or cost nothing."""
    chat = only(acg.compare(snapshot_of(*clock(), *constant(begin=DAY)), at="2026-11-07T20:00:00Z"))
    unknown = acg.advice.Interval(*[float("nan")] * 3)
    chat = chat._replace(outcome="not comparable", shifts=())
    assert "only 12% of the requests of after have a counterpart" in chat._replace(matched=(1, 0.12)).words
    assert "no request of after has a counterpart" in chat._replace(matched=(0, 0), change=unknown).words
    assert "that have a counterpart cost nothing" in chat._replace(matched=(1, 1), change=unknown).words


def test_a_fix_is_found():
    """A clock that left the system prompt: cheaper by what reads save, and the miss that it caused is gone."""
    found = acg.compare(snapshot_of(*clock(), *constant(begin=DAY)), at="2026-11-07T20:00:00Z")
    chat = only(found)
    assert chat.outcome == "cheaper"
    assert chat.change.high < -0.8
    assert chat.change.low <= chat.change.value <= chat.change.high
    shift = max(chat.shifts, key=lambda one: -one.difference.value)
    assert shift.kind == "miss"
    assert (shift.before > 0.9, shift.after, shift.beyond_chance) == (True, 0, True)
    assert found.saved.value == pytest.approx(chat.saved.value)
    assert found.saved.low > 0
    assert chat.cost[1] < 0.2 * chat.cost[0]


@pytest.mark.slow
def test_two_snapshots_say_the_same_as_one():
    """What was recorded apart is compared as what was recorded together."""
    before, after = clock(), constant(begin=DAY)
    together = acg.compare(snapshot_of(*before, *after), at="2026-11-07T20:00:00Z")
    apart = acg.compare(snapshot_of(*before), snapshot_of(*after))
    assert only(apart).change == only(together).change
    assert only(apart).outcome == "cheaper"


def test_the_other_way_round_is_dearer():
    """What was cheaper is dearer if the change is taken back, and the amount is negative."""
    found = acg.compare(snapshot_of(*constant()), snapshot_of(*clock(begin=DAY)))
    assert only(found).outcome == "dearer"
    assert found.saved.high < 0
    assert "+" in found.lines[0]


def test_the_mix_of_sizes_is_held():
    """More long prompts cost more per request, and are no change."""
    mixes = [
        [*constant(n_short, begin), *constant(n_long, begin + 50, tokens=4 * TOKENS)]
        for begin, n_short, n_long in ((0, 30, 15), (DAY, 15, 30))
    ]
    chat = only(acg.compare(*(snapshot_of(*mix) for mix in mixes)))
    assert chat.cost[1] > 1.2 * chat.cost[0]
    assert chat.outcome == "no change"
    assert chat.change.low < 0 < chat.change.high


def test_without_usage_and_prices_tokens_are_compared():
    """Where no bill is recorded and the model has no price, simulated costs in uncached tokens are compared."""
    before, after = (
        make(begin=begin, usage=False, model="claude-nonesuch-9") for make, begin in ((clock, 0), (constant, DAY))
    )
    found = acg.compare(snapshot_of(*before), snapshot_of(*after))
    chat = only(found)
    assert chat.currency == "uncached tokens"
    assert np.isnan(found.change.value)
    assert chat.outcome in ("cheaper", "not comparable")


def test_simulated_costs_are_compared_where_no_bill_is_recorded():
    """Without usage the rules say what a fix saves, and a remark says that it is simulated."""
    found = acg.compare(snapshot_of(*clock(usage=False)), snapshot_of(*constant(begin=DAY, usage=False)))
    assert only(found).outcome == "cheaper"
    assert any("simulated where no bill" in remark for remark in found.remarks)


# --- what is not claimed ---


def test_a_single_run_is_too_few():
    """Many requests of one run are one draw, whatever they cost."""
    found = acg.compare(snapshot_of(*clock(run="one")), snapshot_of(*constant(begin=DAY)))
    assert only(found).outcome == "too few runs"
    assert not found.is_changed
    assert "Too few runs" in repr(found)


def test_agents_on_one_side_are_not_compared():
    """Without an agent in common nothing is judged, and both are named."""
    found = acg.compare(snapshot_of(*clock(agent="old")), snapshot_of(*constant(begin=DAY, agent="new")))
    assert {agent.agent_id: agent.outcome for agent in found.agents} == {"old": "only before", "new": "only after"}
    assert not found.is_changed
    assert "Nothing can be said" in repr(found)


def test_the_same_traffic_twice_is_no_change():
    """A snapshot compared with itself differs in nothing, and a remark says that the runs are the same."""
    snap = snapshot_of(*clock())
    found = acg.compare(snap, snap)
    assert only(found).outcome == "no change"
    assert only(found).change.value == pytest.approx(0)
    assert any("30 runs are on both sides" in remark for remark in found.remarks)


def test_what_a_run_sent_after_the_cut_is_on_no_side():
    """A run that was going on belongs to before, and what it sent later is left out and counted."""
    going_on = clock(n=4, begin=0, run="long", gap=DAY // 3)
    snap = snapshot_of(*clock(begin=100), *going_on, *constant(begin=DAY))
    found = acg.compare(snap, at="2026-11-07T13:00:00Z")
    assert found.before.n_requests + found.after.n_requests == 30 + 30 + 4 - 2
    assert any("2 requests of runs that had begun before" in remark for remark in found.remarks)


# --- the value ---


@pytest.fixture(scope="module")
def found():
    calls = [*clock(), *constant(begin=DAY), *clock(agent="<b>steady"), *clock(begin=DAY, agent="<b>steady")]
    return acg.compare(snapshot_of(*calls), at="2026-11-07T20:00:00Z")


@pytest.mark.slow
def test_the_frames(found):
    """One row per agent, what changed first; one row per miss and profile."""
    rows = found.to_frame()
    assert rows[["agent_id", "outcome"]].to_numpy().tolist() == [["chat", "cheaper"], ["<b>steady", "no change"]]
    assert rows["change"].tolist() == [agent.change.value for agent in found.agents]
    shifts = found.to_frame(shifts=True)
    assert len(shifts) == sum(len(agent.shifts) for agent in found.agents)
    assert shifts["beyond_chance"].any()


def test_text_is_escaped_in_html(found):
    """Names from records are text in HTML."""
    html = found._repr_html_()
    assert "&lt;b&gt;steady" in html
    assert "<b>steady" not in html
    assert "cheaper" in html


def test_it_is_a_value(found):
    """It is frozen, and equal figures come from equal histories."""
    assert isinstance(found, Comparison)
    assert isinstance(found.agents[0], AgentComparison)
    with pytest.raises(AttributeError):
        found.agents = ()
    assert replace(found).lines == found.lines


@pytest.mark.slow
def test_one_agent_can_be_asked_for():
    """Only that agent is compared."""
    calls = [*clock(), *constant(begin=DAY), *clock(agent="steady"), *clock(begin=DAY, agent="steady")]
    asked = acg.compare(snapshot_of(*calls), at="2026-11-07T20:00:00Z", agent_id="steady")
    assert [agent.agent_id for agent in asked.agents] == ["steady"]


# --- wrong use ---


@pytest.fixture(scope="module")
def snap():
    return snapshot_of(*clock(n=12))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "two snapshots, or one and the time"),
        ({"at": "nonsense"}, "'at' option must be a date"),
        ({"at": 95}, "'at' option must be a date"),
        ({"at": "2030-01-01"}, "leave answered requests on both sides.*2026-11-06"),
        ({"at": "2000-01-01"}, "leave answered requests on both sides"),
        ({"at": "2026-11-07", "since": "never"}, "'since' option"),
        ({"at": "2026-11-06T21:30:00Z", "agent_id": "chart"}, "no profile of agent 'chart'.*'chat'"),
    ],
)
def test_wrong_use_is_named(snap, options, message):
    """Wrong options raise UsageError with their names."""
    with pytest.raises(acg.UsageError, match=message):
        acg.compare(snap, **options)


def test_sides_must_have_requests(snap):
    """A side without recorded calls, or that is no source at all, is named."""
    with pytest.raises(acg.UsageError, match=r"'after'.*no recorded LLM calls"):
        acg.compare(snap, acg.load(acg.MemoryBackend()))
    with pytest.raises(acg.UsageError, match=r"'before' must be a Snapshot or a Trace.*got str"):
        acg.compare("data/sample", snap)
    with pytest.raises(acg.UsageError, match=r"'after' is a repaired snapshot"):
        acg.compare(snap, acg.what_if(snap, acg.repairs.SortTools()))


def test_the_older_side_comes_first(snap):
    """Sides in the wrong order are refused, with their times."""
    with pytest.raises(acg.UsageError, match="pass the older one first"):
        acg.compare(snapshot_of(*constant(begin=DAY)), snap)
