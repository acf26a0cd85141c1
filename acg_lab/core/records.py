"""What production stores, as frozen values: runs, calls, requests, observations and results.

Optional fields are absent in JSON, never null. Fields that this version does not know are kept in ``unknown`` and
written back, so that a record survives reading and writing whatever production adds to it. See
``acg_lab/docs/rules/learner.md``, 1, 2 and 4.

The parts of a request (messages, tools) stay JSON values, since providers put what they like into them. Records share
them: never change them. Prompts are private: a repr shows the lengths of texts and collections, never their content.
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
    "continues_stored",
]

Json: TypeAlias = Any
JsonObject: TypeAlias = Mapping[str, Any]
Sensitivity: TypeAlias = Literal["public", "private", "restricted"]
StabilityClass: TypeAlias = Literal["stable", "semi_stable", "variable"]

Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]

_PRIVATE_FIELDS = {
    "content",
    "error",
    "metadata",
    "metadata_snapshot",
    "params",
    "request",
    "response",
    "tool_choice",
}  # fields with text, or with JSON of any shape

# The JSON name starts with a private-use character, so that it cannot clash with a stored field named "unknown".
UNKNOWN = "\ue000unknown"


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Base of all stored records: compared by value, with unknown fields in ``unknown``."""

    unknown: JsonObject = field(default_factory=dict, name=UNKNOWN)


class _Unquoted(str):
    """A text that a repr shows without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Private(Record, frozen=True, kw_only=True):
    """Base of records that hold prompt text, which their repr does not show."""

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Return the fields that may be shown, for `rich` and the repr."""
        shown: list[tuple[str, Any]] = []
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name in _PRIVATE_FIELDS and value is not None:
                value = _Unquoted(f"<{len(value):,} characters>" if isinstance(value, str) else "<not shown>")
            elif isinstance(value, Sized) and not isinstance(value, str):
                value = _Unquoted(f"<{len(value):,}>") if value else None
            if value is not None:
                shown.append((name, value))
        return shown

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


class TokenMetadata(Record, frozen=True, kw_only=True):
    """The token count of a block, as counted by a tokenizer."""

    model_family: str
    token_count: Annotated[int, Meta(ge=0, lt=2**32)]


class PromptBlock(Private, frozen=True, kw_only=True):
    """One block of a prompt: ``span_id`` identifies the block across requests, ``content`` is its text in this one."""

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
    """One observation: a request as ordered blocks, with its time as an RFC 3339 text."""

    ir_id: str
    blocks: tuple[PromptBlock, ...]
    tool_schema_hashes: tuple[ToolSchemaHash, ...] | None = None
    structured_output_schema_id: str | None = None
    source_request_hash: str | None = None
    created_at: str


class BlockStability(Record, frozen=True, kw_only=True):
    """How stable one span is in a window."""

    span_id: str
    classification: StabilityClass
    score: float
    confidence: float
    observation_count: Count


class StabilityAnalysisResult(Record, frozen=True, kw_only=True):
    """The result of analysing one window; ``scores`` are in prompt order, see `analyze_stability`."""

    scores: tuple[BlockStability, ...]
    stable_prefix_length: Count
    stable_prefix_fingerprint: str | None = None
    total_observations: Count


class AnnotatedLlmRequest(Private, frozen=True, kw_only=True):
    """A request as normalised by the runtime; other provider keys are in ``unknown``."""

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
    order of its keys. ``first_token_at`` is an RFC 3339 text like all times. ``error`` says why there is no response.
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
    """One LLM or tool call of a run; production stores all fields but ``exchange``."""

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
    """One finished run of an agent, with its calls in order."""

    id: str
    agent_id: str
    calls: tuple[CallRecord, ...]
    started_at: str
    ended_at: str | None = None


def continues_stored(body: JsonObject) -> bool:
    """Return whether a request body continues a conversation that the provider keeps, and is not the whole prompt.

    Examples
    --------
    >>> continues_stored({"model": "gpt-5", "input": "And now?", "previous_response_id": "resp_1"})
    True
    """
    return any(body.get(name) is not None for name in _STORED)


_STORED = "previous_response_id", "conversation"
