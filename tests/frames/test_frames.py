"""Frames: every number is held by a value of another package, and an empty frame has the dtypes of a full one."""

from collections import Counter, defaultdict
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learned_backend import SECRET, learned_backend
from strategies import make_block, make_call, make_ir, make_request, make_run, make_tool, thresholds, windows

import acg_lab as acg
from acg_lab import frames
from acg_lab.core import RULES, PromptIR, StabilityAnalysisResult, StabilityThresholds
from acg_lab.frames import schema
from acg_lab.storage.memory import MemoryBackend

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
TAILS = ("seed=no-seed::system=no-system::tools=no-tools", "seed=stable-scaffold::system=sha256:0::tools=no-tools")


def snapshot_of(*of_keys, rules="auto", runs=()):
    """Return a snapshot with one profile per window, and a seed entry."""
    backend = MemoryBackend()
    for i, window in enumerate(of_keys):
        backend.store_observations(f"a{i % 2}::model=m{i}::{TAILS[i % 2]}", window)
    if of_keys:
        backend.store_observations("a0", of_keys[0])
    for run in runs:
        backend.store_run(run)
    return acg.load(backend, rules=rules, include_private=True)


def tokens_of(block):
    return len(block.content.encode()) // 4 if block.token_metadata is None else block.token_metadata.token_count


def hash_of(content):
    return sha256(content.encode()).hexdigest()[:16]


def none_if_na(value):
    return None if pd.isna(value) else value


several = st.lists(windows(), max_size=3)


class TestWindows:
    @given(several)
    def test_blocks(self, of_keys):
        """Every block of every window is a row, in order; seed entries, which are copies, are left out."""
        snap = snapshot_of(*of_keys)
        expected = [
            (
                *(key, key[:2], request, position, block.span_id, block.sequence_index, block.role),
                *(block.content_type, block.provenance, hash_of(block.content), tokens_of(block)),
                *(pd.Timestamp(ir.created_at), block.content),
            )
            for key, window in snap.windows.items()
            for request, ir in enumerate(window)
            for position, block in enumerate(ir.blocks)
        ]
        assert list(frames.blocks(snap, text=True).itertuples(index=False, name=None)) == expected

    @given(several)
    def test_windows(self, of_keys):
        """Every request is a row; its tokens are the sum over its blocks."""
        snap = snapshot_of(*of_keys)
        frame = frames.windows(snap)
        expected = [
            (key, key[:2], request, pd.Timestamp(ir.created_at), len(ir.blocks), sum(map(tokens_of, ir.blocks)))
            for key, window in snap.windows.items()
            for request, ir in enumerate(window)
        ]
        assert list(frame.drop(columns="request_hash").itertuples(index=False, name=None)) == expected
        hashes = [ir.source_request_hash for window in snap.windows.values() for ir in window]
        assert list(map(none_if_na, frame["request_hash"])) == hashes

    @given(windows())
    def test_variants(self, window):
        """Each content of each block is a row, in prompt order, the commonest first."""
        snap = snapshot_of(window)
        (key,) = snap.windows
        frame = frames.variants(snap, key, text=True)
        blocks = [block for ir in window for block in ir.blocks]
        counts = Counter((block.span_id, block.content) for block in blocks)
        assert dict(zip(zip(frame["span_id"], frame["text"], strict=True), frame["count"], strict=True)) == counts
        assert list(frame["hash"]) == list(map(hash_of, frame["text"]))
        for row in frame.itertuples():
            same = [block for block in blocks if (block.span_id, block.content) == (row.span_id, row.text)]
            assert row.tokens == tokens_of(same[-1])
            assert row.position == min(block.sequence_index for block in blocks if block.span_id == row.span_id)
        assert frame["position"].is_monotonic_increasing
        assert all(g["count"].is_monotonic_decreasing for _, g in frame.groupby("span_id", observed=True))

    def test_when_variants_were_seen(self):
        """first_seen and last_seen are the seconds of the first and last request with the content."""
        days = [f"2026-11-{day:02}T00:00:00.000000001Z" for day in (1, 2, 3, 4)]
        window = [
            msgspec.structs.replace(make_ir(("system-0", text)), created_at=day)
            for text, day in zip("xyyx", days, strict=True)
        ]
        snap = snapshot_of(window)
        frame = frames.variants(snap, next(iter(snap.windows)))
        seen = [(row.first_seen, row.last_seen) for row in frame.itertuples()]
        whole = [pd.Timestamp(day).floor("s") for day in days]
        assert seen == [(whole[0], whole[3]), (whole[1], whole[2])]

    def test_unknown_profile(self):
        """An unknown profile is a UsageError that lists the nearest."""
        with pytest.raises(acg.UsageError, match=r"There is no profile 'a1'; the nearest of 1: 'a0'"):
            frames.variants(snapshot_of([make_ir()]), "a1")


class TestProfiles:
    @given(several, thresholds(), st.sampled_from([*RULES, "auto"]))
    def test_profiles(self, of_keys, limits, rules):
        """Rows of profiles equal `summarize`, in its order, by each profile's rules version."""
        snap = snapshot_of(*of_keys, rules=rules)
        results = acg.analyze(snap, limits)
        summaries = acg.summarize(snap, results)
        frame = frames.profiles(snap, limits)
        names_of = {"requests": "observations"}
        for name in frame.columns[:12]:
            if name == "profile":
                assert list(frame[name]) == [snap.profile_names[summary.learning_key] for summary in summaries]
            elif name == "rules":
                assert list(frame[name]) == [snap.rules[summary.learning_key].rules for summary in summaries]
            else:
                assert list(frame[name]) == [getattr(s, names_of.get(name, name)) for s in summaries]
        for row, summary in zip(frame.itertuples(), summaries, strict=True):
            breaks, scores = summary.breaks, results[summary.learning_key].scores
            expected = (breaks.span_id, breaks.classification, breaks.score) if breaks else (None, None, None)
            found = (row.breaking_span, row.breaking_class, row.breaking_score)
            assert tuple(map(none_if_na, found)) == expected
            assert row.confidence == min((s.confidence for s in scores[: max(summary.prefix_blocks, 1)]), default=0)

    def test_when_profiles_were_seen(self, sample):
        """first_seen and last_seen are those of the window; missing if it is empty."""
        for row in frames.profiles(sample).head(20).itertuples():
            window = sample.windows[row.learning_key]
            seen = (pd.Timestamp(window[0].created_at), pd.Timestamp(window[-1].created_at))
            assert (row.first_seen, row.last_seen) == seen
        assert frames.profiles(snapshot_of([]))[["first_seen", "last_seen"]].isna().all(axis=None)


class TestScores:
    @given(several, thresholds(), st.sampled_from([*RULES, "auto"]))
    def test_results(self, of_keys, limits, rules):
        """Rows of scores equal the results, with and without the snapshot; a snapshot is analysed first."""
        snap = snapshot_of(*of_keys, rules=rules)
        results = acg.analyze(snap, limits)
        bare, full = frames.scores(results), frames.scores(results, snap)
        expected = [
            (
                *(
                    key,
                    snap.profile_names[key],
                    key[:2],
                    f"m{key[key.index('=m') + 2]}",
                    position,
                    score.span_id,
                    score.score,
                ),
                *(score.classification, score.confidence, score.observation_count, result.total_observations),
                *(position < result.stable_prefix_length, position == result.stable_prefix_length),
            )
            for key, result in results.items()
            for position, score in enumerate(result.scores)
        ]
        assert list(bare[bare.columns[:13]].itertuples(index=False, name=None)) == expected
        assert bare[bare.columns[13:]].isna().all(axis=None)
        pd.testing.assert_frame_equal(bare[bare.columns[:13]], full[full.columns[:13]])
        pd.testing.assert_frame_equal(full, frames.scores(snap, thresholds=limits))
        for key in results:
            of_key = full[full["learning_key"] == key].reset_index(drop=True)
            alone = frames.scores(snap, thresholds=limits, learning_key=key)
            pd.testing.assert_frame_equal(of_key, alone, check_categorical=False)

    @given(several)
    def test_facts(self, of_keys):
        """The facts of a block follow from its window: contents, changes in time, mean tokens where present."""
        snap = snapshot_of(*of_keys)
        for row in frames.scores(snap).itertuples():
            window = snap.windows[row.learning_key]
            having = [(i, [b for b in ir.blocks if b.span_id == row.span_id]) for i, ir in enumerate(window)]
            having = [(i, blocks) for i, blocks in having if blocks]
            every = [block for _, blocks in having for block in blocks]
            contents = Counter(block.content for block in every)
            changed = [i for (_, old), (i, new) in pairwise(having) if old[0].content != new[0].content]
            assert (row.contents, row.n_dominant) == (len(contents), max(contents.values()))
            assert (row.role, row.content_type) == (every[-1].role, every[-1].content_type)
            assert row.tokens == sum(map(tokens_of, every)) / len(having)
            assert row.changes == len(changed)
            assert none_if_na(row.last_change) == (len(window) - changed[-1] if changed else None)
            assert row.first_position == min(block.sequence_index for block in every)

    @given(several)
    def test_tokens_add_up(self, of_keys):
        """Tokens of blocks, weighted by presence, add up to the mean prompt."""
        snap = snapshot_of(*of_keys)
        scores, profiles = frames.scores(snap), frames.profiles(snap).set_index("learning_key")
        scores["mean"] = scores["tokens"] * scores["present"] / scores["requests"]
        for key, rows in scores.groupby("learning_key", observed=True):
            assert rows["mean"].sum() == pytest.approx(profiles.loc[key, "prompt_tokens"])
            assert rows.loc[rows["in_prefix"], "mean"].sum() == pytest.approx(profiles.loc[key, "prefix_tokens"])

    def test_orders_of_tools(self):
        """Orders are counted only if all requests have the same tools."""
        tools = [make_block(f"t{i}", f"tool {i}", i, content_type="tool_schema") for i in range(3)]
        orders = [(0, 1, 2), (1, 0, 2), (0, 1, 2), (2, 1, 0)]
        window = [make_ir() for _ in range(4)]
        same = [
            msgspec.structs.replace(ir, blocks=tuple(tools[i] for i in order))
            for ir, order in zip(window, orders, strict=True)
        ]
        other = [*same, msgspec.structs.replace(window[0], blocks=tuple(tools[:2]))]
        found = [
            frames.scores(snapshot_of(w))[["tools", "tool_orders"]].drop_duplicates() for w in (same, other, window)
        ]
        assert found[0].to_numpy().tolist() == [[3, 3]]
        assert found[1].isna().all(axis=None)
        assert found[2].empty

    def test_sharing(self):
        """A stable block that breaks an exact prefix has the number of requests that share the prefix up to it."""
        window = [make_ir(("s0", "x" if i else "y"), ("s1", "x" if i != 1 else "y")) for i in range(20)]
        snap = snapshot_of(window, rules="nemo-relay-0.8")
        frame = frames.scores(snap)
        assert frame["classification"].tolist() == ["stable", "stable"]
        assert frame["breaks"].tolist() == [False, True]
        assert frame["n_sharing_prefix"].tolist() == [pd.NA, 18]

    def test_one_result(self):
        """One result alone has no learning key, agent or model; one with its key has."""
        snap = snapshot_of([make_ir(("s0", "x"))])
        ((key, result),) = acg.analyze(snap).items()
        alone = frames.scores(result)
        assert (list(alone["learning_key"]), alone["agent_id"].isna().all()) == ([""], True)
        assert list(frames.scores(result, snap, learning_key=key)["agent_id"]) == ["a0"]

    def test_a_result_of_another_window(self, sample):
        """Results of another snapshot, an unknown key, or no results are a UsageError."""
        key = next(iter(sample.windows))
        cut = acg.load(SAMPLE, limit=3)
        with pytest.raises(acg.UsageError, match=r"is not of the window that .* holds; give results of this snapshot"):
            frames.scores(sample.stability, cut)
        strange = StabilityAnalysisResult(
            scores=(msgspec.structs.replace(sample.stability[key].scores[0], span_id="strange"),),
            stable_prefix_length=0,
            total_observations=sample.n_observations(key),
        )
        with pytest.raises(acg.UsageError, match="is not of the window"):
            frames.scores({key: strange}, sample)
        with pytest.raises(acg.UsageError, match="There is no profile 'nowhere'"):
            frames.scores({"nowhere": strange}, sample)
        with pytest.raises(acg.UsageError, match="There is no profile 'nowhere'"):
            frames.scores(sample.stability, learning_key="nowhere")
        with pytest.raises(acg.UsageError, match=r"Expected results by learning key .* got list"):
            frames.scores([strange])


class TestBreaks:
    def test_rows_are_findings(self, explained_sample):
        """Rows of findings have the order and numbers of `acg.explain`, from findings or a snapshot."""
        findings = explained_sample
        frame = frames.findings(findings)
        one = acg.load("data/sample", agent_id="claims-triage")
        pd.testing.assert_frame_equal(frames.findings(one), acg.explain(one).to_frame())
        is_event = np.array([finding.is_event for finding in findings])
        assert all(frame.loc[rows, "money_lost"].is_monotonic_decreasing for rows in (is_event, ~is_event))
        assert not is_event[: (~is_event).sum()].any(), "faults come before events"
        pd.testing.assert_frame_equal(frame, findings.to_frame())
        assert list(frame["kind"]) == [finding.kind.value for finding in findings]
        assert list(frame["total_lost"]) == [finding.total_lost for finding in findings]
        assert list(frame["sentence"]) == [finding.sentence for finding in findings]
        told = frame.set_index("agent_id").loc["support-chat"]
        assert (told["profiles"], told["profiles_after"], told["timing"]) == (123, 1, "drifting")

    def test_without_a_repair(self, sample):
        """Without a block or a repair the cells are missing."""
        row = frames.findings(acg.explain(sample, money=False)).set_index("agent_id").loc["code-review"]
        assert row[["span_id", "profiles_after", "prefix_tokens_after"]].isna().all()
        assert row["repair"] == ""

    def test_thresholds(self, sample):
        """A snapshot is explained under the given thresholds; times are UTC with nanoseconds."""
        limits = StabilityThresholds(stable_threshold=0.9)
        frame = frames.findings(acg.explain(sample, thresholds=limits, money=False))
        assert "claims-triage" not in set(frame["agent_id"])
        assert frame["last_change"].dtype == "datetime64[ns, UTC]"


class TestCalls:
    def test_the_sample(self, sample):
        """Each LLM call has its profile, time and usage; a window holds the newest calls of its profile."""
        frame = frames.calls(sample)
        recorded = [
            (run.agent_id, run.id, i, call)
            for run in sample.runs
            for i, call in enumerate(run.calls)
            if call.kind == "llm"
        ]
        assert len(frame) == len(recorded)
        for row, (agent_id, run_id, i, call) in zip(frame.itertuples(), recorded, strict=True):
            usage = call.annotated_response["usage"]
            assert (row.agent_id, row.run_id, row.call) == (agent_id, run_id, i)
            assert (row.started_at, row.ended_at) == (pd.Timestamp(call.started_at), pd.Timestamp(call.ended_at))
            assert (row.prompt_tokens, row.output_tokens) == (usage["prompt_tokens"], usage["completion_tokens"])
            assert row.cache_read_tokens == usage["cache_read_tokens"]
            assert none_if_na(row.cache_write_tokens) == usage.get("cache_write_tokens")
        of_keys = defaultdict(list)
        for call in frame.itertuples():
            of_keys[call.learning_key].append(sample.runs)
        for key, window in sample.windows.items():
            assert min(len(of_keys[key]), 100) == len(window)

    def test_what_is_not_known(self):
        """Without usage, response, request or end, values are missing; invalid usage is not counted."""
        request = make_request({"role": "system", "content": "s"}, "u", model="m")
        calls = [
            make_call(request, annotated_response={"usage": {"prompt_tokens": "many", "cache_read_tokens": -1}}),
            make_call(request, annotated_response={"usage": [1]}, prompt_tokens=7),
            make_call(kind="tool"),
            make_call(model_name="given", output_tokens=5),
            make_call(make_request({"role": "narrator"})),
        ]
        run = msgspec.structs.replace(make_run(), calls=tuple(calls))
        frame = frames.calls(snapshot_of(runs=[run], rules="nemo-flow-0.2"))
        assert frame["call"].tolist() == [0, 1, 3, 4]
        assert list(map(none_if_na, frame["prompt_tokens"])) == [None, 7, None, None]
        assert list(map(none_if_na, frame["output_tokens"])) == [None, None, 5, None]
        assert frame[["cache_read_tokens", "cache_write_tokens", "ended_at"]].isna().all(axis=None)
        assert list(map(none_if_na, frame["model"])) == ["m", "m", "given", None]
        assert frame["learning_key"].isna().all()

    def test_profiles_that_are_gone(self, sample):
        """A call of a profile no longer stored has the key of the agent's rules version, if there is only one."""
        key = "support-legacy::model=gpt-4.1"
        kept = [name for name in sample.windows if not name.startswith(key)]
        legacy = next(name for name in sample.windows if name.startswith(key))
        frame = frames.calls(acg.load(SAMPLE, keys=[*kept, legacy]))
        pd.testing.assert_frame_equal(frame, frames.calls(sample), check_categorical=False)
        without = frames.calls(acg.load(SAMPLE, keys=kept))
        assert without.loc[without["agent_id"] == "support-legacy", "learning_key"].isna().all()


ALL = {
    "breaks": frames.findings,
    "blocks": frames.blocks,
    "windows": frames.windows,
    "profiles": frames.profiles,
    "scores": frames.scores,
    "calls": frames.calls,
    "variants": lambda snap: frames.variants(snap, next(iter(snap.windows))),
    "scores of results": lambda snap: frames.scores(acg.analyze(snap)),
    "blocks with text": lambda snap: frames.blocks(snap, text=True),
    "variants with text": lambda snap: frames.variants(snap, next(iter(snap.windows)), text=True),
}


def kind_of(dtype):
    return dtype.categories.dtype if isinstance(dtype, pd.CategoricalDtype) and not dtype.ordered else dtype


class TestTypes:
    @pytest.mark.parametrize("name", ALL)
    def test_empty(self, sample, name):
        """An empty frame has the columns and dtypes of a full one, and a plain index."""
        full, empty = ALL[name](sample), ALL[name](snapshot_of([]))
        if name != "profiles":  # a profile without requests is a profile
            assert len(empty) == 0
        assert list(map(kind_of, full.dtypes)) == list(map(kind_of, empty.dtypes))
        assert list(full.columns) == list(empty.columns)
        assert isinstance(full.index, pd.RangeIndex)
        assert isinstance(empty.index, pd.RangeIndex)

    def test_no_profiles(self):
        """A source without profiles gives empty frames."""
        snap = acg.load(MemoryBackend())
        for name in ("blocks", "windows", "profiles", "scores", "calls"):
            assert list(ALL[name](snap).columns) == list(getattr(schema, name.upper()))

    def test_classes_and_roles(self, sample):
        """Classes are ordered from variable to stable; roles and types are all that production knows."""
        scores, blocks = frames.scores(sample), frames.blocks(sample)
        assert list(scores["classification"].cat.categories) == ["variable", "semi_stable", "stable"]
        assert scores["classification"].cat.ordered
        assert list(blocks["role"].cat.categories) == ["system", "user", "assistant", "tool"]
        assert blocks["created_at"].dtype == "datetime64[ns, UTC]"
        assert set(blocks["learning_key"].cat.categories) == set(sample.windows)

    def test_snapshot_stays_as_it_was(self, sample):
        """Making frames changes nothing in the snapshot."""
        before = sample.columns.observations.contents.copy()
        frame = frames.blocks(sample)
        frame["tokens"] += 1
        assert (sample.columns.observations.contents == before).all()
        assert frames.blocks(sample)["tokens"].sum() == frames.windows(sample)["tokens"].sum()


def test_no_prompt_text():
    """Prompt text is in no frame that was not asked for it."""
    tool = make_tool("f", description=SECRET)
    request = make_request({"role": "system", "content": SECRET}, SECRET, tools=(tool,), model="m")
    response = {"message": SECRET, "usage": {"prompt_tokens": 1}}
    run = msgspec.structs.replace(make_run(), calls=(make_call(request, annotated_response=response),))
    ir = make_ir(("system-0", SECRET), ("user-1", SECRET), ("user-2", f"{SECRET} again"))
    snap = snapshot_of([ir, make_ir(("system-0", f"x {SECRET}"))], runs=[run])
    for name, make in ALL.items():
        shown = make(snap).to_csv() + "".join(map(str, make(snap).dtypes))
        assert (SECRET in shown) == name.endswith("with text"), name


def test_the_lazy_names():
    """`acg.frames` and `acg.plots` need no import of their own."""
    assert acg.frames is frames
    assert acg.plots.theme() in {"light", "dark"}


def test_defaults(sample):
    """Without thresholds production's defaults are used; stored results can be shown as they are."""
    pd.testing.assert_frame_equal(frames.profiles(sample), frames.profiles(sample, StabilityThresholds()))
    snap = acg.load(learned_backend())
    pd.testing.assert_frame_equal(frames.scores(snap.stability, snap), frames.scores(snap))
    assert isinstance(next(iter(snap.windows.values()))[0], PromptIR)


@pytest.mark.parametrize("make", [frames.blocks, frames.cells, frames.threshold_curve, frames.variants, frames.windows])
def test_what_is_not_a_snapshot_is_refused(make):
    """Frames of a snapshot refuse any other value in words."""
    with pytest.raises(acg.UsageError, match="Expected a Snapshot"):
        make(42)


def test_summaries_of_strangers_are_refused():
    """Results of a profile that the snapshot does not have can't be summarised."""
    snap = acg.load(acg.MemoryBackend())
    with pytest.raises(acg.UsageError, match="none with the learning key 'elsewhere'"):
        acg.summarize(snap, {"elsewhere": None})
