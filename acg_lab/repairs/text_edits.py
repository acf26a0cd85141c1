"""Change the texts of JSON values: of a message's content, a tool, or a tool call.

A text is changed in place where that says the same as changing the block's content: white space, key order and parts
stay as sent. Else the block's new content is put in, if one text or one JSON object can hold it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from acg_lab.core.errors import RecordError
from acg_lab.core.strict_json import DECODE_ERRORS
from acg_lab.repairs.request_form import CannotRepairError

__all__ = ["change_texts", "parse_object", "set_content"]

_decode: Final = msgspec.json.Decoder().decode


def change_texts(value: Any, change: Callable[[str], str]) -> Any:
    """Return a value with every text in it changed, but keys and the types of parts."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: item if key in ("type", "role") else change_texts(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [change_texts(item, change) for item in value]
    return value


def set_content(value: Any, content: str) -> Any:
    """Return a content that says a new text: in place of a text, or of the only text part.

    Raises
    ------
    CannotRepairError
        If the content has several parts.
    """
    if isinstance(value, str):
        return content
    if isinstance(value, list | tuple) and len(value) == 1:
        part = value[0]
        if isinstance(part, Mapping) and isinstance(part.get("text"), str):
            return [{**part, "text": content}]
    raise CannotRepairError


def parse_object(content: str) -> Any:
    """Return the JSON object that a changed content is.

    Raises
    ------
    CannotRepairError
        If it is none any more.
    """
    try:
        value = _decode(content.encode())
    except (*DECODE_ERRORS, RecordError):
        raise CannotRepairError from None
    if not isinstance(value, dict):
        raise CannotRepairError
    return value
