"""The findings of `acg.explain` on the sample, on real traffic, and on small windows."""

import gzip
import json
import os
from pathlib import Path

import msgspec
import pytest
from changing_windows import N, each
from hypothesis import given
from hypothesis import strategies as st
from learned_backend import learned_backend
from small_snapshots import STEADY, a_minute_apart, snapshot_of_window
from strategies import make_ir, thresholds, windows

import acg_lab as acg
from acg_lab import repairs
from acg_lab.core import RULES, PromptIR, StabilityThresholds, TokenMetadata
from acg_lab.diagnosis import Kind, Timing, find_causes, prefix_breaks
from acg_lab.storage.memory import MemoryBackend

ROOT = Path(__file__).parents[2]
TOKENS = TokenMetadata(model_family="m", token_count=200)
SHARED = Path(os.environ.get("ACG_LAB_SHARED") or ROOT.parent / "shared") / "data"


@pytest.fixture(scope="module")
def findings(sample):
    return acg.explain(sample, money=False)


def shapes(effect):
    return [type(repair) for repair in effect.repairs]


@pytest.mark.parametrize(
    ("agent_id", "kind", "timing", "span_id", "first"),
    [
        ("support-chat", Kind.DATETIME, Timing.DRIFTING, "system-0-instructions", [repairs.MoveToEnd]),
        ("support-legacy", Kind.FRAGMENTED_BY_FIRST_MESSAGE, Timing.DRIFTING, "user-11", [repairs.MergeProfiles]),
        ("sales-analyst", Kind.TOOLS_REORDERED, Timing.ONCE, "system-1-list_tables", [repairs.SortTools]),
        ("handbook-search", Kind.RETRIEVED_TEXT, Timing.EVERY_REQUEST, "user-6", [repairs.MoveToSystemPrompt]),
        ("claims-triage", Kind.VARIANTS, Timing.ALTERNATING, "user-10", [repairs.MoveToSystemPrompt] * 6),
        ("claims-triage-next", Kind.VARIANTS, Timing.ALTERNATING, "user-8", [repairs.MoveToSystemPrompt] * 6),
        ("code-review", Kind.MODEL_CHANGED, Timing.ONCE, None, None),
    ],
)
def test_each_planted_fault_is_found(findings, agent_id, kind, timing, span_id, first):
    """Each agent of the sample has the one finding that data/README.md describes, with the best repair first."""
    (finding,) = [found for found in findings if found.agent_id == agent_id]
    assert (finding.kind, finding.timing, finding.span_id) == (kind, timing, span_id)
    assert (shapes(finding.repairs[0]) if finding.repairs else None) == first


def test_the_numbers_of_the_readme(findings):
    """Tokens, profiles and thresholds are those of data/README.md."""
    of = {finding.agent_id: finding for finding in findings}
    assert of["claims-triage"].evidence.threshold == 0.92
    assert of["claims-triage-next"].evidence.threshold is None  # a lower one makes it worse
    assert of["claims-triage"].repairs[0].after.prefix_blocks == 16
    assert round(of["claims-triage"].repairs[0].after.prefix_tokens) == 2384
    assert round(of["handbook-search"].repairs[0].before.prefix_tokens) == 880
    assert round(of["handbook-search"].repairs[0].after.prefix_tokens) == 1467
    assert (of["support-chat"].repairs[0].before.profiles, of["support-chat"].repairs[0].after.profiles) == (123, 1)
    assert len(of["support-legacy"].evidence.profiles) == 70
    assert "2026-11-16 09:28" in of["sales-analyst"].sentence  # deployed at 09:40


def test_merging_recovers_the_tokens_lost(findings):
    """If all profiles become one, the tokens lost are recovered; a repair that saves none is not listed."""
    (chat,) = [finding for finding in findings if finding.agent_id == "support-chat"]
    text = " ".join(findings.to_text().split())
    assert (
        f"123 profiles → 1, shared by every request; {chat.tokens_lost:,.0f} tokens per request are recovered" in text
    )
    assert "97% → 98%" not in text
    assert "94% → 91%" not in text


def test_healthy_profiles(sample, findings):
    """The profiles of coder and support-mail are healthy, and no others."""
    assert {sample.owners[key].agent_id for key in findings.healthy} == {"coder", "support-mail"}
    (key,) = [key for key in sample.windows if key.startswith("coder::")]
    assert acg.explain(sample, key, money=False) == ()


def test_costliest_first(findings):
    """Findings are sorted by the tokens lost in all requests, and each is frozen."""
    totals = [finding.total_lost for finding in findings]
    assert totals == sorted(totals, reverse=True)
    assert all(finding.tokens_lost > 0 for finding in findings)
    with pytest.raises(AttributeError):
        findings[0].kind = Kind.UNKNOWN


def test_one_profile_is_explained_as_among_all(sample, findings):
    """The findings of one profile are those that it has when all profiles are explained."""
    for finding in findings:
        assert acg.explain(sample, finding.learning_key, money=False)[0] == finding
    (key,) = [key for key in sample.windows if key.startswith("support-mail::")]
    with pytest.raises(acg.UsageError, match="There is no profile 'nobody'; the nearest"):
        acg.explain(sample, "nobody")
    assert acg.explain(sample, key, money=False).healthy == (key,)


def test_repairs_have_the_stated_effect(sample, findings):
    """The analysed result of `what_if` has the prefix that the finding states for the repair."""
    for finding in findings:
        for effect in finding.repairs:
            repaired = acg.what_if(sample, effect.repairs)
            keys = {key for key, old in repaired.members.items() if not set(old).isdisjoint(finding.evidence.profiles)}
            summaries = [s for s in acg.summarize(repaired, acg.analyze(repaired)) if s.learning_key in keys]
            total = sum(s.observations * s.prefix_tokens for s in summaries)
            n = sum(s.observations for s in summaries)
            assert (len(keys), n) == (effect.after.profiles, effect.after.observations)
            assert total / n == pytest.approx(effect.after.prefix_tokens)


@pytest.mark.slow
def test_the_best_repair_removes_the_finding(sample, findings):
    """A snapshot repaired by a finding's best repair no longer has the finding."""
    for finding in findings:
        if finding.repairs:
            repaired = acg.what_if(sample, finding.repairs[0].repairs)
            left = acg.explain(repaired, money=False)
            assert (finding.agent_id, finding.kind) not in {(f.agent_id, f.kind) for f in left}


def test_the_threshold_of_a_finding_includes_the_block(sample, findings):
    """At the threshold of a finding the prefix includes the block; a hundredth above it does not."""
    for finding in findings:
        if (threshold := finding.evidence.threshold) is None:
            continue
        key = finding.learning_key
        depths = [
            acg.analyze(sample, StabilityThresholds(stable_threshold=t))[key].stable_prefix_length
            for t in (0.95, threshold + 0.01, threshold)
        ]
        assert depths[0] == depths[1] < depths[2]


def test_thresholds_have_two_decimals_and_are_reached():
    """The threshold is the largest hundredth not above the score, to the last bit, and None up to one half."""
    scores = [(p / n) * (d / p) for n in range(1, 60) for p in range(1, n + 1) for d in range(1, p + 1)]
    for score in scores:
        expected = max((k / 100 for k in range(51, 101) if k / 100 <= score), default=None)
        assert prefix_breaks._round_down(score) == expected


def test_another_threshold_another_answer(sample):
    """At 0.9 claims-triage has no finding, and claims-triage-next has a prefix that is bound to whole requests."""
    found = {
        f.agent_id: f for f in acg.explain(sample, thresholds=StabilityThresholds(stable_threshold=0.9), money=False)
    }
    assert "claims-triage" not in found
    assert found["claims-triage-next"].kind is Kind.BOUND_TO_REQUESTS


def test_nothing_is_stable_above_one(sample):
    """Under a stable_threshold that no score reaches there are neither findings nor healthy profiles, and a reason."""
    found = acg.explain(sample, thresholds=StabilityThresholds(stable_threshold=1.5))
    assert (found, found.healthy) == ((), ())
    assert found.to_text() == "No block can be stable: no score exceeds 1, and stable_threshold is 1.5"
    assert "impossible" not in repr(
        acg.explain(sample, thresholds=StabilityThresholds(stable_threshold=1.0), money=False)
    )


def test_real_traffic_is_fragmented_by_its_first_message():
    """The 193 profiles of 0.2 have one finding: the first message splits them, and merging saves tokens."""
    path = SHARED / "tau_airline" / "redis-0.3.0.jsonl.gz"
    if not path.exists():
        pytest.skip("no recordings: neither ACG_LAB_SHARED nor a folder 'shared' beside the repository")
    backend = MemoryBackend()
    with gzip.open(path) as lines:
        for entry in map(json.loads, lines):
            _, kind, key = entry["key"].split(":", 2)
            if kind == "acg_observations":
                backend.store_observations(key, msgspec.convert(entry["value"], tuple[PromptIR, ...]))
    (finding,) = acg.explain(acg.load(backend))
    assert (finding.kind, finding.evidence.requests) == (Kind.FRAGMENTED_BY_FIRST_MESSAGE, 2454)
    (effect,) = finding.repairs
    assert (effect.before.profiles, effect.after.profiles, effect.after.prefix_blocks) == (193, 1, 15)
    assert "193 profiles" in finding.sentence


# --- made for it ---


def template(value):
    return make_ir(("system-0", "s" * 400), ("user-1", f"{'Known. ' * 30}{value} {'Known. ' * 30}"), ("user-2", STEADY))


def test_where_it_differs():
    """Places are offsets and lengths in the two contents; excerpts are included only if asked for."""
    window = a_minute_apart(map(template, each(lambda i: f"2026-11-{i + 10}")))
    (finding,) = acg.explain(snapshot_of_window(window))
    (place,) = finding.evidence.places
    assert (place.offset, place.length, place.text) == (210 + 8, 2, None)
    (finding,) = acg.explain(snapshot_of_window(window), text=True)
    assert {finding.evidence.places[0].text, finding.evidence.places[0].other_text} <= {str(i + 10) for i in range(N)}


def test_evidence_counts():
    """Evidence has requests, contents, changes, the time of the last change, and the tokens out of reach."""
    window = a_minute_apart(map(template, ["2026-01-01"] * 8 + ["2026-01-02"] * 4))
    (finding,) = acg.explain(snapshot_of_window(window))
    evidence = finding.evidence
    assert (evidence.requests, evidence.present, evidence.distinct, evidence.changes) == (12, 12, 2, 1)
    assert (finding.timing, evidence.last_change) == (Timing.ONCE, "2026-11-20T10:08:00Z")
    assert [variant.count for variant in evidence.variants] == [8, 4]
    assert evidence.stable_tokens_after == len(STEADY) // 4
    assert 100 < evidence.unchanging < 110  # all of 430 bytes but the date
    assert finding.tokens_lost == evidence.stable_tokens_after + evidence.unchanging


def test_the_same_fault_in_several_profiles():
    """Profiles of an agent with the same kind of change at the same block share a finding, that of the costliest."""
    backend = MemoryBackend()
    keys = [f"a::model=m::seed=no-seed::system=sha256:{i}::tools=sha256:{i}" for i in range(3)]
    for key, n in zip(keys, (6, 12, 3), strict=True):
        backend.store_observations(key, a_minute_apart(map(template, each(lambda i: f"2026-11-{i + 10}")[:n])))
    (finding,) = acg.explain(acg.load(backend, rules="nemo-flow-0.2"))
    assert (finding.kind, finding.learning_key, finding.requests) == (Kind.DATETIME, keys[1], 21)
    assert (finding.evidence.requests, finding.evidence.profiles) == (12, (keys[1], keys[0], keys[2]))
    assert ", in 3 profiles; " in finding.sentence
    assert finding.repairs[0].before.profiles == 1


def test_a_redacted_export_is_explained_by_structure():
    """Hashes in place of texts do not count as identifiers that change."""
    hashes = [f"sha256:{i:064x}" for i in range(N + 2)]
    window = [make_ir(("system-0", hashes[0]), ("user-1", hashes[i + 2]), ("user-2", hashes[1])) for i in range(N)]
    heavy = [
        msgspec.structs.replace(ir, blocks=tuple(msgspec.structs.replace(b, token_metadata=TOKENS) for b in ir.blocks))
        for ir in window
    ]
    (finding,) = acg.explain(snapshot_of_window(a_minute_apart(heavy)))
    assert (finding.kind, finding.evidence.places) == (Kind.UNKNOWN, ())


def test_a_normal_conversation_is_no_fault():
    """Ordinary conversations have no findings, and neither has an empty source."""
    assert acg.explain(acg.load(learned_backend())) == ()
    assert acg.explain(acg.load(MemoryBackend())) == ()
    assert acg.explain(snapshot_of_window([])) == ()


@given(st.lists(windows(), max_size=3), thresholds(), st.sampled_from([*RULES, "auto"]))
def test_anything_is_explained(of_keys, limits, rules):
    """Whatever other programs stored, each profile has a finding or is healthy, and numbers are finite."""
    backend = MemoryBackend()
    for i, window in enumerate(of_keys):
        backend.store_observations(f"a::model=claude-{i % 2}::seed=no-seed::system=sha256:{i}::tools=no-tools", window)
    snap = acg.load(backend, rules=rules)
    findings = acg.explain(snap, thresholds=limits, text=True)
    named = {key for finding in findings for key in finding.evidence.profiles}
    assert bool(findings.impossible) == (limits.stable_threshold > 1)
    expected = set() if findings.impossible else {*snap.windows}
    assert (named | {*findings.healthy}, named & {*findings.healthy}) == (expected, set())
    assert all(0 <= finding.tokens_lost < float("inf") for finding in findings)
    assert all(f.evidence.requests and f.evidence.present <= f.evidence.requests for f in findings)
    assert findings == acg.explain(snap, thresholds=limits, text=True)
    assert len(findings.to_frame()) == len(findings)
    assert {*find_causes(snap, limits).breaks} == {*snap.windows}
