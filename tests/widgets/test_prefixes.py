"""All prefixes at once, and one profile's frame, equal the analysis at every setting."""

import pandas as pd
import pytest
from examples import scaled
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import make_ir, thresholds, windows

import acg_lab as acg
from acg_lab import frames
from acg_lab.core import RULES
from acg_lab.widgets.prefixes import Prefixes
from acg_lab.widgets.profile import ProfileScores, select_profile
from acg_lab.widgets.windows import keep_newest

TAIL = "seed=no-seed::system=no-system::tools=no-tools"
RULE = st.sampled_from(list(RULES))


def snapshot_of(*of_keys, rules="nemo-flow-0.2"):
    backend = acg.MemoryBackend()
    for i, window in enumerate(of_keys):
        backend.store_observations(f"a::model=m{i}::{TAIL}", window)
    return acg.load(backend, rules=rules)


def prefixes_of(snap):
    return Prefixes(snap, {key: snap.rules[key].rules for key in snap.windows})


@settings(max_examples=scaled(50))
@given(st.lists(windows(), min_size=1, max_size=3), thresholds(), RULE)
def test_prefixes_are_those_of_the_analysis(of_keys, limits, rules):
    """Length, tokens and prompt of every profile equal analyze and summarize."""
    snap = snapshot_of(*of_keys, rules=rules)
    prefixes, results = prefixes_of(snap), acg.analyze(snap, limits)
    lengths = prefixes.lengths(limits)
    by_key = {summary.learning_key: summary for summary in acg.summarize(snap, results)}
    assert list(prefixes.keys) == sorted(snap.windows)
    for i, key in enumerate(prefixes.keys):
        assert prefixes.requests[i] == by_key[key].observations
        assert lengths.blocks[i] == by_key[key].prefix_blocks
        assert lengths.tokens[i] == pytest.approx(by_key[key].prefix_tokens)
        assert prefixes.prompt_tokens[i] == pytest.approx(by_key[key].prompt_tokens)


@settings(max_examples=scaled(50))
@given(windows(), thresholds(), thresholds(), RULE)
def test_the_frame_is_that_of_frames(window, first, second, rules):
    """The frame of one profile at another setting equals frames.scores of its analysis."""
    snap = snapshot_of(window, rules=rules)
    if not snap.windows or not window:
        return
    (key,) = snap.windows
    profile = ProfileScores(select_profile(snap, key), key)
    for limits in (first, second):
        expected = frames.scores({key: acg.analyze(snap, limits)[key]}, snap)
        pd.testing.assert_frame_equal(profile.scores(limits), expected, check_categorical=False)
        (summary,) = acg.summarize(snap, acg.analyze(snap, limits))
        assert profile.prefix_tokens(limits) == pytest.approx(summary.prefix_tokens)
        assert profile.prompt_tokens == pytest.approx(summary.prompt_tokens)


@settings(max_examples=scaled(30))
@given(st.lists(windows(), min_size=1, max_size=3), st.integers(1, 4), thresholds())
def test_a_smaller_window_holds_the_newest(of_keys, size, limits):
    """A smaller observation window holds the newest requests of the stored one."""
    cut = keep_newest(snapshot_of(*of_keys), size)
    expected = snapshot_of(*(window[-size:] for window in of_keys))
    assert dict(cut.windows) == dict(expected.windows)
    assert acg.analyze(cut, limits) == acg.analyze(expected, limits)


def test_a_larger_window_comes_from_the_runs(sample, trace):
    """If a stored window is full, a larger one is filled from the recorded runs."""
    key = next(key for key in sample.windows if key.startswith("claims-triage::"))
    assert sample.n_observations(key) == 100
    larger = keep_newest(sample, 120, trace)
    assert larger.n_observations(key) == 120
    contents = [[block.content for block in request.blocks] for request in larger.windows[key]]
    stored = [[block.content for block in request.blocks] for request in sample.windows[key]]
    assert contents[-100:] == stored
    assert keep_newest(sample, 120).n_observations(key) == 100


def test_ties_keep_productions_order():
    """Under nemo-relay-0.8 spans with equal indexes are ordered by class, so prefix tokens depend on it."""
    window = [make_ir(("system-0", "s" * 40), ("user-1", "x" * 400)) for _ in range(3)]
    window.append(make_ir(("system-0", "s" * 40), ("other-1", "y" * 4)))
    snap = snapshot_of(window, rules="nemo-relay-0.8")
    for stable in (0.5, 0.75, 0.9):
        limits = acg.StabilityThresholds(stable_threshold=stable, semi_stable_threshold=0.1)
        (summary,) = acg.summarize(snap, acg.analyze(snap, limits))
        assert prefixes_of(snap).lengths(limits).tokens[0] == pytest.approx(summary.prefix_tokens)


def test_the_threshold_that_takes_a_block_in_does():
    """If 14 of 25 share a prefix, 0.56 is too high: 25 times 0.56 is above 14."""
    snap = snapshot_of([make_ir(("user-0", "x" if i < 14 else str(i))) for i in range(25)], rules="nemo-relay-0.8")
    (key,) = snap.windows
    upto = ProfileScores(snap, key).joins_at(acg.StabilityThresholds())
    assert upto < 14 / 25
    assert acg.analyze(snap, acg.StabilityThresholds(stable_threshold=upto))[key].stable_prefix_length == 1


@pytest.mark.parametrize("stable", [1e308, 2**64 - 1])
def test_a_threshold_beyond_measure(stable):
    """A threshold whose product overflows is reached only by what all requests share."""
    snap = snapshot_of([make_ir(("user-0", "x"), ("user-1", str(i))) for i in range(25)], rules="nemo-relay-0.8")
    (key,) = snap.windows
    limits = acg.StabilityThresholds(stable_threshold=stable)
    assert ProfileScores(snap, key).result(limits).stable_prefix_length == 1
    assert prefixes_of(snap).lengths(limits).blocks.tolist() == [1]
