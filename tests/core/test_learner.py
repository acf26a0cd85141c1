"""The learner: one step without I/O, its two shells, and the hot cache (`acg_lab/docs/rules/learner.md`, 5)."""

import asyncio
import copy
import re
import uuid
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import count

import pytest
from examples import scaled
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import (
    TIME,
    make_call,
    make_id,
    make_ir,
    make_request,
    make_run,
    make_stamp,
    runs,
    simple_requests,
    thresholds,
)

from acg_lab.core import (
    RULES,
    AcgLearner,
    HotCache,
    RunRecord,
    StabilityThresholds,
    UsageError,
    analyze_stability,
    build_prompt_ir,
    decode,
    encode,
    learning_key,
    system_stamp,
)
from acg_lab.core.learner_backend import Load
from acg_lab.storage.memory import MemoryBackend

STABLE_NOTHING = StabilityThresholds(stable_threshold=1.5)


def key_of(seed):
    return learning_key("a", make_request(seed))


U, V, W = map(key_of, "uvw")


class StoreError(Exception):
    """What a store that can't go on raises."""


class LoggingBackend(MemoryBackend):
    """Keep a list of what was asked, and raise at the n-th call to a method that is counted."""

    def __init__(self, failing=("store_observations", "store_stability"), at=None):
        super().__init__()
        self.asked, self.failing, self.left = [], failing, at

    def note(self, name, key):
        self.asked.append((name, key))
        if name in self.failing and self.left is not None:
            self.left -= 1
            if self.left == 0:
                raise StoreError(name)

    def load_observations(self, key):
        self.note("load_observations", key)
        return super().load_observations(key)

    def store_observations(self, key, window):
        self.note("store_observations", key)
        super().store_observations(key, window)

    def load_stability(self, key):
        self.note("load_stability", key)
        return super().load_stability(key)

    def store_stability(self, key, result):
        self.note("store_stability", key)
        super().store_stability(key, result)


class AsyncBackend:
    """The same store for asyncio, which yields to other tasks before each call."""

    def __init__(self, backend):
        self.backend = backend

    async def load_observations(self, key):
        await asyncio.sleep(0)
        return self.backend.load_observations(key)

    async def store_observations(self, key, window):
        await asyncio.sleep(0)
        self.backend.store_observations(key, window)

    async def store_stability(self, key, result):
        await asyncio.sleep(0)
        self.backend.store_stability(key, result)


class Blocking:
    """Drive `process_run`."""

    @staticmethod
    def process(learner, run, backend, hot_cache, **options):
        return learner.process_run(run, backend, hot_cache, **options)


class Asyncio:
    """Drive `aprocess_run`."""

    @staticmethod
    def process(learner, run, backend, hot_cache, **options):
        return asyncio.run(learner.aprocess_run(run, AsyncBackend(backend), hot_cache, **options))


@pytest.fixture(params=[Blocking, Asyncio], ids=["blocking", "asyncio"])
def process(request):
    return request.param.process


def state_of(backend):
    return backend._windows, backend._results


def facts(hot_cache):
    return copy.deepcopy(
        (
            hot_cache.acg_profiles,
            hot_cache.acg_profile_observation_counts,
            hot_cache.acg_stability,
            hot_cache.acg_observation_count,
        )
    )


def observe(request, number=1):
    return build_prompt_ir(request, ir_id=make_id(number), created_at=TIME)


def numbers_of(window):
    """Return what `make_id` made the ids of."""
    return [uuid.UUID(observation.ir_id).int for observation in window]


# --- what a run does ---


def test_one_run(process):
    """A run's observations join their windows, in call order; results and seed entry are stored after them."""
    backend, hot_cache = LoggingBackend(), HotCache()
    requests = [make_request("u", "x"), make_request("v"), make_request("u", "y")]
    update = process(AcgLearner("a"), make_run(*requests), backend, hot_cache, stamp=make_stamp())
    window = (observe(requests[0], 1), observe(requests[2], 3))
    assert backend.load_observations(U) == window
    assert backend.load_observations(V) == (observe(requests[1], 2),)
    assert update.results == {U: analyze_stability(window), V: analyze_stability([observe(requests[1])])}
    assert list(update.results) == [U, V]
    assert backend._results == {**update.results, "a": update.seed}
    assert update.skipped == 0


def test_order_of_storage_calls(process):
    """Each key's window is loaded, stored, and its result stored, in call order; the seed entry comes last."""
    backend = LoggingBackend()
    process(AcgLearner("a"), make_run(make_request("u"), make_request("v")), backend, HotCache())
    assert backend.asked == [
        (name, key)
        for key in (U, V, "a")
        for name in ("load_observations", "store_observations", "store_stability")
        if (name, key) != ("load_observations", "a")
    ]


@pytest.mark.parametrize(
    "calls",
    [
        (),
        (make_call(),),
        (make_call(make_request("u"), kind="tool"),),
        (make_call(make_request({"role": "narrator"})),),
    ],
    ids=["no calls", "no request", "tool call", "request that can't be read"],
)
def test_nothing_to_learn(process, calls):
    """A run without a request to learn from touches nothing, neither storage nor hot cache."""
    backend, hot_cache = LoggingBackend(), HotCache()
    process(AcgLearner("a"), make_run(make_request("u")), backend, hot_cache)
    backend.asked.clear()
    stored, before = copy.deepcopy(state_of(backend)), facts(hot_cache)
    empty = make_run()
    update = process(
        AcgLearner("a"), type(empty)(id="r", agent_id="a", calls=calls, started_at=TIME), backend, hot_cache
    )
    assert backend.asked == []
    assert (state_of(backend), facts(hot_cache)) == (stored, before)
    assert (update.results, update.seed) == ({}, None)


def test_skipped_requests(process):
    """A request whose observation can't be built is counted, not observed, and does not stop the run."""
    backend = MemoryBackend()
    broken = [
        make_request({"role": "narrator", "content": "x"}),
        make_request({"role": "user", "content": 5}),
        make_request("u", tools=({},)),
    ]
    update = process(AcgLearner("a"), make_run(broken[0], make_request("u"), *broken[1:]), backend, HotCache())
    assert update.skipped == 3
    assert {key: result.total_observations for key, result in update.results.items()} == {U: 1}


def test_the_key_is_the_learners_agents(process):
    """The agent of the key is the learner's own, whatever is in the run."""
    backend = MemoryBackend()
    process(AcgLearner("b"), make_run(make_request("u"), agent_id="a"), backend, HotCache())
    assert set(backend._windows) == {learning_key("b", make_request("u")), "b"}


# --- the window ---


@pytest.mark.parametrize(("window", "kept"), [(0, [3]), (1, [3]), (2, [2, 3]), (3, [1, 2, 3]), (4, [1, 2, 3])])
def test_window_within_a_run(process, window, kept):
    """The oldest are dropped when the window is full; a window of 0 keeps one."""
    backend = MemoryBackend()
    run = make_run(*[make_request("u")] * 3)
    update = process(AcgLearner("a", observation_window=window), run, backend, HotCache(), stamp=make_stamp())
    assert numbers_of(backend.load_observations(U)) == kept
    assert update.results[U].total_observations == len(kept)


def test_window_over_runs(process):
    """Windows go on from run to run, the oldest first."""
    backend, learner, stamp = MemoryBackend(), AcgLearner("a", observation_window=2), make_stamp()
    for _ in range(3):
        process(learner, make_run(make_request("u")), backend, HotCache(), stamp=stamp)
    assert numbers_of(backend.load_observations(U)) == [2, 3]


def test_longer_stored_window(process):
    """A window stored longer than the limit loses one for each that is appended, no more."""
    backend = MemoryBackend()
    backend.store_observations(U, [make_ir(("u", "x"), ir_id=make_id(n)) for n in (11, 12, 13, 14)])
    run = make_run(make_request("u"), make_request("u"))
    update = process(AcgLearner("a", observation_window=2), run, backend, HotCache(), stamp=make_stamp())
    assert numbers_of(backend.load_observations(U)) == [13, 14, 1, 2]
    assert update.results[U].total_observations == 4


# --- the seed entry ---


def windows_of(lengths):
    """Fill windows: for each seed how many blocks its prefix has, and how many observations its window."""
    backend = MemoryBackend()
    for seed, (blocks, observations) in lengths.items():
        request = make_request(seed, *["same"] * (blocks - 1))
        backend.store_observations(key_of(seed), [observe(request)] * (observations - 1))
    return backend, make_run(*(make_request(seed, *["same"] * (blocks - 1)) for seed, (blocks, _) in lengths.items()))


@pytest.mark.parametrize(
    ("lengths", "seed"),
    [
        ({"u": (1, 1), "v": (2, 1)}, "v"),
        ({"u": (2, 1), "v": (1, 1)}, "u"),
        ({"u": (1, 9), "v": (2, 1)}, "v"),
        ({"u": (2, 1), "v": (2, 3), "w": (2, 2)}, "v"),
        ({"u": (2, 2), "v": (2, 2)}, "u"),
        ({"v": (2, 2), "u": (2, 2)}, "v"),
        ({"w": (1, 2), "v": (2, 2), "u": (2, 2)}, "v"),
    ],
)
def test_seed_entry(process, lengths, seed):
    """The seed entry has the longest stable prefix, then most observations, then is first in call order."""
    backend, run = windows_of(lengths)
    hot_cache = HotCache()
    update = process(AcgLearner("a"), run, backend, hot_cache)
    assert update.seed == update.results[key_of(seed)]
    assert backend.load_observations("a") == backend.load_observations(key_of(seed))
    assert backend.load_stability("a") == update.seed == hot_cache.acg_stability
    assert hot_cache.acg_observation_count == lengths[seed][1]


def test_seed_entry_is_of_touched_keys_only(process):
    """Keys that this run did not touch are not asked, though they be better."""
    backend, hot_cache = MemoryBackend(), HotCache()
    learner = AcgLearner("a")
    process(learner, make_run(make_request("u", "x", "y")), backend, hot_cache)
    process(learner, make_run(make_request("v")), backend, hot_cache)
    assert backend.load_observations("a") == backend.load_observations(V)
    assert hot_cache.acg_stability.stable_prefix_length == 1


def test_seed_entry_of_nothing_stable(process):
    """Where nothing is stable, the first key with most observations is the seed entry."""
    backend = MemoryBackend()
    run = make_run(make_request("u"), make_request("v"), make_request("v"))
    update = process(AcgLearner("a", thresholds=STABLE_NOTHING), run, backend, HotCache())
    assert (update.seed.stable_prefix_length, update.seed.total_observations) == (0, 2)


# --- the hot cache ---


def test_hot_cache(process):
    """Touched keys are replaced in the hot cache, others stay; stability and count are the seed entry's."""
    backend, hot_cache, learner = MemoryBackend(), HotCache(), AcgLearner("a")
    assert facts(hot_cache) == ({}, {}, None, 0)
    process(learner, make_run(make_request("u"), make_request("v")), backend, hot_cache)
    process(learner, make_run(make_request("v"), make_request("w")), backend, hot_cache)
    assert hot_cache.acg_profile_observation_counts == {U: 1, V: 2, W: 1}
    assert hot_cache.acg_profiles == {key: backend.load_stability(key) for key in (U, V, W)}
    assert (hot_cache.acg_stability, hot_cache.acg_observation_count) == (backend.load_stability(V), 2)


@pytest.mark.parametrize("at", [*range(1, 7), None])
def test_hot_cache_waits_for_every_store(process, at):
    """A store that fails, the seed entry's too, ends the call with its error and leaves the hot cache as it was."""
    backend, hot_cache, learner = LoggingBackend(), HotCache(), AcgLearner("a")
    run = make_run(make_request("u"), make_request("v"))
    process(learner, run, backend, hot_cache)
    before = facts(hot_cache)
    backend.left = at
    if at is None:
        process(learner, run, backend, hot_cache)
        assert facts(hot_cache) != before
        return
    with pytest.raises(StoreError):
        process(learner, run, backend, hot_cache)
    assert facts(hot_cache) == before


@pytest.mark.parametrize("at", [1, 2])
def test_failing_load(process, at):
    """A load that fails ends the call; keys that came before it are stored, the hot cache is as it was."""
    backend, hot_cache = LoggingBackend(failing=["load_observations"], at=at), HotCache()
    with pytest.raises(StoreError):
        process(AcgLearner("a"), make_run(make_request("u"), make_request("v")), backend, hot_cache)
    assert facts(hot_cache) == ({}, {}, None, 0)
    assert set(backend._windows) == {U, V} - {V if at == 2 else U, V}


# --- laws ---


@given(st.lists(runs(simple_requests()), max_size=4), st.integers(1, 5), thresholds())
def test_stream_equals_analysis_of_its_last(stream, n, limits):
    """Learning from a stream ends with the analysis of the last n observations of each key."""
    backend, hot_cache = MemoryBackend(), HotCache()
    learner, stamp, numbers = AcgLearner("a", n, limits), make_stamp(), count(1)
    seen = {}
    for run in stream:
        learner.process_run(run, backend, hot_cache, stamp=stamp)
        for call in run.calls:
            if call.kind == "llm" and call.annotated_request is not None:
                key = learning_key("a", call.annotated_request)
                seen.setdefault(key, []).append(observe(call.annotated_request, next(numbers)))
    assert hot_cache.acg_profiles == {key: analyze_stability(irs[-n:], limits) for key, irs in seen.items()}
    assert hot_cache.acg_profile_observation_counts == {key: min(len(irs), n) for key, irs in seen.items()}
    assert {key: list(backend.load_observations(key)) for key in seen} == {key: irs[-n:] for key, irs in seen.items()}


@given(st.lists(st.tuples(runs(), st.none() | st.integers(1, 6)), max_size=5), st.integers(0, 3), thresholds())
def test_a_learner_remembers_nothing_that_counts(stream, n, limits):
    """A learner that saw stores fail learns the same as one made anew for each run."""
    lasting = AcgLearner("a", n, limits)
    sides = [(LoggingBackend(), HotCache(), make_stamp()) for _ in range(2)]
    for run, at in stream:
        for learner, (backend, hot_cache, stamp) in zip((lasting, AcgLearner("a", n, limits)), sides, strict=True):
            backend.left = at
            with suppress(StoreError):
                learner.process_run(run, backend, hot_cache, stamp=stamp)
        assert state_of(sides[0][0]) == state_of(sides[1][0])
        assert facts(sides[0][1]) == facts(sides[1][1])


def test_windows_that_others_wrote(process):
    """A window that another writer stored meanwhile is what counts, not the learner's memory of it."""
    backend, learner = MemoryBackend(), AcgLearner("a")
    process(learner, make_run(make_request("u")), backend, HotCache())
    backend.store_observations(U, [make_ir(("user-0", "other"), ir_id=make_id(9))])
    update = process(learner, make_run(make_request("u")), backend, HotCache(), stamp=make_stamp())
    assert numbers_of(backend.load_observations(U)) == [9, 1]
    assert update.results[U].scores[0].score == 0.5


def test_many_profiles():
    """More profiles than a learner keeps counted are learned all the same."""
    backend, hot_cache, learner = MemoryBackend(), HotCache(), AcgLearner("a")
    run = make_run(*(make_request("u", model=str(i)) for i in range(600)))
    learner.process_run(run, backend, hot_cache)
    learner.process_run(run, backend, hot_cache)
    assert set(hot_cache.acg_profile_observation_counts.values()) == {2}
    assert len(hot_cache.acg_profiles) == 600


@settings(max_examples=scaled(50))
@given(st.lists(runs(), max_size=3), st.integers(0, 3), st.sampled_from(sorted(RULES)))
def test_both_shells_agree(stream, n, rules):
    """The blocking and the asyncio shell store the same, in the same order, and teach the hot cache the same."""
    sides = [(LoggingBackend(), HotCache(), make_stamp(), AcgLearner("a", n, rules=rules)) for _ in range(2)]
    for run in stream:
        updates = [
            shell.process(learner, run, backend, hot_cache, stamp=stamp)
            for shell, (backend, hot_cache, stamp, learner) in zip((Blocking, Asyncio), sides, strict=True)
        ]
        assert updates[0] == updates[1]
    (first, hot, *_), (second, other, *_) = sides
    assert first.asked == second.asked
    assert state_of(first) == state_of(second)
    assert facts(hot) == facts(other)


@given(runs(), st.integers(0, 3))
def test_arguments_stay_unchanged(run, n):
    """Learning changes neither the run nor a window that the backend gave."""
    backend = MemoryBackend()
    stored = [make_ir(("u", "x"), ir_id=name) for name in "pq"]
    backend.load_observations = lambda _key: stored
    before = copy.deepcopy((run, stored))
    AcgLearner("a", n).process_run(run, backend, HotCache())
    assert (run, stored) == before


@given(runs())
def test_runs_are_learned_alike(run):
    """With the same stamps, the same run teaches the same."""
    first, second = (
        AcgLearner("a").process_run(run, MemoryBackend(), HotCache(), stamp=make_stamp()) for _ in range(2)
    )
    assert first == second


# --- settings ---


@pytest.mark.parametrize("window", [-1, 1.0, "1", None, True, 2**64])
def test_windows_that_are_refused(window):
    """The window is an integer that 64 bits without a sign can hold."""
    with pytest.raises(
        UsageError, match=r"'observation_window' setting must be an integer from 0 to 2\*\*64 - 1; got "
    ):
        AcgLearner("a", observation_window=window)
    assert AcgLearner("a", observation_window=2**64 - 1).observation_window == 2**64 - 1


def test_rules_that_are_refused():
    """Rules that are not known are refused, and those that are get listed."""
    with pytest.raises(UsageError, match=r"The 'rules' setting must be one of 'nemo-flow-0\.2'.*; got 'nemo'\."):
        AcgLearner("a", rules="nemo")


def test_arguments_are_kept():
    """A learner keeps its arguments under their own names and shows them; the defaults are production's."""
    learner = AcgLearner("a")
    assert (learner.agent_id, learner.observation_window, learner.rules) == ("a", 100, "nemo-flow-0.2")
    assert learner.thresholds == StabilityThresholds()
    shown = repr(AcgLearner("a", 7, STABLE_NOTHING))
    assert re.fullmatch(r"AcgLearner\('a', observation_window=7, thresholds=.*1\.5.*, rules='nemo-flow-0\.2'\)", shown)


def test_repr_of_the_hot_cache_counts_only():
    """The hot cache shows counts, no keys and no texts."""
    hot_cache = HotCache()
    AcgLearner("a").process_run(make_run(make_request("private")), MemoryBackend(), hot_cache)
    assert repr(hot_cache) == "<HotCache: 1 profiles, seed of 1 observations>"


def test_system_stamp():
    """By default observations get a random UUID of version 4 and the time now, in UTC."""
    (first, time), (second, _) = system_stamp(), system_stamp()
    assert first != second
    assert (str(uuid.UUID(first)), uuid.UUID(first).version) == (first, 4)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", time)
    made = datetime.fromisoformat(time)
    assert abs(datetime.now(made.tzinfo) - made) < timedelta(minutes=1)


def test_default_stamp(process):
    """Observations of one run have different ids."""
    backend = MemoryBackend()
    process(AcgLearner("a"), make_run(make_request("u"), make_request("u")), backend, HotCache())
    first, second = backend.load_observations(U)
    assert first.ir_id != second.ir_id


def test_run_that_is_not_a_record(process):
    """A run as a dict is refused with the way to make a record of it; a decoded run is learned."""
    with pytest.raises(UsageError, match=r"must be a RunRecord; got dict\..*acg_lab\.core\.decode\(RunRecord, raw\)"):
        process(AcgLearner("a"), {"id": "r"}, MemoryBackend(), HotCache())
    run = decode(RunRecord, encode(make_run(make_request("u"))))
    assert list(process(AcgLearner("a"), run, MemoryBackend(), HotCache()).results) == [key_of("u")]


def test_a_registering_process_knows_the_seed_entry():
    """A hot cache from a backend holds what is stored under the agent's id, if anything, and no profiles."""
    backend, learned = MemoryBackend(), HotCache()
    for _ in range(3):
        AcgLearner("a").process_run(make_run(make_request(), agent_id="a"), backend, learned)
    warm = HotCache.from_backend(backend, "a")
    assert (warm.acg_stability, warm.acg_observation_count) == (learned.acg_stability, 3)
    assert warm.acg_profiles == {}
    empty = HotCache.from_backend(backend, "b")
    assert (empty.acg_stability, empty.acg_observation_count) == (None, 0)


class Whole(MemoryBackend):
    """A backend that carries out a step as a whole; the first attempt is given up, as after a conflict."""

    def transact(self, start):
        next(start())
        step, answer = start(), None
        while True:
            try:
                command = step.send(answer)
            except StopIteration as done:
                return done.value
            answer = None
            if isinstance(command, Load):
                answer = self.load_observations(command.key)
            else:
                self.store_observations(command.key, command.window)
                self.store_stability(command.key, command.result)


class AsyncWhole(Whole):
    async def transact(self, start):
        return super().transact(start)


@pytest.mark.parametrize("kind", [Whole, AsyncWhole])
def test_a_backend_with_transactions_gets_the_step_as_a_whole(kind):
    """The learner hands over its step, which may be begun again; the update reaches the hot cache as always."""
    backend, plain = kind(), MemoryBackend()
    learners, caches = (AcgLearner("a"), AcgLearner("a")), (HotCache(), HotCache())
    for i in range(3):
        run, stamp = make_run(make_request()), lambda i=i: (make_id(i), TIME)
        expected = learners[1].process_run(run, plain, caches[1], stamp=stamp)
        if kind is Whole:
            update = learners[0].process_run(run, backend, caches[0], stamp=stamp)
        else:
            update = asyncio.run(learners[0].aprocess_run(run, backend, caches[0], stamp=stamp))
        assert update == expected
        assert vars(caches[0])["acg_profiles"] == vars(caches[1])["acg_profiles"]
    assert backend.load_observations("a") == plain.load_observations("a")
