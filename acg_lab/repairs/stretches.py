"""Replace stretches of a content, in the text that a window holds and in the value that was sent.

A window holds the text with its white space normalised, and the parts of a value in one text. So a stretch is found
again in the value by the characters other than white space that come before it.

Invariant: what lies outside of the stretches stays as it was sent.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from acg_lab.core.markers import MARKER_NAMES
from acg_lab.core.prompt_ir import normalize_whitespace

__all__ = ["Stretch", "replace_in_content", "replace_in_value", "split_content"]

_run: Final = re.compile(r"\S+")
_odd_spaces: Final = re.compile(r"[^\S\n]+")


class Stretch(NamedTuple):
    """A stretch of a content, in characters, and what stands there afterwards."""

    start: int
    stop: int
    replacement: str = ""


def replace_in_content(content: str, stretches: Iterable[Stretch]) -> str:
    """Return a content with its stretches replaced, white space normalised; they are in order and do not overlap.

    Examples
    --------
    >>> replace_in_content("It is 9:00. Be kind.", [Stretch(6, 10, "noon")])
    'It is noon. Be kind.'
    """
    kept: list[str] = []
    end = 0
    for start, stop, replacement in stretches:
        kept += content[end:start], replacement
        end = stop
    return normalize_whitespace("".join([*kept, content[end:]]))


def split_content(content: str, n_characters: int) -> tuple[str, str] | None:
    """Return a content in two, white space normalised; None if it is no longer than the first of them.

    >>> split_content("Be kind. It is 9:00.", 9)
    ('Be kind.', 'It is 9:00.')
    """
    head, rest = normalize_whitespace(content[:n_characters]), normalize_whitespace(content[n_characters:])
    return (head, rest) if head and rest else None


def replace_in_value(value: Any, content: str, stretches: Sequence[Stretch], *, keep_marks: bool = True) -> Any:
    r"""Return a text, or a list of parts, with the stretches of its content replaced.

    Parts that become empty are left out; the mark of such a part goes to the one before it, if marks are kept.

    Examples
    --------
    >>> replace_in_value([{"type": "text", "text": "It  is\t9:00."}], "It is 9:00.", [Stretch(6, 10, "noon")])
    [{'type': 'text', 'text': 'It  is\tnoon.'}]
    """
    if isinstance(value, str):
        return _replace_in_texts([value], content, stretches)[0]
    if not isinstance(value, list | tuple):
        return value
    texts = [part["text"] for part in value if _has_text(part)]
    left = iter(_replace_in_texts(texts, content, stretches))
    kept: list[Any] = []
    for part in value:
        new = {**part, "text": next(left)} if _has_text(part) else part
        if new is part or new["text"].strip() or not part["text"].strip():
            kept.append(new)
        elif keep_marks and kept and isinstance(kept[-1], Mapping):
            kept[-1] = {**kept[-1], **{name: part[name] for name in MARKER_NAMES if name in part}}
    return kept


def _has_text(part: Any) -> bool:
    return isinstance(part, Mapping) and isinstance(part.get("text"), str)


class _Edit(NamedTuple):
    """A stretch by its characters other than white space, widened to the white space around it.

    ``before`` and ``after`` are the white space that stands around the replacement, None for what was sent there.
    """

    first: int
    last: int
    before: str | None
    replacement: str
    after: str | None


def _replace_in_texts(texts: Sequence[str], content: str, stretches: Iterable[Stretch]) -> list[str]:
    """Return the texts that a content is made of, changed where it is."""
    edits = list(_count_characters(content, stretches))
    done, counted = [], 0
    for text in texts:
        size = _count(text)
        mine = [one for one in edits if one.first <= counted + size and one.last >= counted]
        starts = _find_starts(text, [end - counted for one in mine for end in one[:2]])
        for one in reversed(mine):
            low, high = max(one.first - counted, 0), min(one.last - counted, size)
            is_owner = counted <= one.first < counted + size if one.first < one.last else _is_at(one, counted, size)
            if low < high or is_owner:
                replacement = _print(one, text, starts, (low, high)) if is_owner else ""
                head, tail = text[: _end(starts, low)], "" if high == size else text[starts[high] :]
                replacement = replacement if head else replacement.lstrip()
                text = head + (replacement if tail else replacement.rstrip()) + tail  # noqa: PLW2901
        done.append(text)
        counted += size
    return done


def _is_at(edit: _Edit, counted: int, size: int) -> bool:
    """Whether an edit that replaces nothing belongs to the text with the character before it."""
    return counted < edit.first <= counted + size or edit.first == counted == 0


def _print(edit: _Edit, text: str, starts: Mapping[int, int], ends: tuple[int, int]) -> str:
    """Return what stands in place of a stretch, between the characters around it."""
    low, high = ends
    before, after = edit.before, edit.after
    if before is None:
        before = text[_end(starts, low) : starts[low]]
    if after is None:
        after = text[_end(starts, high) : starts[high]] if high in starts else ""
    return before + edit.replacement + after


def _end(starts: Mapping[int, int], number: int) -> int:
    """Return where the character before one of that number ends."""
    return starts[number - 1] + 1 if number else 0


def _count_characters(content: str, stretches: Iterable[Stretch]) -> Iterator[_Edit]:
    """Yield edits in order; stretches that only white space separates become one."""
    joined: list[Stretch] = []
    for start, stop, replacement in stretches:
        if joined and not content[joined[-1].stop : start].strip():
            last = joined.pop()
            joined.append(Stretch(last.start, stop, last.replacement + content[last.stop : start] + replacement))
        else:
            joined.append(Stretch(start, stop, replacement))
    counted = end = 0
    for start, stop, replacement in joined:
        left, right = len(content[:start].rstrip()), len(content) - len(content[stop:].lstrip())
        counted += _count(content[end:left])
        first, counted, end = counted, counted + _count(content[left:right]), right
        value = content[start:stop]
        if replacement.strip() and value.strip():
            before = None if value[0].strip() and replacement[0].strip() else content[left:start]
            after = None if value[-1].strip() and replacement[-1].strip() else content[stop:right]
            yield _Edit(first, counted, before, replacement, after)
        else:
            whole = _odd_spaces.sub(" ", content[left:start] + replacement + content[stop:right])
            yield _Edit(first, counted, "", whole.replace(" \n", "\n"), "")


def _count(text: str) -> int:
    return sum(map(len, _run.findall(text)))


def _find_starts(text: str, numbers: Iterable[int]) -> dict[int, int]:
    """Return where some of the characters other than white space, and those before them, stand."""
    wanted = sorted({n for number in numbers for n in (number - 1, number) if n >= 0})
    found: dict[int, int] = {}
    runs = _run.finditer(text)
    counted, run = 0, next(runs, None)
    for number in wanted:
        while run is not None and number >= counted + len(run.group()):
            counted, run = counted + len(run.group()), next(runs, None)
        if run is None:
            break
        found[number] = run.start() + number - counted
    return found
