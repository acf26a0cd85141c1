"""Requests that are the same to the learner, and different to the provider."""

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
    """Explain requests with one message between system prompt and question, made of the number of the request."""
    opening = user("Good day. " * 5)
    requests = [make_chat_request(PROMPT, NAMES[i], opening, user(make(i)), **fields) for i in range(N)]
    return [f for f in acg.explain(snapshot_of_requests(requests, rules)) if f.kind is Kind.RAW_BYTES_DIFFER]


@pytest.mark.parametrize("rules", ["nemo-flow-0.2", "nemo-relay-0.6", "nemo-relay-0.8"])
@pytest.mark.parametrize(
    ("make", "differ"),
    [
        (lambda i: GUIDE + "\t" * (i % 3) + "end", "white space"),
        (lambda i: GUIDE + "\n" * (i % 3), "white space"),
        (lambda i: GUIDE if i % 2 else parts(GUIDE), "a text here, a list of parts there"),
        (lambda i: [*parts(GUIDE), IMAGE] if i % 2 else parts(GUIDE), "an image"),
        (lambda i: parts(GUIDE, "end") if i % 2 else parts(f"{GUIDE}\nend"), "what no block holds"),
    ],
)
def test_differences(make, differ, rules):
    """The first block that is sent in several forms is named, with what differs."""
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
    """What is sent alike, but for a mark of the cache itself, is no difference."""
    assert unequal(make, "nemo-relay-0.8") == []


def test_the_same_in_several_profiles():
    """What is sent in several forms in each of two profiles is told once, with the requests of both."""
    opening = user("Good day. " * 5)
    messages = [user(GUIDE + "\t" * (i % 3) + "end") for i in range(2 * N)]
    requests = [make_chat_request(PROMPT, "?", opening, messages[i], model=f"m{i % 2}") for i in range(2 * N)]
    (finding,) = [f for f in acg.explain(snapshot_of_requests(requests)) if f.kind is Kind.RAW_BYTES_DIFFER]
    assert (finding.requests, finding.evidence.requests, len(finding.evidence.profiles)) == (2 * N, N, 2)
    assert "so it is in 2 profiles, where the provider can't read" in finding.sentence


def test_system_messages_anywhere():
    """Requests of profiles that differ in a late system message are not taken for those of one profile."""
    late = [{"role": "system", "content": text * 20} for text in ("Be brief. ", "Be kind. ")]
    opening = user("Good day. " * 5)
    messages = [[opening, late[i % 2], user(GUIDE + " " * (1 + i % 2) + "end")] for i in range(N)]
    requests = [make_chat_request(PROMPT, "?", *of_request) for of_request in messages]
    assert not [f for f in acg.explain(snapshot_of_requests(requests)) if f.kind is Kind.RAW_BYTES_DIFFER]


def test_number_formats_of_tools():
    """Tools that are the same in canonical form, but not as they are sent, are found."""
    tools = [json.loads(json.dumps(make_tool("f", description=GUIDE)))]
    forms = [[{**tools[0], "limit": limit}] for limit in (1, 1.0)]
    requests = [make_chat_request(PROMPT, NAMES[i], tools=forms[i % 2]) for i in range(N)]
    (finding,) = acg.explain(snapshot_of_requests(requests, "nemo-relay-0.8"))
    assert (finding.kind, finding.span_id) == (Kind.RAW_BYTES_DIFFER, "system-1-f")
    assert finding.evidence.details == ("the order of keys, or the format of numbers",)


def test_without_runs_nothing_is_known():
    """A source without recorded requests can't show what was sent."""
    requests = [make_chat_request(PROMPT, NAMES[i], user("Hi."), user(GUIDE + " " * (i % 3) + "end")) for i in range(N)]
    snap = snapshot_of_requests(requests, "nemo-relay-0.6")
    backend = acg.MemoryBackend()
    for key, window in snap.windows.items():
        backend.store_observations(key, window)
    assert acg.explain(acg.load(backend, rules="nemo-relay-0.6")) == ()
