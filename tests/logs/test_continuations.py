"""Which run a request continues, where a log names none."""

import random
import time

import pytest

import acg_lab as acg


def run_lengths(rows, **options):
    snap = acg.from_requests(rows, **options)
    return sorted(len(run.calls) for run in snap.runs)


def body(*texts, system="S"):
    roles = ("user", "assistant")
    messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]
    return {"model": "m", "messages": [{"role": "system", "content": system}, *messages]}


def test_a_request_that_adds_to_the_last_one_continues_it():
    """Requests that grow by turns are one run; another first message begins another."""
    assert run_lengths([body("a"), body("a", "b", "c"), body("x"), body("a", "b", "c", "d", "e"), body("x", "y")]) == [
        2,
        3,
    ]


def test_a_clock_in_the_system_prompt_does_not_end_a_run():
    """System messages are not compared."""
    assert run_lengths([body("a", system="10:00"), body("a", "b", "c", system="10:01")]) == [2]


@pytest.mark.parametrize(
    ("texts", "lengths"),
    [
        ("a b c d e X g h i", [2]),  # one message of eight edited
        ("a b X Y e", [2]),  # half of the later ones are left, and the others are gone
        ("a X Y Z e f", [1, 1]),  # less than half
        ("X b c d e f g h i", [1, 1]),  # another first message
        ("a i h g f e d c b", [1, 1]),  # another order
    ],
)
def test_an_edited_history_continues_while_half_of_it_stands(texts, lengths):
    """The first message and at least half of the later ones, in order, make a continuation."""
    first = "a b c d e f g h i" if len(texts) > 12 else "a b c d e" if "Y e" in texts else "a b c d e f"
    first = "a b e Q" if texts == "a b X Y e" else first
    assert run_lengths([body(*first.split()), body(*texts.split(), "new")]) == lengths


def test_equal_first_messages_are_runs_of_their_own():
    """A single message that comes again begins a run; what goes on with it continues the latest."""
    assert run_lengths([body("hello")] * 3) == [1, 1, 1]
    assert run_lengths([body("hello"), body("hello"), body("hello", "hi", "how"), body("hello", "hi", "who")]) == [2, 2]


def test_moved_cache_marks_do_not_end_a_run():
    """A mark on the last message, gone in the next request, and the list it needs, are no change."""

    def marked(*texts):
        found = body(*texts)
        part = {"type": "text", "text": texts[-1], "cache_control": {"type": "ephemeral"}}
        found["messages"][-1]["content"] = [part]
        return {"model": "claude-x", "max_tokens": 1, "system": "S", "messages": found["messages"][1:]}

    assert run_lengths([marked("a"), marked("a", "b", "c"), marked("a", "b", "c", "d", "e")]) == [3]


def test_given_ids_win():
    """Runs and sessions that the log names are taken as they are; agents keep runs of one id apart."""
    rows = [
        {"request": body("a"), "run_id": run, "agent": agent} for run, agent in (("1", "x"), ("1", "x"), ("1", "y"))
    ]
    assert run_lengths(rows) == [1, 2]
    rows = [{"request": body(text), "session_id": "s"} for text in "abc"]
    assert run_lengths(rows) == [3]


def test_order_is_by_start_else_by_line():
    """With times the lines may stand in any order; a line without one follows the line before it."""
    times = ["2026-11-30T00:00:02Z", "2026-11-30T00:00:01Z"]
    rows = [{"request": body("a", "b", "c"), "timestamp": times[0]}, {"request": body("a"), "timestamp": times[1]}]
    snap = acg.from_requests(rows)
    (run,) = snap.runs
    assert [call.started_at for call in run.calls] == times[::-1]
    assert run.started_at == times[1]
    snap = acg.from_requests([body("a")])
    assert (snap.runs[0].started_at, snap.runs[0].ended_at) == ("", None)
    assert "times not recorded" in repr(snap)
    assert any("no time" in caveat for caveat in snap.caveats)
    assert acg.verify(snap).ok
    assert acg.replay(snap).n_steps == 1 if hasattr(acg.replay(snap), "n_steps") else True


def test_time_grows_with_the_number_of_messages():
    """Twice as many requests with one and the same first message take about twice as long."""
    rng = random.Random(1)

    def seconds(n):
        rows = [body("same", *(f"{rng.random()}" for _ in range(6))) for _ in range(n)]
        start = time.process_time()
        acg.from_requests(rows)
        return time.process_time() - start

    seconds(100)
    assert seconds(2_000) < 6 * seconds(500)
