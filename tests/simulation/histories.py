"""Histories for the tests of simulation: request bodies with usage typed by hand, a line each."""

from acg_lab import load
from acg_lab.core import CallRecord, RunRecord
from acg_lab.core.records import AnnotatedLlmRequest, Exchange, Usage
from acg_lab.simulation import simulate
from acg_lab.storage.memory import MemoryBackend
from acg_lab.storage.times import render_time

START = 1_794_000_000  # 2026-11-06, in seconds
SONNET = "claude-sonnet-4-5"  # 1,024 tokens at least, 5 minutes
MARKER = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}


def text(tokens, lead=""):
    """A text of so many tokens at four bytes each; another lead is another text from its first byte on."""
    return (lead + " " + "word" * tokens)[: tokens * 4]


def block(content, marker=None, **more):
    """A text block, with a breakpoint or without."""
    return {"type": "text", "text": content, **({"cache_control": marker} if marker else {}), **more}


def user(*blocks):
    return {"role": "user", "content": blocks[0] if len(blocks) == 1 and isinstance(blocks[0], str) else list(blocks)}


def assistant(*blocks):
    return {"role": "assistant", "content": list(blocks) if not isinstance(blocks[0], str) else blocks[0]}


def tool(name, tokens=50, **more):
    return {"name": name, "description": text(tokens, name), "input_schema": {"type": "object"}, **more}


def body(*messages, system=None, tools=None, model=SONNET, **more):
    """A Messages body."""
    parts = {"model": model, "max_tokens": 100}
    if tools is not None:
        parts["tools"] = list(tools)
    if system is not None:
        parts["system"] = system
    return {**parts, "messages": list(messages), **more}


def sent(
    request, at=0.0, usage=None, *, api="anthropic", run="r1", agent="a", took=2.0, first=0.5, metadata=None, **more
):
    """One call: its body, when it was sent (seconds), and its usage as (prompt, read, written)."""
    return agent, run, at, took, request, api, usage, first, metadata or {}, more


def record(call):
    _, _, at, took, request, api, usage, first, metadata, more = call
    prompt, read, written = usage or (None, None, None)
    exchange = Exchange(
        api=api,
        request=request,
        usage=None
        if usage is None
        else Usage(prompt_tokens=prompt, cache_read_tokens=read, cache_write_tokens=written),
        first_token_at=None if first is None else stamp(at + first),
        metadata=metadata,
        **more,
    )
    return CallRecord(
        kind="llm",
        name=api,
        started_at=stamp(at),
        ended_at=None if took is None else stamp(at + took),
        model_name=request.get("model"),
        annotated_request=AnnotatedLlmRequest(messages=(), model=request.get("model"), unknown={"instructions": "x"})
        if request
        else None,
        exchange=exchange,
    )


def stamp(seconds):
    return render_time(round((START + seconds) * 10**9))


def run_id(name):
    """A UUID of a short name."""
    return f"00000000-0000-4000-8000-{int.from_bytes(name.encode(), 'big') % 16**12:012x}"


def snapshot_of(*calls):
    """A snapshot of calls, by run."""
    runs = {}
    for call in calls:
        runs.setdefault((call[0], call[1]), []).append(call)
    backend = MemoryBackend()
    for (agent, run), of_run in sorted(runs.items(), key=lambda item: min(call[2] for call in item[1])):
        records = tuple(map(record, sorted(of_run, key=lambda call: call[2])))
        ended = stamp(max(call[2] + (call[3] or 0) for call in of_run))
        backend.store_run(
            RunRecord(id=run_id(run), agent_id=agent, calls=records, started_at=records[0].started_at, ended_at=ended)
        )
    return load(backend)


def simulated(*calls, **options):
    """Simulate calls."""
    return simulate(snapshot_of(*calls), **options)


def verdicts(*calls, **options):
    """The verdicts of calls, as texts, in order of start."""
    return [str(verdict) for verdict in simulated(*calls, **options).verdicts]
