"""Live requests: which result applies, and why nothing is planned (`acg_lab/docs/rules/planner.md`, 1 to 3)."""

import msgspec
import pytest
from planner_inputs import RELAY_6, RELAY_8, SONNET, ask, learn, plan, text_of
from strategies import make_request

from acg_lab.core import RULES, HotCache, LearnerUpdate, PlanReason, UsageError

# --- which result is met, and the gate ---


def test_seed_entry_before_rules_version_8():
    """Before 0.8 the seed entry serves any request of the agent, by position alone."""
    hot_cache = learn([ask("q", rules=RELAY_6)] * 3, RELAY_6)
    planned = plan(ask("never seen", system=text_of(2000, "never seen"), rules=RELAY_6), hot_cache, RELAY_6)
    assert (planned.entry, planned.ends, planned.segments[0].prefix_tokens) == ("agent", (2,), 2002)


def test_seed_entry_in_rules_version_8():
    """In 0.8 the seed entry serves requests of its own profile only."""
    seed = HotCache()  # as after a restart
    seed.apply(LearnerUpdate(seed=learn([ask(f"q{i}") for i in range(3)]).acg_stability))
    planned = plan(ask("another"), seed)
    assert (planned.reason, planned.entry) == (PlanReason.PLANNED, "agent")
    other = plan(ask("another", system=text_of(2000)), seed)
    assert (other.reason, other.entry) == (PlanReason.FINGERPRINT, "agent")


def test_profile_comes_before_seed_entry():
    """A profile of one observation is not helped by a better seed entry."""
    hot_cache = learn([ask("u", rules=RELAY_6), *[ask("v", rules=RELAY_6)] * 3], RELAY_6)
    planned = plan(ask("u", rules=RELAY_6), hot_cache, RELAY_6)
    assert (planned.reason, planned.entry, planned.n_observations) == (PlanReason.ONE_OBSERVATION, "profile", 1)


@pytest.mark.parametrize("provider", ["anthropic", "openai", "passthrough"])
def test_gate_refuses_for_every_provider(provider):
    """A shorter request, a result without a prefix or one without a fingerprint fails the gate."""
    request = make_request("u", {"role": "assistant", "content": "v"}, model=SONNET)
    hot_cache = learn([request] * 3)
    key, seen = hot_cache.acg_profiles.copy().popitem()
    for changes in ({"stable_prefix_length": 9}, {"stable_prefix_length": 0}, {"stable_prefix_fingerprint": None}):
        hot_cache.acg_profiles[key] = msgspec.structs.replace(seen, **changes)
        assert plan(request, hot_cache, provider=provider, surface="chat").reason is PlanReason.FINGERPRINT


# --- reasons ---


def reasons(request, history=None, rules=RELAY_8, settings=(), **options):
    settings = {"min_observations_for_full_confidence": 1, **dict(settings)}
    hot_cache = learn([request] * 3 if history is None else history, rules, **settings)
    return plan(request, hot_cache, rules, **options)


@pytest.mark.parametrize("rules", RULES)
def test_every_reason(rules):
    """Every reason is reached, in every rules version that has it."""
    good = ask("q", rules=rules)
    no_prefix = {"settings": {"stable_threshold": 1.5}, "rules": rules}
    found = {
        "planned": reasons(good, rules=rules),
        "canonical": reasons(good, rules=rules, provider="openai", surface="chat"),
        "unreadable": reasons(make_request({"role": "narrator"}), [good], rules),
        "nothing learned": reasons(good, [], rules),
        "one observation": reasons(good, [good], rules),
        "passthrough": reasons(good, rules=rules, provider="passthrough"),
        "surface": reasons(good, rules=rules, surface="chat"),
        "no model": reasons(ask("q", model=None, rules=rules), rules=rules),
        "family": reasons(ask("q", model="gpt-4o", rules=rules), rules=rules),
        "no candidate": reasons(ask("q", system="short", rules=rules), rules=rules),
        "not worth it": reasons(good, rules=rules, settings={"min_observations_for_full_confidence": 99}),
        "incompatible surface": reasons(good, rules=rules, provider="openai"),
        "no prefix": reasons(good, **no_prefix),
        "fingerprint": reasons(good, [ask("q", system="other", rules=rules)] * 2, rules),
    }
    if rules == RELAY_8:  # a depth of 0 fails the gate; the class stops the walk without shortening the prefix
        assert found.pop("no prefix").reason is PlanReason.NO_CANDIDATE
    else:
        assert found.pop("fingerprint").reason is not PlanReason.FINGERPRINT
        assert reasons(good, provider="openai", surface="chat", **no_prefix).reason is PlanReason.NO_PREFIX
    assert {name: planned.reason.value for name, planned in found.items()} == {name: name for name in found}
    for name, planned in found.items():
        assert bool(planned.segments) == bool(planned.ends) == bool(planned.paths) == (name == "planned")
        assert (planned.learning_key is None) == (name == "unreadable")
        assert (planned.entry is None) == (name in {"unreadable", "nothing learned"})


def test_order_of_reasons():
    """What is missing first is reported first: observations, then surface, model, family, prefix."""
    odd = ask("q", model="gpt-4o", rules=RELAY_6)
    nothing_stable = {"stable_threshold": 1.5}
    assert reasons(odd, [odd], RELAY_6, provider="passthrough").reason is PlanReason.ONE_OBSERVATION
    assert reasons(odd, rules=RELAY_6, surface=None).reason is PlanReason.SURFACE
    assert reasons(odd, rules=RELAY_6, settings=nothing_stable).reason is PlanReason.UNKNOWN_MODEL_FAMILY
    no_prefix = reasons(odd, rules=RELAY_6, settings=nothing_stable, provider="openai")
    assert no_prefix.reason is PlanReason.NO_PREFIX


def test_unreadable_request():
    """A request that could not be normalised is passed on untouched."""
    planned = plan(None, learn([ask("q")] * 3))
    assert (planned.reason, planned.expected_savings) == (PlanReason.UNREADABLE, 0.0)


def test_messages():
    """Every reason has a sentence of its own for users."""
    messages = [reason.message for reason in PlanReason]
    assert len(set(messages)) == len(PlanReason)
    assert all(message[0].isupper() and message.endswith(".") for message in messages)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"provider": "bedrock"},
            "The 'provider' setting must be one of 'anthropic', 'openai', 'passthrough'; got 'bedrock'.",
        ),
        ({"rules": "nemo"}, "The 'rules' setting must be one of 'nemo-flow-0.2'"),
    ],
)
def test_usage_errors(options, message):
    """Unknown providers and rules are refused, with a list of those there are."""
    with pytest.raises(UsageError) as caught:
        plan(ask("q"), HotCache(), **options)
    assert str(caught.value).startswith(message)


def test_plans_hold_no_prompt_text():
    """A plan shows numbers and hashes only."""
    request = ask("private question", system=text_of(1500, "private system"))
    planned = plan(request, learn([request] * 3))
    assert planned.segments
    assert "private" not in repr(planned)
