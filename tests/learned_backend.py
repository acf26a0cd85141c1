"""A backend as a learner leaves it after a few runs."""

from itertools import count

import msgspec
from strategies import make_id

from acg_lab.core import AcgLearner, HotCache, RunRecord
from acg_lab.storage.memory import MemoryBackend

SECRET = "the prompt text that nobody may see"


def request(text, model="m"):
    return {"messages": [{"role": "system", "content": SECRET}, {"role": "user", "content": text}], "model": model}


def run_of(agent_id, number, texts, model="m"):
    day = f"2026-11-{number + 1:02}T08:00:00Z"
    calls = [
        {
            "kind": "llm",
            "name": "openai",
            "started_at": day,
            "annotated_request": request(text, model),
        }
        for text in texts
    ]
    record = {
        "id": f"run-{number}",
        "agent_id": agent_id,
        "calls": calls,
        "started_at": day,
    }
    return msgspec.convert(record, RunRecord)


def learned_backend(agent_id="a", n_runs=4, rules="nemo-relay-0.8", model="m", backend=None):
    """Return a backend with what a learner stored of some runs, one a day."""
    backend = backend or MemoryBackend()
    learner, hot_cache, number_of = AcgLearner(agent_id, rules=rules), HotCache(), count(1)
    for number in range(n_runs):
        run = run_of(agent_id, number, [f"question {number}", "again"], model)
        backend.store_run(run)
        learner.process_run(run, backend, hot_cache, stamp=lambda run=run: (make_id(next(number_of)), run.started_at))
    return backend
