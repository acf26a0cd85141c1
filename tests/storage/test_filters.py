"""Filters are applied where the data is: what is not wanted is not read."""

import contextlib
import random

import msgspec
import pyarrow as pa
import pytest
from learned_backend import learned_backend, run_of

import acg_lab as acg
from acg_lab.cli import main
from acg_lab.storage.memory import MemoryBackend
from acg_lab.storage.parquet_files import Files
from acg_lab.storage.redis_backend import RedisBackend

LONG = "long prompts " * 2000
AGENTS = ("a", "b", "c")


def filled():
    """Return a backend with three agents, with 24 runs of one long request each, and short windows."""
    backend = MemoryBackend()
    for agent_id in AGENTS:
        learned_backend(agent_id, 2, backend=backend)
        for number in range(24):
            run = run_of(agent_id, number, [f"{agent_id} {number} {LONG}"])
            backend.store_run(msgspec.structs.replace(run, id=f"long-{number}", ended_at=run.started_at))
    return backend


@pytest.fixture(scope="module")
def source():
    return filled()


@pytest.fixture
def stored(source, redis_url):
    acg.load(source).to_redis(redis_url, key_prefix="p:")
    return redis_url


@contextlib.contextmanager
def counted_output(client):
    """Count the bytes that the server sends to others meanwhile."""
    before, counts = client.info("stats")["total_net_output_bytes"], []
    yield counts
    counts.append(client.info("stats")["total_net_output_bytes"] - before)


EVERYTHING = len(AGENTS) * 24 * len(LONG)


@pytest.mark.parametrize(
    ("options", "share"),
    [
        ({}, 1.2),
        ({"agent_id": "b"}, 0.4),
        ({"limit": 2}, 0.12),
        ({"since": "2026-11-20"}, 0.3),
        ({"since": "2026-11-20", "limit": 1, "agent_id": "a"}, 0.05),
        ({"since": "2027-01-01"}, 0.05),
    ],
)
def test_a_redis_sends_what_is_wanted(stored, source, redis_client, options, share):
    """The server sends no more than the runs that are wanted, and the snapshot is that of a whole read, filtered."""
    with counted_output(redis_client) as counts:
        snap = acg.load(stored, **options)
    assert counts[0] < share * EVERYTHING
    assert snap == acg.load(source, **options)


def test_runs_without_a_visible_time_are_read(stored, redis_client, source):
    """A run with other fields after its times is read to see when it began; where GETRANGE is refused, all are."""
    key = "p:runs:a:long-3"
    raw = redis_client.get(key)
    redis_client.set(key, raw[:-1] + b',"later":{"started_at":"2030-01-01T00:00:00Z"}}')
    assert "long-3" not in {run.id for run in acg.load(stored, since="2026-11-20").runs.records}
    redis_client.execute_command("ACL", "SETUSER", "old", "on", ">pw", "~*", "+@all", "-getrange")
    url = stored.replace("redis://", "redis://old:pw@")
    try:
        with counted_output(redis_client) as counts:
            snap = acg.load(url, since="2026-11-20")
    finally:
        redis_client.execute_command("ACL", "DELUSER", "old")
    assert counts[0] > EVERYTHING
    assert [run.id for run in snap.runs] == [run.id for run in acg.load(source, since="2026-11-20").runs]


def test_the_command_names_agents_without_reading_them(stored, redis_client, capsys, tmp_path, source):
    """An agent that does not exist is answered from the names of keys, or from one column of an export."""
    acg.load(source).to_parquet(tmp_path / "export")
    with counted_output(redis_client) as counts:
        for place in (stored, str(tmp_path / "export")):
            with pytest.raises(SystemExit) as ended:
                main(["analyze", place, "--agent", "d"])
            assert ended.value.code == 2
            told = " ".join(capsys.readouterr().err.split())
            assert "There is no agent 'd' in " in told
            assert "; it holds 'c', 'b', 'a'." in told
    assert counts[0] < 0.02 * EVERYTHING


def test_listed_agents_are_those_of_a_load(stored, source, tmp_path):
    """Agents are listed with profiles, seed entries or runs alone, in every kind of source."""
    source = filled()
    source.store_run(run_of("run::only", 1, ["x"]))
    source.store_observations("window-only", ())
    snap = acg.load(source)
    snap.to_parquet(tmp_path / "export")
    assert acg.ParquetExport(tmp_path / "export").list_agents() == {*snap.agent_ids}
    with RedisBackend(stored, key_prefix="q:", writable=True) as backend:
        backend.restore(snap.columns)
        assert backend.list_agents() == {*snap.agent_ids}


def count_reads(monkeypatch):
    counts, opened = [], Files.open

    class Counting:
        closed = False

        def __init__(self, file):
            self._file = file

        def __getattr__(self, name):
            return getattr(self._file, name)

        def read(self, n=-1):
            data = self._file.read(n)
            counts.append(len(data))
            return data

        def read_buffer(self, n):
            data = self._file.read_buffer(n)
            counts.append(data.size)
            return data

    monkeypatch.setattr(Files, "open", lambda self, name: pa.PythonFile(Counting(opened(self, name)), mode="r"))
    return counts


def test_an_export_is_read_by_agent(tmp_path, monkeypatch):
    """Of an export of many agents with texts of their own, one agent is read without those of the others."""
    monkeypatch.setattr("acg_lab.storage.parquet_writer._GROUP_BYTES", 1 << 15)
    backend, noise = MemoryBackend(), random.Random(7)
    for i in range(12):
        for number in range(10):
            backend.store_run(run_of(f"agent-{i:02}", number, [noise.randbytes(12_000).hex()]))
    acg.load(backend).to_parquet(tmp_path / "export")
    counts = count_reads(monkeypatch)
    everything = acg.load(tmp_path / "export")
    whole, counts[:] = sum(counts), []
    one = acg.load(tmp_path / "export", agent_id="agent-07")
    assert sum(counts) < 0.35 * whole
    assert list(one.runs) == [run for run in everything.runs if run.agent_id == "agent-07"]
    counts.clear()
    with pytest.raises(acg.UsageError, match=r"it holds 'agent-\d\d', "):
        acg.load(tmp_path / "export", agent_id="nobody")
    assert sum(counts) < 0.25 * whole


@pytest.mark.parametrize(
    ("options", "share"), [({"limit": 2}, 0.45), ({"since": "2026-11-09"}, 0.45), ({"since": "2027-01-01"}, 0.25)]
)
def test_an_export_is_read_by_time_and_number(tmp_path, monkeypatch, options, share):
    """Of an export, runs since a time or the newest of each agent are read without the texts of others."""
    monkeypatch.setattr("acg_lab.storage.parquet_writer._GROUP_BYTES", 1 << 15)
    monkeypatch.setattr("acg_lab.storage.parquet_writer._SMALL_GROUP", {"blocks": 4, "calls": 4})
    backend, noise = MemoryBackend(), random.Random(7)
    for i in range(12):
        for number in range(10):
            backend.store_run(run_of(f"agent-{i:02}", number, [noise.randbytes(12_000).hex()]))
    acg.load(backend).to_parquet(tmp_path / "export")
    counts = count_reads(monkeypatch)
    assert acg.load(tmp_path / "export") == acg.load(backend)
    whole, counts[:] = sum(counts), []
    assert acg.load(tmp_path / "export", **options) == acg.load(backend, **options)
    assert sum(counts) < share * whole
