"""Appends from a real Redis fetch the runs that the history lacks, by the indexes, and nothing else of the runs."""

import pytest
from learned_backend import learned_backend
from strategies import make_request, make_run

import acg_lab as acg
from acg_lab.fleet import append_history
from acg_lab.storage import redis_new_runs

PREFIX = "nemo_relay:"


def learn(url, n_runs, agents=("a",)):
    with acg.RedisBackend(url, key_prefix=PREFIX, writable=True) as backend:
        for agent_id in agents:
            learned_backend(agent_id, n_runs=n_runs, backend=backend)


def store(url, numbers, agent_id="a"):
    with acg.RedisBackend(url, key_prefix=PREFIX, writable=True) as backend:
        for number in numbers:
            backend.store_run(make_run(make_request(f"question {number}"), agent_id=agent_id, run_id=f"run-{number}"))


def ids(snapshot):
    return [run.id for run in snapshot.runs]


def values_read(client, work):
    """Return how many keys the server looked up meanwhile, but for their lengths."""

    def count():
        lengths = client.info("commandstats").get("cmdstat_strlen", {"calls": 0})["calls"]
        return client.info("stats")["keyspace_hits"] - lengths

    before = count()
    work()
    return count() - before


@pytest.mark.parametrize("kind", [None, "agent"])
def test_only_new_runs_are_fetched(redis_url, redis_client, tmp_path, kind):
    """Of a hundred runs that are there none is read again; windows are those of now."""
    place = tmp_path / "history"
    learn(redis_url, 3, ["a", "b"])
    store(redis_url, range(100, 200))
    first = append_history(redis_url, place, partition_by=kind)
    assert len(first.snapshot.runs) == 106
    store(redis_url, [200, 201])
    added = []
    n_read = values_read(redis_client, lambda: added.append(append_history(redis_url, place)))
    assert ids(added[0].snapshot) == ["run-200", "run-201"]
    assert n_read < 40
    assert acg.load(place) == acg.load(redis_url)


def test_what_the_server_drops_stays(redis_url, redis_client, tmp_path):
    """Runs that production trims and keys that expire stay in the history, in the order of the index."""
    place = tmp_path / "history"
    learn(redis_url, 2)
    store(redis_url, range(10, 16))
    append_history(redis_url, place)
    whole = acg.load(redis_url)
    redis_client.ltrim(f"{PREFIX}runs_index:a", 6, -1)
    redis_client.delete(*(f"{PREFIX}runs:a:{run_id}" for run_id in ids(whole)[:6]))
    store(redis_url, [16])
    assert ids(append_history(redis_url, place).snapshot) == ["run-16"]
    assert ids(acg.load(place)) == [*ids(whole), "run-16"]
    assert dict(acg.load(place).windows) == dict(whole.windows)


def test_an_index_is_read_from_its_end(redis_url, tmp_path, monkeypatch):
    """However long an index is, it is read from its newest end, until a whole slice of it is known."""
    monkeypatch.setattr(redis_new_runs, "_SLICE", 4)
    place = tmp_path / "history"
    learn(redis_url, 2)
    append_history(redis_url, place)
    for numbers in (range(10, 13), range(13, 23), range(23, 24)):
        store(redis_url, numbers)
        assert ids(append_history(redis_url, place).snapshot) == [f"run-{number}" for number in numbers]
    assert acg.load(place) == acg.load(redis_url)
    assert append_history(redis_url, place).piece == ""


def test_a_run_that_is_in_the_index_twice(redis_url, redis_client, tmp_path):
    """It counts once, at its first position."""
    learn(redis_url, 3)
    redis_client.rpush(f"{PREFIX}runs_index:a", "run-0")
    append_history(redis_url, tmp_path / "history")
    assert ids(acg.load(tmp_path / "history")) == ids(acg.load(redis_url)) == ["run-0", "run-1", "run-2"]


def test_problems_do_not_hide_the_rest(redis_url, redis_client, tmp_path):
    """An id without its run, a run that is no JSON, and an index of another type are problems, each time."""
    learn(redis_url, 2, ["a", "b"])
    redis_client.rpush(f"{PREFIX}runs_index:a", "gone", "broken")
    redis_client.set(f"{PREFIX}runs:a:broken", "{")
    redis_client.set(f"{PREFIX}runs_index:c", "no list")
    for n_new in (4, 0):
        with pytest.warns(acg.LoadWarning, match="3 entries can't be read"):
            added = append_history(redis_url, tmp_path / "history")
        assert len(added.snapshot.runs) == n_new
        assert len(added.snapshot.problems) == 3
    assert len(acg.load(tmp_path / "history").runs) == 4


def test_one_agent_of_a_redis(redis_url, tmp_path):
    """With an agent only its index is read, and only its windows are kept."""
    learn(redis_url, 2, ["a", "ab"])
    added = append_history(redis_url, tmp_path / "history", agent_id="a")
    assert added.snapshot.agent_ids == ("a",)
    assert acg.load(tmp_path / "history") == acg.load(learned_backend("a", n_runs=2))


def test_a_server_that_is_gone(tmp_path):
    """Nothing is added, no password is shown, and the folder may be used later."""
    with pytest.raises(acg.SourceError) as raised:
        append_history("redis://user:secret@127.0.0.1:1/0", tmp_path / "history")
    assert "secret" not in str(raised.value)
    append_history(learned_backend(), tmp_path / "history")
    assert acg.load(tmp_path / "history") == acg.load(learned_backend())


def test_reading_sends_no_other_commands(redis_url, redis_client, tmp_path):
    """An append sends the commands of reading alone."""
    learn(redis_url, 2)
    redis_client.config_resetstat()
    append_history(redis_url, tmp_path / "history")
    sent = {name.removeprefix("cmdstat_").partition("|")[0] for name in redis_client.info("commandstats")}
    allowed = {"scan", "get", "mget", "strlen", "type", "llen", "lrange", "getrange", "info"}
    ours = {"config", "client", "hello", "select", "ping", "command"}
    assert sent <= allowed | ours
