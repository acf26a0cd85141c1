"""The types of the tables in `acg_lab.core.rules`: what a rules version fixes, and what a message becomes."""

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple, TypeAlias

from acg_lab.core.records import AnnotatedLlmRequest, JsonObject

__all__ = ["Draft", "MessageRule", "PartText", "Rules", "RulesName"]

RulesName: TypeAlias = Literal["nemo-flow-0.2", "nemo-relay-0.6", "nemo-relay-0.8"]
PartText: TypeAlias = Callable[[JsonObject], str | None]


class Draft(NamedTuple):
    """A block before it has a number: its span id will be ``{role}-{number}{suffix}``."""

    role: str
    provenance: str
    content_type: str
    suffix: str
    content: str
    normalised: bool = True


class MessageRule(NamedTuple):
    """What one kind of message gives.

    ``scaffold`` messages count as system: they come before the tools and make the system fingerprint; the first other
    message makes the seed fingerprint.
    """

    scaffold: bool
    drafts: Callable[["Rules", JsonObject], Iterator[Draft]]
    seed: Callable[["Rules", JsonObject], str]


class Rules(NamedTuple):
    """One generation.

    Attributes
    ----------
    name : str
    key_prefix : str
        Production's default in Redis.
    messages : mapping of str to MessageRule
        What each role gives.
    block_parts, seed_parts : mapping of str to callable
        The text of each type of content part, in blocks and in learning keys; None for none at all.
    keep_empty_parts : bool
        Whether a part without text still makes a line of its block.
    tool_name : callable
        The name of a tool definition.
    opening, closing : callable
        The blocks of a request that come before its messages, and directly behind its tools.
    system_fingerprint : callable
        Of the request's system items, not yet cut.
    response_format : callable
        The canonical JSON of the request's response format, None where the generation does not look or there is none.
    has_scaffold : callable
        Whether the request has a stable scaffold, so that its key leaves out the seed and holds whole fingerprints.
    exact_prefix : bool
        Whether the stable prefix is one that a majority shares exactly, with a fingerprint, instead of leading scores.
        A live request then has to have the same fingerprint.
    rewrites_body : bool
        Whether a codec writes the body of a live request anew before the planner sees it (planner.md, section 1).
    records_turns : bool
        Whether all but the first request of a run are recorded cut to the current turn, unless full payloads are on.
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
