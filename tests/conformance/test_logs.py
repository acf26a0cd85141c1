"""The same traffic twice: through the real runtime, and loaded from the log of its raw bodies."""

import contextlib
import json

import pytest
import redis
from conformance.bodies import APIS, Maker
from conformance.compare import RESULT, WINDOW, rank, rules_of
from conformance.runtime import Call
from msgspec.structs import replace

import acg_lab as acg
from acg_lab.core.codec import decode, decode_window
from acg_lab.core.records import StabilityAnalysisResult

pytestmark = pytest.mark.slow  # needs the real runtime

PREFIX = "acg:"
CODECS = {"anthropic": "anthropic", "openai-chat": "openai", "openai-responses": "responses"}
# What a raw body becomes is that of these codecs; older ones made other annotated requests of it.
MODERN = ("0.10.4", "0.11.0rc3")


def make_runs(seed, n_requests):
    """Make runs of bodies: most requests go on with the conversation of the one before, as an agent's do."""
    make = Maker(f"{seed} logs")
    rng, runs = make.rng, []
    while sum(map(len, runs)) < n_requests:
        api = rng.choice(APIS)
        body, calls = make.body(api), []
        name = "input" if api == "openai-responses" else "messages"
        for _ in range(rng.randrange(1, 5)):
            calls.append((api, json.loads(json.dumps(body))))
            if isinstance(body.get(name), list):
                more = make.body(api).get(name)
                body = {**body, name: [*body[name], *(more if isinstance(more, list) else ())][:12]}
        if all(is_storable(body) for _, body in calls):
            runs.append(calls)
    return runs


def is_storable(body):
    """Return whether the runtime can read back what it stores of a body.

    It can't where a document is nested too deeply, and where a call or its result has a role that is no text: its
    annotated message then holds the key ``role`` twice.
    """
    items = body.get("input")
    twice = any(
        item.get("type") in ("function_call", "function_call_output") and not isinstance(item.get("role", ""), str)
        for item in (items if isinstance(items, list) else ())
        if isinstance(item, dict)
    )
    return not twice and "[[[[" not in json.dumps(body)


def stored(client):
    keys = [key for kind in (WINDOW, RESULT) for key in client.keys(f"{PREFIX}{kind}*")]
    return {key.decode().removeprefix(PREFIX): client.get(key) for key in keys}


def anonymous(window):
    return tuple(replace(observation, ir_id="", created_at="") for observation in window)


@pytest.mark.parametrize("full_payloads", [False, True])
def test_a_log_of_raw_bodies_gives_what_the_runtime_stored(
    full_payloads, runtime, redis_url, n_requests, seed, tmp_path, tallies
):
    """Windows, results, learning keys and seed entry learned from logged bodies are those in the runtime's Redis."""
    if runtime.version not in MODERN:
        pytest.skip(f"the codecs of {runtime.version} made other annotated requests")
    runtime.configure(
        agent_id="agent", backend="redis", redis_url=redis_url, key_prefix=PREFIX, full_payloads=full_payloads
    )
    log = tmp_path / "requests.jsonl"
    n = refused = 0
    with log.open("w") as lines:
        for number, calls in enumerate(make_runs(seed, n_requests)):
            outcomes = runtime.run(None, [Call(body, CODECS[api]) for api, body in calls])
            for (api, body), outcome in zip(calls, outcomes, strict=True):
                n += 1
                refused += outcome.error is not None
                url = {"anthropic": "/v1/messages", "openai-chat": "/v1/chat/completions"}.get(api, "/v1/responses")
                lines.write(json.dumps({"url": url, "run_id": f"run-{number}", "body": body}) + "\n")
    with pytest.warns(acg.LoadWarning) if refused else contextlib.nullcontext():
        snap = acg.load(log, agent_id="agent", rules=rules_of(runtime.version), full_payloads=full_payloads)
    with redis.Redis.from_url(redis_url) as client:
        entries = stored(client)
    different = [key for key, raw in entries.items() if not same(snap, key, raw)]
    tallies.append(
        f"log of raw bodies, {runtime.version}, full payloads {full_payloads}: {n:,} requests ({refused:,} refused), "
        f"{len(entries):,} entries compared, {len(different)} different"
    )
    assert not different, f"seed {seed}: {different[0]}"
    assert len(entries) == 2 * (len(snap.windows) + 1)


def same(snap, name, raw):
    """Return whether a stored entry is ours. The seed entry is one of the best; the runtime takes any of them."""
    kind, _, key = name.partition(":")
    keys = [key]
    if seed := snap.seeds.get(key):
        keys = [other for other, result in snap.stability.items() if rank(result) == rank(seed.result)]
    if kind + ":" == WINDOW:
        return anonymous(decode_window(raw)) in [anonymous(snap.windows.get(other, ())) for other in keys]
    return decode(StabilityAnalysisResult, raw) in [snap.stability.get(other) for other in keys]
