"""Bring what may stand in any order into one order: lines, items of lists, members of JSON arrays.

Texts that hold the same items in another order become equal; others stay different.
"""

import json
import re
from collections import Counter
from typing import Any

from acg_lab.repairs.text_diff import canonicalize_json

__all__ = ["identify_items", "keep_items", "sort_arrays", "sort_items", "sort_paragraphs"]

_numbering = re.compile(r"^\s*(?:[-*\u2022\u00b7]|\(?\d{1,3}[.):])?\s*")
_separator = re.compile(r"\s*[,;|\u3001\uff0c\uff1b]\s*|\s+(?:and|or|und|oder|et|ou|y|e|o)\s+")
_blank_line = re.compile(r"\n\s*\n")
_label = re.compile(r"^[^,;|\u3001\uff0c\uff1b]{1,80}?[:=\uff1a]\s*")


def _split_items(text: str) -> list[list[str]]:
    """Return the items of each line of a text, without the numbers of lines and the full stops at their ends."""
    return [_split_line(_numbering.sub("", line)) for line in text.split("\n")]


def _split_line(line: str) -> list[str]:
    label = found.group() if (found := _label.match(line)) else ""
    items = _separator.split(line[len(label) :].strip().removesuffix("."))
    return [label, *items]


def sort_items(text: str) -> str:
    r"""Return a text with its lines in order, without their numbers, and the items of each line in order.

    Examples
    --------
    >>> sort_items("1. pear, plum\n2. fig") == sort_items("1. fig\n2. plum, pear")
    True
    """
    lines = ([label, *sorted(items)] for label, *items in _split_items(text))
    return "\n".join(map(", ".join, sorted(lines)))


def keep_items(text: str) -> str:
    """Return what `sort_items` does, in the order in which the items come."""
    return "\n".join(map(", ".join, _split_items(text)))


def sort_paragraphs(text: str) -> str:
    r"""Return a text with its paragraphs in order.

    Examples
    --------
    >>> sort_paragraphs("Q: a\n\nQ: b") == sort_paragraphs("Q: b\n\nQ: a")
    True
    """
    return "\n\n".join(sorted(part.strip() for part in _blank_line.split(text)))


def sort_arrays(text: str) -> str:
    """Return a text with each JSON value in canonical form and the members of its arrays in order.

    Examples
    --------
    >>> sort_arrays('one of {"enum":["b","a"]}')
    'one of {"enum":["a","b"]}'
    """
    return canonicalize_json(text, _sort_value)


def _sort_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sort_value(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted(map(_sort_value, value), key=lambda item: json.dumps(item, sort_keys=True))
    return value


def identify_items(text: str) -> tuple[str, str]:
    """Return what is equal for two texts just if they hold the same items, written alike, in any order.

    Examples
    --------
    >>> identify_items("pear, fig and plum") == identify_items("fig, plum and pear")
    True
    >>> identify_items("pear, fig") == identify_items("fig; pear")
    False
    """
    counts = Counter(text)
    return sort_items(sort_arrays(text)), "".join(f"{c}{counts[c]}" for c in sorted(counts))
