"""Each verdict on histories of its own and on near misses, usage typed by hand."""

from dataclasses import replace

import numpy as np
import pytest
from simulation.histories import MARKER, block, body, sent, simulated, text, user
from simulation.near_misses import NEAR
from simulation.verdict_histories import (
    EXPECTED,
    HITS,
    POLICY,
    READ,
    SYSTEM_CASES,
    UNEXPLAINED,
    WROTE,
    A,
    B,
    C,
    D,
    E,
    Q,
    R,
    ask,
    ask_openai,
    deep,
    talk,
    two,
    users,
)

from acg_lab.providers import BreakpointOrigin, self_hosted
from acg_lab.simulation import Verdict
from acg_lab.simulation.breakpoints import choose_breakpoints
from acg_lab.simulation.plans import Plans


@pytest.mark.parametrize(
    ("expected", "calls"),
    [
        pytest.param(verdict, calls, id=f"{verdict}: {name}")
        for verdict, of in EXPECTED.items()
        for name, calls in of.items()
    ],
)
def test_the_last_request_has_the_verdict(expected, calls):
    """A history of its own gives each verdict, and its parts add up."""
    found = simulated(*calls)
    assert str(found.verdicts[-1]) == expected
    assert sum(found.parts).tolist() == found.tokens.tolist()


@pytest.mark.parametrize(
    ("expected", "calls"),
    [
        pytest.param(expected, calls, id=f"not {verdict} {i}: {expected}")
        for verdict, of in NEAR.items()
        for i, (expected, calls) in enumerate(of)
    ],
)
def test_a_near_miss_has_another_verdict(expected, calls):
    """What only looks like a verdict's history has the verdict that it deserves."""
    found = simulated(*calls)
    assert str(found.verdicts[-1]) == expected
    assert sum(found.parts).tolist() == found.tokens.tolist()


def test_every_verdict_has_histories_and_near_misses():
    """Each verdict stands on at least five histories of its own, and on five that only look like it."""
    for cases in (EXPECTED, NEAR):
        assert {verdict: len(cases.get(verdict, ())) for verdict in Verdict if len(cases.get(verdict, ())) < 5} == {}
    assert all(expected != verdict for verdict, of in NEAR.items() for expected, _ in of)


def test_five_parallel_first_requests_are_in_flight():
    """Of five equal requests at once one is first, four are in flight, and a sixth after the first token reads."""
    calls = [sent(ask(Q), i / 100, WROTE, run=f"r{i}") for i in range(5)]
    found = [str(v) for v in simulated(*calls, sent(ask(Q), 3, READ, run="r9")).verdicts]
    assert found == ["first_seen", *["in_flight"] * 4, "hit"]


def test_a_date_in_the_system_prompt_is_one_event_a_day():
    """The first request of a day has a changed system prompt; the later ones of its run read it."""
    monday, friday = "Monday. " + POLICY, "Friday. " + POLICY
    found = simulated(
        sent(ask(Q, system=monday), 0, WROTE),
        sent(ask(Q, system=friday), 60, (2010, 0, 2000), run="r2"),
        sent(ask(Q, R, system=friday), 70, (2015, 2000, 0), run="r2"),
    )
    assert list(map(str, found.verdicts)) == ["first_seen", "system_changed", "hit"]
    place = found.place(1)
    assert (place.block, place.path, place.length) == ("system", "$.system[0]", place.other_length)
    assert found.content(place.content)[place.byte_offset :].startswith("Friday")


def test_a_session_resumed_after_twenty_minutes_expired():
    """What was idle for longer than it lives expired, however the history was edited; idle seconds are stated."""
    calls = two(talk(A, B, C), talk("x" + A[1:], B, C, D, E), (3600, 0, 3600), (6000, 0, 6000), gap=1200.0)
    found = simulated(*calls)
    assert (str(found.verdicts[-1]), found.idle_seconds[-1]) == ("expired", 1200.0)


@pytest.mark.parametrize("usages", [(None, None), ((2810, 0, 2800), (2810, 2800, 0))])
def test_an_edit_behind_the_last_breakpoint_is_not_unwritten(usages):
    """All that is shared was read; the message that was edited stands behind the last breakpoint."""
    system = [block(text(2800), MARKER)]
    calls = [sent(body(user(f"question {i}, please"), system=system), 10 * i, usage) for i, usage in enumerate(usages)]
    assert str(simulated(*calls).verdicts[-1]) == "breakpoint_short"


def test_unexplained_reads_keep_their_bill():
    """Usage that says less than the rules promise is not replaced, and its verdict says so."""
    found = simulated(*UNEXPLAINED["15% of equal bytes"])
    assert found.recorded_read.tolist() == found.read.tolist() == [0, 540]
    assert found.simulated_read[1] == 3600


def test_a_failed_request_costs_nothing_and_is_counted_apart():
    """A request that was answered by an error has no cost, and a caveat counts it."""
    found = simulated(sent(ask(Q), 0, WROTE), sent(ask(R), 9, None, error="overloaded"))
    assert str(found.verdicts[1]) == "failed"
    assert found.cost_as_was[1] == 0
    assert any("1 request failed" in caveat for caveat in found.caveats)


def test_a_model_that_caches_nothing_so_short_has_a_limit_beside_others():
    """Requests of two models, one of which has a higher minimum than the prompts, each have a limit."""
    system = [block(text(2800), MARKER)]
    models = ("claude-sonnet-4-5", "claude-opus-4-5")
    calls = [sent(body(user(f"question {i}"), system=system, model=models[i % 2]), 10 * i) for i in range(4)]
    found = simulated(*calls)
    assert found.history.at_limit.read.astype(bool).tolist() == [False, False, True, False]


@pytest.mark.parametrize(
    ("response", "quoted"),
    [
        ({"diagnostics": {"cache_miss_reason": {"type": "system_changed"}}}, "system_changed"),
        ({"prompt_cache_diagnostics": {"type": "instructions_changed"}}, "instructions_changed"),
        ({"diagnostics": {"cache_miss_reason": None}}, ""),
        ({"diagnostics": [1]}, ""),
    ],
)
def test_the_providers_own_diagnosis_stands_beside_ours(response, quoted):
    """A response that says why it missed is quoted, be it Anthropic's or OpenAI's; junk in its place says nothing."""
    first, second = SYSTEM_CASES["a user's name"]
    found = simulated(first, (*second[:-1], {"response": response}))
    assert found.vendor_diagnoses == ["", quoted]


def test_no_repr_shows_a_prompt():
    """Neither repr nor HTML shows a prompt's text."""
    found = simulated(*HITS["same system"])
    assert "policy" not in repr(found) + found._repr_html_() + repr(found.place(1)) + repr(found.history.requests)


ENGINES = [(self_hosted(128), 60), (self_hosted(1024), 600), ("openai-prefix", 90)]


@pytest.mark.parametrize(("engine", "shared"), ENGINES)
def test_what_is_shorter_than_a_block_rightly_reads_nothing(engine, shared):
    """Two prompts that share less than a block have missed nothing, and the verdict says what is too short."""
    bodies = (ask_openai(text(3000, q), model="llama-9", system=text(shared, "s")) for q in "xy")
    found = simulated(*users(*bodies, (3000, 0, None), (3000, 0, None)), cache_provider=engine)
    assert (found.simulated_read[1], found.parts.missed[1]) == (0, 0)
    assert str(found.verdicts[1]) == "below_minimum"


def planned(requests, *pieces):
    """Plans of one breakpoint for each request, at a piece of it."""
    offsets, reasons = np.arange(len(requests) + 1), np.zeros(len(requests), np.int64)
    return Plans(reasons=reasons, offsets=offsets, pieces=requests.piece_offsets[:-1] + np.array(pieces))


def test_four_breakpoints_and_a_planned_fifth_are_refused():
    """Anthropic refuses five: the request keeps its own four, and is counted; one at the same place is no fifth."""
    found = simulated(sent(deep(6, (0, 1, 2, 3)), 0), sent(deep(6, (0, 1, 2)), 9), sent(deep(6, (0, 1, 2, 3)), 20))
    requests = found.history.requests
    chosen = choose_breakpoints(requests, "sent", planned(requests, 5, 5, 3))
    assert chosen.refused == 1
    assert (chosen.pieces - np.repeat(requests.piece_offsets[:-1], np.diff(chosen.offsets))).tolist() == [
        *(0, 1, 2, 3),
        *(0, 1, 2, 5),
        *(0, 1, 2, 3),
    ]


@pytest.mark.parametrize(("is_raw", "n_own"), [(True, 2), (False, 1)])
def test_breakpoints_that_a_bound_scope_recorded_are_the_governors(is_raw, n_own):
    """A runtime that binds a scope records planned breakpoints: of a request not recorded as sent they are planned."""
    requests = replace(simulated(sent(deep(3, (0, 2)), 0)).history.requests, raw=np.array([is_raw]))
    chosen = choose_breakpoints(requests, "sent", None, recorded_plans=planned(requests, 0))
    assert chosen.origins.tolist() == [BreakpointOrigin.OWN] * n_own
    assert chosen.pieces.tolist() == [0, 2][-n_own:]
