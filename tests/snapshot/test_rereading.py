"""Verifying beside a live writer: no false alarm, and no difference overlooked."""

import contextlib
import threading
from itertools import count

import msgspec
import pytest
from learned_backend import learned_backend, run_of
from strategies import make_id

import acg_lab as acg
from acg_lab.cli import main
from acg_lab.core import AcgLearner, HotCache
from acg_lab.snapshot import Status
from acg_lab.storage.memory import MemoryBackend
from acg_lab.storage.redis_backend import RedisBackend

numbers = count(1000)


def learn_one(backend, agent_id="a"):
    number = next(numbers)
    run = run_of(agent_id, number % 27, [f"question {number}"])
    run = msgspec.structs.replace(run, id=f"run-{number}")
    backend.store_run(run)
    stamp = (make_id(number), run.started_at)
    AcgLearner(agent_id, rules="nemo-relay-0.8").process_run(run, backend, HotCache(), stamp=lambda: stamp)


class Written(MemoryBackend):
    """A backend that is written between the windows and the runs of its first scans."""

    def __init__(self, n_scans):
        super().__init__()
        self.left = n_scans

    def scan(self, *args):
        first, *rest = list(super().scan(*args))
        if self.left:
            self.left -= 1
            learn_one(self)
        yield first
        yield from (entry for entry in rest if entry.kind == "observations")
        yield from (entry for entry in super().scan(*args) if entry.kind != "observations")


def verify(backend):
    found = acg.verify(acg.load(backend), source=backend)
    return found, {verdict.status for verdict in found.verdicts}


@pytest.mark.parametrize("n_scans", [1, 3])
def test_what_is_written_meanwhile_is_no_alarm(n_scans):
    """Entries that differ on the first readings are equal on the next; without the source they would be an alarm."""
    assert not acg.verify(acg.load(learned_backend(backend=Written(1)))).ok
    found, statuses = verify(learned_backend(backend=Written(n_scans)))
    assert statuses == {Status.EQUAL}
    assert found.ok


def test_what_never_stands_still_is_said_to_have_changed():
    """If each reading finds other contents, nothing is said but that; and the reading ends."""
    found, statuses = verify(learned_backend(backend=Written(100)))
    assert statuses == {Status.CHANGED, Status.EQUAL}  # the seed entry still is a copy
    assert not found.ok
    assert found.conclusion == (
        "Nothing differs among the entries that could be compared; 1 of 2 changed while they were read."
    )
    assert "1 changed while reading" in repr(found)


def test_a_difference_that_stands_still_is_found_beside_a_writer():
    """A forged result of one agent is a difference, though another agent is written all the time."""
    backend = learned_backend(backend=learned_backend("b", backend=Written(100)))
    key = next(key for key in backend._results if key.startswith("b::"))
    result = backend.load_stability(key)
    backend.store_stability(key, msgspec.structs.replace(result, total_observations=99))
    found, _ = verify(backend)
    statuses = {verdict.key: verdict.status for verdict in found.verdicts if "::" in verdict.key}
    assert statuses.pop(key) == Status.DIFFERENT
    assert set(statuses.values()) == {Status.CHANGED}


@contextlib.contextmanager
def writing(url, agents):
    """Learn runs of all agents, one after the other, until the end."""
    ended, learned = threading.Event(), []

    def write():
        with RedisBackend(url, key_prefix="p:", writable=True) as backend:
            while not ended.is_set():
                learn_one(backend, agents[len(learned) % len(agents)])
                learned.append(1)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield learned
    finally:
        ended.set()
        writer.join()


def test_verify_beside_a_learner_on_a_redis(redis_url, capsys):
    """While a learner writes to six agents, no reading finds a difference or a lost update."""
    agents = [f"agent-{i}" for i in range(6)]
    with RedisBackend(redis_url, key_prefix="p:", writable=True) as backend:
        for agent_id in agents:
            learn_one(backend, agent_id)
    with writing(redis_url, agents) as learned:
        n_before = len(learned)
        for _ in range(3):
            found = acg.verify(acg.load(redis_url, progress=False), source=redis_url)
            assert {v.status for v in found.verdicts} <= {Status.EQUAL, Status.CHANGED}
            assert found.conclusion != "Something differs."
        with contextlib.suppress(SystemExit):
            main(["verify", redis_url])
        assert len(learned) > n_before
    assert "Something differs" not in capsys.readouterr().out
    assert acg.verify(acg.load(redis_url)).ok
