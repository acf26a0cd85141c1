"""The exact stable prefix of a window, and its fingerprint (`acg_lab/docs/rules/learner.md`, 8)."""

import json
import math

import pytest
from msgspec.structs import replace
from strategies import make_block, make_ir

from acg_lab.core import StabilityThresholds, analyze_stability, hash_text
from acg_lab.core.exact_prefix import find_majority_depth, identity


def analysed(observations, stable_threshold=0.95):
    settings = StabilityThresholds(stable_threshold=stable_threshold)
    return analyze_stability(observations, settings, rules="nemo-relay-0.8", learning_key="key")


def observed(letters, request_hash=None, role="user", **fields):
    """Make an observation of a block a letter."""
    blocks = tuple(make_block(f"{role}-{i}", letter, i, role=role, **fields) for i, letter in enumerate(letters))
    return replace(make_ir(), blocks=blocks, source_request_hash=request_hash)


def bound(observation, depth, scope):
    """Make a fingerprint by the written rule."""
    blocks = [[b.span_id, b.role, b.content_type, b.content] for b in observation.blocks[:depth]]
    printed = [json.dumps(block, separators=(",", ":"), ensure_ascii=False) for block in blocks]
    return hash_text("\n".join(("key", hash_text("\n".join(printed)), scope)))


@pytest.mark.parametrize(
    ("window", "threshold", "depth"),
    [
        (["ab", "ab", "ab"], 0.95, 2),
        (["ab", "ab", "ac"], 0.95, 1),  # ceil(2.85) of 3
        (["ab", "ac", "ab"], 2 / 3, 2),
        (["ab", "ac", "ab"], math.nextafter(2 / 3, 1), 2),  # the product is rounded to 2.0
        (["ab", "ac", "ab"], 0.67, 1),
        (["ac", "ab", "ab"], 0.5, 2),  # not the first, and not the rarest
        (["ab", "ab", "ac", "ac"], 0.5, 1),  # half are no majority
        (["ab", "ab", "ac", "ac"], -1.0, 1),
        (["ab", "ab", "ab", "ac"], 0.0, 2),
        (["ax", "ax", "bx"], 0.95, 0),  # what stands behind another block is another prefix
        (["ab", "ab"], 1.5, 2),  # never more than there are
        (["ab", "ac"], 1.5, 1),
        (["ab", "ab"], 1e308, 2),
        (["ab", "a", "ab"], 0.5, 2),
        (["ab", "a", "a"], 0.5, 1),
        (["a", "b"], 0.5, 0),
        (["", ""], 0.5, 0),
        ([], 0.5, 0),
    ],
)
def test_depth(window, threshold, depth):
    """The prefix is as deep as ``min(max(ceil(threshold * n), n // 2 + 1), n)`` observations share it exactly."""
    observations = [observed(letters) for letters in window]
    assert analysed(observations, threshold).stable_prefix_length == depth
    assert find_majority_depth([o.blocks for o in observations], threshold, identity) == depth


def test_no_prefix_has_no_fingerprint():
    """A prefix of no blocks has no fingerprint, whatever the requests."""
    assert analysed([observed("a", "h"), observed("b", "h")]).stable_prefix_fingerprint is None


@pytest.mark.parametrize(
    "fields",
    [{"role": "system"}, {"content_type": "tool_schema"}, {"content_type": "structured_output"}],
)
def test_scaffold(fields):
    """A prefix of system blocks, tool schemas and structured output is bound to the profile, not to a request."""
    observations = [observed("a\xe9", "h", **fields), observed("a\xe9", "i", **fields)]
    assert analysed(observations).stable_prefix_fingerprint == bound(observations[0], 2, "stable-scaffold")


def test_beyond_the_scaffold():
    """A deeper prefix is bound to whole requests: to the most frequent one, the smallest fingerprint of several."""
    observations = [observed("ab", name) for name in ("h", "i", "j", "i", "h")]
    fingerprints = [bound(observations[0], 2, name) for name in ("h", "i", "j")]
    assert analysed(observations).stable_prefix_fingerprint == min(fingerprints[:2])
    assert analysed([*observations, observations[0]]).stable_prefix_fingerprint == fingerprints[0]
    assert analysed([*observations, observations[1]]).stable_prefix_fingerprint == fingerprints[1]


def test_observations_without_fingerprint():
    """An observation that is shorter than the prefix has none, nor has one whose request's hash is absent."""
    known, short, hashless = observed("ab", "h"), observed("a", "i"), observed("ab")
    result = analysed([known, short, hashless, hashless, short], 0.5)
    assert (result.stable_prefix_length, result.stable_prefix_fingerprint) == (2, bound(known, 2, "h"))
    assert analysed([hashless, hashless]).stable_prefix_fingerprint is None
