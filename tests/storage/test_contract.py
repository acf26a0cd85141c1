"""What every backend keeps to, blocking or asyncio."""

import asyncio
import contextlib
import inspect

import pytest
from strategies import TIME, make_id, make_ir, make_request, make_run, make_stamp

from acg_lab.core import AcgLearner, BlockStability, HotCache, RunRecord, StabilityAnalysisResult
from acg_lab.core.codec import decode, decode_window
from acg_lab.storage.base import Backend, Selection, ignore_progress
from acg_lab.storage.memory import MemoryBackend
from acg_lab.storage.parquet_backend import ParquetExport
from acg_lab.storage.redis_backend import AsyncRedisBackend, RedisBackend


class Waiting:
    """An asyncio backend, waited for, so that the same tests fit both kinds."""

    def __init__(self, backend, loop):
        self._backend = backend
        self._loop = loop

    def __getattr__(self, name):
        value = getattr(self._backend, name)
        return value if not inspect.iscoroutinefunction(value) else lambda *args: self._loop.run(value(*args))


@contextlib.contextmanager
def memory(_request):
    yield MemoryBackend()


@contextlib.contextmanager
def blocking_redis(request):
    with RedisBackend(request.getfixturevalue("redis_url"), key_prefix="p:", writable=True) as backend:
        yield backend


@contextlib.contextmanager
def asyncio_redis(request):
    url = request.getfixturevalue("redis_url")
    with asyncio.Runner() as loop:
        backend = AsyncRedisBackend(url, key_prefix="p:", writable=True)
        yield Waiting(backend, loop)
        loop.run(backend.close())


@contextlib.contextmanager
def parquet(request):
    with ParquetExport(request.getfixturevalue("tmp_path") / "export") as backend:
        yield backend


# Every backend that stores document by document; add new ones here.
STORES = [memory, blocking_redis, asyncio_redis, parquet]
SCANNED = [store for store in STORES if store is not asyncio_redis]


@pytest.fixture(params=STORES, ids=lambda store: store.__name__)
def backend(request):
    with request.param(request) as made:
        yield made


@pytest.fixture(params=SCANNED, ids=lambda store: store.__name__)
def scanned(request):
    with request.param(request) as made:
        yield made


def make_result(n=1):
    score = BlockStability(span_id="user-0", classification="stable", score=1.0, confidence=0.05, observation_count=n)
    return StabilityAnalysisResult(scores=(score,), stable_prefix_length=1, total_observations=n)


ODD_KEYS = ["a", "a:b", "a::model=m", "a*[x]?\\", "é\U0001f600 \n", "runs_index:a", "x" * 500]


class TestWindowsAndResults:
    def test_missing(self, backend):
        """Loading what is not there returns None, and no runs."""
        assert backend.load_observations("a") is None
        assert backend.load_stability("a") is None
        assert backend.list_runs("a") == ()

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_round_trip(self, backend, key):
        """What is stored under a key, however odd, is loaded as it was."""
        window, result = (make_ir(("user-0", "x\ue000'\"\n")), make_ir(ir_id=make_id(1))), make_result()
        backend.store_observations(key, window)
        backend.store_stability(key, result)
        assert backend.load_observations(key) == window
        assert backend.load_stability(key) == result

    def test_replacing(self, backend):
        """A window takes the place of the former, and so does a result."""
        for n in (1, 2):
            backend.store_observations("a", [make_ir(ir_id=make_id(n))])
            backend.store_stability("a", make_result(n))
        assert [ir.ir_id for ir in backend.load_observations("a")] == [make_id(2)]
        assert backend.load_stability("a").total_observations == 2

    def test_empty_window(self, backend):
        """An empty window is not a missing one."""
        backend.store_observations("a", ())
        assert backend.load_observations("a") == ()

    def test_unknown_fields(self, backend):
        """Fields that this version does not know are stored and loaded."""
        run = RunRecord(id="r", agent_id="a", calls=(), started_at=TIME, unknown={"later": [1, None]})
        backend.store_run(run)
        assert backend.list_runs("a") == (run,)


class TestRuns:
    def test_order(self, backend):
        """Runs are listed in the order in which they were stored, whatever their ids."""
        runs = [make_run(make_request("hello"), run_id=name) for name in "bca"]
        for run in runs:
            backend.store_run(run)
        assert backend.list_runs("a") == tuple(runs)

    def test_stored_twice(self, backend):
        """A run that is stored again is replaced where it stands."""
        for text, name in [("old", "r"), ("other", "s"), ("new", "r")]:
            backend.store_run(make_run(make_request(text), run_id=name))
        assert backend.list_runs("a") == (
            make_run(make_request("new"), run_id="r"),
            make_run(make_request("other"), run_id="s"),
        )

    @pytest.mark.parametrize("agent_id", ODD_KEYS)
    def test_agents(self, backend, agent_id):
        """An agent has its own runs only, even if another agent's id begins with its id."""
        for name in (agent_id, f"{agent_id}:b", f"{agent_id}b"):
            backend.store_run(make_run(agent_id=name, run_id=f"of {len(name)}"))
        assert [run.agent_id for run in backend.list_runs(agent_id)] == [agent_id]


class TestKept:
    @pytest.fixture(params=["parquet", "redis"])
    def opened(self, request):
        """Return a function that opens the same place anew."""
        if request.param == "redis":
            url = request.getfixturevalue("redis_url")
            return lambda: RedisBackend(url, key_prefix="p:", writable=True)
        path = request.getfixturevalue("tmp_path") / "export"
        return lambda: ParquetExport(path)

    @pytest.mark.parametrize("key", ODD_KEYS)
    def test_opened_again(self, opened, key):
        """What was stored is there when the place is opened again, beside what is stored then."""
        window, run = (make_ir(("user-0", "x")),), make_run(make_request("hello"), agent_id=key)
        with opened() as backend:
            backend.store_observations(key, window)
            backend.store_run(run)
        with opened() as backend:
            assert backend.load_observations(key) == window
            backend.store_stability(key, make_result())
            backend.store_observations(f"{key}::model=m", ())
        with opened() as backend:
            assert backend.load_observations(key) == window
            assert backend.load_observations(f"{key}::model=m") == ()
            assert backend.load_stability(key) == make_result()
            assert backend.list_runs(key) == (run,)


class TestLearning:
    def test_same_as_memory(self, backend):
        """A learner leaves the same windows and results in every backend."""
        runs = [make_run(make_request("a", f"{i}"), make_request("b"), run_id=str(i)) for i in range(3)]
        reference, learner, stamp = MemoryBackend(), AcgLearner("a"), make_stamp()
        for run in runs:
            learner.process_run(run, reference, HotCache(), stamp=stamp)
        learner, stamp = AcgLearner("a"), make_stamp()
        for run in runs:
            if isinstance(backend, Waiting):
                backend._loop.run(learner.aprocess_run(run, backend._backend, HotCache(), stamp=stamp))
            else:
                learner.process_run(run, backend, HotCache(), stamp=stamp)
        keys = {entry.key for entry in reference.scan(Selection())}
        assert len(keys) == 3
        for key in keys:
            assert backend.load_observations(key) == reference.load_observations(key)
            assert backend.load_stability(key) == reference.load_stability(key)


class TestScan:
    def test_protocol(self, scanned):
        """A backend that scans keeps the protocol, and its label is text."""
        assert isinstance(scanned, Backend)
        assert isinstance(scanned.label, str)

    @pytest.mark.parametrize("agent_id", ODD_KEYS)
    def test_everything(self, scanned, agent_id):
        """A scan yields every document once: windows and results by key, runs by agent and id."""
        key, window, run = (
            f"{agent_id}::model=m",
            (make_ir(("user-0", "x")),),
            make_run(make_request("hello"), agent_id=agent_id),
        )
        scanned.store_observations(key, window)
        scanned.store_stability(key, make_result())
        scanned.store_run(run)
        found = {entry.kind: entry for entry in scanned.scan(Selection(), ignore_progress)}
        assert len(list(scanned.scan(Selection(), ignore_progress))) == 3
        assert found["observations"].key == found["stability"].key == key
        assert (found["run"].key, found["run"].agent_id) == (f"{agent_id}:r", agent_id)
        assert decode_window(found["observations"].raw) == window
        assert decode(StabilityAnalysisResult, found["stability"].raw) == make_result()
        assert decode(RunRecord, found["run"].raw) == run

    @pytest.mark.parametrize("agent_id", ODD_KEYS)
    def test_one_agent(self, scanned, agent_id):
        """A scan for one agent yields its windows, its seed entry and its runs, and no other agent's."""
        for name in (agent_id, f"{agent_id}b", f"b{agent_id}", f"{agent_id}:b"):
            scanned.store_observations(f"{name}::model=m", ())
            scanned.store_observations(name, ())
            scanned.store_run(make_run(agent_id=name))
        entries = list(scanned.scan(Selection(agent_id=agent_id), ignore_progress))
        assert sorted((entry.kind, entry.key) for entry in entries) == sorted(
            [("observations", agent_id), ("observations", f"{agent_id}::model=m"), ("run", f"{agent_id}:r")]
        )

    def test_some_keys(self, scanned):
        """A scan for some keys yields their windows and results alone; runs are not affected."""
        for key in ("a", "b", "c"):
            scanned.store_observations(key, ())
            scanned.store_stability(key, make_result())
        scanned.store_run(make_run(agent_id="c"))
        entries = list(scanned.scan(Selection(keys=frozenset({"a", "b"})), ignore_progress))
        assert sorted((entry.kind, entry.key) for entry in entries) == [
            *(("observations", key) for key in "ab"),
            ("run", "c:r"),
            *(("stability", key) for key in "ab"),
        ]

    def test_run_order(self, scanned):
        """A scan yields the runs of an agent in the order of its index."""
        for name in "bca":
            scanned.store_run(make_run(run_id=name))
        assert [entry.key for entry in scanned.scan(Selection(), ignore_progress)] == ["a:b", "a:c", "a:a"]

    def test_progress(self, scanned):
        """Progress reports the bytes of the documents."""
        told = []
        for i in range(3):
            scanned.store_observations(str(i), [make_ir(("user-0", "x" * i))])
        entries = list(scanned.scan(Selection(), lambda n, total: told.append((n, total))))
        assert sum(n for n, _ in told) == sum(len(entry.raw) for entry in entries)
        assert {total for _, total in told} <= {0, sum(len(entry.raw) for entry in entries)}
