"""Repairs of recorded requests: the same change as in the windows, made in what was sent."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from repaired_requests import REPAIR_FUNCTIONS, histories, places

from acg_lab import load, repairs
from acg_lab.core import AnnotatedLlmRequest, CallRecord, RunRecord, build_prompt_ir
from acg_lab.core.records import Exchange
from acg_lab.logs.normalize import normalize
from acg_lab.repairs.requests import repair_requests
from acg_lab.storage.memory import MemoryBackend


def runs_of(*requests, agents=None, bodies=(), api="anthropic"):
    """Runs of one request each, an hour apart, with their bodies as sent."""
    backend = MemoryBackend()
    for i, request in enumerate(requests):
        time = f"2026-11-01T{i:02}:00:00Z"
        exchange = Exchange(api=api, request=bodies[i]) if bodies else None
        call = CallRecord(kind="llm", name="x", started_at=time, annotated_request=request, exchange=exchange)
        agent = agents[i] if agents else "a"
        run_id = f"00000000-0000-4000-8000-{i:012}"
        backend.store_run(RunRecord(id=run_id, agent_id=agent, calls=(call,), started_at=time, ended_at=time))
    return load(backend).runs


def repaired(requests, repair, *, rules="nemo-relay-0.8", agents=None, **more):
    """Requests (annotated, and as sent) after a repair, and how many could not be repaired."""
    runs = runs_of(*requests, agents=agents, **more)
    found = repair_requests(runs, repair, dict.fromkeys(agents or ["a"], rules), runs)
    calls = {run.id: run.calls[0] for run in found.runs}
    calls = [calls[key] for key in sorted(calls)]
    return [call.annotated_request for call in calls], [call.exchange for call in calls], found.n_left


def repair_of(draw, history):
    """A repair that fits some request of a history."""
    spans = sorted({span for one in history.sent for span in places(history.rules, one.request)})
    if not spans:
        return repairs.SortTools()
    span = draw(st.sampled_from(spans))
    is_message = not span.startswith("system-") or span.split("-")[-1].isdigit()
    kinds = [repairs.Drop(span), repairs.Pin(span), repairs.Pin(span, pattern=r"\d\d:\d\d"), repairs.SortTools()]
    kinds += [repairs.RemovePattern(r" ?at \d\d:\d\d"), repairs.RemovePattern(r"\d", span_id=span)]
    kinds += [repairs.MoveToEnd(span), repairs.MoveToSystemPrompt(span)] if is_message else []
    return draw(st.sampled_from(kinds))


class TestAsByHand:
    """A plain reading of each repair, request by request, is the measure."""

    @given(st.data())
    def test_blocks_are_those_of_requests_changed_by_hand(self, data):
        """Whatever is repaired, the learner sees what it would see of requests that an application had changed."""
        history = data.draw(histories())
        repair = repair_of(data.draw, history)
        mend = REPAIR_FUNCTIONS[type(repair)](history.rules, history.sent, repair)
        expected = [mend(one) for one in history.sent]
        found, _, n_left = repaired(
            [one.request for one in history.sent],
            repair,
            rules=history.rules,
            agents=[one.agent_id for one in history.sent],
        )
        assert n_left == 0
        assert [seen(request, history.rules) for request in found] == [seen(r, history.rules) for r in expected]


def seen(request, rules):
    observation = build_prompt_ir(request, ir_id="", created_at="", rules=rules)
    return [(block.span_id, block.content, block.role) for block in observation.blocks]
