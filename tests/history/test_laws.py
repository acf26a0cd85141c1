"""Laws of the replay, on generated histories: it knows what a learner knows that processes every run."""

import pickle

import numpy as np
from examples import scaled
from history.histories import RULE_NAMES, expected_results, histories, snapshot_of, stable_thresholds, steps_of
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import prompt_irs

import acg_lab as acg
from acg_lab.core import StabilityThresholds, analyze_stability
from acg_lab.core.records import PromptIR
from acg_lab.core.rules import get_rules
from acg_lab.history import merge
from acg_lab.history.history import History
from acg_lab.history.tasks import find_tasks, join_walks
from acg_lab.history.walk import walk

windows = st.integers(0, 7)
rules_names = st.sampled_from(RULE_NAMES)


def replayed(snap, **options):
    return acg.replay(snap, progress=False, **options)


@given(histories(), windows, rules_names, stable_thresholds())
def test_replay_equals_a_learner_that_processes_every_run(runs, window, rules, numbers):
    """At every step and threshold the result is that of a learner that processed the known runs."""
    if not steps_of(runs, rules):
        return
    trace = replayed(snapshot_of(runs), window=window, rules=rules)
    own = {agent: [run.id for run in runs if run.agent_id == agent] for agent in ("a", "b")}
    steps = zip(trace.agent_ids, trace.run_ids, trace.calls.tolist(), trace.n_runs.tolist(), strict=True)
    assert [(a, own[a].index(r), j, n) for a, r, j, n in steps] == [step[1:] for step in steps_of(runs, rules)]
    lengths, n = trace.prefix_lengths(numbers), trace.n_observations(numbers)
    for column, number in enumerate(numbers):
        thresholds = StabilityThresholds(stable_threshold=number, min_observations_for_full_confidence=3)
        expected = expected_results(runs, window, thresholds, rules)
        assert lengths[:, column].tolist() == [0 if r is None else r.stable_prefix_length for r in expected]
        assert n[:, column].tolist() == [0 if r is None else r.total_observations for r in expected]
        assert [trace.results_at(step, thresholds) for step in range(len(trace))] == expected


@given(histories(), windows, rules_names)
def test_every_score_is_a_threshold(runs, window, rules):
    """A threshold equal to a score includes the block; the next number above it does not."""
    if not steps_of(runs, rules):
        return
    trace = replayed(snapshot_of(runs), window=window, rules=rules)
    results = [trace.results_at(step) for step in range(len(trace))]
    scores = sorted({score.score for result in results if result is not None for score in result.scores})
    numbers = [n for score in scores for n in (score, np.nextafter(score, 2), np.nextafter(score, -1))][:60]
    if numbers:
        lengths = trace.prefix_lengths(numbers)
        for step in range(len(trace)):
            for column, number in enumerate(numbers):
                result = trace.results_at(step, StabilityThresholds(stable_threshold=float(number)))
                assert lengths[step, column] == (0 if result is None else result.stable_prefix_length)


# --- windows as foreign writers may have stored them: spans repeat, indexes tie and disagree ---


@st.composite
def stored_windows(draw):
    """Windows of two profiles, with few different times."""
    backend = acg.MemoryBackend()
    for model in draw(st.sampled_from(["m", "mn"])):
        stamped = [
            replace_time(ir, draw(st.integers(0, 5))) for ir in draw(st.lists(prompt_irs(), min_size=1, max_size=9))
        ]
        backend.store_observations(f"a::model={model}::seed=no-seed::system=no-system::tools=no-tools", stamped)
    return backend


def replace_time(ir: PromptIR, second: int) -> PromptIR:
    return PromptIR(
        **{name: getattr(ir, name) for name in PromptIR.__struct_fields__ if name != "created_at"},
        created_at=f"2026-01-01T00:00:0{second}Z",
    )


def windows_known(history: History, step_row: int, window: int):
    """Return the window that a request met: its profile's, else one that the last known run touched."""
    observations, requests = history.observations, history.requests
    known = requests.first_unknown_run[step_row]
    of_profile = history.profile_of_row()
    last = [row for row in range(len(of_profile)) if requests.run[row] == known - 1]
    found = []
    for profile in (of_profile[step_row], *(of_profile[row] for row in last)):
        rows = [row for row in observations.observations_of(profile) if requests.run[row] < known]
        if rows:
            found.append((profile, [observations.observation(row) for row in rows[-max(window, 1) :]]))
    return found[:1]


def leading_dominant(request, window, exact):
    """Return how many leading blocks of a request are the dominant ones of a window, counted one by one."""
    if exact:
        sharing, depth = [o.blocks for o in window], 0
        same = lambda block: (block.span_id, block.role, block.content_type, block.content)  # noqa: E731
        while depth < len(request.blocks):
            sharing = [b for b in sharing if len(b) > depth and same(b[depth]) == same(request.blocks[depth])]
            if len(sharing) <= len(window) // 2:
                break
            depth += 1
        return depth
    index, counts = {}, {}
    for block in (block for o in window for block in o.blocks):
        index[block.span_id] = min(index.get(block.span_id, block.sequence_index), block.sequence_index)
        of_span = counts.setdefault(block.span_id, {})
        of_span[block.content] = of_span.get(block.content, 0) + 1
    order = sorted(index, key=lambda span: (index[span], span))
    depth = 0
    for block, span in zip(request.blocks, order, strict=False):
        if block.span_id != span or counts[span].get(block.content, 0) < max(counts[span].values()):
            break
        depth += 1
    return depth


@settings(max_examples=scaled(300))
@given(stored_windows(), windows, rules_names, stable_thresholds())
def test_stored_observations_are_replayed_as_runs(backend, window, rules, numbers):
    """Whatever a window holds, each observation meets the analysis of those before it and matches their prefix."""
    trace = replayed(acg.load(backend, progress=False), window=window, rules=rules)
    (part,) = trace.parts
    lengths, matched = trace.prefix_lengths(numbers), trace.matched_tokens(numbers)
    prefix = trace.prefix_tokens(numbers)
    for step, row in enumerate(trace.row.tolist()):
        found = windows_known(part.history, row, window)
        request = trace.request(step)
        tokens = [
            b.token_metadata.token_count if b.token_metadata else len(b.content.encode()) // 4 for b in request.blocks
        ]
        assert trace.tokens[step] == sum(tokens)
        for column, number in enumerate(numbers):
            thresholds = StabilityThresholds(stable_threshold=number)
            result, dominant = None, 0
            if found:
                ((profile, observations),) = found
                key = trace.profiles[profile].learning_key
                result = analyze_stability(observations, thresholds, rules=rules, learning_key=key)
                dominant = leading_dominant(request, observations, get_rules(rules).exact_prefix)
            length = result.stable_prefix_length if result else 0
            assert trace.results_at(step, thresholds) == result
            assert lengths[step, column] == length
            assert prefix[step, column] == sum(tokens[:length])
            assert matched[step, column] == sum(tokens[: min(length, dominant)])


# --- passes, parts ---


def numbers_of(trace, window, numbers):
    return [
        ask(numbers, window=window).tolist()
        for ask in (trace.prefix_lengths, trace.prefix_tokens, trace.matched_tokens, trace.n_observations)
    ]


@given(histories(), st.lists(windows, min_size=1, max_size=3, unique=True), rules_names, stable_thresholds())
def test_several_windows_in_one_pass(runs, sizes, rules, numbers):
    """Several windows walked in one pass return what each returns alone."""
    if not steps_of(runs, rules):
        return
    snap = snapshot_of(runs)
    together = replayed(snap, window=sizes, rules=rules)
    for size in sizes:
        assert numbers_of(together, size, numbers) == numbers_of(
            replayed(snap, window=size, rules=rules), size, numbers
        )


@given(histories(), windows, rules_names, stable_thresholds(), st.data())
def test_split_and_merge(runs, window, rules, numbers, data):
    """A trace split by profile, or replayed by agent, and merged in any grouping equals the whole."""
    if not steps_of(runs, rules):
        return
    snap = snapshot_of(runs)
    whole = replayed(snap, window=window, rules=rules)
    agents = sorted(set(whole.agent_ids))
    by_profile = [whole.select(learning_key=key) for key in dict.fromkeys(whole.learning_keys)]
    by_agent = [replayed(snap, window=window, rules=rules, agent_id=agent) for agent in agents]
    for parts in (by_profile, by_agent):
        traces = data.draw(st.permutations(parts))
        cut = data.draw(st.integers(1, len(traces)))
        head, tail = merge(traces[:cut]), traces[cut:]
        for merged in (merge(traces), merge([head, *tail]), merge([head, merge(tail)] if tail else [head])):
            assert merged.run_ids == whole.run_ids
            assert merged.learning_keys == whole.learning_keys
            assert numbers_of(merged, window, numbers) == numbers_of(whole, window, numbers)


@given(histories(), windows, rules_names, st.randoms())
def test_profiles_can_be_walked_anywhere(runs, window, rules, random):
    """Tasks can be pickled and walked in any order; joined, their results are those of one pass."""
    if not steps_of(runs, rules):
        return
    (part,) = replayed(snapshot_of(runs), window=window, rules=rules).parts
    tasks = list(enumerate(find_tasks(part.history, part.states, part.entries)))
    random.shuffle(tasks)
    walked = {i: (walk(pickle.loads(pickle.dumps(task)), [window])[0], slot) for i, (task, slot) in tasks}
    walks, slots = zip(*(walked[i] for i in range(len(tasks))), strict=True)
    joined = join_walks(slots, walks, len(part.states.end), len(part.entries.state))
    for ours, theirs in zip(
        (*joined.curves, *joined[1:]), (*part.results[window].curves, *part.results[window][1:]), strict=True
    ):
        assert (ours == theirs).all()
