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
        (lambda i: GUIDE if i % 2 else parts(GUIDE), "the form of the content, a text or a list of parts"),
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
