"""Bills that contradict their request, or each other: believed where they can be, and said where not."""

import pytest
from simulation.histories import MARKER, block, body, sent, simulated, text, user

from acg_lab.simulation import calibrate

SYSTEM = [block(text(2800), MARKER)]


def ask(at, usage, system=SYSTEM, **more):
    return sent(body(user(f"question {at}"), system=system), at, usage, **{"run": f"r{at}", **more})


@pytest.mark.parametrize("usage", [(0, 0, 0), (10, 0, 0), (10, None, None)])
def test_a_bill_far_too_small_for_its_text_is_not_used(usage):
    """Zeros, and the uncached rest alone, are not what 2,800 tokens of text cost: simulated, and counted."""
    found = simulated(*(ask(10 * i, usage) for i in range(3)))
    assert [str(verdict) for verdict in found.verdicts] == ["first_seen", "hit", "hit"]
    assert not found.billed.any()
    assert found.tokens.min() > 2500
    assert any(note.startswith("3 requests billed for far fewer tokens") for note in found.caveats)


def test_an_image_has_few_tokens_for_its_bytes():
    """A bill of 1,600 tokens for 400 kB of image is one."""
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 400_000}}
    found = simulated(sent(body(user(image))), sent(body(user(image)), 10, (1600, 0, 0)))
    assert found.billed.tolist() == [False, True]
    assert found.tokens[-1] == 1600


def test_a_short_prompt_may_cost_next_to_nothing():
    """Where little was sent every bill is believed."""
    found = simulated(sent(body(user("Hello there, how are you?")), 0, (1, 0, 0)))
    assert found.billed.all()


def test_a_prompt_has_at_least_the_tokens_that_were_read_of_it():
    """Where the bill states what was read and not the whole, no share exceeds 1 and no cost is negative."""
    found = simulated(ask(0, (2810, 0, 2800)), ask(10, (None, 5000, None)), ask(20, (2810, 2800, 0)))
    assert found.tokens[1] == 5000
    assert sum(found.parts).tolist() == found.tokens.tolist()
    assert (found.cost_as_was > 0).all()
    assert found.totals().as_was <= found.totals().without_cache * 1.25


def test_counts_that_no_prompt_has_are_not_used():
    """A count beyond all prompts is no count: nothing overflows."""
    found = simulated(ask(0, (2**63 - 1, 2**63 - 1, 0)), ask(10, (2810, 2800, 0)))
    assert found.billed.tolist() == [False, True]
    assert found.tokens.max() < 3000


def test_a_bill_that_shows_a_breakpoint_is_no_lack_of_one():
    """A second write of the same prompt, without a breakpoint on record, is not explained by having none."""
    plain = [block(text(2800))]
    found = simulated(ask(0, (2810, 0, 2800), plain), ask(10, (2810, 0, 2800), plain))
    assert str(found.verdicts[-1]) == "unexplained"
    silent = simulated(ask(0, (2810, 0, 0), plain), ask(10, (2810, 0, 0), plain))
    assert str(silent.verdicts[-1]) == "no_breakpoint"


def test_a_refused_request_that_was_answered_is_unexplained():
    """Five minutes before an hour is refused by the rules; where a bill shows an answer, nothing is claimed of it."""
    wrong = [block(text(2000), MARKER), block(text(2000, "more"), {"type": "ephemeral", "ttl": "1h"})]
    found = simulated(ask(0, (4010, 0, 4000), wrong), ask(10, (4010, 0, 4000), wrong))
    assert str(found.verdicts[-1]) == "unexplained"
    assert any(note.startswith("2 requests with breakpoints that the provider refuses") for note in found.caveats)


def test_requests_of_one_instant_are_parallel():
    """A log whose answers take no time does not say that a request could read what one of its instant wrote."""
    found = simulated(*(ask(0, (2810, 0, 2800), run=f"r{i}", took=0.0, first=None) for i in range(4)))
    assert [str(verdict) for verdict in found.verdicts] == ["first_seen", *["in_flight"] * 3]
    assert calibrate(found).verdict == "Barely tested: no request read anything in 4 requests."
