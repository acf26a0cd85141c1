"""Find out whether the items in each place of a text are the same in another order, in running text too.

A place is a stretch of slots. Its items are separated by commas or the like or by line breaks, else by spaces, and may
stand in quotes or brackets.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from acg_lab.diagnosis.block_history import BlockHistory
from acg_lab.diagnosis.slot_history import find_stretches
from acg_lab.repairs.text_template import Slot, Template

__all__ = ["is_permuted_in_places"]

_MIN_ITEMS, _MIN_WORDS = 3, 4
_NEAR: Final = 256  # characters that an item may reach beyond a slot
_separator = re.compile(r"\s*[,;|\n\u3001\uff0c\uff1b]\s*|\s+(?:and|or|und|oder|et|ou|y|e|o)\s+")
_wrapping = "[](){}<>'\"`*_\u201c\u201d\u2018\u2019 .:"
# Where an item ends: at a separator or a quote, or already at a space.
_BEFORE: Final = (
    re.compile(r".*[,;|\n\u3001\uff0c\uff1b:=\[({<\"'`]", re.DOTALL),
    re.compile(r".*[\s,;|\[({<\"'`]", re.DOTALL),
)
_AFTER: Final = (re.compile(r"[,;|\n\u3001\uff0c\uff1b\])}>\"'`]"), re.compile(r"[\s,;|\])}>\"'`]"))


def is_permuted_in_places(block: BlockHistory) -> bool:
    """Return whether every place in which the contents differ holds the same items, in another order."""
    template = block.template
    if template is None or template.strays or not template.slots:
        return False
    return all(_is_permuted(template, place) for place in find_stretches(template))


def _is_permuted(template: Template, place: Slot) -> bool:
    """Return whether all texts have the same items there; the ends of the first and the last one may be shared."""
    return any(_have_same_items(_cut_out(template, place, number)) for number in range(len(_BEFORE)))


def _cut_out(template: Template, place: Slot, number: int) -> Iterator[str]:
    """Yield what each text has there, up to where the items at its ends end."""
    for text, start, stop in zip(template.texts, place.starts, place.stops, strict=True):
        lead, tail = text[max(start - _NEAR, 0) : start], text[stop : stop + _NEAR]
        begin = found.end() if (found := _BEFORE[number].match(lead)) else 0
        end = found.start() if (found := _AFTER[number].search(tail)) else len(tail)
        yield lead[begin:] + text[start:stop] + tail[:end]


def _have_same_items(values: Iterator[str]) -> bool:
    first = _count_items(next(values))
    return first is not None and all(_count_items(value) == first for value in values)


def _count_items(value: str) -> Counter[str] | None:
    """Return how often each item occurs; None if there are too few."""
    items = [item for part in _separator.split(value) if (item := part.strip(_wrapping))]
    if len(items) == 1:
        items = items[0].split()
        return Counter(items) if len(items) >= _MIN_WORDS else None
    return Counter(items) if len(items) >= _MIN_ITEMS else None
