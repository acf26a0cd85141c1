"""What production stores, as frozen values (spec sections 1, 2, 4 and 6).

Belongs here: the shape of runs, calls, requests, observations and results, and nothing that computes. Optional fields
are absent in JSON, never null. Fields that this version does not know are kept in ``unknown`` and written back, so
that a record survives reading and writing whatever production adds to it.

The parts of a request (messages, tools) stay JSON values: providers put what they like into them, and what a
generation of the rules makes of it is told in `acg_lab.core.rules`. They are shared between records: never change them.

Prompts are private: what holds text of one shows its length in a repr, and how many things it has.
"""

from collections.abc import Mapping, Sized
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct, field

__all__ = [
    "AnnotatedLlmRequest",
    "BlockStability",
    "CallRecord",
    "Exchange",
    "Json",
    "JsonObject",
    "PromptBlock",
    "PromptIR",
    "Record",
    "RunRecord",
    "Sensitivity",
    "StabilityAnalysisResult",
    "StabilityClass",
    "TokenMetadata",
    "ToolSchemaHash",
    "Usage",
]

Json: TypeAlias = Any
JsonObject: TypeAlias = Mapping[str, Any]
Sensitivity: TypeAlias = Literal["public", "private", "restricted"]
StabilityClass: TypeAlias = Literal["stable", "semi_stable", "variable"]

Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]

_SAID = {
    "content",
    "error",
    "metadata",
    "metadata_snapshot",
    "params",
    "request",
    "response",
    "tool_choice",
}  # fields with text, or with any JSON

# A private-use character leads the JSON name, so that a stored field that happens to be called "unknown" is no clash.
UNKNOWN = "\ue000unknown"


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Base of all stored records: equal by value, unknown fields kept in ``unknown``."""

    unknown: JsonObject = field(default_factory=dict, name=UNKNOWN)


class _Told(str):
    """Text that a repr shows as it is, without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Private(Record, frozen=True, kw_only=True):
    """Base of records that hold what was said; their repr doesn't tell it."""

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Return what may be shown, by field; for `rich` and the repr."""
        shown: list[tuple[str, Any]] = []
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name in _SAID and value is not None:
                value = _Told(f"<{len(value):,} characters>" if isinstance(value, str) else "<not shown>")
            elif isinstance(value, Sized) and not isinstance(value, str):
                value = _Told(f"<{len(value):,}>") if value else None
            if value is not None:
                shown.append((name, value))
        return shown

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


class TokenMetadata(Record, frozen=True, kw_only=True):
    """What a tokenizer said of a block."""

    model_family: str
    token_count: Annotated[int, Meta(ge=0, lt=2**32)]


class PromptBlock(Private, frozen=True, kw_only=True):
    """One block of a prompt; ``span_id`` says which block it is, ``content`` what stands in it now."""

    span_id: str
    sequence_index: Annotated[int, Meta(ge=0, lt=2**32)]
    role: Literal["system", "user", "assistant", "tool"]
    content: str
    content_type: Literal["text", "tool_schema", "tool_result", "structured_output", "image"]
    provenance: Literal["system", "user", "developer", "tool", "retrieval", "memory"]
    sensitivity: Sensitivity | None = None
    token_metadata: TokenMetadata | None = None


class ToolSchemaHash(Record, frozen=True, kw_only=True):
    """Hash of one tool definition of the request."""

    tool_name: str
    schema_hash: str


class PromptIR(Private, frozen=True, kw_only=True):
    """One observation: a request as ordered blocks. Times are RFC 3339 texts, as stored."""

    ir_id: str
    blocks: tuple[PromptBlock, ...]
    tool_schema_hashes: tuple[ToolSchemaHash, ...] | None = None
    structured_output_schema_id: str | None = None
    source_request_hash: str | None = None
    created_at: str


class BlockStability(Record, frozen=True, kw_only=True):
    """How stable one span was over a window."""

    span_id: str
    classification: StabilityClass
    score: float
    confidence: float
    observation_count: Count


class StabilityAnalysisResult(Record, frozen=True, kw_only=True):
    """What the analysis of one window gives; ``scores`` in prompt order (see `analyze_stability`)."""

    scores: tuple[BlockStability, ...]
    stable_prefix_length: Count
    stable_prefix_fingerprint: str | None = None
    total_observations: Count


class AnnotatedLlmRequest(Private, frozen=True, kw_only=True):
    """A request as the runtime normalised it; other provider keys are in ``unknown``."""

    messages: tuple[JsonObject, ...]
    model: str | None = None
    params: Json = None
    tools: tuple[JsonObject, ...] | None = None
    tool_choice: Json = None


class Usage(Record, frozen=True, kw_only=True):
    """What a provider billed for one request, in the same terms for every API.

    ``prompt_tokens`` is the whole prompt: read from the cache, written to it, and uncached.
    ``cache_writes_by_ttl`` divides ``cache_write_tokens`` by lifetime: ``"5m"``, ``"1h"``, ``"30m"``, ``"12h"``.
    ``raw`` holds the provider's own fields. A count is None where the provider did not report it.
    """

    prompt_tokens: Count | None = None
    cache_read_tokens: Count | None = None
    cache_write_tokens: Count | None = None
    cache_writes_by_ttl: Mapping[str, Count] = field(default_factory=dict)
    output_tokens: Count | None = None
    raw: JsonObject = field(default_factory=dict)


class Exchange(Private, frozen=True, kw_only=True):
    """What passed between the application and the provider in one call; request logs hold it, production does not.

    ``api`` is ``"anthropic"``, ``"openai-chat"`` or ``"openai-responses"``. ``request`` is the body as sent, in the
    order of its keys. ``first_token_at`` is an RFC 3339 text like all times. ``error`` says why there is no answer.
    ``metadata`` holds ids and labels of the log's own: session, workspace, account, application.
    """

    api: str
    request: JsonObject
    response: JsonObject | None = None
    usage: Usage | None = None
    first_token_at: str | None = None
    error: str | None = None
    request_id: str | None = None
    metadata: JsonObject = field(default_factory=dict)


class CallRecord(Private, frozen=True, kw_only=True):
    """One LLM or tool call of a run; production stores all of it but ``exchange``."""

    kind: Literal["llm", "tool"]
    name: str
    started_at: str
    ended_at: str | None = None
    metadata_snapshot: Json = None
    output_tokens: Count | None = None
    prompt_tokens: Count | None = None
    total_tokens: Count | None = None
    model_name: str | None = None
    tool_call_count: Count | None = None
    annotated_request: AnnotatedLlmRequest | None = None
    annotated_response: JsonObject | None = None
    exchange: Exchange | None = field(default=None, name="acg_lab_exchange")


class RunRecord(Private, frozen=True, kw_only=True):
    """One finished run of an agent, its calls in the order in which they were made."""

    id: str
    agent_id: str
    calls: tuple[CallRecord, ...]
    started_at: str
    ended_at: str | None = None
