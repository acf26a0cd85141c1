"""Requests, results and plans for the tests of the planner, each made in one line."""

import msgspec
from strategies import make_block, make_ir, make_request, make_run

from acg_lab.core import (
    RULES,
    AcgLearner,
    BlockStability,
    HotCache,
    StabilityAnalysisResult,
    StabilityThresholds,
    TokenMetadata,
    plan_breakpoints,
    plan_request,
)
from acg_lab.storage.memory import MemoryBackend

SONNET = "claude-sonnet-4"  # its minimum is 1024 tokens
FLOW, RELAY_6, RELAY_8 = RULES


def text_of(tokens, lead=""):
    """Return a text of a number of tokens, without white space."""
    return lead + "x" * (tokens * 4 - len(lead))


SCAFFOLD = text_of(1500)


def ask(*messages, system=SCAFFOLD, rules=RELAY_8, **fields):
    """Return a Messages request as the codec of a rules version normalises it."""
    fields = {"model": SONNET, **fields}
    if rules == FLOW:
        return make_request({"role": "system", "content": system}, *messages, **fields)
    return make_request(*messages, **fields, unknown={"instructions": system, **fields.pop("unknown", {})})


def learn(history, rules=RELAY_8, **settings):
    """Return the hot cache of a learner that processed the requests, each as a run of its own."""
    learner = AcgLearner("a", thresholds=StabilityThresholds(**settings), rules=rules)
    hot_cache, backend = HotCache(), MemoryBackend()
    for request in history:
        learner.process_run(make_run(request), backend, hot_cache)
    return hot_cache


def plan(request, hot_cache, rules=RELAY_8, **options):
    return plan_request(request, hot_cache, **{"agent_id": "a", "provider": "anthropic", "rules": rules, **options})


def stable(*scores, n=2, depth=None, fingerprint=None):
    """Return a result whose blocks are all stable; a score may come with its confidence."""
    pairs = [score if isinstance(score, tuple) else (score, 1.0) for score in scores]
    return StabilityAnalysisResult(
        scores=tuple(
            BlockStability(span_id=f"s{i}", classification="stable", score=s, confidence=c, observation_count=n)
            for i, (s, c) in enumerate(pairs)
        ),
        stable_prefix_length=len(pairs) if depth is None else depth,
        stable_prefix_fingerprint=fingerprint,
        total_observations=n,
    )


def ir_of(*blocks):
    """Return a live request from blocks given as tokens or as (tokens, fields)."""
    made = []
    for i, given_block in enumerate(blocks):
        tokens, fields = given_block if isinstance(given_block, tuple) else (given_block, {})
        count = TokenMetadata(model_family="f", token_count=tokens)
        made.append(make_block(f"s{i}", "", i, token_metadata=count, **fields))
    return msgspec.structs.replace(make_ir(), blocks=tuple(made))


TOOL = {"role": "system", "content_type": "tool_schema", "provenance": "system"}
SYSTEM = {"role": "system", "provenance": "system"}


def ends_of(ir, result, model=SONNET, **options):
    return [segment.end for segment in plan_breakpoints(ir, result, model, **options)]
