"""Snapshots of repaired requests equal what production would have observed of them."""

import re
from collections import Counter

import numpy as np
import pytest
from examples import scaled
from hypothesis import given, settings
from hypothesis import strategies as st
from learned_backend import learned_backend
from msgspec.structs import replace
from repaired_requests import comparable, histories, places, repaired_windows, store_history
from strategies import prompt_irs, thresholds

import acg_lab as acg
from acg_lab.core import normalize_whitespace
from acg_lab.repairs.content_repairs import Drop, MoveToEnd, MoveToSystemPrompt, Pin, RemovePattern, SplitMessage
from acg_lab.repairs.effects import measure_effect
from acg_lab.repairs.order_repairs import SortItems, SortMessages, SortTools
from acg_lab.storage.memory import MemoryBackend

CLOCK = r"\d\d:\d\d"
KEY = "a::model={}::seed=no-seed::system=no-system::tools=no-tools"


# --- against requests changed by hand ---


@st.composite
def cases(draw, kind, history=None):
    """Draw a history and a repair that fits it."""
    history = history or draw(histories())
    keys = draw(st.just(()) | st.sampled_from(sorted({(one.key,) for one in history.sent})))
    sent = [one for one in history.sent if not keys or one.key in keys]
    found = [(span, place) for one in sent for span, (place, _) in places(history.rules, one.request).items()]
    spans = {span for span, _ in found} - {span for span, place in found if not fits(kind, place)}
    if kind is SplitMessage:
        spans = {span for span in spans if not re.match("tool|assistant-.*-", span)}
    if kind is RemovePattern:
        return history, RemovePattern(CLOCK, draw(st.sampled_from([None, *sorted(spans)])), learning_keys=keys)
    if kind is SortItems:
        return history, SortItems(draw(st.sampled_from([None, *sorted(spans)])), learning_keys=keys)
    if kind is SortTools or not spans:
        return history, SortTools(learning_keys=keys)
    span = draw(st.sampled_from(sorted(spans)))
    more = {
        Pin: st.fixed_dictionaries({"pattern": st.sampled_from([None, CLOCK])}),
        SortMessages: st.fixed_dictionaries({"n_blocks": st.integers(2, 4)}),
        SplitMessage: st.fixed_dictionaries({"n_characters": st.integers(1, 9)}),
        MoveToEnd: st.fixed_dictionaries({"as_user": st.booleans()}),
    }
    return history, kind(span, learning_keys=keys, **draw(more.get(kind, st.just({}))))


def fits(kind, place):
    """Return whether a repair fits a block: tools, response formats and instructions cannot be moved."""
    if kind in (MoveToEnd, MoveToSystemPrompt):
        return isinstance(place, int) or (place == "instructions" and kind is MoveToSystemPrompt)
    return kind is not SplitMessage or isinstance(place, int)


KINDS = [Drop, MoveToEnd, MoveToSystemPrompt, Pin, SortTools, SortItems, SortMessages, SplitMessage, RemovePattern]


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data(), limit=st.integers(1, 4))
def test_windows_are_those_of_repaired_requests(kind, data, limit):
    """Keys, blocks, numbers, names and hashes are those that production computes of requests edited one by one."""
    history, repair = data.draw(cases(kind))
    snap = acg.what_if(store_history(history), repair, observation_window=limit)
    assert comparable(snap.windows) == comparable(repaired_windows(history, repair, limit))
    assert snap.stand_ins == frozenset()


# --- against records changed by hand, whoever wrote them ---


def renumbered(before, blocks):
    """Return blocks in which the k-th one has the number of the k-th one before, and the matching name."""
    named = []
    for old, block in zip(before, blocks, strict=False):
        found = re.fullmatch(f"{block.role}-{block.sequence_index}(-.*)?", block.span_id, re.DOTALL)
        span_id = f"{block.role}-{old.sequence_index}{found[1] or ''}" if found else block.span_id
        named.append(replace(block, span_id=span_id, sequence_index=old.sequence_index))
    return tuple(named)


def settled(before, blocks):
    """Return blocks with tools before the first message that is not system, if they were there before."""
    return by_rank(blocks) if by_rank(before) == list(before) else blocks


def by_rank(blocks):
    ranks, conversation = [], False
    for block in blocks:
        fixed = block.content_type in ("tool_schema", "structured_output")
        conversation |= not fixed and block.role != "system"
        ranks.append(2 if conversation else int(fixed))
    return [block for _, block in sorted(zip(ranks, blocks, strict=True), key=lambda ranked: ranked[0])]


def dropped(_window, span):
    return lambda blocks: renumbered(blocks, settled(blocks, [b for b in blocks if b.span_id != span]))


def moved_back(_window, span):
    return lambda blocks: renumbered(blocks, settled(blocks, sorted(blocks, key=lambda block: block.span_id == span)))


def pinned(window, span):
    contents = Counter(block.content for ir in window for block in ir.blocks if block.span_id == span)
    dominant = max(contents, key=contents.get)
    known = next(b.token_metadata for ir in window for b in ir.blocks if (b.span_id, b.content) == (span, dominant))

    def change(block):
        if block.span_id != span or block.content == dominant:
            return block
        return replace(block, content=dominant, token_metadata=known)

    return lambda blocks: tuple(map(change, blocks))


def stripped(_window, _span):
    def change(block):
        text = block.content.replace("x", "")
        if text == block.content:
            return block
        tidy = text if block.content_type == "structured_output" else normalize_whitespace(text)
        return replace(block, content=tidy, token_metadata=None)

    return lambda blocks: tuple(map(change, blocks))


def sorted_tools(_window, _span):
    def change(blocks):
        tools = [b for b in blocks if b.content_type == "tool_schema"]
        left = iter(sorted(tools, key=lambda block: (name(block), block.content)))
        return renumbered(blocks, [next(left) if b.content_type == "tool_schema" else b for b in blocks])

    return change


def name(block):
    found = re.fullmatch(f"{block.role}-{block.sequence_index}(-.*)?", block.span_id, re.DOTALL)
    return found[1] or "" if found else block.span_id


def foreign_windows():
    """Windows as any program may have stored them; some blocks are named as production would, most are not."""

    def rename(ir, proper):
        if not proper:
            return ir
        blocks = [replace(b, span_id=f"{b.role}-{i}", sequence_index=i) for i, b in enumerate(ir.blocks)]
        return replace(ir, blocks=tuple(blocks))

    return st.lists(st.builds(rename, prompt_irs(), st.booleans()), min_size=1, max_size=6)


RECORD_REPAIRS = {
    Drop: (Drop, dropped),
    MoveToEnd: (MoveToEnd, moved_back),
    Pin: (Pin, pinned),
    RemovePattern: (lambda _span: RemovePattern("x"), stripped),
    SortTools: (lambda _span: SortTools(), sorted_tools),
}


@pytest.mark.parametrize("kind", RECORD_REPAIRS)
@given(data=st.data(), window=foreign_windows(), given_thresholds=thresholds())
def test_records_changed_by_hand(kind, data, window, given_thresholds):
    """Whatever a window holds, a repair changes each observation as an edit of its record would."""
    spans = Counter(block.span_id for ir in window for block in ir.blocks if kind is not MoveToEnd or may_move(block))
    fixed = {block.span_id for ir in window for block in ir.blocks if not may_move(block)} if kind is MoveToEnd else ()
    span = data.draw(st.sampled_from(sorted(set(spans) - set(fixed)) or [""]))
    snap = loaded(window)
    make, by_hand = RECORD_REPAIRS[kind]
    if not span:
        return
    change = by_hand(window, span)
    expected = {ir.ir_id: change(ir.blocks) for ir in window}
    repaired = acg.what_if(snap, make(span))
    assert {ir.ir_id: ir.blocks for found in repaired.windows.values() for ir in found} == expected
    if len(repaired.windows) == 1:  # where system texts differ, a window may fall apart
        (result,) = acg.analyze(repaired, given_thresholds, rules="nemo-flow-0.2").values()
        by_records = [replace(ir, blocks=expected[ir.ir_id]) for ir in window]
        assert result == acg.analyze_stability(by_records, given_thresholds)


def may_move(block):
    return block.content_type not in ("tool_schema", "structured_output")


def loaded(*of_keys):
    backend = MemoryBackend()
    for i, window in enumerate(of_keys):
        backend.store_observations(KEY.format(f"m{i}"), window)
    return acg.load(backend, rules="nemo-flow-0.2")


# --- laws ---


def test_no_repair_is_the_identity():
    """Without a repair what_if returns the snapshot itself."""
    snap = acg.load(learned_backend())
    assert acg.what_if(snap, ()) is snap
    assert acg.what_if(snap, []) == snap


@settings(max_examples=scaled(40))
@given(histories(), st.data())
def test_the_snapshot_is_not_changed(history, data):
    """No repair changes the columns or pools of the snapshot that it is tried on."""
    snap = store_history(history)
    source = snap.columns.observations
    arrays = {name: value.copy() for name, value in vars(source).items() if isinstance(value, np.ndarray)}
    pools = source.span_pool, source.content_pool, source.form_pool, source.header_pool
    for kind in KINDS:
        acg.what_if(snap, data.draw(cases(kind, history))[1])
    assert all(np.array_equal(value, getattr(source, name)) for name, value in arrays.items())
    assert pools == (source.span_pool, source.content_pool, source.form_pool, source.header_pool)
    assert snap == store_history(history)


@given(histories(), st.data())
def test_a_sequence_is_one_after_the_other(history, data):
    """A sequence of two repairs equals the second applied to the result of the first, with the same description."""
    snap = store_history(history)
    first = data.draw(cases(data.draw(st.sampled_from(KINDS)), history))[1]
    between = acg.what_if(snap, first)
    at_once = acg.what_if(snap, [first, SortTools()])
    after = acg.what_if(between, SortTools())
    assert at_once == after
    assert (at_once.source, at_once.members, at_once.stand_ins) == (after.source, after.members, after.stand_ins)
    assert (after.repairs, after.base) == ((first, SortTools()), snap)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=scaled(40))
@given(data=st.data(), limit=st.integers(1, 4), given_thresholds=thresholds())
def test_effects_are_what_if_analysed(kind, data, limit, given_thresholds):
    """The measured effect equals the summary of the analysed repaired snapshot, to the last bit."""
    history, repair = data.draw(cases(kind))
    snap = store_history(history)
    found = measure_effect(snap, list(snap.windows), repair, given_thresholds, observation_window=limit)
    repaired = acg.what_if(snap, repair, observation_window=limit)
    for extent, one in ((found.before, snap), (found.after, repaired)):
        profiles = {p.learning_key: p for p in acg.summarize(one, acg.analyze(one, given_thresholds))}
        assert (extent.profiles, extent.observations) == (len(profiles), sum(p.observations for p in profiles.values()))
        for name in ("prefix_blocks", "prompt_tokens", "prefix_tokens"):
            total = sum(p.observations * getattr(p, name) for p in (profiles[key] for key in one.windows))
            assert getattr(extent, name) == total / extent.observations
    assert found.repairs == (repair,)
    assert found.tokens_gained == found.after.prefix_tokens - found.before.prefix_tokens


@settings(max_examples=scaled(40))
@given(histories(), st.data())
def test_effects_look_at_profiles_alone(history, data):
    """The effect on one profile is the effect in a source that holds only this profile."""
    snap = store_history(history)
    key = data.draw(st.sampled_from(list(snap.windows)))
    alone = store_history(history._replace(sent=tuple(one for one in history.sent if one.key == key)))
    repairs = [
        SortTools(),
        RemovePattern(CLOCK),
        *(Drop(block.span_id) for ir in snap.windows[key] for block in ir.blocks[:1]),
    ]
    for repair in repairs:
        assert measure_effect(snap, key, repair) == measure_effect(alone, key, repair)
