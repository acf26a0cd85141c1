"""Requests that are equal to the learner and different to the provider."""

import json

import pytest
from changing_windows import NAMES, N
from small_snapshots import make_chat_request, snapshot_of_requests
from strategies import make_tool

import acg_lab as acg
from acg_lab.diagnosis import Kind

PROMPT = "You answer questions of customers, and are polite. " * 20
GUIDE = "The guide to good answers. " * 20
IMAGE = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}


def user(content):
    return {"role": "user", "content": content}


def parts(*texts):
    return [{"type": "text", "text": text} for text in texts]


def unequal(make, rules="nemo-relay-0.6", **fields):
    """Return the findings of requests with one message between system prompt and question, made from their number."""
    opening = user("Good day. " * 5)
    requests = [make_chat_request(PROMPT, NAMES[i], opening, user(make(i)), **fields) for i in range(N)]
    return [f for f in acg.explain(snapshot_of_requests(requests, rules)) if f.kind is Kind.RAW_BYTES_DIFFER]


@pytest.mark.parametrize("rules", ["nemo-flow-0.2", "nemo-relay-0.6", "nemo-relay-0.8"])
@pytest.mark.parametrize(
    ("make", "differ"),
    [
        (lambda i: GUIDE + "\t" * (i % 3) + "end", "white space"),
        (lambda i: GUIDE + "\n" * (i % 3), "white space"),
        (lambda i: GUIDE if i % 2 else parts(GUIDE), "sent as text here, as parts there"),
        (lambda i: [*parts(GUIDE), IMAGE] if i % 2 else parts(GUIDE), "images"),
        (lambda i: parts(GUIDE, "end") if i % 2 else parts(f"{GUIDE}\nend"), "fields that no block holds"),
    ],
)
def test_differences(make, differ, rules):
    """The finding names the first block that is sent in several forms, and the difference."""
    (finding,) = unequal(make, rules)
    assert (finding.span_id, finding.evidence.details) == ("user-2", (differ,))
    assert differ in finding.sentence
    assert finding.evidence.requests == N
    dominant = max(sum(make(i) == make(j) for i in range(N)) for j in range(N))
    assert finding.tokens_lost == pytest.approx(len(GUIDE) / 4 * (1 - dominant / N), rel=0.1)


@pytest.mark.parametrize(
    "make",
    [
        lambda _: GUIDE,
        lambda i: [{**parts(GUIDE)[0], **({"cache_control": {"type": "ephemeral"}} if i % 2 else {})}],
    ],
)
def test_no_difference(make):
    """Marks of the cache itself do not count as a difference."""
    assert unequal(make, "nemo-relay-0.8") == []


def test_the_same_in_several_profiles():
    """The same difference in two profiles is one finding, with the requests of both."""
    opening = user("Good day. " * 5)
    messages = [user(GUIDE + "\t" * (i % 3) + "end") for i in range(2 * N)]
    requests = [make_chat_request(PROMPT, "?", opening, messages[i], model=f"m{i % 2}") for i in range(2 * N)]
    (finding,) = [f for f in acg.explain(snapshot_of_requests(requests)) if f.kind is Kind.RAW_BYTES_DIFFER]
    assert (finding.requests, finding.evidence.requests, len(finding.evidence.profiles)) == (2 * N, N, 2)
    assert "differ in white space, in 2 profiles; the provider cannot read" in finding.sentence


def test_system_messages_anywhere():
    """Requests whose late system messages differ do not count as requests of one profile."""
    late = [{"role": "system", "content": text * 20} for text in ("Be brief. ", "Be kind. ")]
    opening = user("Good day. " * 5)
    messages = [[opening, late[i % 2], user(GUIDE + " " * (1 + i % 2) + "end")] for i in range(N)]
    requests = [make_chat_request(PROMPT, "?", *of_request) for of_request in messages]
    assert not [f for f in acg.explain(snapshot_of_requests(requests)) if f.kind is Kind.RAW_BYTES_DIFFER]


def test_number_formats_of_tools():
    """Tools that are equal in canonical form, but not as they are sent, are found."""
    tools = [json.loads(json.dumps(make_tool("f", description=GUIDE)))]
    forms = [[{**tools[0], "limit": limit}] for limit in (1, 1.0)]
    requests = [make_chat_request(PROMPT, NAMES[i], tools=forms[i % 2]) for i in range(N)]
    (finding,) = acg.explain(snapshot_of_requests(requests, "nemo-relay-0.8"))
    assert (finding.kind, finding.span_id) == (Kind.RAW_BYTES_DIFFER, "system-1-f")
    assert finding.evidence.details == ("key order or number format",)


def test_without_runs_nothing_is_known():
    """A source without recorded requests has no such findings."""
    requests = [make_chat_request(PROMPT, NAMES[i], user("Hi."), user(GUIDE + " " * (i % 3) + "end")) for i in range(N)]
    snap = snapshot_of_requests(requests, "nemo-relay-0.6")
    backend = acg.MemoryBackend()
    for key, window in snap.windows.items():
        backend.store_observations(key, window)
    assert acg.explain(acg.load(backend, rules="nemo-relay-0.6")) == ()


# --- the very block, and what is not a block ---

OPENING = user("Good day. " * 5)
FORMAT = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "limit": 1}}
TOOLS = [make_tool(name, description=GUIDE) for name in ("first", "second", "third")]


def reverse(value):
    """The same JSON with the keys of its objects reversed."""
    return {name: reverse(item) for name, item in reversed(value.items())} if isinstance(value, dict) else value


def sent_differently(requests, rules):
    """The findings of how requests are sent, without those of what the rules of 0.8 bind to whole requests."""
    found = acg.explain(snapshot_of_requests(requests, rules))
    assert {f.kind for f in found} <= {Kind.RAW_BYTES_DIFFER, Kind.CACHE_MARKS, Kind.BOUND_TO_REQUESTS}
    return [f for f in found if f.kind is not Kind.BOUND_TO_REQUESTS]


@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("rules", ["nemo-flow-0.2", "nemo-relay-0.6", "nemo-relay-0.8"])
def test_the_tool_that_differs(position, rules):
    """The tool that differs is named, first or last, and tokens count from there."""
    changed = [reverse(tool) if i == position else tool for i, tool in enumerate(TOOLS)]
    requests = [make_chat_request(PROMPT, NAMES[i], OPENING, tools=(TOOLS, changed)[i % 2]) for i in range(N)]
    (finding,) = sent_differently(requests, rules)
    name = TOOLS[position]["function"]["name"]
    assert (finding.kind, finding.span_id) == (Kind.RAW_BYTES_DIFFER, f"system-{position + 1}-{name}")
    each = len(json.dumps(TOOLS[0], separators=(",", ":"))) / 4
    assert finding.tokens_lost == pytest.approx((3 - position) * each / 2, rel=0.1)


@pytest.mark.parametrize(
    ("other", "differs"),
    [
        (reverse(FORMAT), True),
        (json.loads(json.dumps(FORMAT).replace("1", "1.0")), True),
        (dict(FORMAT), False),
    ],
)
@pytest.mark.parametrize("rules", ["nemo-flow-0.2", "nemo-relay-0.8"])
def test_response_formats(other, differs, rules):
    """A response format whose keys change order, or whose numbers change form, is found where the provider reads it."""
    forms = (FORMAT, other)
    requests = [make_chat_request(PROMPT, NAMES[i], OPENING, response_format=forms[i % 2]) for i in range(N)]
    found = sent_differently(requests, rules)
    assert [f.kind for f in found] == [Kind.RAW_BYTES_DIFFER] * differs
    if differs:
        (finding,) = found
        assert finding.span_id == (None if rules == "nemo-flow-0.2" else "system-1-structured-output")
        assert finding.evidence.details == ("key order or number format",)
        # Half of the requests can't read the system prompt, which the provider renders behind the format.
        assert finding.tokens_lost >= 0.45 * len(PROMPT) / 4


def test_system_as_text_and_as_parts():
    """A system prompt that is sent as text here and as parts there is said so, as a split under 0.8."""
    forms = (PROMPT, parts(PROMPT))
    requests = [make_chat_request(forms[i % 2], NAMES[i], OPENING) for i in range(N)]
    (finding,) = acg.explain(snapshot_of_requests(requests))
    assert (finding.kind, finding.span_id) == (Kind.RAW_BYTES_DIFFER, "system-0")
    assert "are equal: sent as text here, as parts there" in finding.sentence
    (finding,) = acg.explain(snapshot_of_requests(requests, "nemo-flow-0.2"))
    assert "is sent as text here, as parts there" in finding.sentence


MARKS = [
    {"cache_control": {"type": "ephemeral"}},
    {"cache_control": {"type": "ephemeral", "ttl": "1h"}},
    {"cacheControl": {"type": "ephemeral"}},
    {"prompt_cache_breakpoint": {"ttl": "30m"}},
    {"providerOptions": {"anthropic": {"cacheControl": {"type": "ephemeral"}}}},
]


@pytest.mark.parametrize("rules", ["nemo-flow-0.2", "nemo-relay-0.6", "nemo-relay-0.8"])
@pytest.mark.parametrize("mark", MARKS)
def test_marks_on_a_system_part(mark, rules):
    """A mark that comes and goes on a system message is no other content; a split of profiles by it is said as that."""
    requests = [
        make_chat_request([{**parts(PROMPT)[0], **(mark if i % 2 else {})}], NAMES[i], OPENING) for i in range(N)
    ]
    found = acg.explain(snapshot_of_requests(requests, rules))
    assert [f.kind for f in found] == [] if rules == "nemo-flow-0.2" else [Kind.CACHE_MARKS]
    for finding in found:
        assert (
            "only the cache marks of the system prompt differ; the provider sees the same" in finding.sentence.lower()
        )
        assert finding.repairs == ()


@pytest.mark.parametrize("rules", ["nemo-flow-0.2", "nemo-relay-0.6", "nemo-relay-0.8"])
@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("inside", [False, True])
def test_marks_on_a_tool(mark, rules, inside):
    """A mark that comes and goes on a tool is never told as an edited tool."""
    *rest, last = TOOLS
    marked = {**last, "function": {**last["function"], **mark}} if inside else {**last, **mark}
    requests = [
        make_chat_request(PROMPT, NAMES[i], OPENING, tools=[*rest, marked if i % 2 else last]) for i in range(N)
    ]
    (finding,) = acg.explain(snapshot_of_requests(requests, rules))
    assert finding.kind is Kind.CACHE_MARKS
    assert finding.sentence.startswith("Only the cache marks of the tools differ; the provider sees the same content")


@pytest.mark.parametrize("mark", MARKS)
def test_marks_on_a_message(mark):
    """A mark that moves along a conversation is no difference at all."""
    assert unequal(lambda i: [{**parts(GUIDE)[0], **(mark if i % 2 else {})}], "nemo-relay-0.8") == []


def test_a_mark_and_an_edit():
    """A tool that is edited as well as marked is edited."""
    forms = [TOOLS[0], {**make_tool("first", description=f"{GUIDE} Now with more."), **MARKS[0]}]
    requests = [make_chat_request(PROMPT, NAMES[i], OPENING, tools=[forms[i % 2], *TOOLS[1:]]) for i in range(N)]
    assert [f.kind for f in acg.explain(snapshot_of_requests(requests))] == [Kind.TOOLS_EDITED]


def test_several_differences():
    """Blocks that differ in several respects are several findings, each with the block where it begins."""
    opening = user("Good day. " * 5)
    requests = [
        make_chat_request(
            PROMPT, NAMES[i], opening, user(GUIDE if i % 2 else parts(GUIDE)), user(GUIDE + "\t" * (i % 3) + "end")
        )
        for i in range(N)
    ]
    found = acg.explain(snapshot_of_requests(requests, "nemo-relay-0.6"))
    assert {(f.span_id, f.evidence.details) for f in found if f.kind is Kind.RAW_BYTES_DIFFER} == {
        ("user-2", ("sent as text here, as parts there",)),
        ("user-3", ("white space",)),
    }


@pytest.mark.parametrize(
    "wrap",
    [
        lambda form: {"response_format": form},
        lambda form: {"output_format": form},
        lambda form: {"text": {"format": form}},
        lambda form: {"output_config": {"format": form}},
    ],
)
def test_response_formats_that_are_no_block(wrap):
    """A format that the runtime's codec keeps among an API's own fields is no block, but the provider reads it."""
    forms = FORMAT, reverse(FORMAT)
    requests = [
        make_chat_request(PROMPT, NAMES[i], OPENING, api_specific={"api": "openai_chat", **wrap(forms[i % 2])})
        for i in range(N)
    ]
    (finding,) = sent_differently(requests, "nemo-relay-0.8")
    assert (finding.kind, finding.span_id) == (Kind.RAW_BYTES_DIFFER, None)
    assert finding.sentence.startswith("The response format is the same to the learner but is sent in 2 forms")
