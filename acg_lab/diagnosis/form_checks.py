"""Checks of whole contents: the same items in another order, another form of the same text, or retrieved passages.

Each check takes a block's history and is true only if all contents show it.
"""

import re
from itertools import pairwise

from acg_lab.diagnosis.block_history import BlockHistory
from acg_lab.diagnosis.permuted_places import is_permuted_in_places
from acg_lab.repairs.permutations import keep_items, sort_arrays, sort_items, sort_paragraphs
from acg_lab.repairs.text_diff import canonicalize_json, may_hold_json, normalize_characters, remove_whitespace

__all__ = ["is_appended", "is_json_order", "is_reordered", "is_retrieved", "is_unicode_form", "says_the_same"]

_FEW, _MANY = 2, 5
_MOSTLY = 0.8


def is_reordered(block: BlockHistory) -> bool:
    """Return whether the same lines, items of lists or members of arrays stand in another order."""
    if block.is_stable_after(sort_items):
        return not block.is_stable_after(keep_items)
    return block.is_stable_after(sort_paragraphs) or _is_array_order(block) or is_permuted_in_places(block)


def _is_array_order(block: BlockHistory) -> bool:
    return all(may_hold_json(text) for text in block.texts) and block.is_stable_after(sort_arrays, whole=True)


def is_unicode_form(block: BlockHistory) -> bool:
    """Return whether only the form of characters differs."""
    return block.is_stable_after(normalize_characters)


def is_appended(block: BlockHistory) -> bool:
    """Return whether all contents differ in one place, and what stands there begins with the next shorter one."""
    if len(block.counts) <= _FEW or block.template is None or len(block.template.slots) != 1 or block.template.strays:
        return False
    values = sorted(block.template.values(block.template.slots[0]), key=len)
    return " " in values[-1] and all(value.startswith(shorter) for shorter, value in pairwise(values))


def is_json_order(block: BlockHistory) -> bool:
    """Return whether only the key order or number format of JSON differs."""
    return all(may_hold_json(block.text(code)) for code in block.counts) and block.is_stable_after(
        canonicalize_json, whole=True
    )


def says_the_same(block: BlockHistory) -> bool:
    """Return whether all contents say the same: in another order, with other white space, or in other characters."""
    tests = (is_reordered, is_json_order, is_unicode_form)
    return block.is_stable_after(remove_whitespace) or any(test(block) for test in tests)


_item = re.compile(
    r"^\W{0,3}(?:\[\d+\]|<(?:doc|document|passage|chunk|source|result|context)\b|"
    r"(?:doc|document|passage|chunk|source|result|excerpt)\s*\W?\d+)",
    re.MULTILINE | re.IGNORECASE,
)
_cue = re.compile(
    r"\b(?:score|chunk|passage|document|source|retrieved|relevance|similarity|excerpt)s?\b", re.IGNORECASE
)


def is_retrieved(block: BlockHistory) -> bool:
    """Return whether the text is retrieved: by its provenance, or as most contents list at least two passages."""
    if len(block.counts) < _FEW:
        return False
    if block.form.provenance == "retrieval":
        return True
    if len(block.counts) < _MANY:
        return False
    texts = [block.text(code) for code in block.counts]
    listed = sum(len(_item.findall(text)) >= _FEW and _cue.search(text) is not None for text in texts)
    return listed >= _MOSTLY * len(texts)
