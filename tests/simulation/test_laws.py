"""Laws of simulations, over histories of a few prompts that share, change and repeat."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulation.histories import HOUR, MARKER, assistant, block, body, sent, snapshot_of, text, tool, user

from acg_lab.simulation import simulate

SYSTEMS = [text(tokens, lead) for tokens, lead in ((1100, "a"), (2200, "a"), (600, "b"), (1500, "b"))]
TOOLS = [tool(name, tokens) for name, tokens in (("one", 300), ("two", 900), ("three", 60))]
TEXTS = [text(tokens, lead) for tokens, lead in ((10, "m"), (400, "n"), (1200, "o"), (30, "p"))]
GAPS = (0.1, 2.0, 40.0, 299.0, 301.0, 1000.0, 3500.0, 4000.0)
PINNED = {"cache_provider": "anthropic"}
few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def histories(draw, markers=(None, MARKER)):
    """A few calls of two runs: prompts grow, repeat and change, with or without usage."""
    calls, now, history = [], 0.0, {"r1": [0], "r2": [1]}
    for _ in range(draw(st.integers(1, 7))):
        now += draw(st.sampled_from(GAPS))
        run = draw(st.sampled_from(["r1", "r2"]))
        history[run] = history[run] + draw(st.lists(st.integers(0, 3), min_size=0, max_size=3))
        if draw(st.integers(0, 5)) == 0:
            history[run] = draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))
        messages = [
            (user if i % 2 == 0 else assistant)(
                block(TEXTS[code], draw(st.sampled_from(markers)) if i == len(history[run]) - 1 else None)
            )
            for i, code in enumerate(history[run])
        ]
        system = [block(draw(st.sampled_from(SYSTEMS)), draw(st.sampled_from(markers)))]
        tools = draw(st.sampled_from([None, TOOLS, TOOLS[::-1], TOOLS[:2]]))
        usage = None
        if draw(st.booleans()):
            prompt = 5000 + 10 * len(calls)
            read = draw(st.integers(0, prompt))
            usage = prompt, read, draw(st.integers(0, prompt - read))
        calls.append((body(*messages, system=system, tools=tools), now, usage, run))
    return calls


def history_of(calls, shift=0.0, *, billed=True):
    return snapshot_of(*(sent(b, at + shift, usage if billed else None, run=run) for b, at, usage, run in calls))


def remarked(value, marker):
    """A body whose breakpoints are all another, or none."""
    if isinstance(value, dict):
        kept = {key: remarked(item, marker) for key, item in value.items() if key != "cache_control"}
        return {**kept, "cache_control": marker} if marker and "cache_control" in value else kept
    return [remarked(item, marker) for item in value] if isinstance(value, list) else value


@few
@given(histories())
def test_parts_add_up(calls):
    """Whatever the bill says, the parts of each prompt add up to it, and none is negative."""
    sim = simulate(history_of(calls), **PINNED)
    assert np.array_equal(sum(sim.parts), sim.tokens)
    assert min(int(part.min()) for part in sim.parts) >= 0
    assert len(sim.verdicts) == len(sim)


@few
@given(histories(markers=(None, MARKER, HOUR)), st.randoms())
def test_the_limit_is_never_beaten(calls, rng):
    """Neither what was sent nor any other policy costs less than the limit."""
    snapshot = history_of(calls, billed=False)
    limit = simulate(snapshot, breakpoints="limit", **PINNED).simulated_cost_tokens.sum()

    def policy(view):
        places = [i for i in range(len(view.kinds)) if view.allows_breakpoint[i] and rng.random() < 0.5][:4]
        return [(place, rng.choice((300, 3600)) if rng.random() < 0.2 else 300) for place in places]

    for breakpoints in ("sent", "automatic", "none", policy):
        cost = simulate(snapshot, breakpoints=breakpoints, **PINNED).simulated_cost_tokens.sum()
        assert cost >= limit - 1e-6


@few
@given(histories(), st.sampled_from([1.0, 3600.0, 86_400.0 * 3]))
def test_a_shift_of_time_changes_nothing(calls, shift):
    """The same history a day later has the same reads, parts and verdicts."""
    sim, later = (simulate(history_of(calls, by), **PINNED) for by in (0.0, shift))
    assert np.array_equal(sim.simulated_read, later.simulated_read)
    assert all(np.array_equal(a, b) for a, b in zip(sim.parts, later.parts, strict=True))
    assert sim.verdicts == later.verdicts


@few
@given(histories())
def test_a_longer_ttl_never_costs_reads(calls):
    """With an hour in place of five minutes no request reads less."""
    long = [(remarked(b, HOUR), at, usage, run) for b, at, usage, run in calls]
    short_sim, long_sim = (simulate(history_of(c, billed=False), **PINNED) for c in (calls, long))
    assert (long_sim.simulated_read >= short_sim.simulated_read).all()


@few
@given(histories())
def test_breakpoints_are_no_content(calls):
    """Without its breakpoints a history shares, changes and adds the same tokens."""
    bare = [(remarked(b, None), at, usage, run) for b, at, usage, run in calls]
    sims = [simulate(history_of(c, billed=False), **PINNED) for c in (calls, bare)]
    for name in ("changed", "new", "not_recorded"):
        assert np.array_equal(*(getattr(sim.parts, name) for sim in sims))
    assert np.array_equal(*(sim.parts.read + sim.parts.missed for sim in sims))


@few
@given(histories())
def test_a_change_that_touches_nothing_changes_nothing(calls):
    """Asking for what was sent gives the bill, to the last token."""
    sim = simulate(history_of(calls), 0.5, **PINNED)
    known = sim.recorded_read >= 0
    assert np.array_equal(sim.read[known], sim.recorded_read[known])
    assert np.array_equal(sim.written[known], sim.recorded_written[known])
    assert not sim.clipped.any()
