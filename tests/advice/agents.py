"""Generated agents of thirteen kinds: seven whose fault a setting can mend, six where no setting can.

Where pauses are longer than an entry lives, the governor writes what nobody reads: passthrough is cheaper, and where
passthrough is what runs nothing is to be changed.
"""

from dataclasses import dataclass

import numpy as np
from simulation.histories import SONNET, run_id, stamp, text

import acg_lab as acg
from acg_lab.core import AnnotatedLlmRequest, CallRecord, RunRecord

N_RUNS = 160
OLD, NEW = "nemo-flow-0.2", "nemo-relay-0.8"
ACTING, RESTING = (acg.AcgSettings(provider=provider) for provider in ("anthropic", "passthrough"))


@dataclass(frozen=True)
class Kind:
    """How an agent's prompts are made, the rules that learn them, and its current settings."""

    prompt: object
    rules: str = OLD
    current: acg.AcgSettings = ACTING
    model: str = SONNET
    gap: float = 45.0


def system(tokens=1500, lead="policy"):
    return {"role": "system", "content": text(tokens, lead)}


def user(tokens, lead):
    return {"role": "user", "content": text(tokens, lead)}


def with_digest(share, tokens=900):
    """A digest in the middle is another one in some of the requests."""

    def prompt(i, draw):
        lead = "pilot" if draw.random() < share else "digest"
        return [system(), user(60, "brief"), user(tokens, lead), user(500, "examples"), user(40, f"question {i}")]

    return prompt


def with_optional(share):
    """A notice in the middle is missing from some of the requests."""

    def prompt(i, draw):
        notice = [] if draw.random() < share else [user(80, "notice")]
        return [system(), user(60, "brief"), *notice, user(900, "guide"), user(40, f"question {i}")]

    return prompt


def plain(i, _draw):
    """A system prompt, and a new question each time."""
    return [system(), user(40, f"question {i}")]


def by_day(i, _draw):
    """A system prompt that a deployment replaces after every 40 requests."""
    return [system(lead=f"version {i // 40}"), user(40, f"question {i}")]


def clock(i, _draw):
    """A system prompt that begins with a time."""
    return [system(lead=f"now {i}"), user(40, f"question {i}")]


def short(i, _draw):
    """A system prompt that is shorter than the provider caches."""
    return [system(300), user(40, f"question {i}")]


MENDED = {
    "another digest in one of nine": Kind(with_digest(1 / 9)),
    "another digest in one of five": Kind(with_digest(1 / 5)),
    "a notice that is sometimes missing": Kind(with_optional(1 / 10)),
    "a threshold of one": Kind(with_digest(1 / 15), current=ACTING.replace(stable_threshold=1.0)),
    "confidence that comes late": Kind(by_day, NEW, current=ACTING.replace(min_observations_for_full_confidence=2000)),
    "a window of two": Kind(plain, NEW, current=ACTING.replace(observation_window=2)),
    "pauses longer than the TTL": Kind(plain, NEW, gap=7200.0),
}
NOT_MENDED = {
    "a clock in the system prompt": Kind(clock, NEW),
    "a prefix bound to whole requests": Kind(with_digest(1 / 12), NEW),
    "prompts below the minimum": Kind(short, NEW),
    "a model that the governor does not know": Kind(plain, NEW, model="claude-haiku-5-5"),
    "nothing wrong": Kind(plain, NEW),
    "pauses longer than the TTL without the governor": Kind(plain, NEW, current=RESTING, gap=1800.0),
}


def snapshot_of(kind, seed, n=N_RUNS):
    """A snapshot of an agent's runs, one request each."""
    draw = np.random.default_rng(seed)
    backend, at = acg.MemoryBackend(), 0.0
    for i in range(n):
        at += 5.0 + draw.exponential(kind.gap)
        messages = tuple(kind.prompt(i, draw))
        call = CallRecord(
            kind="llm",
            name="anthropic",
            started_at=stamp(at),
            ended_at=stamp(at + 2),
            model_name=kind.model,
            annotated_request=AnnotatedLlmRequest(messages=messages, model=kind.model),
        )
        record = RunRecord(
            id=run_id(f"r{i}"), agent_id="agent", calls=(call,), started_at=call.started_at, ended_at=call.ended_at
        )
        backend.store_run(record)
    return acg.load(backend, rules=kind.rules), at
