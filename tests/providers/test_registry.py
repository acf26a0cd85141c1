"""Which cache a request met, and what a provider is as a value."""

from datetime import date

import pytest
from providers.histories import Prompt, block, make_table

from acg_lab.core.errors import UsageError
from acg_lab.providers import (
    PROVIDERS,
    CacheProvider,
    Evidence,
    Refusal,
    RequestFlag,
    choose_provider,
    find_provider,
    list_providers,
    run_cache,
)
from acg_lab.providers.rules import canonical_model

NOVEMBER = date(2026, 11, 1)


@pytest.mark.parametrize(
    ("api", "model", "when", "name"),
    [
        ("anthropic", "claude-sonnet-4-5-20250929", NOVEMBER, "anthropic"),
        ("anthropic", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", NOVEMBER, "bedrock"),
        ("anthropic", "claude-sonnet-4-5@20250929", NOVEMBER, "vertex"),
        ("openai-chat", "anthropic/claude-sonnet-4.5", NOVEMBER, "anthropic"),
        ("anthropic", None, NOVEMBER, "anthropic"),
        ("openai-responses", "gpt-5.6", NOVEMBER, "openai"),
        ("openai-responses", "gpt-5.6-sol-2026-08-01", NOVEMBER, "openai"),
        ("openai-responses", "gpt-6.1-terra", NOVEMBER, "openai"),
        ("openai-chat", "openai/gpt-6", NOVEMBER, "openai"),
        ("openai-chat", "gpt-5.5", NOVEMBER, "openai-gpt-5.5"),
        ("openai-chat", "gpt-5.1", NOVEMBER, "openai-prefix"),
        ("openai-chat", "gpt-5.1", date(2026, 5, 28), "openai-in-memory"),
        ("openai-chat", "gpt-5.1", date(2026, 5, 29), "openai-prefix"),
        ("openai-chat", "gpt-4o-mini", date(2026, 3, 1), "openai-in-memory"),
        ("openai-chat", "o3", NOVEMBER, "openai-prefix"),
        ("openai-chat", "deepseek-v4-pro", NOVEMBER, "deepseek"),
        ("openai-chat", "google/gemini-3.1-pro", NOVEMBER, "gemini"),
        ("openai-chat", "kimi-k3", NOVEMBER, "moonshot"),
        ("openai-chat", "grok-5", NOVEMBER, "xai"),
        ("openai-chat", "mistral-large-2512", NOVEMBER, "mistral"),
        ("openai-chat", "z-ai/glm-5", NOVEMBER, "glm"),
        ("openai-chat", "qwen4-max", NOVEMBER, "qwen-implicit"),
    ],
)
def test_auto_goes_by_api_model_and_date(api, model, when, name):
    """A March history gets March's rules, and each model those of its vendor."""
    assert choose_provider(api, model, when).name == name


@pytest.mark.parametrize(
    "model", ["gpt-3.5-turbo", "gpt-oss-120b", "our-own-model", "llama-4", "nvidia/nemotron-3", None, ""]
)
def test_unknown_models_have_no_rules(model):
    """What no rule is known for has none, rather than a likely one."""
    assert choose_provider("openai-chat", model, NOVEMBER) is None


def test_accounts_and_bodies_decide_too():
    """Zero data retention keeps less; Qwen's own breakpoints make its cache explicit."""
    assert choose_provider("openai-chat", "gpt-5.1", NOVEMBER, zero_retention=True).name == "openai-in-memory"
    assert choose_provider("openai-chat", "qwen3-max", NOVEMBER, has_breakpoints=True).name == "qwen"


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
def test_each_rule_has_source_date_and_evidence(provider):
    """No rule lacks them, and one of which nothing is known has alternatives."""
    for rule in provider.rules:
        assert rule.says
        assert rule.source
        assert rule.as_of
        assert isinstance(rule.evidence, Evidence)
        if rule.evidence == Evidence.UNKNOWN and rule.setting not in {"", "hidden_tokens", "capacity_blocks"}:
            assert rule.alternatives, rule.name
    names = [rule.setting for rule in provider.rules if rule.setting]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
def test_each_provider_runs_under_each_alternative(provider):
    """Whatever switch is turned, a history runs, and reads no more than there is."""
    prompts = [Prompt((block("system", 5000),), 10.0 * k, {0: 0}, model="some-model") for k in range(3)]
    table = make_table(prompts, branches=True)
    for variant in (provider, *(v for _, _, v in provider.variants())):
        outcome = run_cache(table, variant)
        assert (outcome.read_tokens + outcome.written_tokens.sum(axis=1) <= table.tokens).all()


def test_a_provider_is_a_value():
    """Settings are replaced by name; the old provider stays, and the old value becomes the alternative."""
    old = find_provider("anthropic")
    new = old.with_settings(renews="hit")
    assert (old.settings["renews"], new.settings["renews"]) == ("prefixes", "hit")
    assert new.switches["renews"] == ("hit", "prefixes")
    assert find_provider(new) is new
    assert new.with_settings(renews="prefixes").settings == old.settings


def test_a_setting_that_does_not_exist_is_named():
    """An unknown setting or a value of another type is the caller's mistake, and says what there is."""
    with pytest.raises(UsageError, match="anthropic has no setting 'ttl'; it has automatic_mode"):
        find_provider("anthropic").with_settings(ttl=5)
    with pytest.raises(UsageError, match="lookback of anthropic must be int like 20; got '20'"):
        find_provider("anthropic").with_settings(lookback="20")
    with pytest.raises(UsageError, match="cache_provider must be a CacheProvider, 'auto' or one of anthropic"):
        find_provider("antropic")
    with pytest.raises(UsageError, match=r"cache_provider must be a CacheProvider.*got \['anthropic'\]"):
        find_provider(["anthropic"])
    with pytest.raises(UsageError, match="visible_at must be 'start', 'first_token' or 'end'"):
        run_cache(make_table([]), find_provider("anthropic").with_settings(visible_at="never"))


def test_providers_show_themselves():
    """A repr states each rule with its source; the list has a row for each provider."""
    shown = repr(find_provider("anthropic"))
    assert "A-4" in shown
    assert "[lookback=20]" in shown
    assert "at least 4,096 tokens: claude-haiku-4.5, documented" in shown
    listed = list_providers()
    assert [row["name"] for row in listed] == list(PROVIDERS)
    assert repr(listed).splitlines()[0].split() == ["name", "title", "matching", "ttl", "minimum", "read", "unsettled"]
    assert all(isinstance(provider, CacheProvider) for provider in PROVIDERS.values())


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("claude-opus-4-5-20251101", "claude-opus-4.5-20251101"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4-20250514"),
        ("claude-3-5-haiku-latest", "claude-3.5-haiku-latest"),
        ("vertex_ai/claude-opus-4-1@20250805", "claude-opus-4.1-20250805"),
        ("GPT-5.6-Sol", "gpt-5.6-sol"),
    ],
)
def test_model_names_have_one_form(name, canonical):
    """Vendors' prefixes go, versions get dots."""
    assert canonical_model(name) == canonical


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
def test_each_provider_takes_histories_without_prompts(provider):
    """No requests, a request without pieces, and one that failed: nothing is read or written."""
    assert run_cache(make_table([]), provider).n_requests == 0
    failed = Prompt((block("system", 5000),), 1.0, flags=RequestFlag.FAILED)
    outcome = run_cache(make_table([Prompt((), 0.0), failed, Prompt((), 2.0)], branches=True), provider)
    assert outcome.read_tokens.tolist() == [0, 0, 0]
    assert outcome.written_tokens.sum() == 0
    assert [Refusal(r).name for r in outcome.refusals.tolist()] == ["NONE", "FAILED", "NONE"]
    assert repr(outcome) == "<CacheOutcome: 3 requests, 0 tokens read, 0 written>"
