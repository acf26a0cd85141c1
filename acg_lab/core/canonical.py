"""Canonical JSON (RFC 8785, as production prints it), compact JSON, and hashing.

Production prints every number as ECMAScript prints its nearest double, integers beyond 2**53 included; the RFC 8785
library refuses those, so they are converted first. See ``acg_lab/docs/rules/learner.md``, 2.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from hashlib import sha256

from msgspec import MsgspecError, json

from acg_lab.core.errors import RecordError
from acg_lab.core.records import Json

__all__ = ["canonical_json", "compact_json", "hash_text"]

_MAX_SAFE = 2**53 - 1
_INTEGERS = range(-(2**63), 2**64)
_PLAIN_FROM, _PYTHON_PLAIN_FROM = 1e-5, 1e-4

_encode = json.Encoder(order="sorted").encode
# Numbers that the fast encoder prints differently from RFC 8785; searched for outside of texts only.
_odd_number = re.compile(rb"\d[.e]|\d{16}").search
# The fast encoder sorts keys by code point, RFC 8785 by UTF-16 unit: they differ beyond the basic plane.
_beyond_plane = re.compile(rb"[\xf0-\xf4]").search


def hash_text(text: str) -> str:
    """Return ``"sha256:"`` followed by the lowercase hex digest of the text's UTF-8 bytes.

    Parameters
    ----------
    text : str
        Any text without lone surrogates.

    Returns
    -------
    str
        71 characters.

    Examples
    --------
    >>> hash_text("")[:15]
    'sha256:e3b0c442'
    """
    return "sha256:" + sha256(text.encode()).hexdigest()


def canonical_json(value: Json) -> str:
    """Return a JSON value in canonical form.

    The value must consist of what JSON decodes to. Dates, bytes and records are printed as msgspec prints them, since
    searching for them would cost every other value a second pass.

    Parameters
    ----------
    value : JSON value
        Read, never changed.

    Returns
    -------
    str
        RFC 8785, as production prints it: keys sorted, no spaces, doubles as ECMAScript prints them.

    Raises
    ------
    RecordError
        If the value holds something that JSON or production cannot represent: NaN, an integer outside
        -2**63 .. 2**64 - 1, a lone surrogate, a key that is not a text, or nesting beyond the interpreter's depth.

    Examples
    --------
    >>> canonical_json({"b": 1.0, "a": [True, None]})
    '{"a":[true,null],"b":1}'
    """
    # The fast path, taken by nearly all values, avoids the cost of a context manager.
    with_care = True
    try:
        fast = _encode(value)
        with_care = not _is_exact(fast, value)
    except (MsgspecError, TypeError, ValueError, OverflowError, RecursionError):
        pass  # the exact path raises an error that says what is wrong
    if not with_care:
        return fast.decode()
    with _refusals():
        return _exact(value)


def compact_json(value: Json, *, first: Iterable[str] = ()) -> str:
    """Return a JSON value as the runtime's serializer prints it (``acg_lab/docs/rules/learner.md``, 8.2).

    Parameters
    ----------
    value : JSON value
        Printed without spaces, the keys of objects by code point, integers as they are, doubles with a decimal.
    first : iterable of str
        Keys of the outermost object that come before the others, in this order.

    Raises
    ------
    RecordError
        As in `canonical_json`.
    """
    with _refusals():
        if not isinstance(value, Mapping):
            return _compact(value)
        order = [key for key in first if key in value]
        order += sorted(value.keys() - set(order))
        return _object((key, value[key]) for key in order)


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except RecordError:
        raise
    except RecursionError:
        msg = "expected a JSON value of sane depth, got one that is nested too deeply"
        raise RecordError(msg) from None
    except (MsgspecError, TypeError, ValueError, OverflowError) as error:
        msg = f"expected a JSON value, got one that cannot be printed ({type(error).__name__})"
        raise RecordError(msg) from None


def _is_exact(fast: bytes, value: Json) -> bool:
    unescaped = fast.replace(rb"\\", b"").replace(rb"\"", b"") if b"\\" in fast else fast
    outside_texts = b"".join(unescaped.split(b'"')[::2])
    if _odd_number(outside_texts) or (not fast.isascii() and _beyond_plane(fast)):
        return False
    # The fast encoder prints NaN as null.
    return b"null" not in outside_texts or not _holds_float(value)


def _holds_float(value: Json) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_float, value.values()))
    return any(map(_holds_float, value)) if isinstance(value, list | tuple) else isinstance(value, float)


def _exact(value: Json) -> str:
    # Imported here so that `import acg_lab.core` needs msgspec alone.
    import rfc8785  # noqa: PLC0415

    return rfc8785.dumps(_as_doubles(value)).decode()


def _as_doubles(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {key: _as_doubles(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_doubles(item) for item in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        _check_number(value)
        return float(value) if abs(value) > _MAX_SAFE else value
    return value


def _check_number(value: float) -> None:
    if isinstance(value, float):
        if not math.isfinite(value):
            msg = f"expected a finite number, got {value!r}"
            raise RecordError(msg)
    elif value not in _INTEGERS:
        msg = "expected an integer from -2**63 to 2**64 - 1, got one beyond"
        raise RecordError(msg)


def _compact(value: Json) -> str:
    if isinstance(value, Mapping):
        return _object((key, value[key]) for key in sorted(value))
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_compact, value))}]"
    if isinstance(value, float):
        return _double(value)
    if isinstance(value, int) and not isinstance(value, bool):
        _check_number(value)
    return _encode(value).decode()


def _object(items: Iterable[tuple[str, Json]]) -> str:
    return f"{{{','.join(f'{_name(key)}:{_compact(item)}' for key, item in items)}}}"


def _name(key: str) -> str:
    if not isinstance(key, str):
        raise TypeError
    return _encode(key).decode()


def _double(value: float) -> str:
    # Python and the runtime print the same shortest digits, but Python uses exponents below 1e-4, the runtime below
    # 1e-5, and Python pads small exponents with a zero.
    _check_number(value)
    if _PLAIN_FROM <= abs(value) < _PYTHON_PLAIN_FROM:
        return f"{Decimal(repr(value)):f}"
    return repr(value).replace("e-0", "e-")
