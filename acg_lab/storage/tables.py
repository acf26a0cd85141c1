"""The layout of a Parquet export, version 1.

Belongs here: what the tables and their columns are. `to_tables` and `from_tables` fill and read them; opening and
replacing files is the backend's business.

================ ===================================================================================================
table            a row is
================ ===================================================================================================
``observations`` one observation of a window; ``position`` counts from the oldest
``blocks``       one block of an observation, with its text; ``block`` counts in prompt order
``stability``    one result as it was stored
``scores``       one span of a result; ``rank`` counts in the order of the result
``runs``         one run; ``position`` counts in the order of the agent's index
``calls``        one call of a run; ``message_ids`` are those of its request, in order
``messages``     one distinct message of the requests, as JSON
================ ===================================================================================================

Windows and results stand under ``key``: a learning key, or, with ``is_seed``, the plain agent id that holds a copy of
its best profile. JSON columns hold what has no fixed shape. Times are UTC; where a time was stored in another spelling
than the shortest, ``*_text`` keeps it. ``unknown`` keeps fields that this version does not know.
"""

from typing import TYPE_CHECKING, Final

from acg_lab.storage.columns import Form, Header

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "CODED",
    "COUNTS",
    "EMPTY_WINDOWS",
    "EXPORT_ID",
    "KEY_PREFIX",
    "OPTIONAL",
    "ROWS_PER_GROUP",
    "TABLES",
    "TOLD_RULES",
    "VERSION",
    "schemas",
]

VERSION: Final = "1"
TABLES: Final = ("observations", "blocks", "stability", "scores", "runs", "calls", "messages")

ROWS_PER_GROUP: Final = 1 << 17
CODED: Final = {
    "observations": ("key", "agent_id", "tool_schema_hashes", "structured_output_schema_id", "unknown"),
    "blocks": (
        *("key", "agent_id", "span_id", "content"),
        *("role", "content_type", "provenance", "sensitivity", "token_metadata", "unknown"),
    ),
    "stability": ("key", "agent_id"),
    "scores": ("key", "agent_id", "span_id", "classification"),
    "runs": ("agent_id",),
    "calls": (
        *("agent_id", "run_id", "kind", "name", "model_name", "metadata_snapshot", "unknown"),
        *("request_model", "request_params", "request_tool_choice", "request_unknown", "tools", "response"),
    ),
    "messages": ("role",),
}

COUNTS: Final = ("output_tokens", "prompt_tokens", "total_tokens", "tool_call_count")
# The columns that may hold nulls.
OPTIONAL: Final = {
    "observations": {"created_at_text", "source_request_hash", *Header._fields},
    "blocks": {"sensitivity", "token_metadata", "unknown"},
    "stability": {"stable_prefix_fingerprint", "unknown"},
    "scores": {"unknown"},
    "runs": {"started_at_text", "ended_at", "ended_at_text", "unknown"},
    "calls": {
        *("started_at_text", "ended_at", "ended_at_text", "model_name", *COUNTS, "metadata_snapshot", "unknown"),
        *("tools", "request_model", "request_params", "request_tool_choice", "request_unknown", "response"),
    },
    "messages": {"role"},
}

KEY_PREFIX: Final = b"acg_lab.key_prefix"
TOLD_RULES: Final = b"acg_lab.rules"
EXPORT_ID: Final = b"acg_lab.export_id"
EMPTY_WINDOWS: Final = b"acg_lab.empty_windows"


def schemas() -> "dict[str, pa.Schema]":
    """Return the schema of every table; dictionary-encoded columns are plain texts in it."""
    import pyarrow as pa

    text, number, time = pa.string(), pa.int64(), pa.timestamp("ns", "UTC")
    place = {"key": text, "agent_id": text, "is_seed": pa.bool_()}
    started = {"started_at": time, "started_at_text": text, "ended_at": time, "ended_at_text": text}
    fields = {
        "observations": {
            **place,
            "position": pa.int32(),
            "ir_id": text,
            "created_at": time,
            "created_at_text": text,
            "n_blocks": pa.int32(),
            "source_request_hash": text,
            **dict.fromkeys(Header._fields, text),
        },
        "blocks": {
            "key": text,
            "agent_id": text,
            "position": pa.int32(),
            "block": pa.int32(),
            "span_id": text,
            "sequence_index": pa.uint32(),
            "content": text,
            **dict.fromkeys(Form._fields, text),
        },
        "stability": {
            **place,
            "stable_prefix_length": number,
            "total_observations": number,
            "stable_prefix_fingerprint": text,
            "unknown": text,
        },
        "scores": {
            "key": text,
            "agent_id": text,
            "rank": pa.int32(),
            "span_id": text,
            "classification": text,
            "score": pa.float64(),
            "confidence": pa.float64(),
            "observation_count": number,
            "unknown": text,
        },
        "runs": {"agent_id": text, "position": number, "run_id": text, **started, "unknown": text},
        "calls": {
            "agent_id": text,
            "run_id": text,
            "call": pa.int32(),
            "kind": text,
            "name": text,
            **started,
            "model_name": text,
            **dict.fromkeys(COUNTS, number),
            "metadata_snapshot": text,
            "unknown": text,
            "has_request": pa.bool_(),
            "message_ids": pa.list_(pa.int32()),
            "tools": text,
            "request_model": text,
            "request_params": text,
            "request_tool_choice": text,
            "request_unknown": text,
            "response": text,
        },
        "messages": {"message_id": pa.int32(), "role": text, "json": text},
    }
    return {
        name: pa.schema(list(columns.items()), {"acg_lab.table": name, "acg_lab.version": VERSION})
        for name, columns in fields.items()
    }
