"""Bodies as pieces: what is part of a prefix, what is not, and what usage means."""

import pytest
from simulation.histories import HOUR, MARKER, assistant, block, body, sent, simulated, text, tool, user

from acg_lab.core import CallRecord
from acg_lab.core.markers import NO_MARKER, is_marker_block, split_marker
from acg_lab.core.records import Exchange, Usage
from acg_lab.providers import PieceKind
from acg_lab.simulation import usage_of
from acg_lab.simulation.bodies import parameters_of_body
from acg_lab.simulation.usage import is_uncached_rest

LONG = text(2000, "policy")


def call(**fields):
    return CallRecord(kind="llm", name="p", started_at="2026-11-06T00:00:00Z", **fields)


@pytest.mark.parametrize(
    ("usage", "is_rest", "expected"),
    [
        ({"prompt_tokens": 2901, "cache_read_tokens": 1488}, False, (2901, 1488, -1)),
        (
            {"prompt_tokens": 7, "cache_read_tokens": 2048, "cache_write_tokens": 100, "uncached_input_tokens": 7},
            False,
            (2155, 2048, 100),
        ),
        ({"prompt_tokens": 2007, "cache_read_tokens": 1024, "uncached_input_tokens": 983}, False, (2007, 1024, -1)),
        ({"prompt_tokens": 7, "cache_read_tokens": 2048, "cache_write_tokens": 100}, True, (2155, 2048, 100)),
        ({"prompt_tokens": True, "cache_read_tokens": "many"}, False, (-1, -1, -1)),
        ({}, False, (-1, -1, -1)),
    ],
)
def test_annotated_usage_in_common_terms(usage, is_rest, expected):
    """Production's usage is read as the provider meant it: the whole prompt, or its uncached rest."""
    assert usage_of(call(), {"usage": usage}, is_rest=is_rest)[:3] == expected


def test_usage_of_a_log_comes_first():
    """A request log's usage is in common terms already, its longer writes apart."""
    usage = Usage(prompt_tokens=10, cache_read_tokens=4, cache_write_tokens=3, cache_writes_by_ttl={"5m": 1, "1h": 2})
    record = call(exchange=Exchange(api="anthropic", request={}, usage=usage))
    assert usage_of(record, {"usage": {"prompt_tokens": 99}}) == (10, 4, 3, 2, -1)


def test_a_source_shows_that_it_counts_the_rest():
    """Fewer prompt tokens than were read and written prove that a source counts the uncached rest."""
    assert is_uncached_rest(call(), {"usage": {"prompt_tokens": 7, "cache_read_tokens": 2048}})
    assert not is_uncached_rest(call(), {"usage": {"prompt_tokens": 3000, "cache_read_tokens": 2048}})


@pytest.mark.parametrize(
    ("value", "ttl"),
    [
        ({"cache_control": {"type": "ephemeral"}}, 0),
        ({"cache_control": {"type": "ephemeral", "ttl": "1h"}}, 3600),
        ({"cache_control": {"type": "ephemeral", "ttl": "5m"}}, 300),
        ({"cache_control": None}, NO_MARKER),
        ({"cacheControl": {"type": "ephemeral"}}, 0),
        ({"prompt_cache_breakpoint": {"mode": "explicit"}}, 0),
        ({"providerOptions": {"anthropic": {"cacheControl": {"type": "ephemeral"}}}}, 0),
    ],
)
def test_every_spelling_of_a_marker(value, ttl):
    """A marker is found and taken out, however it is spelled; the order of other keys stays."""
    bare, found = split_marker({"type": "text", **value, "text": "t"})
    assert found == ttl
    assert list(bare) == ["type", "text"]


def test_what_is_no_marker_stays():
    """Options without a marker, and a tool's arguments, are content."""
    options = {"providerOptions": {"openai": {"store": False}}, "text": "t"}
    assert split_marker(options) == (options, NO_MARKER)
    assert is_marker_block({"cachePoint": {"type": "default"}})
    assert not is_marker_block({"type": "text", "text": "cachePoint"})


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({}, {"temperature": 0.2, "max_tokens": 5, "stream": True}, True),
        ({}, {"tool_choice": {"type": "auto"}}, True),
        ({}, {"tool_choice": {"type": "tool", "name": "f"}}, False),
        ({}, {"thinking": {"type": "disabled"}}, True),
        ({}, {"speed": "fast"}, False),
    ],
)
def test_parameters_that_are_part_of_a_prefix(one, other, same):
    """Only the parameters that a provider's cache depends on make another prefix."""
    found = [parameters_of_body("anthropic", parameters, has_images=False) for parameters in (one, other)]
    assert (found[0] == found[1]) is same


def test_pieces_stand_in_the_order_of_rendering():
    """Tools come first, then their framing, the system and the messages."""
    request = body(user(block("q", MARKER)), system=[block(LONG, HOUR)], tools=[tool("a"), tool("b")])
    requests = simulated(sent(request, 0, (2200, 0, 0))).history.requests
    kinds = [PieceKind(kind).name for kind in requests.kinds.tolist()]
    assert kinds == ["TOOL", "TOOL", "FRAMING", "SYSTEM", "USER"]
    assert requests.own_breakpoints.tolist() == [-1, -1, -1, 3600, 0]


def test_a_breakpoint_is_not_part_of_a_prefix_and_key_order_is():
    """A breakpoint that moves leaves prefixes equal; keys in another order do not."""
    cached, bare = body(user(block(LONG, MARKER)), tools=[tool("a")]), body(user(block(LONG)), tools=[tool("a")])
    turned = body(user(block(LONG)), tools=[{key: tool("a")[key] for key in reversed(tool("a"))}])
    nodes = simulated(sent(cached), sent(bare, 5), sent(turned, 9)).history.requests.nodes.reshape(3, -1)
    assert (nodes[0] == nodes[1]).all()
    assert not (nodes[0] == nodes[2]).any()


def test_requests_without_bodies_are_counted():
    """A call whose request was not recorded keeps its bill, and its verdict says so."""
    sim = simulated(sent(body(user(LONG)), 0, (2000, 0, 0)), sent({}, 9, (2000, 1500, 0)))
    assert str(sim.verdicts[1]) == "request_not_recorded"
    assert [int(part[1]) for part in sim.parts] == [1500, 0, 0, 0, 0, 500]


def test_four_own_breakpoints_and_a_policy_of_ones_own():
    """A callable places breakpoints; what it returns has to be pieces of the request."""
    calls = [sent(body(user(LONG), assistant("ok"), user("q")), at, (2010, 0, 0), run=f"r{at}") for at in (0, 9)]
    sim = simulated(*calls, breakpoints=lambda view: [int(view.ends.searchsorted(1024))])
    assert sim.read[1] > 1500
    assert sim.cost[1] < sim.cost_as_was[1]
    with pytest.raises(ValueError, match="must return pieces"):
        simulated(*calls, breakpoints=lambda _: [99])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"breakpoints": "all"}, "'breakpoints' option"),
        ({"scope": "planet"}, "'scope' option"),
        ({"settings": "high"}, "'settings' option"),
        ({"cache_provider": "nobody"}, "cache_provider"),
    ],
)
def test_options_that_make_no_sense(options, message):
    """A wrong option is refused by name, with what it accepts."""
    with pytest.raises(ValueError, match=message):
        simulated(sent(body(user(LONG)), 0, (2000, 0, 0)), **options)
