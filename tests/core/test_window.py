"""The bounded window and its counts (`acg_lab/docs/rules/learner.md`, 4 and 5)."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import make_ir, prompt_irs, windows

from acg_lab.core.exact_prefix import count_sharing_by_depth, identity
from acg_lab.core.window import CountedWindow, PrefixTree, SpanCount

A, B, C, D = (make_ir(("s", "same"), ("u", name), ir_id=name) for name in "abcd")


def counts(window):
    return sorted(window.counts())


def count_afresh(observations):
    """Count by the written rule, span by span."""
    found = []
    for span_id in {block.span_id for observation in observations for block in observation.blocks}:
        blocks = [block for observation in observations for block in observation.blocks if block.span_id == span_id]
        texts = [block.content for block in blocks]
        found.append(
            SpanCount(
                span_id,
                min(block.sequence_index for block in blocks),
                sum(any(block.span_id == span_id for block in o.blocks) for o in observations),
                max(map(texts.count, texts)),
            )
        )
    return sorted(found)


@pytest.mark.parametrize(
    ("stored", "limit", "kept"),
    [
        ([], 2, [D]),
        ([A], 2, [A, D]),
        ([A, B], 2, [B, D]),
        ([A, B, C], 2, [B, C, D]),
        ([], 0, [D]),
        ([A], 0, [D]),
        ([A], 1, [D]),
        ([A, B], 0, [B, D]),
    ],
)
def test_push(stored, limit, kept):
    """A push drops the oldest when the window is full, and never more than one; 0 keeps one."""
    window = CountedWindow(stored)
    window.push(D, limit)
    assert list(window) == kept
    assert len(window) == len(kept)
    assert counts(window) == count_afresh(kept)


def test_counts():
    """A span counts in how many observations it stands, its commonest content, and its smallest index."""
    observations = [
        make_ir(("s", "x", 0), ("u", "p", 1)),
        make_ir(("s", "x", 0), ("u", "q", 4)),
        make_ir(("s", "y", 2)),
    ]
    assert counts(CountedWindow(observations)) == [("s", 0, 3, 2), ("u", 1, 2, 1)]


def test_repeated_span():
    """Where an observation repeats a span its contents count each time, the span once."""
    assert counts(CountedWindow([make_ir(("s", "x", 3), ("s", "x", 1), ("s", "y", 2))])) == [("s", 1, 1, 2)]


def test_empty():
    """An empty window, and one of observations without blocks, count nothing."""
    assert CountedWindow().counts() == []
    assert CountedWindow([make_ir()]).counts() == []
    assert len(CountedWindow([make_ir()])) == 1


def test_smallest_index_leaves_with_its_observation():
    """When the observation with the smallest index is dropped, the next smallest counts."""
    window = CountedWindow([make_ir(("s", "x", 0)), make_ir(("s", "x", 5)), make_ir(("s", "x", 2))])
    window.push(make_ir(("s", "x", 7)), 3)
    assert counts(window) == [("s", 2, 3, 3)]


@given(windows(), st.lists(prompt_irs(), max_size=6), st.integers(0, 5))
def test_sliding_equals_counting_afresh(stored, pushed, limit):
    """After any pushes the counts are those of the observations that are left, counted afresh."""
    window = CountedWindow(stored)
    for observation in pushed:
        window.push(observation, limit)
        assert counts(window) == count_afresh(list(window)) == counts(CountedWindow(window))


@given(windows(), st.lists(prompt_irs(), max_size=6), st.integers(0, 5))
def test_prefixes_slide_with_the_window(stored, pushed, limit):
    """After any pushes the tree holds the prefixes of the observations that are left, and nothing else."""
    window = CountedWindow(stored)
    tree = window.prefixes
    assert list(tree.shared()) == count_sharing_by_depth([o.blocks for o in stored], identity)
    for observation in pushed:
        window.push(observation, limit)
        left = list(window)
        assert window.prefixes is tree
        assert list(window.prefixes.shared()) == count_sharing_by_depth([o.blocks for o in left], identity)
        assert prefixes(window.prefixes) == [(list(map(identity, o.blocks)), o.source_request_hash) for o in left]
        assert nodes(window.prefixes._root) == nodes(PrefixTree(left)._root)


def prefixes(tree):
    """Return what a tree holds of each observation."""
    return [([node.block for node in path], request_hash) for path, request_hash in tree.paths()]


def nodes(node):
    """Return a node as plain values."""
    return node.block, node.count, {block: nodes(child) for block, child in node.children.items()}


@given(windows().filter(len), st.lists(prompt_irs(), min_size=1, max_size=4))
def test_every_push_has_an_undo(stored, others):
    """When what was pushed has been dropped again, the counts are what they were."""
    window = CountedWindow(stored)
    before = counts(window)
    for observation in (*others, *stored):
        window.push(observation, len(stored))
    assert list(window) == list(stored)
    assert counts(window) == before


@given(windows(), prompt_irs())
def test_arguments_stay_unchanged(stored, observation):
    """Counting and pushing change neither the window passed in nor the observation."""
    listed = list(stored)
    before = copy.deepcopy((listed, observation))
    CountedWindow(listed).push(observation, 2)
    assert (listed, observation) == before
