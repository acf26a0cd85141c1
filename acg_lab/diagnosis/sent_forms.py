"""Say in which respect forms of one content differ that a learner takes for the same: what only the provider sees.

Invariant: marks of the cache are never content (`acg_lab.core.markers`), and no word comes from a prompt.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from acg_lab.core.markers import remove_markers

__all__ = ["MARKS", "SHAPE", "describe_forms", "describe_respects", "print_form"]

MARKS: Final = "cache marks"
SHAPE: Final = "sent as text here, as parts there"
_plain_spaces: Final = re.compile(r"[ \t\n\r\f\v]+")
_spaces: Final = re.compile(r"\s+")
_IMAGES: Final = ("image_url", "image", "input_image")


def print_form(value: Any) -> str:
    """Return what was sent as JSON, in its own order, without marks of the cache."""
    return json.dumps(remove_markers(value), ensure_ascii=False)


def describe_forms(forms: Iterable[str]) -> tuple[str, ...]:
    """Return in which respects forms differ from the first, the commonest respects of all forms in order.

    Parameters
    ----------
    forms : iterable of str
        As `print_form` prints them, the dominant one first.

    Examples
    --------
    >>> describe_forms([print_form({"a": 1, "b": 2}), print_form({"b": 2, "a": 1})])
    ('key order or number format',)
    """
    dominant, *others = forms
    return tuple(dict.fromkeys(_describe_difference(dominant, other) for other in others))


def describe_respects(respects: Iterable[str]) -> str:
    """Return respects in which forms differ as words behind a noun or a colon.

    >>> describe_respects(["white space", SHAPE])
    'sent as text here, as parts there, in forms that differ in white space'
    """
    found = list(respects)
    named = " and ".join(one for one in found if one != SHAPE)
    return ", ".join(filter(None, (SHAPE if SHAPE in found else "", named and f"in forms that differ in {named}")))


def _describe_difference(dominant: str, other: str) -> str:
    ours, theirs = json.loads(dominant), json.loads(other)
    if ours == theirs:
        return "key order or number format"
    if _as_parts(ours) == _as_parts(theirs):
        return SHAPE
    if _as_parts(ours, without=_IMAGES) == _as_parts(theirs, without=_IMAGES):
        return "images"
    ours, theirs = _as_parts(ours), _as_parts(theirs)
    if _remove(_plain_spaces, ours) == _remove(_plain_spaces, theirs):
        return "white space"
    if _remove(_spaces, ours) == _remove(_spaces, theirs):
        return "kinds of spaces"
    return "fields that no block holds"


def _as_parts(value: Any, without: tuple[str, ...] = ()) -> Any:
    """Return messages with each content as a list of parts, those of some types left out."""
    if isinstance(value, list):
        return [_as_parts(item, without) for item in value]
    if not isinstance(value, Mapping) or "content" not in value:
        return value
    content = value["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if isinstance(parts, list):
        parts = [part for part in parts if not isinstance(part, dict) or part.get("type") not in without]
    return {**value, "content": parts}


def _remove(spaces: re.Pattern[str], value: Any) -> Any:
    """Return a value without some spaces in its texts."""
    if isinstance(value, str):
        return spaces.sub("", value)
    if isinstance(value, dict):
        return {name: _remove(spaces, item) for name, item in value.items()}
    return [_remove(spaces, item) for item in value] if isinstance(value, list) else value
