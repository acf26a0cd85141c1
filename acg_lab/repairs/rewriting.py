"""Change the contents of blocks in recorded requests, each distinct value once.

Invariant: the annotated request says afterwards what the changed content says, or the request is not changed.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from acg_lab.core.canonical import canonical_json
from acg_lab.repairs.form_edits import set_value, value_at
from acg_lab.repairs.passages import Passages
from acg_lab.repairs.request_blocks import BlockFinder, FoundBlock, Place, content_of
from acg_lab.repairs.request_form import CannotRepairError, Form, RequestForms
from acg_lab.repairs.stretches import Stretch, replace_in_content, replace_in_value
from acg_lab.repairs.text_edits import change_texts, parse_object, set_content

__all__ = ["Rewriter", "pin_matches", "pin_passages", "remove_matches", "take_out_passages"]

_encode: Final = msgspec.json.Encoder().encode


class Rewriter:
    """Changes blocks in the forms of a request; each distinct value of a form is changed once.

    Parameters
    ----------
    change_content : callable
        Returns the new content of a block, white space normalised or not; may raise `CannotRepairError`.
    change_value : callable
        Returns the new value in the place of a block, of the value and the old content.
    """

    def __init__(self, change_content: Callable[[str], str], change_value: Callable[[Any, str], Any]) -> None:
        self._change_content, self._change_value = change_content, change_value
        self._contents: dict[str, str] = {}
        self._messages: dict[tuple[int, Place, str], int] = {}
        self._values: dict[tuple[bytes, str], Any] = {}

    def rewrite(self, finder: BlockFinder, block: FoundBlock, forms: RequestForms) -> bool:
        """Change one block of a request in all its forms; whether its content changed."""
        content = block.content
        if content not in self._contents:
            changed = self._change_content(content)
            unchanged = changed == content
            self._contents[content] = content if unchanged else content_of(block.draft._replace(content=changed))
        expected = self._contents[content]
        if expected == content:
            return False
        for form in forms.forms:
            self._rewrite_form(finder, block, form, forms, expected)
        return True

    def _rewrite_form(
        self, finder: BlockFinder, block: FoundBlock, form: Form, forms: RequestForms, expected: str
    ) -> None:
        place, is_message = block.place, block.place.field == "message"
        key = form.messages[place.position] if is_message else -1, place._replace(position=0), expected
        if is_message and key in self._messages:
            form.messages[place.position] = self._messages[key]
            return
        value = value_at(form, place, forms.pools)
        known = _encode(value), block.content
        if known not in self._values:
            new = self._change_value(value, block.content)
            # What was sent is compared with the annotated one by the codec, once the request is put together.
            self._values[known] = self._fitting(finder, block, value, new, expected) if form is forms.annotated else new
        set_value(form, place, self._values[known], forms.pools)
        if is_message:
            self._messages[key] = form.messages[place.position]

    def _fitting(self, finder: BlockFinder, block: FoundBlock, old: Any, new: Any, expected: str) -> Any:
        """Return a value whose block has the expected content: the new one, else one made of that content."""
        holds_text = block.place.field == "instructions" or (
            block.place.field == "message" and not block.place.is_whole and block.place.tool_call < 0
        )
        if holds_text:
            made = finder.text_of(new, block.draft)
            return new if made == expected else set_content(old, expected)
        if block.draft.content_type == "structured_output" or block.place.field != "format":
            made = content_of(block.draft._replace(content=canonical_json(new)))
            return new if made == expected else parse_object(expected)
        raise CannotRepairError


def remove_matches(search: re.Pattern[str]) -> Rewriter:
    """Return what removes the matches of a pattern."""

    def remove(text: str) -> str:
        return search.sub("", text)

    return Rewriter(remove, lambda value, _content: change_texts(value, remove))


def pin_matches(search: re.Pattern[str], matches: Sequence[str]) -> Rewriter:
    """Return what sets the first match of a pattern to the first of those given, the second to the second..."""

    def start() -> Callable[[str], str]:
        left = iter(matches)
        return lambda text: search.sub(lambda match: next(left, match.group()), text)

    return Rewriter(
        lambda content: change_texts(content, start()), lambda value, _content: change_texts(value, start())
    )


def pin_passages(passages: Passages) -> Rewriter:
    """Return what sets passages to their dominant values."""
    return _replace_stretches(passages.to_pin)


def take_out_passages(passages: Passages) -> Rewriter:
    """Return what takes passages out."""
    return _replace_stretches(passages.to_take_out)


def _replace_stretches(find: Callable[[str], list[Stretch] | None]) -> Rewriter:
    def find_or_raise(content: str) -> list[Stretch]:
        found = find(content)
        if found is None:
            raise CannotRepairError
        return found

    return Rewriter(
        lambda content: replace_in_content(content, find_or_raise(content)),
        lambda value, content: replace_in_value(value, content, find_or_raise(content)),
    )
