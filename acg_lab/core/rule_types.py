"""The types of the tables in `acg_lab.core.rules`: a rules version, a message rule, and a block without its number."""

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple, TypeAlias

from acg_lab.core.records import AnnotatedLlmRequest, JsonObject

__all__ = ["Draft", "MessageRule", "PartText", "Rules", "RulesName"]

RulesName: TypeAlias = Literal["nemo-flow-0.2", "nemo-relay-0.6", "nemo-relay-0.8"]
PartText: TypeAlias = Callable[[JsonObject], str | None]


class Draft(NamedTuple):
    """A block without its number. Its span id becomes ``{role}-{number}{suffix}``."""

    role: str
    provenance: str
    content_type: str
    suffix: str
    content: str
    normalised: bool = True


class MessageRule(NamedTuple):
    """How messages of one role become blocks and fingerprints.

    ``scaffold`` messages count as system messages: they come before the tools and enter the system fingerprint. The
    first other message makes the seed fingerprint.
    """

    scaffold: bool
    drafts: Callable[["Rules", JsonObject], Iterator[Draft]]
    seed: Callable[["Rules", JsonObject], str]


class Rules(NamedTuple):
    """One rules version.

    Attributes
    ----------
    name : str
    key_prefix : str
        Production's default key prefix in Redis.
    messages : mapping of str to MessageRule
        The rule for each role.
    block_parts, seed_parts : mapping of str to callable
        The text of each type of content part, in blocks and in learning keys; the callable returns None for no text.
    keep_empty_parts : bool
        Whether a part with an empty text adds a line to its block.
    tool_name : callable
        Returns the name of a tool definition.
    opening, closing : callable
        Yield the blocks before a request's messages, and those directly after its tools.
    system_fingerprint : callable
        Returns the fingerprint of the request's system items, untruncated.
    response_format : callable
        Returns the canonical JSON of the request's response format, or None.
    has_scaffold : callable
        Returns whether the request has a stable scaffold. Its key then has no seed, and whole fingerprints.
    exact_prefix : bool
        Whether the stable prefix is the one that a majority shares exactly, with a fingerprint that a live request must
        match, instead of the leading stable scores.
    rewrites_body : bool
        Whether a codec rewrites the body of a live request before the planner sees it (``rules/planner.md``, 1).
    records_turns : bool
        Whether requests after the first of a run are recorded truncated to the current turn, unless full payloads are
        enabled.
    """

    name: RulesName
    key_prefix: str
    messages: Mapping[str, MessageRule]
    block_parts: Mapping[str, PartText]
    seed_parts: Mapping[str, PartText]
    keep_empty_parts: bool
    tool_name: Callable[[JsonObject], str]
    opening: Callable[["Rules", AnnotatedLlmRequest], Iterator[Draft]]
    closing: Callable[["Rules", AnnotatedLlmRequest], Iterator[Draft]]
    system_fingerprint: Callable[["Rules", AnnotatedLlmRequest], str]
    response_format: Callable[[AnnotatedLlmRequest], str | None]
    has_scaffold: Callable[["Rules", AnnotatedLlmRequest], bool]
    exact_prefix: bool
    rewrites_body: bool
    records_turns: bool
