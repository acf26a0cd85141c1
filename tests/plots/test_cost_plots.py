"""Plots of cost: widths and titles are those of the simulation, and every text has room in every extreme."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from plot_snapshots import by_gid, gids, nameless, outside, overlapping, text_of
from simulation.histories import body, sent, user
from simulation.spending import clock, growing, reordered, simulated, unpriced

import acg_lab as acg
from acg_lab import frames, plots

NAMES = ("misses", "cost_breakdown", "requests_over_time")
LONG = "a-very-long-agent-name-of-the-department-for-customer-happiness-{}\x1b[31m<b>$x^2$"


def many(n):
    return [call for k in range(n) for call in clock(f"agent-{k:03}", n=2 + k % 4)]


CASES = {
    "one agent": simulated(*clock()),
    "several agents": simulated(*clock(), *growing(), *reordered()),
    "no prices": simulated(*unpriced(), *growing()),
    "nothing lost": simulated(*growing(n=1)),
    "200 agents": simulated(*many(200)),
    "long names": simulated(*(call for k in range(3) for call in clock(LONG.format(k), n=5))),
    "a change": simulated(*growing(), breakpoints="none"),
}


@pytest.fixture(params=NAMES)
def draw(request):
    return getattr(plots, request.param)


@pytest.mark.usefixtures("theme")
@pytest.mark.parametrize("case", CASES)
def test_sound(draw, case):
    """Every artist has a gid, and all texts are inside and apart, in both themes."""
    axes = draw(CASES[case])
    assert nameless(axes) == []
    assert outside(axes) == []
    assert overlapping(axes) == []


@pytest.mark.parametrize("width", [6, 10])
@pytest.mark.parametrize("case", ["several agents", "long names"])
def test_widths(draw, case, width):
    """From 6 to 10 inches all texts have room."""
    axes = draw(CASES[case], ax=Figure(figsize=(width, 1)))
    assert outside(axes) == []
    assert overlapping(axes) == []


def test_no_requests(draw):
    """Without requests the figure says so and what to do."""
    axes = draw(CASES["one agent"].select(until="2000-01-01"))
    assert text_of(axes, "title") == "No requests observed yet"


@pytest.mark.parametrize(
    ("calls", "title"),
    [
        ([sent(body(user("q" * 9000)), 60 * i, error="overloaded_error") for i in range(3)], "No request was answered"),
        (
            [sent(body(user("q" * 9000), model="house-model"), 60 * i, (3000, None, None)) for i in range(3)],
            "What the cache read is not known",
        ),
    ],
    ids=["all failed", "no bill and no rules"],
)
def test_nothing_is_said_where_nothing_is_known_of_reads(draw, calls, title):
    """Where every request failed, or neither bills nor rules speak of reads, no figure claims a share or a miss."""
    sim = simulated(*calls)
    axes = draw(sim)
    assert text_of(axes, "title") == title
    assert outside(axes) == []
    assert "reads unknown" in repr(sim)


def test_failed_requests_are_left_out_of_requests_over_time():
    """What failed was not billed, and is no part of any share."""
    calls = growing()
    failed = [sent(body(user("q" * 9000)), 9000 + i, error="overloaded_error", agent="growing") for i in range(3)]
    words = [plots.alt_text(plots.requests_over_time(simulated(*some))) for some in (calls, [*calls, *failed])]
    assert words[0] == words[1]


@pytest.mark.parametrize("given", [None, "data/sample", 0.9])
def test_refused(draw, given):
    """What is no simulation and no frame is refused."""
    with pytest.raises(acg.UsageError, match="Expected a CacheSimulation"):
        draw(given)


def test_bars_of_misses_are_losses():
    """A bar is as long as what its agent lost to misses; the number is the agent's loss, the words its worst miss."""
    sim = CASES["several agents"]
    axes = plots.misses(sim)
    frame = frames.misses(sim)
    lost = frame[frame["lost"] > 0].groupby("agent_id", observed=True)["lost"].sum().sort_values(ascending=False)
    assert [text_of(axes, f"agent-{i}") for i in range(len(lost))] == list(lost.index)
    widths = [sum(by_gid(axes, gid).get_width() for gid in gids(axes, f"bar-{i}-")) for i in range(len(lost))]
    np.testing.assert_allclose(np.array(widths) / widths[0], lost / lost.iloc[0], rtol=0.1)
    assert text_of(axes, "words-0") == "date or time in system prompt"


def test_title_of_misses():
    """The title says what is paid for nothing and what the dearest part is for."""
    assert text_of(plots.misses(CASES["one agent"]), "title") == (
        "$0.01 of $0.07 is paid for nothing, $0.01 of it for a date or time in clock"
    )
    assert "of it for a date or time in 200 agents" in text_of(plots.misses(CASES["200 agents"]), "title")
    assert text_of(plots.misses(CASES["nothing lost"]), "title").startswith("Nothing is paid for misses")


def test_misses_of_a_frame():
    """Rows of misses are the figure's table: drawn alone they have the same bars."""
    sim = CASES["several agents"]
    axes = plots.misses(frames.misses(sim))
    assert text_of(axes, "words-0") == text_of(plots.misses(sim), "words-0")


def test_cost_breakdown_adds_up():
    """Segments are as wide as the parts of the cost, and totals are those of the simulation."""
    sim = CASES["one agent"]
    axes = plots.cost_breakdown(sim)
    costs = frames.costs(sim).set_index("policy")
    scale = by_gid(axes, "cost-0-uncached").get_width() / costs.loc["no caching", "uncached_cost"]
    written = by_gid(axes, "cost-1-written").get_width()
    assert written == pytest.approx(costs.loc["as it was", "written_cost"] * scale, abs=0.02)
    assert text_of(axes, "total-1") == "$0.07"
    assert text_of(axes, "change-1") == "+25%"
    assert text_of(axes, "title") == "Caching costs 25% more than none"


def test_rows_of_cost_breakdown():
    """Rows are no caching, as it was, what is tried, limit; names of changes are those given."""
    sim = CASES["a change"]
    axes = plots.cost_breakdown({"no breakpoints": sim})
    assert [text_of(axes, f"policy-{i}") for i in range(4)] == ["no caching", "as it was", "no breakpoints", "limit"]
    with pytest.raises(acg.UsageError, match="must name an agent"):
        plots.cost_breakdown(sim, agent_id="nobody")


def test_unknown_rates_are_said():
    """Where no rate is known the row says so; it is no zero."""
    assert text_of(plots.cost_breakdown(CASES["no prices"]), "total-1") == "rates are not known"


def test_parts_over_time():
    """Heights stack the parts of the prompts, request by request."""
    sim = CASES["one agent"]
    axes = plots.requests_over_time(sim)
    values, edges, base = by_gid(axes, "part-changed").get_data()
    np.testing.assert_array_equal(values - base, sim.parts.changed)
    assert edges.tolist() == list(range(len(sim) + 1))


def test_change_over_time():
    """A change of content is marked where it happened, and the title says when."""
    sim = simulated(*reordered(n=20, change=12))
    axes = plots.requests_over_time(sim)
    assert text_of(axes, "change-0-name") == "tools reordered"
    assert by_gid(axes, "change-0").get_xdata()[0] == 12
    assert text_of(plots.requests_over_time(CASES["one agent"]), "title") == (
        "clock misses from the start: date or time in system prompt"
    )
