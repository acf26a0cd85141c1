"""Records of any shape that production may store: odd times, unknown fields, empty windows, ids with separators."""

import msgspec
from hypothesis import strategies as st
from strategies import TIME, json_values, make_block, prompt_irs, requests, runs

from acg_lab.core import BlockStability, StabilityAnalysisResult, TokenMetadata, ToolSchemaHash
from acg_lab.storage.memory import MemoryBackend

KEYS = (
    *("a", "b::c", "a::model=m"),
    "a::model=m::model=m::seed=no-seed::system=no-system::tools=no-tools",
    "b::c::model=m::x::seed=no-seed::system=no-system::tools=no-tools",
)
EMPTY = StabilityAnalysisResult(scores=(), stable_prefix_length=0, total_observations=0)


UNKNOWN = st.dictionaries(st.sampled_from(["later", "unknown"]), json_values(3), max_size=1)
SPELLINGS = [TIME, "2026-01-01T00:00:00.000Z", "2026-01-01T02:00:00.5+02:00", "2025-12-31T23:59:59.123456789Z"]


def odd(record, **more):
    """Records with times in any spelling and unknown fields."""
    return st.builds(msgspec.structs.replace, record, unknown=UNKNOWN, **more)


def odd_windows():
    block = odd(st.just(make_block("s9", token_metadata=TokenMetadata(model_family="", token_count=0))))
    blocks = st.lists(block, max_size=2).map(tuple)
    hashes = st.lists(odd(st.just(ToolSchemaHash(tool_name="f", schema_hash=""))), max_size=1).map(tuple)
    observation = st.builds(
        lambda ir, more, hashes: msgspec.structs.replace(ir, blocks=ir.blocks + more, tool_schema_hashes=hashes),
        odd(prompt_irs(), created_at=st.sampled_from(SPELLINGS)),
        blocks,
        st.none() | hashes,
    )
    return st.lists(observation, max_size=3).map(tuple)


def odd_results():
    score = BlockStability(span_id="s", classification="variable", score=1 / 3, confidence=2.0, observation_count=0)
    scores = st.lists(odd(st.just(score), score=st.floats(-2, 2)), max_size=3).map(tuple)
    return odd(st.just(EMPTY), scores=scores, stable_prefix_fingerprint=st.none() | st.just("f"))


def odd_runs():
    agents = st.sampled_from(["a", "b::c", "a::model=m"])
    return odd(runs(requests()), agent_id=agents, started_at=st.sampled_from(SPELLINGS))


def stored_documents():
    """Windows and results by key, and runs."""
    return st.tuples(
        st.dictionaries(st.sampled_from(KEYS), odd_windows()),
        st.dictionaries(st.sampled_from(KEYS), odd_results()),
        st.lists(odd_runs(), max_size=3),
    )


def backend_of(windows, results, recorded):
    """Return a backend that holds these documents."""
    backend = MemoryBackend()
    for key, window in windows.items():
        backend.store_observations(key, window)
    for key, result in results.items():
        backend.store_stability(key, result)
    for run in recorded:
        backend.store_run(run)
    return backend
