"""JSON texts taken apart without parsing what repeats: an object to the texts of its fields, a list to its items'.

Production's parser refuses what ours must refuse too (`acg_lab.core.strict_json.parse_strict`): a key twice, numbers
out of range, lone surrogates, deep nesting. Texts that msgspec prints as they are need no second look.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from acg_lab.core.records import Json
from acg_lab.core.strict_json import parse_strict, raise_record_error

__all__ = ["elide_files", "has_elided", "parse_piece", "print_json", "split_list", "split_object"]

print_json = msgspec.json.Encoder().encode
_format = msgspec.json.format
_decode = msgspec.json.Decoder().decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_long_number = re.compile(rb"\d{19}").search
_MANY_BRACKETS = 100
_LARGE_FILE = 100_000
_data_url = re.compile(r"data:[^,]{0,200},").match
_hash = re.compile(rb"sha256:[0-9a-f]{64} \([0-9,]+ bytes\)").search
_base64 = re.compile(r"[A-Za-z0-9+/=_-]{64}").match


def split_object(raw: bytes) -> dict[str, bytes]:
    """Split a JSON object into the texts of its fields.

    Raises
    ------
    RecordError
        If it is not JSON, not an object, or holds a key twice.
    """
    try:
        pieces = _decode_object(raw)
    except _ERRORS as error:
        raise_record_error(error)
    found = {key: bytes(value) for key, value in pieces.items()}
    if not _holds_only(raw, found):
        parse_strict(raw)
    return found


def _holds_only(raw: bytes, pieces: Mapping[str, bytes]) -> bool:
    """Whether a text is as long as its fields make it, with or without spaces: then no key stands in it twice."""
    length = sum(len(key.encode()) + 4 for key in pieces) + sum(map(len, pieces.values())) + 1
    spaced = length + 2 * len(pieces) - 1
    return len(raw) in (length, spaced) or len(raw.strip()) in (length, spaced)


def split_list(raw: bytes) -> list[bytes]:
    """Split a JSON list into the texts of its items; raises as `split_object`."""
    try:
        return list(map(bytes, _decode_list(raw)))
    except _ERRORS as error:
        raise_record_error(error)


def parse_piece(raw: bytes) -> tuple[Json, bytes]:
    """Parse a JSON text; return its value, and the value printed without spaces.

    Raises
    ------
    RecordError
        If production's parser refuses it.
    """
    try:
        value = _decode(raw)
    except _ERRORS:
        value = parse_strict(raw)
    printed = print_json(value)
    is_plain = not _long_number(raw) and raw.count(b"[") + raw.count(b"{") < _MANY_BRACKETS
    if not (is_plain and (printed == raw or printed == _format(raw, indent=-1))):
        value = parse_strict(raw)
        printed = print_json(value)
    if len(raw) > _LARGE_FILE:
        value = elide_files(value)
        printed = print_json(value)
    return value, printed


def elide_files(value: Json) -> Json:
    """Put hash and size in the place of images and files of 100 kB or more, as base64 in a JSON value."""
    if isinstance(value, dict):
        return {name: elide_files(item) for name, item in value.items()}
    if isinstance(value, list):
        return [elide_files(item) for item in value]
    return _elide(value) if isinstance(value, str) and len(value) >= _LARGE_FILE else value


def has_elided(raw: bytes, printed: bytes) -> bool:
    """Whether `parse_piece` put a hash in the place of a file."""
    return len(raw) > _LARGE_FILE and _hash(printed) is not None and _hash(raw) is None


def _elide(text: str) -> Any:
    prefix = found.group() if (found := _data_url(text)) else ""
    data = text[len(prefix) :]
    if not (prefix or _base64(data)):
        return text
    try:
        size = len(base64.b64decode(data, altchars="-_" if "-" in data or "_" in data else None, validate=True))
    except (binascii.Error, ValueError):
        return text
    return f"{prefix}sha256:{hashlib.sha256(data.encode()).hexdigest()} ({size:,} bytes)"
