"""A Redis in production's layout: what is stored, what is sent, and what is refused."""

import asyncio
import subprocess
import sys

import pytest
import redis
from strategies import make_ir, make_request, make_run

from acg_lab.core import StabilityAnalysisResult
from acg_lab.core.codec import encode, encode_window
from acg_lab.core.errors import RecordError, SourceError, UsageError
from acg_lab.core.records import RunRecord
from acg_lab.storage import redis_scan
from acg_lab.storage.base import Selection
from acg_lab.storage.redis_backend import AsyncRedisBackend, RedisBackend
from acg_lab.storage.redis_client import READ_COMMANDS, WRITE_COMMANDS
from acg_lab.storage.redis_scan import SEARCH_STEPS, Found, RedisRefusal, group_by_size, search_prefix

RESULT = StabilityAnalysisResult(scores=(), stable_prefix_length=0, total_observations=1)
WINDOW = (make_ir(("user-0", "hello")),)
HANDSHAKE = {"auth", "client", "hello", "ping", "select"}


@pytest.fixture
def lab(redis_url):
    """A backend as the lab opens it."""
    with RedisBackend(redis_url) as backend:
        yield backend


@pytest.fixture
def writer(redis_url):
    with RedisBackend(redis_url, key_prefix="nemo_flow:", writable=True) as backend:
        yield backend


def list_entries(backend, selection=Selection()):  # noqa: B008  # immutable
    return list(backend.scan(selection))


class TestLayout:
    def test_keys(self, writer, redis_client):
        """Documents are where production puts them, as it prints them, and runs in a list of ids."""
        run = make_run(make_request("hello"), run_id="4d0f", agent_id="x:y")
        writer.store_observations("x:y::model=m", WINDOW)
        writer.store_stability("x:y", RESULT)
        writer.store_run(run)
        assert sorted(redis_client.keys()) == [
            b"nemo_flow:acg_observations:x:y::model=m",
            b"nemo_flow:acg_stability:x:y",
            b"nemo_flow:runs:x:y:4d0f",
            b"nemo_flow:runs_index:x:y",
        ]
        assert redis_client.get("nemo_flow:acg_observations:x:y::model=m") == encode_window(WINDOW)
        assert redis_client.get("nemo_flow:acg_stability:x:y") == encode(RESULT)
        assert redis_client.get("nemo_flow:runs:x:y:4d0f") == encode(run)
        assert redis_client.lrange("nemo_flow:runs_index:x:y", 0, -1) == [b"4d0f"]

    def test_others_keys(self, writer, redis_client):
        """What other learners and applications store is neither read nor touched."""
        others = {f"nemo_flow:{name}:a": b"{}" for name in ("plan", "trie", "accumulators")} | {"session:1": b"x"}
        redis_client.mset(others)
        writer.store_run(make_run())
        assert [entry.key for entry in list_entries(writer)] == ["a:r"]
        assert {key: redis_client.get(key) for key in others} == others

    def test_store_run_is_one_transaction(self, writer, redis_server):
        """A run and its place in the index are stored between MULTI and EXEC, as production does."""
        with redis.Redis.from_url(redis_server.url()) as client, client.monitor() as monitor:
            writer.store_run(make_run())
            seen = []
            while "EXEC" not in seen:
                seen.append(monitor.next_command()["command"].split()[0])
        assert seen[-4:] == ["MULTI", "SET", "RPUSH", "EXEC"]

    def test_stored_twice(self, writer, redis_client):
        """A run that is stored again does not enter the index again, however long that is."""
        ids = [str(i) for i in range(12_000)]
        redis_client.rpush("nemo_flow:runs_index:a", *ids)
        writer.store_run(make_run(run_id="new"))
        for run_id in ("11999", "new", "5000", "new"):
            redis_client.set(f"nemo_flow:runs:a:{run_id}", b"{}")
            writer.store_run(make_run(run_id=run_id))
        assert redis_client.lrange("nemo_flow:runs_index:a", 0, -1) == [run_id.encode() for run_id in [*ids, "new"]]

    def test_orphan_stored_again(self, writer, redis_client):
        """Storing a run that no index holds puts it into the index."""
        redis_client.set("nemo_flow:runs:a:r", b"{}")
        writer.store_run(make_run())
        assert writer.list_runs("a") == (make_run(),)

    def test_index_twice(self, writer, redis_client):
        """An id that production pushed twice counts once, where it is first."""
        for name in "rs":
            writer.store_run(make_run(run_id=name))
        redis_client.rpush("nemo_flow:runs_index:a", "r")
        assert [run.id for run in writer.list_runs("a")] == ["r", "s"]
        assert [entry.key for entry in list_entries(writer)] == ["a:r", "a:s"]

    def test_long_index(self, writer, redis_client):
        """An index is read whole, in its order, however long it is."""
        ids = [f"{i * 7919 % 10_007}" for i in range(10_007)]
        redis_client.rpush("nemo_flow:runs_index:a", *ids)
        redis_client.mset({f"nemo_flow:runs:a:{run_id}": b"{}" for run_id in ids})
        assert [entry.key for entry in list_entries(writer)] == [f"a:{run_id}" for run_id in ids]


class TestPrefix:
    @pytest.mark.parametrize("prefix", ["nemo_flow:", "nemo_relay:", "", "team*[a]?\\:", "a:b::", "é "])
    @pytest.mark.parametrize("key", ["acg_observations:a", "acg_stability:a::model=m", "runs_index:a"])
    def test_found(self, lab, redis_client, prefix, key):
        """The prefix in use is found by any of production's keys, whatever it is."""
        redis_client.set("acg:other", b"")
        redis_client.set("session_id_x:1", b"")
        redis_client.set(prefix + key, b"")
        assert lab.key_prefix == "auto"
        assert lab.load_stability("nobody") is None
        assert lab.key_prefix == prefix

    @pytest.mark.parametrize("prefix", ["", "p*[a]?\\:", "p::"])
    def test_others_prefix(self, redis_url, redis_client, prefix):
        """Under a given prefix only its own keys are read."""
        for other in (prefix, f"x{prefix}", f"{prefix}x", "pa:", "p*a\\:"):
            redis_client.set(f"{other}acg_stability:{other}", encode(RESULT))
        with RedisBackend(redis_url, key_prefix=prefix) as backend:
            assert [entry.key for entry in list_entries(backend)] == [prefix]

    def test_two(self, lab, redis_client):
        """Two prefixes are an error that names both and says what to do; nothing is guessed."""
        redis_client.set("nemo_flow:acg_stability:a", encode(RESULT))
        redis_client.rpush("nemo_relay:runs_index:a", "r")
        with pytest.raises(UsageError, match=r"'nemo_flow:' and 'nemo_relay:'.*key_prefix="):
            list_entries(lab)

    def test_none(self, lab, redis_client):
        """A source without entries is an error that says how to name the prefix."""
        redis_client.set("session:1", b"x")
        with pytest.raises(SourceError, match=r"no ACG entries under any prefix.*key_prefix='nemo_relay:'"):
            list_entries(lab)

    def test_none_to_write(self, redis_url):
        """A source without entries can't be written to until a prefix is named."""
        with (
            RedisBackend(redis_url, writable=True) as backend,
            pytest.raises(UsageError, match="name the prefix to write under"),
        ):
            backend.store_run(make_run())

    def test_named_and_empty(self, redis_url):
        """A source without entries may be read if its prefix is named."""
        with RedisBackend(redis_url, key_prefix="nemo_flow:") as backend:
            assert list_entries(backend) == []

    def test_bounded(self):
        """The search ends after a bounded number of SCANs, with what it has found till then."""
        step, reply = search_prefix("label", writable=False), [(7, [b"p:acg_stability:a"])]
        step.send(None)
        for _ in range(SEARCH_STEPS - 1):
            step.send(reply)
        with pytest.raises(StopIteration) as stopped:
            step.send(reply)
        assert stopped.value.value == ({"p:"}, False)

    def test_ended_without_result(self):
        """A search that ends with nothing found does not say that there is nothing, whether for reading or writing."""
        for writable in (False, True):
            step, reply = search_prefix("label", writable=writable), [(7, [])]
            step.send(None)
            for _ in range(SEARCH_STEPS - 1):
                step.send(reply)
            with pytest.raises(SourceError, match="among the first million keys, where the search for their prefix"):
                step.send(reply)

    def test_far_prefixes(self, redis_url, redis_client, monkeypatch, caplog):
        """Behind many other keys a prefix is found, and a second one is seen, by whatever reads everything."""
        monkeypatch.setattr("acg_lab.storage.redis_scan.SEARCH_STEPS", 1)
        redis_client.mset({f"session:{i}": b"x" for i in range(8000)})
        redis_client.mset({f"p:acg_stability:{i}": encode(RESULT) for i in range(4000)})
        with RedisBackend(redis_url) as backend:
            assert backend.load_stability("1") == RESULT
            assert "another one further on would go unseen" in caplog.text
            assert backend.list_agents() == {str(i) for i in range(4000)}
            assert len(list_entries(backend)) == 4000
        redis_client.set("q:acg_stability:a", encode(RESULT))
        with RedisBackend(redis_url) as backend, pytest.raises(UsageError, match="'p:' and 'q:'"):
            list_entries(backend)


REFUSED = [
    ("SET", "k", "v"), ("set", "k", "v"), (b"SET", "k", "v"), ("DEL", "k"), ("FLUSHALL",), ("FLUSHDB",), ("KEYS", "*"),
    ("EVAL", "return redis.call('set', 'k', 'v')", 0), ("EVALSHA", "0" * 40, 0), ("SCRIPT LOAD", "return 1"),
    ("MULTI",), ("EXEC",), ("WATCH", "k"), ("RPUSH", "k", "v"), ("EXPIRE", "k", 1), ("RENAME", "k", "l"),
    ("CONFIG SET", "maxmemory", 1), ("CONFIG", "GET", "*"), ("CLIENT KILL", "TYPE", "normal"), ("CLIENT", "PAUSE", 1),
    ("GETDEL", "k"), ("GETEX", "k"), ("GETSET", "k", "v"), ("SUBSCRIBE", "k"), ("SHUTDOWN",),
    ("SORT", "k", "STORE", "l"),     ("MONITOR",), ("DEBUG", "SLEEP", 1), ("MIGRATE",), ("",),
]  # fmt: skip


class TestGuard:
    @pytest.fixture(autouse=True)
    def untouched(self, redis_client):
        """Nothing that these tests try reaches the server."""
        redis_client.set("k", "untouched")
        redis_client.config_resetstat()
        yield
        assert redis_client.get("k") == b"untouched"
        assert redis_client.dbsize() == 1
        sent = set(redis_client.info("commandstats"))
        allowed = {"config", "info", "get", "dbsize", *HANDSHAKE}
        assert {name.removeprefix("cmdstat_") for name in sent} <= allowed

    @pytest.mark.parametrize("command", REFUSED)
    def test_commands(self, lab, command):
        """A reading client refuses every command that is not for reading."""
        with pytest.raises(UsageError, match="refused"):
            lab._client.execute_command(*command)

    @pytest.mark.parametrize("command", REFUSED)
    @pytest.mark.parametrize("transaction", [True, False])
    def test_pipelines(self, lab, command, transaction):
        """Nor can such a command leave in a pipeline or a transaction, hidden behind allowed ones."""
        with lab._client.pipeline(transaction=transaction) as pipeline:
            pipeline.get("k")
            with pytest.raises(UsageError, match="refused"):
                _ = pipeline.execute_command(*command).execute()

    @pytest.mark.parametrize(
        "use",
        [
            lambda client: client.register_script("return 1")(),
            lambda client: client.transaction(lambda pipeline: pipeline.set("k", "v")),
            lambda client: client.transaction(lambda pipeline: pipeline.set("k", "v"), "k"),
            lambda client: client.lock("l").acquire(),
            lambda client: client.pubsub().subscribe("k"),
            lambda client: client.monitor().__enter__(),
            lambda client: client.client().set("k", "v"),
            lambda client: client.connection_pool.connection_class(
                **client.connection_pool.connection_kwargs
            ).send_command("SET", "k", "v"),
        ],
        ids=["script", "transaction", "watch", "lock", "pubsub", "monitor", "own connection", "connection"],
    )
    def test_side_doors(self, lab, use):
        """Nor by redis-py's other ways: the guard sits in the connection."""
        with pytest.raises(UsageError, match="refused"):
            use(lab._client)
        lab.close()

    @pytest.mark.parametrize("command", REFUSED)
    @pytest.mark.parametrize("transaction", [None, True, False])
    def test_asyncio(self, redis_url, command, transaction):
        """The asyncio client refuses the same, alone, in a transaction, or in a pipeline."""

        async def use():
            async with AsyncRedisBackend(redis_url) as backend:
                if transaction is None:
                    await backend._client.execute_command(*command)
                async with backend._client.pipeline(transaction=bool(transaction)) as pipeline:
                    queued = pipeline.get("k").execute_command(*command)
                    await (queued if command[0] == "WATCH" else pipeline.execute())

        with pytest.raises(UsageError, match="refused"):
            asyncio.run(use())

    @pytest.mark.parametrize(
        "command", [c for c in REFUSED if str(c[0]).upper() not in WRITE_COMMANDS and c[0] != b"SET"]
    )
    def test_writer(self, writer, command):
        """A writing client lets out what storing needs, and nothing else."""
        with pytest.raises(UsageError, match="refused"):
            writer._client.execute_command(*command)

    @pytest.mark.parametrize(
        "store",
        [
            lambda backend: backend.store_observations("a", WINDOW),
            lambda backend: backend.store_stability("a", RESULT),
            lambda backend: backend.store_run(make_run()),
        ],
    )
    def test_storing(self, redis_url, store):
        """Storing with a reading client says how to open a writing one."""
        with (
            RedisBackend(redis_url, key_prefix="p:") as backend,
            pytest.raises(UsageError, match=r"writable=True \(--allow-write\)"),
        ):
            store(backend)


class TestReading:
    def test_commands_sent(self, lab, writer, redis_client):
        """All that reading sends to the server are the allowed commands, and KEYS is not among them."""
        for i in range(20):
            writer.store_observations(str(i), WINDOW)
            writer.store_run(make_run(run_id=str(i)))
        redis_client.rpush("nemo_flow:acg_stability:list", "x")
        redis_client.config_resetstat()
        assert len(list_entries(lab)) == 41
        assert len(list_entries(lab, Selection(agent_id="a"))) == 20
        assert len(lab.list_runs("a")) == 20
        assert lab.load_observations("0") == WINDOW
        sent = {name.removeprefix("cmdstat_") for name in redis_client.info("commandstats")}
        assert {"scan", "mget", "get", "strlen", "type", "llen", "lrange"} <= sent
        assert sent - HANDSHAKE - {"config", "info"} <= {name.lower() for name in READ_COMMANDS}

    def test_batches(self, lab, redis_client):
        """Values are asked for in groups of up to 512 KiB, and a larger value in pieces of as much."""
        sizes = {"a": 1 << 18, "b": 1 << 18, "c": 1, "d": 3 << 18, "e": 1, "f": 20 << 20}
        for name, size in sizes.items():
            redis_client.set(f"p:acg_observations:{name}", b"x" * size)
        redis_client.config_resetstat()
        told = []
        entries = list(lab.scan(Selection(), lambda n, total: told.append((n, total))))
        assert {entry.key: len(entry.raw) for entry in entries} == sizes
        total = sum(sizes.values())
        assert told == [(1 << 19, total), (1, total), (3 << 18, total), (1, total), (20 << 20, total)]
        calls = redis_client.info("commandstats")
        assert (calls["cmdstat_mget"]["calls"], calls["cmdstat_getrange"]["calls"]) == (3, 2 + 40 + 2 * 2 * 2)

    def test_many_small(self, lab, redis_client):
        """A group holds at most a thousand values, be they ever so small."""
        redis_client.mset({f"p:acg_stability:{i}": b"" for i in range(2500)})
        assert len(list_entries(lab)) == 2500
        assert [len(group) for group in group_by_size(Found("stability", "", b"") for _ in range(2500))] == [
            1000,
            1000,
            500,
        ]

    def test_no_transaction(self, lab, writer):
        """A window that goes while a scan is under way is left out."""
        for i in range(3):
            writer.store_observations(str(i), [make_ir(("user-0", "x" * (2 << 20)))])
        entries = lab.scan(Selection())
        assert next(entries).key == "0"
        with redis.Redis.from_url(lab.label) as client:
            client.delete("nemo_flow:acg_observations:1")
        assert [entry.key for entry in entries] == ["2"]

    def test_interrupted(self, lab, writer):
        """A scan may be left in the middle, and the backend used on."""
        for i in range(3):
            writer.store_observations(str(i), WINDOW)
        assert next(lab.scan(Selection())).key == "0"
        assert len(list_entries(lab)) == 3

    def test_loads_no_redis(self):
        """Importing the backend does not import redis-py."""
        code = "import sys, acg_lab.storage.redis_backend, acg_lab.storage.sources; assert 'redis' not in sys.modules"
        subprocess.run([sys.executable, "-c", code], check=True)


class TestBadEntries:
    def problems(self, entries):
        return {entry.key: entry.raw for entry in entries if isinstance(entry.raw, RecordError)}

    @pytest.mark.parametrize("name", ["acg_observations:bad", "acg_stability:bad", "runs:a:bad"])
    def test_other_type(self, lab, writer, redis_client, name):
        """A key of another type comes as an error in its place; the others come too."""
        writer.store_stability("good", RESULT)
        redis_client.hset(f"nemo_flow:{name}", "x", "y")
        entries = list_entries(lab)
        (error,) = self.problems(entries).values()
        assert error.key == f"nemo_flow:{name}"
        assert str(error) == f"{lab.label}, key 'nemo_flow:{name}', at $: expected a string, got a hash"
        assert len(entries) == 2

    def test_loading_other_type(self, lab, redis_client):
        """Loading a key of another type is a record error that names source and key."""
        redis_client.rpush("p:acg_stability:a", "x")
        redis_client.rpush("p:acg_observations:a", "x")
        redis_client.rpush("p:runs:a:r", "x")
        redis_client.rpush("p:runs_index:a", "r")
        for load in (lab.load_stability, lab.load_observations, lab.list_runs):
            with pytest.raises(RecordError, match=r"redis://.*, key 'p:.*', at \$: expected a string, got a"):
                load("a")

    def test_index_of_other_type(self, lab, writer, redis_client):
        """An index of another type comes as an error; its runs come as those without an index do."""
        redis_client.set("nemo_flow:runs_index:bad", "x")
        redis_client.set("nemo_flow:runs:bad:r", encode(make_run(agent_id="bad")))
        writer.store_run(make_run())
        entries = list_entries(lab)
        assert [entry.key for entry in entries] == ["a:r", "bad", "bad:r"]
        assert str(self.problems(entries)["bad"]).endswith("expected a list of run ids, got a key of another type")
        for use in (lab.list_runs, lambda agent_id: writer.store_run(make_run(agent_id=agent_id, run_id="new"))):
            with pytest.raises(RecordError, match="expected a list of run ids, got a key of another type"):
                use("bad")
        assert not redis_client.exists("nemo_flow:runs:bad:new")

    @pytest.mark.parametrize("end", [1, 40, -1])
    def test_cut(self, lab, writer, redis_client, end):
        """JSON that ends in the middle is handed on by a scan as it is, and refused by loading with source and key."""
        writer.store_observations("a", WINDOW)
        writer.store_stability("a", RESULT)
        writer.store_run(make_run())
        for stored in ("acg_observations:a", "acg_stability:a", "runs:a:r"):
            redis_client.set(f"nemo_flow:{stored}", redis_client.get(f"nemo_flow:{stored}")[:end])
        assert [type(entry.raw) for entry in list_entries(lab)] == [bytes] * 3
        for load in (lab.load_stability, lab.load_observations, lab.list_runs):
            with pytest.raises(RecordError) as refused:
                load("a")
            assert refused.value.source == lab.label
            assert refused.value.key in {
                "nemo_flow:acg_observations:a",
                "nemo_flow:acg_stability:a",
                "nemo_flow:runs:a:r",
            }

    def test_ids_without_runs(self, lab, writer, redis_client):
        """An id in the index without its run comes as an error in its place, and is passed over by list_runs."""
        for name in "rst":
            writer.store_run(make_run(run_id=name))
        redis_client.delete("nemo_flow:runs:a:s")
        entries = list_entries(lab)
        assert [entry.key for entry in entries] == ["a:r", "a:s", "a:t"]
        assert "expected the run of an id in the index, got none" in str(self.problems(entries)["a:s"])
        assert [run.id for run in lab.list_runs("a")] == ["r", "t"]

    def test_orphans(self, lab, writer, redis_client):
        """Runs that no index holds come last, and are not listed."""
        for agent_id, name in [("x:y", "r"), ("b", "r")]:
            writer.store_run(make_run(agent_id=agent_id, run_id=name))
        redis_client.set("nemo_flow:runs:a::b:lost", encode(make_run(agent_id="a::b", run_id="lost")))
        entries = list_entries(lab)
        assert [(entry.agent_id, entry.key) for entry in entries] == [
            ("b", "b:r"),
            ("x:y", "x:y:r"),
            ("a::b", "a::b:lost"),
        ]
        assert lab.list_runs("a::b") == ()
        assert [entry.key for entry in list_entries(lab, Selection(agent_id="a::b"))] == ["a::b:lost"]
        assert list_entries(lab, Selection(agent_id="a")) == []

    def test_no_text(self, lab, redis_client):
        """A key that is no UTF-8 comes as an error."""
        redis_client.set(b"p:acg_stability:\xff", encode(RESULT))
        redis_client.set(b"p:acg_stability:a", encode(RESULT))
        entries = list_entries(lab)
        assert [entry.key for entry in entries] == ["a", "\\xff"]
        assert "expected a key in UTF-8" in str(entries[1].raw)

    def test_empty(self, lab, redis_client):
        """An empty value is a value: it is read, and refused as JSON."""
        redis_client.set("p:acg_stability:a", b"")
        assert [entry.raw for entry in list_entries(lab)] == [b""]
        with pytest.raises(RecordError):
            lab.load_stability("a")

    def test_races(self):
        """A key that changes between two steps of a survey is reported by the step that finds out."""
        step = redis_scan.read_indexes("p:", ["a"])
        step.send(None)
        step.send([1])
        with pytest.raises(StopIteration) as stopped:
            step.send([RedisRefusal.WRONG_TYPE])
        assert stopped.value.value == {"a": []}


class TestManners:
    def test_repr(self, redis_url):
        """The repr is short: masked address and prefix."""
        with RedisBackend(redis_url.replace("//", "//u:secret@")) as backend:
            assert repr(backend) == f"RedisBackend({redis_url.replace('//', '//***@')!r}, key_prefix='auto')"
            assert backend.writable is False

    def test_closing(self, lab, writer):
        """Closing closes the connections; the backend may be used again, and closed twice."""
        writer.store_stability("a", RESULT)
        for _ in range(2):
            assert lab.load_stability("a") == RESULT
            lab.close()
        lab.close()

    def test_result_types(self, writer):
        """What comes back are records."""
        writer.store_run(make_run())
        assert isinstance(writer.list_runs("a")[0], RunRecord)

    def test_options_in_the_url(self, redis_url, redis_server):
        """Options in the URL are redis-py's; those that would change replies or retries are passed over."""
        options = "decode_responses=yes&socket_timeout=9&retry=3&retry_on_timeout=yes&protocol=3&client_name=lab"
        with RedisBackend(f"{redis_url}?{options}", key_prefix="p:", writable=True) as backend:
            backend.store_observations("a", WINDOW)
            backend.store_run(make_run())
            assert backend.load_observations("a") == WINDOW
            assert len(list_entries(backend)) == 2
            assert backend._client.connection_pool.connection_kwargs["socket_timeout"] == 9
        with RedisBackend(f"{redis_server.url(3)}", key_prefix="p:") as backend:
            assert list_entries(backend) == []
