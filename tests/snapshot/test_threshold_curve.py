"""The curve of a prefix over thresholds: what analysis says at each, in closed form."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from strategies import make_block, make_ir, windows

import acg_lab as acg
from acg_lab.core import RULES, StabilityThresholds
from acg_lab.snapshot.threshold_curve import find_threshold_steps
from acg_lab.storage.memory import MemoryBackend

KEY = "a::model=m::seed=no-seed::system=no-system::tools=no-tools"


def snapshot_of(window, rules="auto"):
    backend = MemoryBackend()
    backend.store_observations(KEY, tuple(window))
    return acg.load(backend, rules=rules)


def at(treads, threshold):
    (found,) = [tread for tread in treads if tread.above < threshold <= tread.upto]
    return found


def is_taken(threshold):
    """Return whether public functions take a threshold; from 2 to 100 they take it for one in per cent."""
    return not 2 < threshold <= 100


def edges_of(treads):
    """Return every edge, and the floats on both sides of it."""
    edges = {tread.upto for tread in treads} - {math.inf}
    return [value for edge in edges for value in (edge, math.nextafter(edge, -9), math.nextafter(edge, 9))]


@given(windows(), st.sampled_from([*RULES]), st.lists(st.floats(-2, 2)))
def test_lengths(window, rules, thresholds):
    """At every threshold, and on both sides of every edge, the length is that of the analysis."""
    snap = snapshot_of(window, rules)
    treads = find_threshold_steps(snap, KEY)
    assert [tread.upto for tread in treads[:-1]] == [tread.above for tread in treads[1:]]
    for threshold in filter(is_taken, [*thresholds, *edges_of(treads)]):
        result = acg.analyze(snap, StabilityThresholds(stable_threshold=threshold))[KEY]
        assert at(treads, threshold).prefix_blocks == result.stable_prefix_length


@given(windows(), st.sampled_from([*RULES]))
def test_tokens_and_breaks(window, rules):
    """Tokens and breaking block of a step are those of the summary at its upper end."""
    snap = snapshot_of(window, rules)
    for tread in find_threshold_steps(snap, KEY):
        if not is_taken(tread.upto):
            continue
        limits = StabilityThresholds(stable_threshold=min(tread.upto, 1e9))
        (summary,) = acg.summarize(snap, acg.analyze(snap, limits))
        assert tread.prefix_tokens == summary.prefix_tokens
        assert tread.breaks == summary.breaks


def matching(window, depth, rules):
    """Count the requests that have the commonest prefix of a depth, the plain way."""
    prefixes = Counter()
    for ir in window:
        blocks = ir.blocks[:depth]
        names = tuple((b.span_id, b.role, b.content_type, b.content) for b in blocks)
        inside = all(b.role == "system" or b.content_type in ("tool_schema", "structured_output") for b in blocks)
        bound = rules == "nemo-relay-0.8" and not inside
        if len(blocks) == depth and not (bound and ir.source_request_hash is None):
            prefixes[names, ir.source_request_hash if bound else None] += 1
    return max(prefixes.values(), default=0)


@given(windows(), st.sampled_from([*RULES]))
def test_matching(window, rules):
    """Requests match by the whole prefix, block by block; from 0.8 on, beyond the scaffold, by the whole request."""
    for tread in find_threshold_steps(snapshot_of(window, rules), KEY):
        assert tread.matching == matching(window, tread.prefix_blocks, rules)


def test_a_share_that_floats_miss():
    """Where n shares of n do not add up in floats, the edge is where production's multiplication has it."""
    window = [make_ir(("system-0", "s" if i < 47 else str(i))) for i in range(49)]
    snap = snapshot_of(window, "nemo-relay-0.8")
    (_, edge) = find_threshold_steps(snap, KEY)[0][:2]
    assert edge * 49 <= 47 < math.nextafter(edge, 1) * 49


def test_flat_below_a_half():
    """The rules of 0.8 want a majority: no threshold below one half makes the prefix longer."""
    window = [make_ir(("system-0", "s"), ("user-1", str(i % 2))) for i in range(10)]
    treads = find_threshold_steps(snapshot_of(window, "nemo-relay-0.8"), KEY)
    assert [(tread.above, tread.upto, tread.prefix_blocks) for tread in treads] == [(-math.inf, math.inf, 1)]


def test_prefix_past_the_scaffold():
    """By the rules of 0.8 a prefix that reaches past the scaffold matches only requests that are wholly the same."""
    blocks = (make_block("system-0", "s", 0, role="system"), make_block("user-1", "u", 1))
    window = [
        replace(make_ir(), blocks=(*blocks, make_block("user-2", str(i), 2)), source_request_hash=f"sha256:{i}")
        for i in range(9)
    ]
    treads = find_threshold_steps(snapshot_of(window, "nemo-relay-0.8"), KEY)
    assert [(tread.prefix_blocks, tread.matching) for tread in treads] == [(2, 1)]
    treads = find_threshold_steps(snapshot_of(window, "nemo-flow-0.2"), KEY)
    assert [(tread.prefix_blocks, tread.matching) for tread in treads] == [(3, 1), (2, 9), (0, 9)]


@pytest.mark.parametrize("rules", RULES)
def test_empty_window(rules):
    """A window without requests has one level, of nothing."""
    (tread,) = find_threshold_steps(snapshot_of([], rules), KEY)
    assert (tread.prefix_blocks, tread.prefix_tokens, tread.matching, tread.breaks) == (0, 0, 0, None)
