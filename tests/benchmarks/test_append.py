"""What an incremental export costs: what its day costs, however long the history is."""

import contextlib
from itertools import count

import pytest
import redis
from benchmarks.measuring import best_in_turns, tell
from strategies import make_ir, make_request, make_run

import acg_lab as acg
from acg_lab.core.codec import encode, encode_window
from acg_lab.fleet import append_history
from acg_lab.storage.memory import MemoryBackend

N_DAYS, N_KEPT, N_RUNS, N_TURNS = 365, 30, 40, 5
AGENTS = [f"agent-{number}" for number in range(4)]
TEXT = "what an agent is told and says " * 10
WINDOW = tuple(make_ir(*((f"user-{block}", f"{number} {TEXT}") for block in range(4))) for number in range(20))


def runs_of(day):
    """Return the runs of a day, of several requests each, that no other day has."""
    for agent_id in AGENTS:
        for number in range(N_RUNS):
            messages = [{"role": "user", "content": f"{agent_id} {day} {number} {turn} {TEXT}"} for turn in range(4)]
            requests = [make_request(*messages[: turn + 1]) for turn in range(4)]
            yield make_run(*requests, agent_id=agent_id, run_id=f"run-{day}-{number}")


def store(url, days):
    """Fill a database with what production keeps: windows, and the runs of some days."""
    with contextlib.closing(redis.Redis.from_url(url)) as client, client.pipeline(transaction=False) as pipeline:
        for agent_id in AGENTS:
            pipeline.set(f"nemo_relay:acg_observations:{agent_id}", encode_window(WINDOW))
        for run in (run for day in days for run in runs_of(day)):
            pipeline.set(f"nemo_relay:runs:{run.agent_id}:{run.id}", encode(run))
            pipeline.rpush(f"nemo_relay:runs_index:{run.agent_id}", run.id)
        pipeline.execute()


def snapshot_of(day):
    backend = MemoryBackend()
    for agent_id in AGENTS:
        backend.store_observations(agent_id, WINDOW)
    for run in runs_of(day):
        backend.store_run(run)
    return acg.load(backend)


@pytest.mark.slow
@pytest.mark.benchmark(group="append")
def test_a_day_to_a_year(benchmark, start_redis, tmp_path):
    """To add a day to a year of daily pieces costs at most twice what that day costs alone."""
    for day in range(N_DAYS):
        append_history(snapshot_of(day), tmp_path / "year")
    server = start_redis()
    for turn in range(1, N_TURNS + 1):
        today = N_DAYS + turn
        store(server.url(turn), range(today - N_KEPT, today))
        store(server.url(turn + N_TURNS), [today - 1])
    turns, turns_alone = count(1), count(1)
    added = []

    def to_year():
        added.append(append_history(server.url(next(turns)), tmp_path / "year"))

    def alone():
        turn = next(turns_alone)
        added.append(append_history(server.url(turn + N_TURNS), tmp_path / f"day-{turn}"))

    year, day = best_in_turns(benchmark, [to_year, alone], N_TURNS)
    assert {len(one.snapshot.runs) for one in added} == {N_RUNS * len(AGENTS)}
    tell(benchmark, n_pieces=N_DAYS + N_TURNS, seconds_to_year=year, seconds_alone=day, ratio=year / day)
    assert year < 2 * day
