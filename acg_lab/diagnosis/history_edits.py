"""Name what happened to an earlier message between a request and the one before it.

A provider reads up to the first byte that differs, so the two requests are compared from the first piece on that
differs: pieces that are left out, replaced, or sent in another form. Invariant: what fits no kind has none.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

import numpy as np

from acg_lab.diagnosis.finding import Kind
from acg_lab.providers.prompts import PieceKind
from acg_lab.repairs.text_diff import remove_whitespace
from acg_lab.simulation.contents import split_content
from acg_lab.simulation.requests import RecordedRequests

__all__ = ["EDITS", "SAYS_THE_SAME", "EditNamer"]

# What happens, and what the application can do instead.
EDITS: Final[Mapping[Kind, str]] = {
    Kind.ARGUMENTS_REORDERED: "an earlier tool call comes back with its arguments printed otherwise, as after a round "
    "trip through a store; keep the text that the model wrote",
    Kind.CALL_IDS_CHANGED: "an earlier tool call comes back under another id; keep the id that the model gave it",
    Kind.PART_LOST: "a part of an earlier message is no longer sent; store messages whole",
    Kind.WHITESPACE: "an earlier message comes back with other white space; store messages as they were sent",
    Kind.THINKING_DROPPED: "the thinking of an earlier turn is left out; send it back unchanged",
    Kind.IMAGE_REPLACED: "an image of an earlier message is replaced; keep it as it was sent",
    Kind.RESULTS_CLEARED: "older tool results are cleared or shortened; clear many at once, and rarely",
    Kind.SUMMARISED: "earlier messages are replaced by a summary, which starts the cache anew; do it rarely",
    Kind.MOVING_WINDOW: "the oldest messages are left out as the conversation grows; cut many at once, and rarely",
    Kind.RAW_BYTES_DIFFER: "an earlier message comes back in another form, such as a text here and parts there",
}
# Without these edits, all of the earlier request could have been read again.
SAYS_THE_SAME: Final = frozenset(
    {Kind.ARGUMENTS_REORDERED, Kind.CALL_IDS_CHANGED, Kind.WHITESPACE, Kind.RAW_BYTES_DIFFER}
)
_MOST: Final = 512  # pieces that are compared
_ALIGNED: Final = 3  # pieces that must agree behind what is left out
_EARLY: Final = 2  # messages of a conversation that a window may keep before what it drops
_SUMMARY: Final = 2  # messages that a summary takes at most: the user's, and an answer to it
_HALF: Final = 0.5
_IMAGES: Final = ('"type":"image"', '"type":"image_url"', '"type":"input_image"', "data:image/")
_CALL_IDS: Final = ("tool_use_id", "tool_call_id", "call_id")
_IDS: Final = ("id", *_CALL_IDS)
_THINKING: Final = ("reasoning", "reasoning_content", "reasoning_details", "thinking", "thinking_blocks")


class _Part(NamedTuple):
    """A piece without what leads its message: its code, kind, message, the message's other fields, and its JSON."""

    kind: int
    message: int
    lead: str
    value: str


class EditNamer:
    """Names edits of earlier messages; what a content consists of is read once.

    Parameters
    ----------
    requests : RecordedRequests
    """

    def __init__(self, requests: RecordedRequests) -> None:
        self._requests = requests
        self._split: dict[int, tuple[str, str]] = {}

    def name(self, piece: int, counterpart: int) -> Kind | None:
        """Return the kind of edit, None for none that is known.

        Parameters
        ----------
        piece, counterpart : int
            The first piece of a request that differs, and the piece of the request before in its place.
        """
        if piece < 0 or counterpart < 0 or self._requests.messages[counterpart] < 0:
            return None
        ours, theirs = self._parts_from(piece), self._parts_from(counterpart)
        n_before = int(self._requests.messages[counterpart] - self._first_message(counterpart))
        return _name_omission(ours, theirs, n_before) or _name_replacement(ours, theirs) or _name_summary(ours, theirs)

    def _bounds(self, piece: int) -> tuple[int, int]:
        offsets = self._requests.piece_offsets
        request = int(np.searchsorted(offsets, piece, side="right")) - 1
        return int(offsets[request]), int(offsets[request + 1])

    def _first_message(self, piece: int) -> int:
        """Return the number of the first message of a conversation, behind the instructions."""
        begin, end = self._bounds(piece)
        kinds, messages = self._requests.kinds[begin:end], self._requests.messages[begin:end]
        talk = (messages >= 0) & (kinds != PieceKind.DEVELOPER)
        return int(messages[talk].min(initial=int(messages.max())))

    def _parts_from(self, piece: int) -> list[_Part]:
        requests, (_, end) = self._requests, self._bounds(piece)
        found = []
        for i in range(piece, min(end, piece + _MOST)):
            code = int(requests.contents[i])
            if code not in self._split:
                self._split[code] = split_content(requests.texts[code])
            lead, value = self._split[code]
            found.append(_Part(int(requests.kinds[i]), int(requests.messages[i]), lead, value))
        return found


def _name_omission(ours: Sequence[_Part], theirs: Sequence[_Part], n_before: int) -> Kind | None:
    """Name what was left out, if the rest of the earlier request follows."""
    sent = {part.value for part in ours}
    for n in range(1, len(theirs)):
        rest = theirs[n:]
        n_compared = min(len(rest), _ALIGNED)
        if [part.value for part in ours[:n_compared]] != [part.value for part in rest[:n_compared]]:
            continue
        if sent.issuperset(part.value for part in theirs[:n]):
            return None  # it stands elsewhere
        kinds = {part.kind for part in theirs[:n]}
        if kinds == {PieceKind.THINKING}:
            return Kind.THINKING_DROPPED
        left_out = len({part.message for part in theirs[:n]} - {rest[0].message})
        is_whole = theirs[0].lead != "" and (rest[0].lead != "" or rest[0].message != theirs[n - 1].message)
        return Kind.MOVING_WINDOW if is_whole and left_out and n_before < _EARLY else Kind.PART_LOST
    return None


def _name_summary(ours: Sequence[_Part], theirs: Sequence[_Part]) -> Kind | None:
    """Whether fewer messages stand where more of them stood: half of them, or one or two before the newest."""
    n_ours, n_theirs = (len({part.message for part in parts}) for parts in (ours, theirs))
    return Kind.SUMMARISED if n_ours <= n_theirs * _HALF or _keeps_the_newest(ours, theirs) else None


def _keeps_the_newest(ours: Sequence[_Part], theirs: Sequence[_Part]) -> bool:
    """Whether one or two new messages stand where more stood, and the rest of the earlier request follows."""
    of_ours, of_theirs = _group_by_message(ours), _group_by_message(theirs)
    for n_new in range(1, _SUMMARY + 1):
        for n_gone in range(n_new + 1, len(of_theirs)):
            rest = of_theirs[n_gone:][:_ALIGNED]
            if of_ours[n_new : n_new + len(rest)] == rest:
                return not any(message in of_theirs for message in of_ours[:n_new])
    return False


def _group_by_message(parts: Sequence[_Part]) -> list[tuple[str, ...]]:
    """Return the JSON of the parts of each message."""
    return [tuple(part.value for part in group) for _, group in groupby(parts, key=lambda part: part.message)]


def _name_replacement(ours: Sequence[_Part], theirs: Sequence[_Part]) -> Kind | None:
    """Name how one piece became another, by the first test that holds."""
    here, there = ours[0], theirs[0]
    # A result that is cleared, or a call that is sorted, keeps its place in the conversation.
    if here.value == there.value:
        return _name_fields(here.lead, there.lead)
    for kind, test in _REPLACED:
        if test(here, there):
            return kind
    return None


def _name_fields(here: str, there: str) -> Kind | None:
    """Name what happened to the other fields of a message whose content is the same."""
    ours, theirs = _parse(here), _parse(there)
    if not isinstance(ours, dict) or not isinstance(theirs, dict):
        return None
    if _without_ids(ours) == _without_ids(theirs):
        return Kind.CALL_IDS_CHANGED if ours != theirs else Kind.RAW_BYTES_DIFFER
    lost = theirs.keys() - ours.keys()
    if lost & {*_THINKING}:
        return Kind.THINKING_DROPPED
    return Kind.PART_LOST if lost else None


def _is_reordered(here: _Part, there: _Part) -> bool:
    ours, theirs = _parse_all(_parse(here.value)), _parse_all(_parse(there.value))
    return ours is not None and bool(ours == theirs)


def _has_another_id(here: _Part, there: _Part) -> bool:
    ours, theirs = _parse(here.value), _parse(there.value)
    is_object = isinstance(ours, dict) and isinstance(theirs, dict)
    return is_object and ours != theirs and bool(_without_ids(ours) == _without_ids(theirs))


def _without_ids(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in _IDS}


def _is_spaced(here: _Part, there: _Part) -> bool:
    return remove_whitespace(_text(here)) == remove_whitespace(_text(there))


def _is_cleared(here: _Part, there: _Part) -> bool:
    """Whether a result was replaced by less: a note, its beginning, or a summary."""
    same = {here.kind, there.kind} == {int(PieceKind.TOOL_RESULT)}
    return same and _call_of(here) == _call_of(there) and len(here.value) <= _HALF * len(there.value)


def _call_of(part: _Part) -> object:
    """Return the id of the call that a result answers, by whichever field has it."""
    for text in (part.value, part.lead):
        fields = _parse(text)
        if isinstance(fields, dict):
            found = [fields[name] for name in _CALL_IDS if name in fields]
            if found:
                return found[0]
    return None


_REPLACED: Final[Sequence[tuple[Kind, Callable[[_Part, _Part], bool]]]] = (
    (Kind.ARGUMENTS_REORDERED, lambda here, there: here.kind == PieceKind.TOOL_USE and _is_reordered(here, there)),
    (Kind.CALL_IDS_CHANGED, _has_another_id),
    (Kind.RAW_BYTES_DIFFER, lambda here, there: _text(here) == _text(there) or _is_reordered(here, there)),
    (Kind.IMAGE_REPLACED, lambda _here, there: any(sign in there.value for sign in _IMAGES)),
    (Kind.WHITESPACE, _is_spaced),
    (Kind.RESULTS_CLEARED, _is_cleared),
)


def _text(part: _Part) -> str:
    """Return the text of a piece, whether it is sent as a text or as a part."""
    value = _parse(part.value)
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        return str(value["text"])
    return value if isinstance(value, str) else part.value


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _parse_all(value: Any) -> Any:
    """Return a value with the JSON objects in its texts parsed, as arguments of tool calls are sent."""
    if isinstance(value, dict):
        return {name: _parse_all(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_parse_all(item) for item in value]
    if isinstance(value, str) and value.lstrip()[:1] == "{":
        parsed = _parse(value)
        return value if parsed is None else parsed
    return value
