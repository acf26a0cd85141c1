"""JSON objects and lists taken apart into the texts of their fields and items, which are decoded once each if equal."""

import msgspec

from acg_lab.core.strict_json import DECODE_ERRORS, parse_strict, raise_record_error

__all__ = ["join_object", "printed_length", "split_list", "split_object", "take_list"]

_parse_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_parse_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_dump = msgspec.json.encode


def split_object(raw: bytes) -> dict[str, bytes]:
    """Split a JSON object into the compact texts of its fields; raise if a key occurs twice."""
    pieces = _split(raw)
    if printed_length(pieces) != len(raw):
        compact = msgspec.json.format(raw, indent=-1)
        pieces = _split(compact)
        if printed_length(pieces) != len(compact):
            parse_strict(raw)
    return pieces


def _split(raw: bytes) -> dict[str, bytes]:
    try:
        return {key: bytes(value) for key, value in _parse_object(raw).items()}
    except DECODE_ERRORS as error:
        raise_record_error(error, raw=raw)


def printed_length(pieces: dict[str, bytes]) -> int:
    """Return the length of the object when printed without spaces."""
    return sum(len(key.encode()) + 4 for key in pieces) + sum(map(len, pieces.values())) + 1


def join_object(pieces: dict[str, bytes]) -> bytes:
    """Return a JSON object of the texts of its fields."""
    return b"{%b}" % b",".join(b"%b:%b" % (_dump(key), value) for key, value in pieces.items())


def split_list(raw: bytes, path: str) -> list[bytes]:
    """Split a JSON list into the texts of its items; raise RecordError, with the path, if it is none."""
    try:
        return list(map(bytes, _parse_list(raw)))
    except DECODE_ERRORS as error:
        raise_record_error(error, path, raw=raw)


def take_list(pieces: dict[str, bytes], name: str) -> list[bytes]:
    """Return the items of a list in an object, and leave an empty list; return [] if there is none."""
    if name not in pieces:
        return []
    items = split_list(pieces[name], f"$.{name}")
    pieces[name] = b"[]"
    return items
