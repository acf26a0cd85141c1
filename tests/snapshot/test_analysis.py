"""Analysis of columns: what the core says of each window, and of the sample what production stored."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learned_backend import learned_backend
from strategies import make_ir, thresholds, windows

import acg_lab as acg
from acg_lab.core import RULES, StabilityThresholds, analyze_stability
from acg_lab.snapshot.analysis import count_sharing, shared_prefixes
from acg_lab.storage.memory import MemoryBackend

DATA = Path(__file__).parents[2] / "data"
TAILS = ("seed=no-seed::system=no-system::tools=no-tools", "seed=stable-scaffold::system=sha256:0::tools=no-tools")


def stored(*of_keys):
    """Return a backend with these windows, each of a profile of its own."""
    backend = MemoryBackend()
    for i, window in enumerate(of_keys):
        backend.store_observations(f"a::model=m{i}::{TAILS[i % 2]}", window)
    return backend


@given(st.lists(windows(), max_size=3), thresholds(), st.sampled_from([*RULES, None]))
def test_columns_are_judged_as_windows_are(of_keys, given_thresholds, rules):
    """For every profile, threshold and rules version the analysis is the core's, float by float."""
    snap = acg.load(stored(*of_keys))
    results = acg.analyze(snap, given_thresholds, rules=rules)
    assert list(results) == list(snap.windows)
    for key, result in results.items():
        name = rules or snap.rules[key].rules
        assert result == analyze_stability(snap.windows[key], given_thresholds, rules=name, learning_key=key)


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from(["h1", "h2", None])), min_size=1, max_size=9))
def test_fingerprints_of_ties(drawn):
    """Of prefixes that are equally common the same one is named, whatever the order of codes."""
    window = [
        msgspec.structs.replace(make_ir(("system-0", "s"), ("user-0", text)), source_request_hash=hashed)
        for text, hashed in drawn
    ]
    snap = acg.load(stored(window))
    for threshold in (0.0, 0.5, 1.0):
        limits = StabilityThresholds(stable_threshold=threshold)
        for key, result in acg.analyze(snap, limits, rules="nemo-relay-0.8").items():
            assert result == analyze_stability(window, limits, rules="nemo-relay-0.8", learning_key=key)
            assert shared_prefixes(snap, key)[0] == len(window)


@pytest.mark.parametrize(("depth", "sharing"), [(1, 4), (2, 2), (3, 2), (4, 1), (5, 0)])
def test_sharing(depth, sharing):
    """Of so many blocks the commonest exact prefix is counted, a majority's or not, up to the longest request's."""
    texts = ["abc", "abc", "ax", "ayzz"]
    snap = acg.load(stored([make_ir(*((f"u{i}", letter) for i, letter in enumerate(text))) for text in texts]))
    (key,) = snap.windows
    assert count_sharing(snap, key, depth) == sharing


def test_same_text_of_another_role_is_another_block():
    """Blocks are the same only if role and type are: text, span and place alone do not make an exact prefix."""
    ir = make_ir(("user-0", "x"))
    other = msgspec.structs.replace(ir, blocks=(msgspec.structs.replace(ir.blocks[0], role="system"),))
    (result,) = acg.analyze(acg.load(stored([ir, other])), rules="nemo-relay-0.8").values()
    assert (result.scores[0].score, result.stable_prefix_length) == (1.0, 0)


def test_defaults():
    """Without thresholds production's are taken, and each profile's own rules version."""
    snap = acg.load(learned_backend("b", rules="nemo-flow-0.2", backend=learned_backend("a", rules="nemo-relay-0.8")))
    assert acg.analyze(snap) == acg.analyze(snap, StabilityThresholds()) == dict(snap.stability)
    assert {result.stable_prefix_fingerprint is None for result in acg.analyze(snap).values()} == {True, False}


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (
            lambda _: acg.explain("redis://:secret@host"),
            "Expected a Snapshot, as acg_lab.load returns it; got str",
        ),
        (lambda _: acg.analyze("x"), "got str"),
        (lambda _: acg.replay("x"), "got str"),
        (lambda _: acg.what_if("x", ()), "got str"),
        (lambda snap: acg.analyze(snap, 0.9), "The 'thresholds' must be a StabilityThresholds, such as acg_lab.Stab"),
        (lambda snap: acg.analyze(snap, 0), "got 0."),
        (lambda snap: acg.explain(snap, thresholds=0.9), "got 0.9."),
        (
            lambda snap: acg.explain(snap, ["k"]),
            "A profile must be named by a str, its learning key or display name; got ['k']",
        ),
    ],
)
def test_arguments_that_are_none(call, told):
    """What is no snapshot, thresholds or learning key is refused with what is expected; an address is not repeated."""
    with pytest.raises(acg.UsageError) as caught:
        call(acg.load(learned_backend()))
    assert told in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("rules", ["nemo-relay", "auto", "NEMO-FLOW-0.2", 5])
def test_unknown_rules(rules):
    """Rules that there are not are refused, and those that there are listed."""
    snap = acg.load(learned_backend())
    with pytest.raises(acg.UsageError, match=r"must be one of 'nemo-flow-0\.2', 'nemo-relay-0\.6'"):
        acg.analyze(snap, rules=rules)


def test_a_window_cut_down_is_analysed_alone():
    """What was filtered away is not looked at."""
    backend = learned_backend(n_runs=4)
    (key,) = acg.load(backend).windows
    for limit in (1, 3, 99):
        (result,) = acg.analyze(acg.load(backend, limit=limit)).values()
        assert result == analyze_stability(
            backend.load_observations(key)[-limit:], rules="nemo-relay-0.8", learning_key=key
        )
    (result,) = acg.analyze(acg.load(backend, since="2030-01-01")).values()
    assert (result.total_observations, result.scores) == (0, ())


def test_summaries_add_up():
    """Tokens of all spans are the mean prompt; what the prefix does not cover is lost, all of it with one request."""
    window = [make_ir(("system-0", "s" * 400), ("user-0", f"{i:04}" * 10)) for i in range(4)]
    snap = acg.load(stored(window, window[:1]))
    many, single = sorted(acg.summarize(snap, acg.analyze(snap)), key=lambda summary: -summary.observations)
    assert (many.prompt_tokens, many.prefix_tokens, many.lost_tokens, many.share) == (110, 100, 40, 100 / 110)
    assert (many.prefix_blocks, many.blocks, many.breaks.span_id) == (1, 2, "user-0")
    assert (single.observations, single.lost_tokens) == (1, 110)
    empty = acg.load(stored(()))
    (none,) = acg.summarize(empty, acg.analyze(empty))
    assert (none.prompt_tokens, none.share, none.breaks) == (0, 0, None)


# --- the sample ---


def test_the_sample_is_what_production_would_have_stored():
    """Every stored result of the sample is recomputed exactly."""
    snap = acg.load(DATA / "sample")
    assert len(snap.agent_ids) == 11
    assert acg.analyze(snap) == dict(snap.stability)
    assert all(generation.decided for generation in snap.rules.values())


@pytest.mark.slow
def test_the_sample_is_made_again(tmp_path):
    """The script makes the same samples each time, however Python hashes, and they are the ones that lie there."""
    processes = [
        subprocess.Popen(
            [sys.executable, str(DATA / "make_sample.py"), "--out", str(tmp_path / seed / "sample")],
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        for seed in ("1", "2")
    ]
    assert [process.wait(300) for process in processes] == [0, 0]
    sample = acg.load(DATA / "sample")
    log = gzip.decompress((DATA / "requests.jsonl.gz").read_bytes())
    for seed in ("1", "2"):
        assert acg.load(tmp_path / seed / "sample") == sample
        assert gzip.decompress((tmp_path / seed / "requests.jsonl.gz").read_bytes()) == log
