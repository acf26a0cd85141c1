"""Fields of a request body, checked as the runtime's codecs check them; shared by the codec of every API.

Null counts as absent, and a value of another type refuses the body: production fails such a call before it is learned.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn, TypeAlias

from acg_lab.core.errors import RecordError
from acg_lab.core.records import Json, JsonObject

__all__ = [
    "Check",
    "is_boolean",
    "is_count",
    "is_integer",
    "is_list",
    "is_number",
    "is_object",
    "is_text",
    "is_texts",
    "kind_of",
    "native",
    "optional",
    "others",
    "pick",
    "refuse",
    "require_object",
    "require_text",
]

Check: TypeAlias = tuple[str, Callable[[Json], bool]]

is_text: Check = ("a text", lambda value: isinstance(value, str))
is_boolean: Check = ("true or false", lambda value: isinstance(value, bool))
is_object: Check = ("an object", lambda value: isinstance(value, dict))
is_list: Check = ("a list", lambda value: isinstance(value, list))
is_texts: Check = ("a list of texts", lambda value: isinstance(value, list) and all(isinstance(i, str) for i in value))
is_number: Check = ("a number", lambda value: isinstance(value, int | float) and not isinstance(value, bool))
is_count: Check = ("a non-negative integer", lambda value: _is_integer(value) and value >= 0)
is_integer: Check = ("an integer of 64 bits", lambda value: _is_integer(value) and value < 2**63)


def _is_integer(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def refuse(expected: str, value: Any, path: str) -> NoReturn:
    """Raise what says that another kind of value was expected at a path; the value itself is not shown."""
    came = "nothing" if value is None else type(value).__name__
    msg = f"expected {expected}, got {came}"
    raise RecordError(msg, path=path)


def optional(body: JsonObject, name: str, check: Check, path: str = "$") -> Json:
    """Return a field, None where it is absent or null; refuse a value of another kind."""
    value = body.get(name)
    if value is None:
        return None
    expected, passes = check
    if not passes(value):
        refuse(f"{expected} or null", value, f"{path}.{name}")
    return float(value) if check is is_number else value


def pick(body: JsonObject, table: Mapping[str, Check]) -> dict[str, Json]:
    """Return the optional fields of a table that are there, by name."""
    found = ((name, optional(body, name, check)) for name, check in table.items() if name in body)
    return {name: value for name, value in found if value is not None}


def require_text(value: JsonObject, name: str, path: str = "$") -> str:
    """Return a field that must be a text."""
    found = value.get(name)
    if not isinstance(found, str):
        refuse("a text", found, f"{path}.{name}")
    return found


def require_object(value: Json, path: str = "$") -> JsonObject:
    """Return a value that must be an object."""
    if not isinstance(value, dict):
        refuse("an object", value, path)
    return value


def others(value: JsonObject, names: Collection[str]) -> dict[str, Json]:
    """Return the fields that have none of the names."""
    return {name: item for name, item in value.items() if name not in names}


def kind_of(value: Json) -> str:
    """Return the type that an object names, ``"unknown"`` where it names none."""
    kind = value.get("type") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else "unknown"


def native(provider: str, kind: str, value: Json) -> dict[str, Json]:
    """Return what stands for something that only its own provider understands; the caller adds its tag."""
    return {"provider": provider, "kind": kind, "value": value}
