"""Verifying: what is equal, and exactly what is not."""

import msgspec
import pytest
from learned_backend import learned_backend, run_of
from strategies import make_ir

import acg_lab as acg
from acg_lab.core import AcgLearner, HotCache, StabilityThresholds, analyze_stability
from acg_lab.snapshot import Status
from acg_lab.storage.memory import MemoryBackend

RULES = ["nemo-flow-0.2", "nemo-relay-0.6", "nemo-relay-0.8"]


def statuses(verification):
    return {verdict.key: verdict.status for verdict in verification.verdicts}


def profile_key(backend):
    return next(key for key in backend._windows if "::" in key)


@pytest.mark.parametrize("rules", RULES)
def test_what_a_learner_left_is_equal(rules):
    """Results, windows and the seed entry of an untouched store all agree."""
    verification = acg.verify(acg.load(learned_backend(rules=rules)))
    assert set(statuses(verification).values()) == {Status.EQUAL}
    assert verification.ok
    assert all(v.checked_runs for v in verification.verdicts if "::" in v.key)


def test_a_changed_score_is_named():
    """Span and field of the first difference are reported, and only that profile and its seed's copy differ."""
    backend = learned_backend(n_runs=3)
    key = profile_key(backend)
    result = backend.load_stability(key)
    first = msgspec.structs.replace(result.scores[0], score=0.75)
    backend.store_stability(key, msgspec.structs.replace(result, scores=(first, *result.scores[1:])))
    verification = acg.verify(acg.load(backend))
    (verdict,) = [v for v in verification.verdicts if v.key == key]
    assert verdict.difference[1:] == ("score", 1.0, 0.75)
    assert "system-0" in verdict.difference.place
    assert not verification.ok


def test_a_changed_window_entry_is_named():
    """A block that the runs do not give is reported by observation, span and field, without its text."""
    backend = learned_backend(n_runs=3)
    key = profile_key(backend)
    window = list(backend.load_observations(key))
    block = msgspec.structs.replace(window[2].blocks[1], content="forged")
    window[2] = msgspec.structs.replace(window[2], blocks=(window[2].blocks[0], block))
    learner = AcgLearner("a", rules="nemo-relay-0.8")
    result = analyze_stability(window, learner.thresholds, rules=learner.rules, learning_key=key)
    for name in (key, "a"):
        backend.store_observations(name, window)
        backend.store_stability(name, result)
    verification = acg.verify(acg.load(backend))
    (verdict,) = [v for v in verification.verdicts if v.key == key]
    assert (verdict.status, verdict.difference.field) == (Status.DIFFERENT, "content")
    assert verdict.difference.place == "window, observation 2, span 'user-1'"
    assert "forged" not in verdict.detail


@pytest.mark.parametrize("confidence", [0.123456, 1e-12, 5e-324, 0.0, -1.0, 3 / 2**33])
def test_confidences_that_no_settings_give(confidence):
    """A confidence that follows from no count, or from one that production can't hold, is a difference."""
    backend = learned_backend(n_runs=3)
    key = profile_key(backend)
    result = backend.load_stability(key)
    scores = tuple(msgspec.structs.replace(score, confidence=confidence) for score in result.scores)
    backend.store_stability(key, msgspec.structs.replace(result, scores=scores))
    (verdict,) = [v for v in acg.verify(acg.load(backend)).verdicts if v.key == key]
    assert verdict.status == Status.DIFFERENT
    assert verdict.detail.startswith("result: span 'system-0', confidence: ours ")
    assert verdict.detail.endswith(f", stored {confidence!r}")


def test_a_changed_window_entry_is_named_beside_the_result():
    """Where a changed entry makes the result differ, both are reported."""
    backend = learned_backend(n_runs=3)
    key = profile_key(backend)
    window = list(backend.load_observations(key))
    block = msgspec.structs.replace(window[2].blocks[0], content="forged")
    window[2] = msgspec.structs.replace(window[2], blocks=(block, *window[2].blocks[1:]))
    backend.store_observations(key, window)
    (verdict,) = [v for v in acg.verify(acg.load(backend)).verdicts if v.key == key]
    assert verdict.status == Status.DIFFERENT
    assert verdict.detail.startswith("result: span 'system-0', score: ours 0.8")
    assert "; window, observation 2, span 'system-0', content: " in verdict.detail


KEY = "a::model=m::seed=no-seed::system=no-system::tools=no-tools"
TIED = [make_ir(("a", "same", 0), ("b", name, 0), ("c", "same", 1)) for name in "xy"]


def judged(rules, **changes):
    """Return the verdict on the result of a window with tied spans, when it is changed."""
    backend = MemoryBackend()
    result = analyze_stability(TIED, rules=rules, learning_key=KEY)
    fields = {name: change(getattr(result, name)) for name, change in changes.items()}
    backend.store_observations(KEY, TIED)
    backend.store_stability(KEY, msgspec.structs.replace(result, **fields))
    (verdict,) = acg.verify(acg.load(backend, rules=rules), StabilityThresholds()).verdicts
    return verdict


def swapped(scores):
    """Put the stable one of the tied spans first."""
    assert [(score.span_id, score.classification) for score in scores[:2]] == [("b", "semi_stable"), ("a", "stable")]
    return (scores[1], scores[0], *scores[2:])


def test_order_of_tied_spans_before_0_8():
    """Before 0.8 production lists tied spans in any order, and its prefix follows that order; all else must agree."""
    assert judged("nemo-flow-0.2").status == Status.EQUAL
    changes = {"scores": swapped, "stable_prefix_length": lambda _: 1}
    assert judged("nemo-flow-0.2", **changes).status == Status.TIES
    also = judged("nemo-flow-0.2", **changes, total_observations=lambda n: n + 1)
    assert (also.status, also.difference) == (Status.DIFFERENT, ("result", "total_observations", 2, 3))
    wrong = judged("nemo-flow-0.2", scores=swapped, stable_prefix_length=lambda _: 2)
    assert (wrong.status, wrong.difference) == (Status.DIFFERENT, ("result", "stable_prefix_length", 0, 2))


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"scores": swapped}, ("result", "order of scores", ["b", "a", "c"], ["a", "b", "c"])),
        ({"stable_prefix_length": lambda _: 2}, ("result", "stable_prefix_length", 1, 2)),
        ({"stable_prefix_fingerprint": lambda _: "f"}, ("result", "stable_prefix_fingerprint", None, "f")),
        ({"total_observations": lambda _: 9}, ("result", "total_observations", 2, 9)),
        ({"scores": lambda scores: scores[:2]}, ("span 'c'", "span", "present", "absent")),
        (
            {"scores": lambda scores: (*scores, msgspec.structs.replace(scores[0], span_id="d"))},
            ("span 'd'", "span", "absent", "present"),
        ),
        (
            {"scores": lambda scores: (*scores[:2], msgspec.structs.replace(scores[2], observation_count=1))},
            ("span 'c'", "observation_count", 2, 1),
        ),
    ],
)
def test_what_of_a_result_differs(changes, difference):
    """In 0.8 the order counts, too; the first thing that differs is reported."""
    verdict = judged("nemo-relay-0.8", **changes)
    assert (verdict.status, verdict.difference) == (Status.DIFFERENT, difference)


def test_half_of_an_entry_is_no_difference():
    """A window without its result, or a result without its window, is not comparable, and not called different."""
    backend = learned_backend(n_runs=3)
    key = profile_key(backend)
    for missing in ("result", "window"):
        halved = MemoryBackend()
        if missing == "result":
            halved.store_observations(key, backend.load_observations(key))
        else:
            halved.store_stability(key, backend.load_stability(key))
        verification = acg.verify(acg.load(halved))
        (verdict,) = verification.verdicts
        assert (verdict.status, verdict.detail) == (Status.UNCHECKED, f"it has no stored {missing}")
        assert not verification.ok
        assert verification.conclusion == "Nothing differs among the entries that could be compared; 1 of 1 could not."


def test_a_window_without_result_is_compared_with_the_runs():
    """What differs of it is reported, and that its result is missing."""
    backend = learned_backend(n_runs=3)
    key = profile_key(backend)
    del backend._results[key]
    (verdict,) = [v for v in acg.verify(acg.load(backend)).verdicts if v.key == key]
    assert (verdict.status, verdict.detail) == (Status.UNCHECKED, "it has no stored result")
    window = backend.load_observations(key)
    backend.store_observations(key, (*window[:2], *window[3:]))
    verification = acg.verify(acg.load(backend))
    (verdict,) = [v for v in verification.verdicts if v.key == key]
    assert verdict.status == Status.LOST
    assert verdict.detail == "1 update missing of the 6 in the runs; it has no stored result"
    assert verification.conclusion == "Something differs."


@pytest.mark.parametrize("lost", [0, 3])
def test_lost_updates_are_counted(lost):
    """Observations of the runs that the window lacks are counted; the first ones too, if it is not full."""
    backend, lossy = learned_backend(n_runs=6), MemoryBackend()
    learner, hot_cache = AcgLearner("a", rules="nemo-relay-0.8"), HotCache()
    for number, run in enumerate(backend.list_runs("a")):
        lossy.store_run(run)
        if number != lost:
            learner.process_run(run, lossy, hot_cache)
    verification = acg.verify(acg.load(lossy), observation_window=100)
    (verdict,) = [v for v in verification.verdicts if "::" in v.key]
    assert (verdict.status, verdict.detail) == (Status.LOST, "2 updates missing of the 12 in the runs")
    assert not verification.ok


def test_runs_that_were_dropped_are_no_contradiction():
    """A window that reaches further back than the runs is fine, and said to."""
    backend, short = learned_backend(n_runs=6), learned_backend(n_runs=6)
    short._runs["a"] = {run.id: run for run in backend.list_runs("a")[2:]}
    verification = acg.verify(acg.load(short))
    (verdict,) = [v for v in verification.verdicts if "::" in v.key]
    assert (verdict.status, verdict.detail) == (Status.LONGER, "4 observations older than the runs")
    assert verification.ok


def test_settings_are_found():
    """Thresholds and window that explain what is stored are found, and other ones contradict it."""
    backend, hot_cache = MemoryBackend(), HotCache()
    thresholds = StabilityThresholds(
        stable_threshold=0.2, semi_stable_threshold=0.1, min_observations_for_full_confidence=9
    )
    learner = AcgLearner("a", 5, thresholds, rules="nemo-flow-0.2")
    for number in range(8):
        run = run_of("a", number, ["same seed"])
        backend.store_run(run)
        learner.process_run(run, backend, hot_cache)
    snap = acg.load(backend, rules="nemo-flow-0.2")
    verification = acg.verify(snap)
    assert verification.ok
    assert verification.settings["a"].endswith("min_observations_for_full_confidence 9")
    assert acg.verify(snap, thresholds, observation_window=5).ok
    assert not acg.verify(snap, StabilityThresholds(stable_threshold=1.5)).ok
    assert not acg.verify(snap, thresholds, observation_window=6).ok


def test_settings_are_found_to_the_last_bit():
    """Where 14 of 25 share a prefix, 0.56 is not the highest threshold that takes it in: 25 times 0.56 is above 14."""
    backend, hot_cache = MemoryBackend(), HotCache()
    learner = AcgLearner("a", thresholds=StabilityThresholds(stable_threshold=0.5), rules="nemo-relay-0.8")
    for number in range(25):
        learner.process_run(run_of("a", number, ["same" if number < 14 else str(number)]), backend, hot_cache)
    assert hot_cache.acg_stability.stable_prefix_length == 2
    assert acg.verify(acg.load(backend)).ok


def test_profiles_that_no_one_setting_explains():
    """Where profiles of an agent were analysed by different settings, each is verified by what explains it."""
    backend = learned_backend()
    strict = AcgLearner("a", thresholds=StabilityThresholds(min_observations_for_full_confidence=9), rules=RULES[2])
    run = run_of("a", 9, ["x"], model="other")
    backend.store_run(run)
    strict.process_run(run, backend, HotCache())
    verification = acg.verify(acg.load(backend))
    assert verification.settings == {"a": "no settings explain all profiles; each was verified by its own"}
    assert set(statuses(verification).values()) == {Status.EQUAL}


def test_verdicts_are_in_the_order_of_their_keys():
    """Seed entries stand among the profiles."""
    backend = learned_backend("b", backend=learned_backend("a", backend=learned_backend("c")))
    keys = [verdict.key for verdict in acg.verify(acg.load(backend)).verdicts]
    assert keys == sorted(keys)
    assert len(keys) == 6


def test_a_seed_entry_of_another_agent_is_named():
    """A seed entry must be the copy of a profile of its own agent."""
    backend = learned_backend("b", n_runs=5, backend=learned_backend("a"))
    backend.store_observations("a", backend.load_observations("b"))
    backend.store_stability("a", backend.load_stability("b"))
    (verdict,) = [v for v in acg.verify(acg.load(backend)).verdicts if v.key == "a"]
    assert verdict.detail == "seed entry: its window is not that of any profile"


def test_a_cut_snapshot_is_refused():
    """A part of a window proves nothing."""
    with pytest.raises(acg.UsageError, match="whole source"):
        acg.verify(acg.load(learned_backend(), limit=1))


def test_what_a_terminal_would_obey_is_escaped():
    """Control characters of an agent's id do not reach the terminal by way of a repr."""
    backend = learned_backend("a\x1b[2J", n_runs=3)
    key = profile_key(backend)
    result = backend.load_stability(key)
    backend.store_stability(key, msgspec.structs.replace(result, scores=()))
    shown = repr(acg.verify(acg.load(backend)))
    assert "a\\x1b[2J::model=m" in shown
    assert all(char.isprintable() or char == "\n" for char in shown)
