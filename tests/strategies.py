"""Values that tests share: builders for small records, and Hypothesis strategies for requests, runs and windows.

Texts are drawn from few characters, chosen for what goes wrong with them: white space of both kinds, quotes, control
and private-use characters, both sides of the basic plane.
"""

import math
from uuid import UUID

from hypothesis import strategies as st

from acg_lab.core import (
    AnnotatedLlmRequest,
    CallRecord,
    PromptBlock,
    PromptIR,
    RunRecord,
    StabilityThresholds,
    TokenMetadata,
    ToolSchemaHash,
)

TIME = "2026-01-01T00:00:00Z"
ID = "00000000-0000-4000-8000-000000000000"
WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029"
WHITE_SPACE += "\u202f\u205f\u3000"
NEARLY_WHITE = "\x1c\x1d\x1e\x1f\u180e\u200b\u2060\ufeff"  # white to Python, or to the eye, not to Unicode
ODD = '\x00\b\x7f"\\/{}[]:,0e.\xe9\ud7ff\ue000\uffff\U00010000\U0001f600'


# --- builders ---


def make_request(*messages, **fields):
    """Build a request; messages given as texts are the user's."""
    return AnnotatedLlmRequest(
        messages=tuple({"role": "user", "content": m} if isinstance(m, str) else m for m in messages), **fields
    )


def make_tool(name="f", **function):
    return {"type": "function", "function": {"name": name, **function}}


def make_call(request=None, **fields):
    return CallRecord(**{"kind": "llm", "name": "openai", "started_at": TIME, "annotated_request": request, **fields})


def make_run(*requests, agent_id="a", run_id="r"):
    """Build a run of one LLM call for each request."""
    return RunRecord(id=run_id, agent_id=agent_id, calls=tuple(map(make_call, requests)), started_at=TIME)


def make_block(span_id, content="x", index=0, **fields):
    known = {"role": "user", "content_type": "text", "provenance": "user", "sensitivity": "public", **fields}
    return PromptBlock(span_id=span_id, content=content, sequence_index=index, **known)


def make_id(number):
    """Return ids that are UUIDs, as production stores them, and easily told apart."""
    return str(UUID(int=number))


def make_ir(*blocks, ir_id=ID):
    """Build an observation; a block is given as (span id, content) or (span id, content, index)."""
    made = (make_block(*block) if len(block) > 2 else make_block(*block, i) for i, block in enumerate(blocks))
    return PromptIR(ir_id=ir_id, blocks=tuple(made), created_at=TIME)


def make_stamp():
    """Return ids and times that repeat from test to test: ``make_id(1)``, ``make_id(2)``, and so on."""
    count = 0

    def stamp():
        nonlocal count
        count += 1
        return make_id(count), TIME

    return stamp


# --- JSON ---


def texts(max_size=8):
    """Texts of odd characters, as JSON can hold them: no lone surrogates."""
    return st.text(st.sampled_from("ab" + WHITE_SPACE + NEARLY_WHITE + ODD), max_size=max_size)


def odd_texts():
    """Texts of any character that JSON can hold."""
    return st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def integers():
    """Integers that production accepts, its limits and those of doubles among them."""
    edges = [edge + step for edge in (0, 2**53, -(2**53), 10**15, 10**16, 10**21) for step in (-1, 0, 1)]
    edges = [edge for edge in edges if edge < 2**64] + [2**63, 2**64 - 1, -(2**63)]
    return st.sampled_from(edges) | st.integers(-(2**63), 2**64 - 1)


def doubles():
    """Finite doubles, those at which number forms change among them."""
    edges = (0.0, 1.0, 1e-4, 1e-5, 1e-6, 1e-7, 1e15, 1e16, 1e17, 1e20, 1e21, 1e22, 5e-324, 1.7976931348623157e308)
    edges += tuple(math.nextafter(edge, direction) for edge in edges[2:12] for direction in (0.0, math.inf))
    signed = st.sampled_from(edges + tuple(-edge for edge in edges))
    return signed | st.floats(allow_nan=False, allow_infinity=False)


def json_scalars():
    return st.none() | st.booleans() | integers() | doubles() | texts() | odd_texts()


def json_values(max_leaves=8):
    """JSON values of any shape: production's numbers, odd texts and keys."""
    return st.recursive(
        json_scalars(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts() | odd_texts(), inner, max_size=4),
        max_leaves=max_leaves,
    )


def reordered(value):
    """Return the same JSON value with every object built in the opposite order."""
    if isinstance(value, dict):
        return {key: reordered(value[key]) for key in reversed(value)}
    return [reordered(item) for item in value] if isinstance(value, list) else value


# --- requests and runs ---


def _parts():
    image = st.fixed_dictionaries({"url": texts()}, optional={"detail": st.sampled_from(["", "low", "high"])})
    return st.lists(
        st.fixed_dictionaries({"type": st.just("text"), "text": texts()})
        | st.fixed_dictionaries({"type": st.just("image_url"), "image_url": image}),
        max_size=3,
    )


def _contents():
    return texts() | _parts()


def _tool_calls():
    function = st.fixed_dictionaries({"name": st.sampled_from("fg"), "arguments": texts()})
    call = {"id": st.sampled_from(["c1", "c2"]), "type": st.just("function"), "function": function}
    return st.lists(st.fixed_dictionaries(call), max_size=2)


def messages():
    """Messages that every rules version can read."""
    name = {"name": texts(3)}
    return st.one_of(
        st.fixed_dictionaries({"role": st.sampled_from(["system", "user"]), "content": _contents()}, optional=name),
        st.fixed_dictionaries(
            {"role": st.just("assistant")}, optional={"content": _contents(), "tool_calls": _tool_calls(), **name}
        ),
        st.fixed_dictionaries({"role": st.just("tool"), "content": _contents(), "tool_call_id": texts(3)}),
    )


def tools():
    """Tool definitions that every rules version can read."""
    optional = {"description": texts(), "parameters": st.dictionaries(texts(3), json_values(3), max_size=2)}
    function = st.fixed_dictionaries({"name": st.sampled_from(["f", "g", ""])}, optional=optional)
    return st.fixed_dictionaries({"type": st.just("function"), "function": function})


def requests():
    """Requests that every rules version can read; few models and contents, so that profiles meet."""
    return st.builds(
        AnnotatedLlmRequest,
        messages=st.lists(messages(), max_size=4).map(tuple),
        model=st.none() | st.sampled_from(["m", "", "a::model=b"]),
        params=st.none() | st.dictionaries(texts(3), json_scalars(), max_size=2),
        tools=st.none() | st.lists(tools(), max_size=2).map(tuple),
        tool_choice=st.none() | st.just("auto"),
        unknown=st.dictionaries(st.sampled_from(["seed", "user"]), json_scalars(), max_size=1),
    )


def simple_requests():
    """Requests of few different keys and contents, so that windows fill and dominant contents change."""
    seed = st.sampled_from("uv")
    later = st.sampled_from(["x", "y", " x", {"role": "assistant", "content": "z"}])
    return st.builds(lambda first, rest: make_request(first, *rest), seed, st.lists(later, max_size=3))


def unreadable_requests():
    """Requests of which no observation can be built."""
    return st.sampled_from(
        [
            make_request({"role": "narrator", "content": "x"}),
            make_request({"content": "x"}),
            make_request({"role": "user", "content": 5}),
            make_request("x", tools=({"type": "function"},)),
        ]
    )


def calls(request_strategy=None):
    """LLM calls with and without a request, and tool calls."""
    request = simple_requests() | unreadable_requests() if request_strategy is None else request_strategy
    return st.builds(make_call, request) | st.sampled_from([make_call(), make_call(make_request("u"), kind="tool")])


def runs(request_strategy=None, agent_id="a"):
    """Runs of one agent."""
    return st.builds(
        RunRecord,
        id=st.uuids(version=4).map(str),
        agent_id=st.just(agent_id),
        calls=st.lists(calls(request_strategy), max_size=4).map(tuple),
        started_at=st.just(TIME),
        ended_at=st.none() | st.just(TIME),
    )


# --- observations ---


def _blocks():
    return st.builds(
        PromptBlock,
        span_id=st.sampled_from(["s0", "s1", "u1", "u2"]),
        sequence_index=st.integers(0, 3) | st.just(2**32 - 1),
        role=st.sampled_from(["system", "user", "assistant", "tool"]),
        content=st.sampled_from("xyz") | texts(),
        content_type=st.sampled_from(["text", "tool_schema", "tool_result", "structured_output", "image"]),
        provenance=st.sampled_from(["system", "user", "developer", "tool", "retrieval", "memory"]),
        sensitivity=st.sampled_from(["public", "private", "restricted"]),
        token_metadata=st.none() | st.builds(TokenMetadata, model_family=texts(3), token_count=st.integers(0, 9)),
    )


def prompt_irs():
    """Observations as foreign writers may have stored them: spans repeat, indexes tie and disagree."""
    return st.builds(
        PromptIR,
        ir_id=st.uuids(version=4).map(str),
        blocks=st.lists(_blocks(), max_size=4).map(tuple),
        tool_schema_hashes=st.none()
        | st.lists(st.builds(ToolSchemaHash, tool_name=texts(3), schema_hash=texts(3)), max_size=2).map(tuple),
        source_request_hash=st.none() | st.sampled_from(["sha256:0", "sha256:1"]),
        created_at=st.just(TIME),
    )


def windows(max_size=6):
    return st.lists(prompt_irs(), max_size=max_size).map(tuple)


def thresholds():
    """Thresholds below 2, which frames take for per cent; mostly such as scores hit exactly, in any order."""
    number = st.sampled_from([0.0, 1 / 3, 0.5, 2 / 3, 0.95, 1.0, 1.5, -1.0]) | st.floats(-2.0, 2.0, exclude_max=True)
    return st.builds(
        StabilityThresholds,
        stable_threshold=number,
        semi_stable_threshold=number,
        min_observations_for_full_confidence=st.integers(0, 5),
    )
