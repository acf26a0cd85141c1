"""Why production plans nothing for a stable prefix, reported where there is no other finding."""

import pytest
from changing_windows import NAMES, N
from small_snapshots import make_chat_request, snapshot_of_requests

import acg_lab as acg
from acg_lab.core import StabilityThresholds
from acg_lab.diagnosis import Kind

PROMPT = "You answer questions of customers, and are polite. " * 100  # 1,275 tokens


def found(requests, rules="nemo-relay-0.8", **thresholds):
    return [
        (f.kind, round(f.tokens_lost))
        for f in acg.explain(snapshot_of_requests(requests, rules), thresholds=limits(thresholds))
    ]


def limits(thresholds):
    return StabilityThresholds(**thresholds) if thresholds else None


def asked(prompt, model, n=N, *more):
    return [make_chat_request(prompt, f"{NAMES[i]}?", *more, model=model) for i in range(n)]


@pytest.mark.parametrize(
    ("model", "prompt", "kind"),
    [
        ("claude-sonnet-4-20250514", PROMPT, None),
        ("claude-sonnet-4-20250514", PROMPT[:2000], Kind.BELOW_MINIMUM),
        ("claude-opus-4.5", PROMPT, Kind.BELOW_MINIMUM),
        ("claude-haiku-4-5-20251001", PROMPT, Kind.UNKNOWN_MODEL_FAMILY),
        ("us.anthropic.claude-sonnet-4", PROMPT, Kind.UNKNOWN_MODEL_FAMILY),
        ("gpt-5.1", PROMPT[:2000], None),
        ("some-other-model", PROMPT, None),
    ],
)
def test_models(model, prompt, kind):
    """Refusals are reported for Claude models; not for others, since the provider in use is unknown."""
    tokens = len(prompt.strip()) // 4
    assert found(asked(prompt, model)) == ([(kind, tokens)] if kind else [])


@pytest.mark.parametrize("model", ["claude-{x}", "claude-{", "claude-{}", "claude-{profiles}", "claude-%s"])
def test_models_with_braces(model):
    """A model's name appears as it is, whatever it contains, such as a template that was never filled in."""
    (finding,) = acg.explain(snapshot_of_requests(asked(PROMPT, model)))
    assert repr(model) in finding.sentence


def test_few_requests():
    """With fewer than 3 requests nothing is planned; with 3 it is, unless full confidence needs many more."""
    for n, full, expected in [(1, 20, True), (2, 20, True), (3, 20, False), (2, 2, False), (3, 40, True)]:
        kinds = [kind for kind, _ in found(asked(PROMPT, "gpt-5.1", n), min_observations_for_full_confidence=full)]
        assert kinds == ([Kind.TOO_FEW_REQUESTS] if expected else [])


def test_few_requests_of_many_profiles_are_one_finding():
    """Profiles with too few requests share one finding."""
    requests = [make_chat_request(name * 6000, "?") for name in ("x", "y")]
    snap = snapshot_of_requests(requests)
    (finding,) = acg.explain(snap)
    assert (finding.kind, len(finding.evidence.profiles), finding.evidence.requests) == (Kind.TOO_FEW_REQUESTS, 2, 2)
    start = "Production plans nothing for requests of 2 profiles until a profile has 3 requests;"
    assert finding.sentence.startswith(start)


def test_a_prefix_beyond_the_scaffold():
    """By the rules of 0.8 a shared first turn binds the prefix to whole requests that do not recur; earlier not."""
    turn = [{"role": "user", "content": "hello " * 20}, {"role": "assistant", "content": "Good day. " * 20}]
    requests = asked(PROMPT, "gpt-5.1", N, *turn)
    ((kind, lost),) = found(requests)
    assert kind is Kind.BOUND_TO_REQUESTS
    assert lost == pytest.approx((len(PROMPT) + 320) / 4 * 11 / 12, abs=5)
    assert found(requests, "nemo-relay-0.6") == []


def test_one_request_repeatedly():
    """A prefix that is bound to whole requests is no fault if all requests are equal."""
    assert found([make_chat_request(PROMPT, "the same?", model="gpt-5.1")] * N) == []


def test_no_confidence_needed():
    """If full confidence needs no observations, two requests are enough."""
    assert found(asked(PROMPT, "gpt-5.1", 2), min_observations_for_full_confidence=0) == []
