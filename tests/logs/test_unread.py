"""Requests that teach nothing are counted and named wherever a snapshot is looked at."""

import pytest

import acg_lab as acg
from acg_lab.core.records import AnnotatedLlmRequest, CallRecord, RunRecord
from acg_lab.storage.memory import MemoryBackend

TIME = "2026-11-30T00:00:00Z"


def run_of(number, *messages):
    request = AnnotatedLlmRequest(messages=messages, model="m")
    call = CallRecord(kind="llm", name="x", started_at=TIME, annotated_request=request)
    return RunRecord(id=f"r{number}", agent_id="a", calls=(call,), started_at=TIME, ended_at=TIME)


UNREADABLE = [run_of(i, {"role": "developer", "content": "d"}) for i in range(14)]
SENTENCE = "14 requests can't be read under nemo-flow-0.2: role 'developer'"


def learned():
    return acg.learn(UNREADABLE, rules="nemo-flow-0.2")


def stored():
    store = MemoryBackend()
    for run in UNREADABLE:
        store.store_run(run)
    return acg.load(store, rules="nemo-flow-0.2")


@pytest.mark.parametrize("make", [learned, stored])
def test_unreadable_requests_are_named_everywhere(make):
    """Problems, analysis, findings and verification say how many requests can't be read, and why."""
    snap = make()
    assert snap.unread == (SENTENCE,)
    assert [problem.reason for problem in snap.problems] == [SENTENCE]
    for shown in (acg.analyze(snap), acg.explain(snap), acg.verify(snap)):
        assert SENTENCE in repr(shown)
    assert SENTENCE.replace("'", "&#x27;") in acg.analyze(snap)._repr_html_()
    assert "1 problem" in repr(snap)


def test_what_one_rules_version_of_the_agent_reads_is_read():
    """A request is unread only if none of the rules versions that its agent's profiles have can read it."""
    assert acg.learn(UNREADABLE).unread == ()
    assert len(acg.learn(UNREADABLE).windows) == 1


def test_readable_requests_are_not_counted():
    """Only what can't be read is counted, by reason."""
    runs = [*UNREADABLE, run_of(20, {"role": "user", "content": "u"}), run_of(21, {"role": "user"})]
    snap = acg.learn(runs, rules="nemo-flow-0.2")
    assert len(snap.unread) == 2
    assert snap.unread[0] == SENTENCE
    assert snap.unread[1].startswith("1 request can't be read under nemo-flow-0.2: expected a text")
    assert len(snap.windows) == 1
