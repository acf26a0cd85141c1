"""Contents of pieces as a reader knows them: the text itself, without the JSON that a body wraps it in.

Invariant: reading never fails; what has no text is returned as it was sent.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["plain_text", "split_content"]

_CONTENT: Final = ',"content":'
_decoder = json.JSONDecoder()


def plain_text(content: bytes) -> str:
    r"""Return the text of a piece of a prompt; of a piece without text, its JSON.

    Parameters
    ----------
    content : bytes
        One of `RecordedRequests.texts`.

    Examples
    --------
    >>> plain_text(b's"You are here.\\nIt is noon."')
    'You are here.\nIt is noon.'
    >>> plain_text(b'{"role":"user"},"content":[{"type":"text","text":"hi"}')
    'hi'
    >>> plain_text(b't{"name":"search"}')
    '{"name":"search"}'
    """
    raw = content.decode(errors="replace")
    written = raw[1:] if raw[:1] in ("s", "S", "t") else raw
    value, end = _decode(written, 0)
    rest = written[end:]
    if rest.startswith(_CONTENT):
        value, _ = _decode(rest.removeprefix(_CONTENT).removeprefix("["), 0)
    if isinstance(value, str):
        return value
    text = value.get("text") if isinstance(value, Mapping) else None
    return text if isinstance(text, str) else written


def split_content(content: bytes) -> tuple[str, str]:
    """Return the other fields of the message that a piece begins, as JSON, and the JSON of the piece itself.

    A piece that begins no message has no other fields: an empty text.

    Examples
    --------
    >>> split_content(b'{"role":"user"},"content":[{"type":"text","text":"hi"}')
    ('{"role":"user"}', '{"type":"text","text":"hi"}')
    >>> split_content(b'{"type":"text","text":"hi"}')
    ('', '{"type":"text","text":"hi"}')
    """
    raw = content.decode(errors="replace")
    written = raw[1:] if raw[:1] in ("s", "S", "t") else raw
    _, end = _decode(written, 0)
    lead, rest = written[:end], written[end:]
    if rest.startswith(_CONTENT):
        return lead, rest.removeprefix(_CONTENT).removeprefix("[") if rest[len(_CONTENT) :] != "[]" else "[]"
    return (lead, rest) if rest.startswith("{") else ("", written)


def _decode(text: str, start: int) -> tuple[Any, int]:
    try:
        return _decoder.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None, start
