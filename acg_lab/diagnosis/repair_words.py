"""Say what an application must change for a repair, by the kind of fault.

A pin of a block stands for what a person would do: always write it in one form, or take out what varies. Prompt text
never is part of the words.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from acg_lab.diagnosis.finding import Kind
from acg_lab.repairs.content_repairs import MergeProfiles, MoveToEnd, MoveToSystemPrompt, Pin, SplitMessage, UseOneForm
from acg_lab.repairs.order_repairs import SortItems, SortMessages
from acg_lab.repairs.repairs import Repair

__all__ = ["describe_repairs"]

# What varies, and is needed somewhere: it can be said at the end of the prompt.
_TAKEN_OUT: Final[Mapping[Kind, str]] = {
    Kind.DATETIME: "the date or time",
    Kind.IDENTIFIER: "the identifier",
    Kind.COUNTER: "the counter",
    Kind.PATH: "the path or host name",
    Kind.NUMBER: "the number",
    Kind.PERSON: "the person's name or address",
    Kind.LOCALE: "the language, country or time zone",
    Kind.RELATIVE_TIME: "the relative time",
    Kind.CHECKLIST: "the checklist",
    Kind.MEMORY: "what is remembered",
    Kind.WORKING_DIRECTORY_STATE: "the state of the working directory",
    Kind.OPTIONAL_SENTENCE: "the passage that comes and goes",
    Kind.APPENDED: "the appended text",
}
# What says the same in several forms.
_IN_ONE_FORM: Final[Mapping[Kind, str]] = {
    Kind.WHITESPACE: "{span} is sent with the same white space in every request",
    Kind.JSON_KEY_ORDER: "the JSON in {span} is written with its keys in one order and its numbers in one format",
    Kind.FEATURE_VARIANTS: "one version of {span} is sent in every request",
    Kind.UNICODE_FORM: "{span} is sent in one Unicode form, without invisible characters",
}

_WHOLE: Final[Mapping[type[Repair], str]] = {
    UseOneForm: "the same content is always written in one form, keys in one order, numbers and white space alike",
    MergeProfiles: "the profiles are merged",
}


def describe_repairs(
    repairs: Sequence[Repair],
    kind: Kind,
    *,
    span_id: str | None = None,
    beside: Sequence[tuple[str, Kind]] = (),
    slots: tuple[int, ...] = (),
) -> str:
    """Return what an application must change for some repairs, as clauses that may follow "if".

    Profiles are left out, since the finding names them. The kind is that of the block ``span_id``, of all blocks when
    left out; ``beside`` are the blocks and kinds of other causes that the repairs mend too, and
    ``slots`` those of the block that are not theirs.

    Examples
    --------
    >>> describe_repairs([MoveToEnd("system-0", slots="all")], Kind.DATETIME)
    "the date or time is taken out of 'system-0' and said in the last message"
    >>> describe_repairs([SplitMessage("user-0", n_characters=4000), MoveToSystemPrompt("user-0")], Kind.STABLE_START)
    "the first 4,000 characters of 'user-0' move into the system prompt"
    >>> describe_repairs([Pin("system-0")], Kind.UNKNOWN)
    "'system-0' is the same in every request"
    >>> describe_repairs([MoveToEnd("system-0", slots=(0, 1))], Kind.DATETIME, beside=[("system-0", Kind.PERSON)])
    "the date or time and the person's name or address are taken out of 'system-0' and said in the last message"
    """
    n_moves = sum(isinstance(repair, MoveToSystemPrompt) for repair in repairs)
    moved = {repair.span_id for repair in repairs if isinstance(repair, MoveToEnd) and repair.slots}

    def kinds_of(repair: Repair) -> list[Kind]:
        span = getattr(repair, "span_id", None)
        own = [kind] if span_id in (None, span) else []
        if own and slots and getattr(repair, "slots", ()) == slots:
            return own
        kinds = [*own, *(other for place, other in beside if place == span)] or [kind]
        if isinstance(repair, Pin) and span in moved:  # what is pinned too is what does not move
            return [one for one in kinds if one not in _TAKEN_OUT and one is not Kind.UNKNOWN] or [Kind.UNKNOWN]
        return kinds

    starts = {one.span_id: one for one in repairs if isinstance(one, SplitMessage)}
    moves = {one.span_id for one in repairs if isinstance(one, MoveToSystemPrompt)}

    def describe(repair: Repair) -> str:
        if isinstance(repair, SplitMessage | MoveToSystemPrompt) and repair.span_id in moves & starts.keys():
            start = f"the first {starts[repair.span_id].n_characters:,} characters of {repair.span_id!r}"
            return f"{start} move into the system prompt"
        return _describe(repair, kinds_of(repair), n_moves)

    *most, last = dict.fromkeys(map(describe, repairs))
    return f"{', '.join(most)}, and {last}" if most else last


def _describe(repair: Repair, kinds: Sequence[Kind], n_moves: int) -> str:
    if isinstance(repair, MoveToEnd) and repair.slots:
        return f"{_name_values(kinds)} taken out of {repair.span_id!r} and said in the last message"
    if isinstance(repair, Pin) and repair.pattern is None:
        return _describe_pin(f"what varies in {repair.span_id!r}" if repair.slots else repr(repair.span_id), kinds)
    if isinstance(repair, SortItems | SortMessages):
        return f"{_name_sorted(repair)} are sorted, so that they come in one order"
    if isinstance(repair, UseOneForm | MergeProfiles):
        return _WHOLE[type(repair)]
    if isinstance(repair, MoveToSystemPrompt) and n_moves > 1:
        return f"the {n_moves} stable blocks from there on move into the system prompt"
    return replace(repair, learning_keys=()).description


def _name_sorted(repair: SortItems | SortMessages) -> str:
    if isinstance(repair, SortMessages):
        return f"the {repair.n_blocks} messages from {repair.span_id!r} on"
    return f"the items in {'the definitions of tools' if repair.span_id is None else repr(repair.span_id)}"


def _name_values(kinds: Sequence[Kind]) -> str:
    """Return what values are called, and the verb: "the date or time is"."""
    known = [_TAKEN_OUT[kind] for kind in kinds if kind in _TAKEN_OUT]
    if known and Kind.UNKNOWN in kinds:
        known.append("what else varies")
    *most, last = known or ["what varies"]
    return f"{', '.join(most)} and {last} are" if most else f"{last} is"


def _describe_pin(span: str, kinds: Sequence[Kind]) -> str:
    forms = [_IN_ONE_FORM[kind].format(span=span) for kind in kinds if kind in _IN_ONE_FORM]
    if forms:
        return ", and ".join(forms)
    if any(kind in _TAKEN_OUT for kind in kinds):
        return f"{_name_values(kinds)} taken out of {span}"
    return f"{span} is the same in every request"
