"""Repairs of recorded requests: the same change as in the windows, made in what was sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from repaired_requests import REPAIR_FUNCTIONS, histories, places

from acg_lab import load, repairs
from acg_lab.core import CallRecord, RunRecord, build_prompt_ir
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
    n_blocks = draw(st.integers(2, 3))
    kinds += [repairs.SortItems(), repairs.SortItems(span), repairs.SortMessages(span, n_blocks=n_blocks)]
    kinds += [repairs.RemovePattern(r" ?at \d\d:\d\d"), repairs.RemovePattern(r"\d", span_id=span)]
    kinds += (
        [repairs.MoveToEnd(span), repairs.MoveToEnd(span, as_user=True), repairs.MoveToSystemPrompt(span)]
        if is_message
        else []
    )
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


SYSTEM, NOTE = "Be kind. It is 10:30.", "Note at 10:30."
TOOLS = {
    "anthropic": [{"name": n, "description": f"{n} at 10:30", "input_schema": {"type": "object"}} for n in ("b", "a")],
    "openai-chat": [{"type": "function", "function": {"name": n, "description": f"{n} at 10:30"}} for n in ("b", "a")],
    "openai-responses": [
        {"type": "function", "name": n, "description": f"{n} at 10:30", "parameters": {}, "strict": True}
        for n in ("b", "a")
    ],
}
TEXT = {"anthropic": "text", "openai-chat": "text", "openai-responses": "input_text"}


def body_of(api, clock, *, as_list):
    """A body of an API: system prompt, two tools and two messages, texts as such or as lists of parts."""

    def content(text, role="user"):
        kind = "text" if role == "system" else TEXT[api]
        return [{"type": kind, "text": text}] if as_list else text

    system = SYSTEM.replace("10:30", clock)
    messages = [{"role": "user", "content": content(NOTE)}, {"role": "user", "content": content(f"Hello {clock}")}]
    if api == "anthropic":
        return {"model": "claude", "system": content(system, "system"), "tools": TOOLS[api], "messages": messages}
    if api == "openai-chat":
        lead = {"role": "system", "content": content(system, "system")}
        return {"model": "m", "messages": [lead, *messages], "tools": TOOLS[api]}
    return {"model": "m", "instructions": system, "input": messages, "tools": TOOLS[api]}


@pytest.mark.parametrize("as_list", [False, True], ids=["texts", "parts"])
@pytest.mark.parametrize("api", TOOLS)
class TestBodies:
    """The body as sent is repaired as the annotated request is: its codec makes the one of the other."""

    def repair(self, api, repair, *, as_list):
        bodies = [body_of(api, clock, as_list=as_list) for clock in ("10:30", "11:45", "10:30")]
        requests = [normalize(body, api) for body in bodies]
        found, exchanges, n_left = repaired(requests, repair, bodies=bodies, api=api)
        assert n_left == 0
        for request, exchange in zip(found, exchanges, strict=True):
            assert normalize(exchange.request, api) == request
        return [exchange.request for exchange in exchanges], bodies

    def test_a_pattern_is_removed_everywhere(self, api, as_list):
        """Matches go from system prompt, tools and messages; key order and parts stay."""
        found, bodies = self.repair(api, repairs.RemovePattern(r"\d\d:\d\d"), as_list=as_list)
        assert "10:30" not in str(found)
        assert [list(body) for body in found] == [list(body) for body in bodies]

    def test_a_block_is_pinned(self, api, as_list):
        """The system prompt of every request becomes the commonest one, as it was sent."""
        span = "system-0" if api == "openai-chat" else "system-0-instructions"
        found, bodies = self.repair(api, repairs.Pin(span), as_list=as_list)
        name = {"anthropic": "system", "openai-responses": "instructions"}.get(api)
        for body in found:
            assert (body[name] if name else body["messages"][0]) == (
                bodies[0][name] if name else bodies[0]["messages"][0]
            )

    def test_tools_are_sorted(self, api, as_list):
        """Tools stand in the order of their names."""
        found, bodies = self.repair(api, repairs.SortTools(), as_list=as_list)
        assert [body["tools"] for body in found] == [body["tools"][::-1] for body in bodies]

    def test_a_message_is_dropped_or_moved(self, api, as_list):
        """A message goes, or becomes the last one."""
        items = "input" if api == "openai-responses" else "messages"
        found, bodies = self.repair(api, repairs.Drop("user-3"), as_list=as_list)
        assert [NOTE in str(body) for body in found] == [False] * 3
        found, bodies = self.repair(api, repairs.MoveToEnd("user-3"), as_list=as_list)
        for new, old in zip(found, bodies, strict=True):
            assert new[items] == [*old[items][:-2], old[items][-1], old[items][-2]]

    def test_a_text_joins_the_system_prompt(self, api, as_list):
        """A note moves behind the system prompt, and out of the messages."""
        found, _ = self.repair(api, repairs.MoveToSystemPrompt("user-3"), as_list=as_list)
        for body in found:
            lead = body["messages"][1] if api == "openai-chat" else body.get("system", body.get("instructions"))
            assert NOTE in str(lead)
            assert str(body).count(NOTE) == 1


@pytest.mark.parametrize("as_list", [False, True], ids=["texts", "parts"])
def test_a_system_message_becomes_the_last_of_the_user(as_list):
    """A system message leaves the system prompt, and its text is the user's last message."""
    repair = repairs.MoveToEnd("system-0", as_user=True)
    found, bodies = TestBodies().repair("openai-chat", repair, as_list=as_list)
    for new, old in zip(found, bodies, strict=True):
        first, *rest = old["messages"]
        assert new["messages"] == [*rest, {**first, "role": "user"}]


def test_what_cannot_be_repaired_is_counted():
    """A body that does not hold the messages of its annotated request stays as sent, and is counted."""
    body = body_of("anthropic", "10:30", as_list=False)
    request = normalize(body, "anthropic")
    found, exchanges, n_left = repaired([request], repairs.Drop("user-3"), bodies=[{**body, "messages": []}])
    assert n_left == 1
    assert (found, exchanges[0].request["messages"]) == ([request], [])
