"""Say what an application must change for a repair, by the kind of fault.

A pin of a block stands for what a person would do: always write it in one form, or take out what varies. Prompt text
never is part of the words.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from acg_lab.diagnosis.finding import Kind
from acg_lab.repairs.content_repairs import MergeProfiles, MoveToEnd, MoveToSystemPrompt, Pin
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
    Kind.REORDERED: "the items in {span} are sorted, so that they come in one order",
    Kind.UNICODE_FORM: "{span} is sent in one Unicode form, without invisible characters",
}


def describe_repairs(repairs: Sequence[Repair], kind: Kind) -> str:
    """Return what an application must change for some repairs, as clauses that may follow "if".

    Profiles are left out, since the finding names them.

    Examples
    --------
    >>> describe_repairs([MoveToEnd("system-0", slots="all")], Kind.DATETIME)
    "the date or time is taken out of 'system-0' and said in the last message"
    >>> describe_repairs([Pin("system-0")], Kind.UNKNOWN)
    "'system-0' is the same in every request"
    """
    n_moves = sum(isinstance(repair, MoveToSystemPrompt) for repair in repairs)
    *most, last = dict.fromkeys(_describe(repair, kind, n_moves) for repair in repairs)
    return f"{', '.join(most)}, and {last}" if most else last


def _describe(repair: Repair, kind: Kind, n_moves: int) -> str:
    if isinstance(repair, MoveToEnd) and repair.slots:
        return f"{_TAKEN_OUT.get(kind, 'what varies')} is taken out of {repair.span_id!r} and said in the last message"
    if isinstance(repair, Pin) and repair.pattern is None:
        return _describe_pin(repr(repair.span_id), kind)
    if isinstance(repair, MergeProfiles):
        return "the profiles are merged"
    if isinstance(repair, MoveToSystemPrompt) and n_moves > 1:
        return f"the {n_moves} stable blocks from there on move into the system prompt"
    return replace(repair, learning_keys=()).description


def _describe_pin(span: str, kind: Kind) -> str:
    if kind in _TAKEN_OUT:
        return f"{_TAKEN_OUT[kind]} is taken out of {span}"
    return _IN_ONE_FORM.get(kind, "{span} is the same in every request").format(span=span)
