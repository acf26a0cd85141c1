"""From a request to one observation (``acg_lab/docs/rules/learner.md``, 2).

A request becomes ordered, numbered blocks with normalised white space. How a message or content part becomes text is in
the tables of `acg_lab.core.rules`.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, TypeVar

import msgspec

from acg_lab.core.canonical import canonical_json, hash_text
from acg_lab.core.errors import RecordError
from acg_lab.core.messages import map_messages, message_rule, tool_schemas
from acg_lab.core.records import AnnotatedLlmRequest, JsonObject, PromptBlock, PromptIR, ToolSchemaHash
from acg_lab.core.rule_types import Draft
from acg_lab.core.rules import Rules, get_rules

__all__ = [
    "build_prompt_ir",
    "hash_request",
    "make_block",
    "normalize_whitespace",
    "order_blocks",
    "request_to_json",
    "tool_drafts",
]

G = TypeVar("G")

# Unicode's White_Space property without space and line feed; `str.isspace` includes U+001C to U+001F as well.
_ODD_ASCII = "\t\v\f\r"
_ODD = f"{_ODD_ASCII}\x85\xa0\u1680{''.join(map(chr, range(0x2000, 0x200B)))}\u2028\u2029\u202f\u205f\u3000"
_EDGES = f" \n{_ODD}"


def normalize_whitespace(text: str) -> str:
    r"""Normalise white space as production does before it compares contents.

    Both ends are stripped. A run of white space other than line feeds becomes one space, or nothing before a line feed.
    Line feeds are kept.

    Parameters
    ----------
    text : str
        A content as sent.

    Returns
    -------
    str
        The content as it is stored and compared.

    Examples
    --------
    >>> normalize_whitespace("  a \t b  \n\n   c ")
    'a b\n\n c'
    """
    text = text.strip(_EDGES)
    # Replacing one character at a time is much faster than one regular expression for all.
    for odd in _ODD_ASCII if text.isascii() else _ODD:
        text = text.replace(odd, " ")
    while "  " in text:
        text = text.replace("  ", " ")
    return text.replace(" \n", "\n")


def request_to_json(request: AnnotatedLlmRequest) -> JsonObject:
    """Return the request as the JSON object that production stores, unknown fields included."""
    fields: dict[str, Any] = msgspec.structs.asdict(request)
    unknown: JsonObject = fields.pop("unknown")
    return {name: value for name, value in fields.items() if value is not None} | dict(unknown)


def build_prompt_ir(
    request: AnnotatedLlmRequest,
    *,
    ir_id: str,
    created_at: str,
    rules: str = "nemo-flow-0.2",
    schemas: Sequence[str] | None = None,
) -> PromptIR:
    """Flatten a request into an observation.

    Parameters
    ----------
    request : AnnotatedLlmRequest
        Read, never changed.
    ir_id, created_at : str
        UUID and RFC 3339 time of the observation; production uses a random UUID and the current time.
    rules : str
        Name of the rules version.
    schemas : sequence of str, optional
        Canonical JSON of the request's tools, if already known.

    Returns
    -------
    PromptIR
        Blocks in prompt order, numbered from 0.

    Raises
    ------
    RecordError
        If production cannot read a message, content part or tool; the error names its path in the request.

    Examples
    --------
    >>> request = AnnotatedLlmRequest(messages=({"role": "user", "content": " Hi  there "},))
    >>> build_prompt_ir(request, ir_id="1", created_at="2026-01-01T00:00:00Z").blocks[0].content
    'Hi there'
    """
    table = get_rules(rules)
    schemas = tool_schemas(request) if schemas is None else schemas
    names = _tool_names(table, request)
    hashes = tuple(ToolSchemaHash(tool_name=n, schema_hash=hash_text(s)) for n, s in zip(names, schemas, strict=True))

    def read(message: JsonObject) -> tuple[bool, Iterable[Draft]]:
        rule = message_rule(table, message)
        return rule.scaffold, tuple(rule.drafts(table, message))

    drafts = order_blocks(
        table.opening(table, request), _tools(table, request, names, schemas), map_messages(request, read)
    )
    blocks = tuple(make_block(draft, number) for number, draft in enumerate(chain.from_iterable(drafts)))
    response_format = table.response_format(request)
    return PromptIR(
        ir_id=ir_id,
        blocks=blocks,
        tool_schema_hashes=None if request.tools is None else hashes,
        structured_output_schema_id=None if response_format is None else hash_text(response_format),
        source_request_hash=hash_text(_canonical_request(request, schemas)),
        created_at=created_at,
    )


def make_block(draft: Draft, number: int) -> PromptBlock:
    """Return the block of a draft at a position in the prompt."""
    return PromptBlock(
        span_id=f"{draft.role}-{number}{draft.suffix}",
        sequence_index=number,
        role=draft.role,  # type: ignore[arg-type]  # the tables contain no other
        content=normalize_whitespace(draft.content) if draft.normalised else draft.content,
        content_type=draft.content_type,  # type: ignore[arg-type]
        provenance=draft.provenance,  # type: ignore[arg-type]
        sensitivity="public",
    )


def order_blocks(opening: G, tools: G, messages: Iterable[tuple[bool, G]]) -> Iterator[G]:
    """Yield the parts of a request in prompt order: tools come before the first message that is not system, or last.

    Parameters
    ----------
    opening, tools : any
        What comes first; the tools with the response format.
    messages : iterable of (bool, any)
        For each message, whether it is part of the scaffold, and the message.
    """
    yield opening
    waiting = True
    for scaffold, drafts in messages:
        if waiting and not scaffold:
            yield tools
            waiting = False
        yield drafts
    if waiting:
        yield tools


def hash_request(request: AnnotatedLlmRequest) -> str:
    """Return the ``source_request_hash`` of a request: the hash of its whole canonical JSON."""
    return hash_text(_canonical_request(request, tool_schemas(request)))


def _canonical_request(request: AnnotatedLlmRequest, schemas: Sequence[str]) -> str:
    """Return the request's canonical JSON.

    Messages are printed one by one, so that a number that needs the slow path slows down one message only.
    """
    fields = request_to_json(request)
    printed = {
        "messages": f"[{','.join(map(canonical_json, request.messages))}]",
        "tools": f"[{','.join(schemas)}]",
    }
    names = sorted(fields, key=lambda name: name.encode("utf-16-be"))
    return f"{{{','.join(f'{canonical_json(n)}:{printed.get(n) or canonical_json(fields[n])}' for n in names)}}}"


def tool_drafts(table: Rules, request: AnnotatedLlmRequest) -> tuple[Draft, ...]:
    """Return the blocks of a request's tools, followed by that of its response format."""
    return _tools(table, request, _tool_names(table, request), tool_schemas(request))


def _tools(
    table: Rules, request: AnnotatedLlmRequest, names: Sequence[str], schemas: Sequence[str]
) -> tuple[Draft, ...]:
    drafts = (Draft("system", "system", "tool_schema", f"-{n}", s) for n, s in zip(names, schemas, strict=True))
    return *drafts, *table.closing(table, request)


def _tool_names(table: Rules, request: AnnotatedLlmRequest) -> list[str]:
    names: list[str] = []
    for tool in request.tools or ():
        try:
            names.append(table.tool_name(tool))
        except RecordError as error:
            raise error.at(path=f"$.tools[{len(names)}]") from None
    return names
