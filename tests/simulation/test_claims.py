"""Words about a simulation claim no more than the bills show."""

import pytest

import acg_lab as acg

TEXT = "The rules of the house, at length. " * 400


def requests(n, *, model="claude-sonnet-4-5", read=2_000, clock=False):
    """Return requests of one system prompt with a breakpoint, half a minute apart; all but the first read."""
    rows = []
    for i in range(n):
        system = {"type": "text", "text": f"It is minute {i}. {TEXT}" if clock else TEXT}
        usage = {"input_tokens": 3_000, "output_tokens": 1}
        usage |= {"cache_read_input_tokens": read if i else 0, "cache_creation_input_tokens": 0 if i else read}
        body = {
            "model": model,
            "max_tokens": 10,
            "system": [system | {"cache_control": {"type": "ephemeral"}}],
            "messages": [{"role": "user", "content": f"question {i}"}],
        }
        rows.append({"request": body, "response": {"usage": usage}, "ts": 1_772_355_600 + 30 * i, "agent": "bot"})
    return acg.from_requests(rows)


def verdict(snap):
    return acg.calibrate(acg.simulate(snap)).verdict


def test_few_reads_are_no_evidence():
    """Nine reads that agree are not called good, ten are."""
    assert verdict(requests(10)).startswith("Too few to judge: 9 requests with reads; 100% agree")
    assert verdict(requests(11)).startswith("Good: of 10 requests")


def test_reads_that_did_not_happen_are_poor():
    """Where the rules promise reads and the bills show none, the simulation is not called barely tested."""
    assert verdict(requests(12, read=0)) == "Poor: 11 of 12 requests should have read, and none did."


def test_caches_without_rules_are_not_checked():
    """Requests of models whose cache has no known rules say nothing of the simulation."""
    found = acg.calibrate(acg.simulate(requests(12, model="house-model")))
    assert found.verdict == "Unknown: no request has known rules of the cache, so nothing can be checked."
    assert "12 requests of caches without known rules: not checked" in repr(found)


def test_a_clock_is_not_praised():
    """No breakpoint helps a prompt with a clock; figure and commands say what the clock costs, not that all is well."""
    sim = acg.simulate(requests(6, read=0, clock=True))
    title = acg.plots.alt_text(acg.plots.misses(sim))
    assert title.startswith("No breakpoint could save more; bot misses for a ")


def test_health_is_said_of_bills_alone():
    """An agent that reads is healthy; one whose bills show no reads is not called so."""
    assert len(acg.explain(requests(12)).healthy) == 1
    assert acg.explain(requests(12, read=0)).healthy == ()


@pytest.mark.parametrize("value", [None, 3, [{"a": 1}], "x"])
@pytest.mark.parametrize("make", [acg.frames.calls, acg.frames.findings])
def test_frames_of_other_things(make, value):
    """Frames refuse what they can't be made from, with the function that makes it."""
    with pytest.raises(acg.UsageError, match=r"Expected a Snapshot, .*as acg_lab\.\w+ returns"):
        make(value)


def test_policies_that_return_nothing():
    """A callable without a result is named, and what it is to return."""
    with pytest.raises(acg.UsageError, match="must return positions"):
        acg.simulate(requests(2), breakpoints=lambda _: None)
