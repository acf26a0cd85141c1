"""Repairs as values: what can be done to an application's prompts.

Belongs here: what each repair says and takes, checked. What it does to a window stands in `acg_lab.repairs.edits`.

A repair speaks of blocks by span id, as the snapshot names them that it is applied to. Whatever it does, blocks are
then numbered and named as production does it: a span id is ``{role}-{number}[-{name}]``, so a block that goes or moves
renames those behind it. Requests that have the span are mended, the others left alone.

>>> Drop("user-6").describe
"'user-6' is dropped"
"""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar, TypeAlias, get_args

from msgspec import Struct

from acg_lab._format import counted
from acg_lab.core.errors import UsageError

__all__ = [
    "AddBreakpoint",
    "Drop",
    "MergeProfiles",
    "MoveToEnd",
    "MoveToSystemPrompt",
    "Pin",
    "RemovePattern",
    "Repair",
    "SetTtl",
    "SortTools",
    "StaggerParallelRequests",
    "UseAutomaticCaching",
    "as_repairs",
    "compiled",
]


class _Repair(Struct, frozen=True, kw_only=True, tag=True, tag_field="repair"):
    """What all repairs have.

    Attributes
    ----------
    learning_keys : tuple of str
        The profiles whose requests are mended; all where it is empty. In a sequence of repairs a key may also be named
        as it was before the first of them.

    Raises
    ------
    UsageError
        If a field is of another type, or a pattern is no regular expression.
    """

    learning_keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._check("learning_keys", _is_texts(self.learning_keys), "a tuple of str")

    def _check(self, field: str, fine: object, expected: str) -> None:
        if not fine:
            msg = f"The {field!r} of {type(self).__name__} must be {expected}; got {getattr(self, field)!r}."
            raise UsageError(msg)

    @property
    def describe(self) -> str:
        """What is done, in words that may follow "what if"; never prompt text."""
        chosen = f" in {counted(len(self.learning_keys), 'profile')}" if self.learning_keys else ""
        return f"{self._deed()}{chosen}"

    def _deed(self) -> str:
        raise NotImplementedError


class _OfBlock(_Repair, frozen=True):
    """A repair of one block, by its span id."""

    span_id: str

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("span_id", isinstance(self.span_id, str), "a str, such as 'user-6'")


class _OfPlace(_OfBlock, frozen=True):
    """A repair that takes a block away from where it stands.

    Attributes
    ----------
    span_id : str
        Which block.
    contents : tuple of str
        Only where the block has one of these contents, each by the first 16 hex digits of its SHA-256 (the ``hash`` of
        `acg_lab.frames`); whatever it holds where empty. So a block that stands in some requests only is told from the
        one that has its place in the others.
    """

    contents: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("contents", _is_texts(self.contents), "a tuple of str")


class Pin(_OfBlock, frozen=True):
    """Set a block's content, or only its changing part, to the dominant one.

    The dominant content is the commonest one in the chosen profiles of an agent, of equally common ones the first in
    the order of the snapshot (by learning key, oldest first).

    Attributes
    ----------
    span_id : str
        Which block.
    pattern : str, optional
        A regular expression: only what it matches is set, the first match to the first match of the dominant content,
        the second to the second, and so on; further matches stay. The whole content if left out.
    """

    pattern: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("pattern", self.pattern is None or isinstance(self.pattern, str), "a str or None")
        if self.pattern is not None:
            compiled(self.pattern)

    def _deed(self) -> str:
        if self.pattern is None:
            return f"{self.span_id!r} is pinned to its dominant content"
        return f"matches of {self.pattern!r} in {self.span_id!r} are pinned to the dominant ones"


class Drop(_OfPlace, frozen=True):
    """Leave a block out of every request that has it.

    Of a tool, the list of tools stays a list, if an empty one; of the response format, there is none any more.
    """

    def _deed(self) -> str:
        return f"{self.span_id!r} is dropped"


class MoveToEnd(_OfPlace, frozen=True):
    """Send a block as the last one of its request.

    There it can't break the prefix of anything; what stood behind it moves up by one. A tool or a response format can't
    be moved: production puts them before the first message, wherever the application has them. Nor can instructions,
    which always come first.
    """

    def _deed(self) -> str:
        return f"{self.span_id!r} moves to the end of the prompt"


class MoveToSystemPrompt(_OfPlace, frozen=True):
    """Put the text of a block into the system prompt.

    Where a request has instructions (the system prompt of a Messages or Responses request), the text joins their end,
    on a line of its own. Else it becomes a system message of its own behind the leading ones, before tools and
    conversation. A block that is there already stays; a tool or a response format can't be moved.
    """

    def _deed(self) -> str:
        return f"{self.span_id!r} moves into the system prompt"


class SortTools(_Repair, frozen=True):
    """Sort the tools of every request by name, equal names by definition."""

    def _deed(self) -> str:
        return "tools are sorted by name"


class RemovePattern(_Repair, frozen=True):
    """Cut out of blocks what a pattern matches.

    Contents are searched as they are stored, with white space normalised; what is left is normalised again.

    Attributes
    ----------
    pattern : str
        A regular expression, searched as `re.sub` does.
    span_id : str, optional
        Of which block; of all blocks if left out.
    """

    pattern: str
    span_id: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("pattern", isinstance(self.pattern, str), "a str")
        self._check("span_id", self.span_id is None or isinstance(self.span_id, str), "a str or None")
        compiled(self.pattern)

    def _deed(self) -> str:
        where = "" if self.span_id is None else f" in {self.span_id!r}"
        return f"matches of {self.pattern!r}{where} are stripped"


class MergeProfiles(_Repair, frozen=True):
    """Make one profile of several of an agent, under the key of the one with most observations (the first of several).

    The profiles named in ``learning_keys``; where it is empty, of each agent those whose keys differ in nothing but
    ``seed=``, the first message.

    Attributes
    ----------
    agent_id : str, optional
        Where no learning keys are named: of this agent only.
    """

    agent_id: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        fine = self.agent_id is None or (isinstance(self.agent_id, str) and not self.learning_keys)
        self._check("agent_id", fine, "a str, and left out where learning keys are named")

    @property
    def describe(self) -> str:
        """What is done, in words that may follow "what if"."""
        if not self.learning_keys:
            whose = "" if self.agent_id is None else f" of {self.agent_id!r}"
            return f"profiles{whose} that differ in the first message are one"
        return f"{counted(len(self.learning_keys), 'profile')} are one"


class AddBreakpoint(_Repair, frozen=True):
    """Send requests with one more breakpoint.

    The application marks a place of its own (``cache_control``). The governor marks the end of what it learned to be
    stable, in the order of its blocks; a provider renders tools before the system prompt, so a breakpoint at the last
    tool leaves the system prompt uncached. Contents do not change, nor does what the learner sees.

    Attributes
    ----------
    at : str
        ``"system"``, the end of the system prompt; ``"tools"``, the end of the tools; ``"last_message"``, the end of
        the prompt; or a span id.
    """

    PLACES: ClassVar[tuple[str, ...]] = ("system", "tools", "last_message")

    at: str

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("at", isinstance(self.at, str), "'system', 'tools', 'last_message' or a span id")

    def _deed(self) -> str:
        ends = {"system": "the end of the system prompt", "tools": "the end of the tools"}
        ends["last_message"] = "the end of the last message"
        return f"a breakpoint is added at {ends.get(self.at, repr(self.at))}"


class SetTtl(_Repair, frozen=True):
    """Ask for another TTL at every breakpoint of a request, the governor's and automatic ones too.

    A longer TTL makes writes dearer: it pays where requests pause for longer than the shorter one lasts.

    Attributes
    ----------
    ttl : {"5m", "1h"}
    """

    ttl: str

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("ttl", self.ttl in ("5m", "1h"), "'5m' or '1h'")

    def _deed(self) -> str:
        return f"the TTL is {self.ttl}"


class UseAutomaticCaching(_Repair, frozen=True):
    """Ask the provider to cache up to the last block of each request (``cache_control`` of a Messages body)."""

    def _deed(self) -> str:
        return "caching is automatic"


class StaggerParallelRequests(_Repair, frozen=True):
    """Let parallel first requests wait until the first of them has its first token.

    An entry can be read once the answer of the request that writes it has begun; requests sent before that write the
    same prefix again. First requests are those of a profile that was idle for five minutes. Of an answer without a
    recorded first token its end counts; a request that waits delays what follows in its run.
    """

    def _deed(self) -> str:
        return "parallel first requests wait for the first token of one of them"


Repair: TypeAlias = (
    Pin | Drop | MoveToEnd | MoveToSystemPrompt | SortTools | RemovePattern | MergeProfiles
    | AddBreakpoint | SetTtl | UseAutomaticCaching | StaggerParallelRequests
)


def _is_texts(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(item, str) for item in value)


@cache
def compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern ready for use.

    Raises
    ------
    UsageError
        If it is no regular expression.
    """
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        msg = f"The 'pattern' of a repair must be a regular expression; got {pattern!r} ({error})."
        raise UsageError(msg) from None


def as_repairs(given: Repair | Sequence[Repair]) -> tuple[Repair, ...]:
    """Return one repair, or several, as a tuple.

    Raises
    ------
    UsageError
        If one of them is none; the message lists those that there are.
    """
    several: Sequence[Any] = given if isinstance(given, Sequence) and not isinstance(given, str | bytes) else (given,)
    repairs = tuple(several)
    for repair in repairs:
        if not isinstance(repair, get_args(Repair)):
            names = ", ".join(f"acg.repairs.{kind.__name__}" for kind in get_args(Repair))
            msg = f"A repair must be one of {names}, with its fields, or a sequence of them; got {repair!r}."
            raise UsageError(msg)
    return repairs


def __dir__() -> list[str]:
    """Offer the repairs to completion, and no helper."""
    return [name for name in globals() if name.startswith("__")] + [cls.__name__ for cls in get_args(Repair)]
