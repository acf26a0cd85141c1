"""Small snapshots: of one window, or of what a learner stored of a few requests."""

import msgspec
from strategies import ID

import acg_lab as acg
from acg_lab.core import AcgLearner, AnnotatedLlmRequest, HotCache, RunRecord
from acg_lab.storage.memory import MemoryBackend

KEY = "a::model=m::seed=no-seed::system=no-system::tools=no-tools"
STEADY = "The guide to good answers, which never changes. " * 12


def snapshot_of_window(window, rules="nemo-flow-0.2", key=KEY):
    """Return a snapshot of one window."""
    backend = MemoryBackend()
    backend.store_observations(key, window)
    return acg.load(backend, rules=rules)


def a_minute_apart(window):
    """Return the observations with times a minute apart."""
    return [msgspec.structs.replace(ir, created_at=f"2026-11-20T10:{i:02}:00Z") for i, ir in enumerate(window)]


def find_kind(window, rules="nemo-flow-0.2"):
    """Return the kind of a window's only finding, None if it has none."""
    findings = acg.explain(snapshot_of_window(a_minute_apart(window), rules))
    assert len(findings) <= 1
    return findings[0].kind if findings else None


def snapshot_of_requests(requests, rules="nemo-relay-0.8"):
    """Return a snapshot of what a learner stored of runs of one request each, a minute apart."""
    backend, hot_cache, learner = MemoryBackend(), HotCache(), AcgLearner("a", rules=rules)
    for i, request in enumerate(requests):
        began = f"2026-11-20T{10 + i // 60}:{i % 60:02}:00Z"
        call = {"kind": "llm", "name": "n", "started_at": began}
        run = msgspec.convert({"id": str(i), "agent_id": "a", "calls": [call], "started_at": began}, RunRecord)
        (call,) = run.calls
        sent = msgspec.structs.replace(call, annotated_request=_annotate({"model": "m", **request}))
        run = msgspec.structs.replace(run, calls=(sent,))
        backend.store_run(run)
        learner.process_run(run, backend, hot_cache, stamp=lambda began=began: (ID, began))
    return acg.load(backend, rules=rules)


def _annotate(fields):
    """Return a request whose other keys are unknown to the runtime."""
    known = {name: value for name, value in fields.items() if name in AnnotatedLlmRequest.__struct_fields__}
    rest = {name: value for name, value in fields.items() if name not in known}
    return msgspec.structs.replace(msgspec.convert(known, AnnotatedLlmRequest), unknown=rest)


def make_chat_request(system, question, *more, **fields):
    """Return a request with a system prompt and a question, and messages between them."""
    messages = [{"role": "system", "content": system}, *more, {"role": "user", "content": question}]
    return {"messages": messages, **fields}
