"""Repairs of how requests are sent: the same as sending them so by hand."""

import pytest
from msgspec.structs import replace

import acg_lab as acg
from acg_lab import repairs
from acg_lab.core import CallRecord, RunRecord
from acg_lab.core.records import Exchange, Usage
from acg_lab.logs.normalize import normalize
from acg_lab.simulation import simulate
from acg_lab.storage.memory import MemoryBackend
from acg_lab.storage.times import render_time

START = 1_794_000_000
MODEL = "claude-sonnet-4-5"
POLICY = "policy word " * 800
TOOL = {"name": "search", "description": "search word " * 700, "input_schema": {"type": "object"}}


def body(question, *, system=POLICY, mark=None, tool_mark=None, last_mark=None, **more):
    parts = [{"type": "text", "text": system, **({"cache_control": mark} if mark else {})}]
    tool = {**TOOL, **({"cache_control": tool_mark} if tool_mark else {})}
    content = [{"type": "text", "text": question, **({"cache_control": last_mark} if last_mark else {})}]
    messages = [{"role": "user", "content": content}]
    return {"model": MODEL, "max_tokens": 9, "tools": [tool], "system": parts, "messages": messages, **more}


def snapshot(*bodies, gap=60, times=None):
    """A snapshot of requests that were billed without any cache, each a run of its own."""
    backend = MemoryBackend()
    for i, request in enumerate(bodies):
        start = START + (times[i] if times else i * gap)
        exchange = Exchange(
            api="anthropic",
            request=request,
            usage=Usage(prompt_tokens=4400, cache_read_tokens=0, cache_write_tokens=0),
            first_token_at=render_time((start + 2) * 10**9),
        )
        call = CallRecord(
            kind="llm",
            name="anthropic",
            started_at=render_time(start * 10**9),
            ended_at=render_time((start + 5) * 10**9),
            annotated_request=normalize(request, "anthropic"),
            exchange=exchange,
        )
        run_id = f"00000000-0000-4000-8000-{i:012}"
        backend.store_run(
            RunRecord(id=run_id, agent_id="a", calls=(call,), started_at=call.started_at, ended_at=call.ended_at)
        )
    return acg.learn(acg.load(backend).runs, full_payloads=True)


QUESTIONS = [f"question {i}" for i in range(4)]
MARK, HOUR = {"type": "ephemeral"}, {"type": "ephemeral", "ttl": "1h"}


@pytest.mark.parametrize(
    ("repair", "given", "by_hand"),
    [
        (repairs.AddBreakpoint("system"), {}, {"mark": MARK}),
        (repairs.AddBreakpoint("system-0-instructions"), {}, {"mark": MARK}),
        (repairs.AddBreakpoint("tools"), {}, {"tool_mark": MARK}),
        (repairs.AddBreakpoint("system-1-search"), {}, {"tool_mark": MARK}),
        (repairs.AddBreakpoint("last_message"), {"mark": MARK}, {"mark": MARK, "last_mark": MARK}),
        (repairs.AddBreakpoint("user-2"), {}, {"last_mark": MARK}),
        (repairs.UseAutomaticCaching(), {"mark": MARK}, {"mark": MARK, "cache_control": MARK}),
        (repairs.SetTtl("1h"), {"mark": MARK}, {"mark": HOUR}),
    ],
)
def test_reads_and_writes_are_those_of_requests_sent_so(repair, given, by_hand):
    """What a cache does with repaired requests is what it does with requests that an application had sent that way."""
    gap = 900 if isinstance(repair, repairs.SetTtl) else 60
    repaired = simulate(acg.what_if(snapshot(*(body(q, **given) for q in QUESTIONS), gap=gap), repair))
    sent = simulate(snapshot(*(body(q, **by_hand) for q in QUESTIONS), gap=gap))
    assert repaired.simulated_read.tolist() == sent.simulated_read.tolist()
    assert repaired.simulated_written.tolist() == sent.simulated_written.tolist()
    assert repaired.simulated_written.sum() > 0


def test_a_fifth_breakpoint_is_left_out():
    """Four breakpoints are all that Anthropic takes; a repair that would add a fifth changes nothing, and says so."""
    system = [{"type": "text", "text": f"{i} {POLICY}", "cache_control": MARK} for i in range(4)]
    bodies = [{**body(q), "system": system} for q in QUESTIONS]
    repaired = simulate(acg.what_if(snapshot(*bodies), repairs.AddBreakpoint("last_message")))
    assert repaired.history.refused == len(QUESTIONS)
    assert repaired.totals().simulated == repaired.totals().as_was


def test_windows_stay():
    """A repair of how requests are sent changes no content: windows and learning keys stay as they are."""
    snap = snapshot(*map(body, QUESTIONS))
    for repair in (
        repairs.AddBreakpoint("system"),
        repairs.SetTtl("1h"),
        repairs.UseAutomaticCaching(),
        repairs.StaggerParallelRequests(),
    ):
        assert acg.what_if(snap, repair).windows == snap.windows


def test_parallel_first_requests_wait():
    """Requests that start before the first one's first token wait for it, and then read what it wrote; others stay."""
    bodies = [body(q, mark=MARK) for q in QUESTIONS]
    snap = snapshot(*bodies, times=[0, 1, 1, 30])
    repaired = acg.what_if(snap, repairs.StaggerParallelRequests())
    starts = [run.calls[0].started_at for run in repaired.runs]
    assert starts == [render_time((START + s) * 10**9) for s in (0, 2, 2, 30)]
    assert simulate(snap).simulated_read.tolist()[1:3] == [0, 0]
    assert min(simulate(repaired).simulated_read.tolist()[1:]) > 0


def test_a_span_that_no_request_has():
    """A breakpoint at a span id that there is not is refused."""
    with pytest.raises(acg.UsageError, match="no span 'user-9'"):
        acg.what_if(snapshot(*map(body, QUESTIONS)), repairs.AddBreakpoint("user-9"))


def test_a_repair_that_touches_nothing_changes_nothing():
    """Requests that a repair leaves alone keep their bill, to the last token."""
    snap = snapshot(*(body(q, mark=MARK) for q in QUESTIONS))
    for repair in (repairs.SortTools(), repairs.RemovePattern("not there"), repairs.Pin("system-0-instructions")):
        repaired, recorded = simulate(acg.what_if(snap, repair)), simulate(snap)
        assert repaired.read.tolist() == recorded.read.tolist()
        assert repaired.cost.tolist() == recorded.cost.tolist()


def test_a_pinned_clock_is_read():
    """Prompts that differ in a clock alone read nothing; pinned, they cost what one prompt sent again costs."""
    clocks = [f"It is 10:{i:02}. {POLICY}" for i in range(4)]
    snap = snapshot(*(body(q, system=clock, mark=MARK) for q, clock in zip(QUESTIONS, clocks, strict=True)))
    pinned = simulate(acg.what_if(snap, repairs.Pin("system-0-instructions")))
    sent = simulate(snapshot(*(body(q, system=clocks[0], mark=MARK) for q in QUESTIONS)))
    assert simulate(snap).simulated_read.sum() == 0
    assert pinned.simulated_read.tolist() == pytest.approx(sent.simulated_read.tolist(), abs=3)
    assert pinned.simulated_read.sum() > 0


def test_usage_is_not_touched():
    """Recorded usage of a repaired request stays what was billed."""
    snap = snapshot(*map(body, QUESTIONS))
    repaired = acg.what_if(snap, repairs.RemovePattern("policy"))
    for before, after in zip(snap.runs, repaired.runs, strict=True):
        assert after.calls[0].exchange.usage == before.calls[0].exchange.usage
        assert replace(after.calls[0], annotated_request=None, exchange=None) == replace(
            before.calls[0], annotated_request=None, exchange=None
        )
        assert "policy" not in str(after.calls[0].exchange.request)
