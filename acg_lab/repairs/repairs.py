"""Repairs as values: changes to an application's prompts that can be tried.

`acg_lab.what_if` returns the snapshot that production would have stored with a repair; what a repair does to the blocks
of a request is in `acg_lab.repairs.edits`.

A repair names blocks by span id, as in the snapshot that it is applied to. Afterwards blocks are numbered and named as
production does it: a span id is ``{role}-{number}[-{name}]``, so a block that is dropped or moved renames those after
it. Requests without the span stay as they are.

>>> Drop("user-6").description
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
    "check_repairs",
    "compile_pattern",
]


class _Repair(Struct, frozen=True, kw_only=True, tag=True, tag_field="repair"):
    """The base of all repairs.

    Attributes
    ----------
    learning_keys : tuple of str
        The profiles whose requests are repaired; empty for all. In a sequence of repairs a profile may also be named by
        the key that it had before the first of them.

    Raises
    ------
    UsageError
        If a field has the wrong type, or a pattern is not a regular expression.
    """

    learning_keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._check("learning_keys", _is_texts(self.learning_keys), "a tuple of str")

    def _check(self, field: str, is_valid: object, expected: str) -> None:
        if not is_valid:
            msg = f"The {field!r} of {type(self).__name__} must be {expected}; got {getattr(self, field)!r}."
            raise UsageError(msg)

    @property
    def description(self) -> str:
        """What the repair does, in words that may follow "what if"; never prompt text."""
        profiles = f" in {counted(len(self.learning_keys), 'profile')}" if self.learning_keys else ""
        return f"{self._action()}{profiles}"

    def _action(self) -> str:
        raise NotImplementedError


class _BlockRepair(_Repair, frozen=True):
    """A repair of one block, named by its span id."""

    span_id: str

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("span_id", isinstance(self.span_id, str), "a str, such as 'user-6'")


class _PlacementRepair(_BlockRepair, frozen=True):
    """A repair that takes a block away from its position.

    Attributes
    ----------
    span_id : str
        The block.
    contents : tuple of str
        Repair only requests in which the block has one of these contents, each named by the first 16 hex digits of its
        SHA-256 (the ``hash`` of `acg_lab.frames`); empty for any content. This tells a block that only some requests
        have from the block that has its position in the others.
    """

    contents: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("contents", _is_texts(self.contents), "a tuple of str")


class Pin(_BlockRepair, frozen=True):
    r"""Set a block's content, or only the part that changes, to the dominant one.

    The dominant content is the commonest one in the chosen profiles of an agent; of equally common ones, the first in
    the order of the snapshot (by learning key, oldest first).

    Parameters
    ----------
    span_id : str
        The block.
    pattern : str, optional
        A regular expression. Only its matches are set: the first match to the first match of the dominant content, the
        second to the second, and so on; further matches stay. The whole content when left out.
    learning_keys : tuple of str, optional
        The profiles whose requests are repaired; all when left out.

    Raises
    ------
    UsageError
        If a field has the wrong type, or `pattern` is not a regular expression.

    Examples
    --------
    >>> Pin("system-0", r"\d{4}-\d\d-\d\d").description
    "matches of '\\\\d{4}-\\\\d\\\\d-\\\\d\\\\d' in 'system-0' are pinned to the dominant ones"
    """

    pattern: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("pattern", self.pattern is None or isinstance(self.pattern, str), "a str or None")
        if self.pattern is not None:
            compile_pattern(self.pattern)

    def _action(self) -> str:
        if self.pattern is None:
            return f"{self.span_id!r} is pinned to its dominant content"
        return f"matches of {self.pattern!r} in {self.span_id!r} are pinned to the dominant ones"


class Drop(_PlacementRepair, frozen=True):
    """Remove a block from every request that has it.

    If the last tool is dropped, the request keeps an empty list of tools.

    Parameters
    ----------
    span_id : str
        The block.
    contents : tuple of str, optional
        Hashes of the contents to drop; any content when left out.
    learning_keys : tuple of str, optional
        The profiles whose requests are repaired; all when left out.

    Raises
    ------
    UsageError
        If a field has the wrong type.

    Examples
    --------
    >>> Drop("user-6", learning_keys=("k",)).description
    "'user-6' is dropped in 1 profile"
    """

    def _action(self) -> str:
        return f"{self.span_id!r} is dropped"


class MoveToEnd(_PlacementRepair, frozen=True):
    """Send a block last in its request, where it cannot break the prefix of anything.

    The blocks after it move up by one. A tool or a response format cannot be moved, since production puts them before
    the first message. Nor can instructions, which always come first.

    Parameters
    ----------
    span_id : str
        The block.
    contents : tuple of str, optional
        Hashes of the contents to move; any content when left out.
    learning_keys : tuple of str, optional
        The profiles whose requests are repaired; all when left out.

    Raises
    ------
    UsageError
        If a field has the wrong type; `acg_lab.what_if` raises it for a block that cannot be moved.

    Examples
    --------
    >>> MoveToEnd("user-6").description
    "'user-6' moves to the end of the prompt"
    """

    def _action(self) -> str:
        return f"{self.span_id!r} moves to the end of the prompt"


class MoveToSystemPrompt(_PlacementRepair, frozen=True):
    """Put the text of a block into the system prompt.

    If the request has instructions (the system prompt of a Messages or Responses request), the text is added to their
    end, on a new line. Otherwise it becomes a system message after the leading ones, before tools and conversation. A
    block that is already there stays; a tool or a response format cannot be moved.

    Parameters
    ----------
    span_id : str
        The block.
    contents : tuple of str, optional
        Hashes of the contents to move; any content when left out.
    learning_keys : tuple of str, optional
        The profiles whose requests are repaired; all when left out.

    Raises
    ------
    UsageError
        If a field has the wrong type; `acg_lab.what_if` raises it for a block that cannot be moved.

    Examples
    --------
    >>> MoveToSystemPrompt("user-7").description
    "'user-7' moves into the system prompt"
    """

    def _action(self) -> str:
        return f"{self.span_id!r} moves into the system prompt"


class SortTools(_Repair, frozen=True):
    """Sort the tools of every request by name, and equal names by definition.

    Parameters
    ----------
    learning_keys : tuple of str, optional
        The profiles whose requests are repaired; all when left out.

    Raises
    ------
    UsageError
        If `learning_keys` is not a tuple of str.

    Examples
    --------
    >>> SortTools().description
    'tools are sorted by name'
    """

    def _action(self) -> str:
        return "tools are sorted by name"


class RemovePattern(_Repair, frozen=True):
    r"""Remove the matches of a pattern from blocks.

    Contents are searched as they are stored, with white space normalised, and normalised again afterwards.

    Parameters
    ----------
    pattern : str
        A regular expression, searched as `re.sub` does.
    span_id : str, optional
        The block; all blocks when left out.
    learning_keys : tuple of str, optional
        The profiles whose requests are repaired; all when left out.

    Raises
    ------
    UsageError
        If a field has the wrong type, or `pattern` is not a regular expression.

    Examples
    --------
    >>> RemovePattern("now", "user-6").description
    "matches of 'now' in 'user-6' are removed"
    """

    pattern: str
    span_id: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("pattern", isinstance(self.pattern, str), "a str")
        self._check("span_id", self.span_id is None or isinstance(self.span_id, str), "a str or None")
        compile_pattern(self.pattern)

    def _action(self) -> str:
        where = "" if self.span_id is None else f" in {self.span_id!r}"
        return f"matches of {self.pattern!r}{where} are removed"


class MergeProfiles(_Repair, frozen=True):
    """Merge several profiles of an agent into one, as if their learning keys were equal.

    The merged profile has the key of the one with most observations, of equals the first. Without `learning_keys`,
    those profiles of each agent are merged whose keys differ only in ``seed=``, the first message.

    Parameters
    ----------
    agent_id : str, optional
        Merge the profiles of this agent only; not together with `learning_keys`.
    learning_keys : tuple of str, optional
        The profiles to merge.

    Raises
    ------
    UsageError
        If a field has the wrong type, or both are given.

    Examples
    --------
    >>> MergeProfiles(agent_id="chat").description
    "profiles of 'chat' that differ only in the first message are merged"
    """

    agent_id: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        is_valid = self.agent_id is None or (isinstance(self.agent_id, str) and not self.learning_keys)
        self._check("agent_id", is_valid, "a str, and left out where learning keys are named")

    @property
    def description(self) -> str:
        """What the repair does, in words that may follow "what if"."""
        if not self.learning_keys:
            whose = "" if self.agent_id is None else f" of {self.agent_id!r}"
            return f"profiles{whose} that differ only in the first message are merged"
        return f"{counted(len(self.learning_keys), 'profile')} are merged"


class AddBreakpoint(_Repair, frozen=True):
    """Send requests with one more breakpoint, set by the application (``cache_control``).

    The governor marks the end of what it learned to be stable, in the order of its blocks. A provider renders tools
    before the system prompt, so the governor's breakpoint at the last tool leaves the system prompt uncached. Contents
    do not change, nor does what the learner sees.

    Parameters
    ----------
    at : str
        ``"system"``, the end of the system prompt; ``"tools"``, the end of the tools; ``"last_message"``, the end of
        the prompt; or a span id.
    learning_keys : tuple of str, optional
        The profiles whose requests are repaired; all when left out.

    Raises
    ------
    UsageError
        If a field has the wrong type; `acg_lab.what_if` raises it for a span id that no request has.

    Examples
    --------
    >>> AddBreakpoint("system").description
    'a breakpoint is added at the end of the system prompt'
    """

    PLACES: ClassVar[tuple[str, ...]] = ("system", "tools", "last_message")

    at: str

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("at", isinstance(self.at, str), "'system', 'tools', 'last_message' or a span id")

    def _action(self) -> str:
        ends = {"system": "the end of the system prompt", "tools": "the end of the tools"}
        ends["last_message"] = "the end of the last message"
        return f"a breakpoint is added at {ends.get(self.at, repr(self.at))}"


class SetTtl(_Repair, frozen=True):
    """Ask for another TTL at every breakpoint of a request, the governor's and automatic ones too.

    A longer TTL makes writes dearer: it pays where requests pause for longer than the shorter one lasts.

    Parameters
    ----------
    ttl : {"5m", "1h"}
    learning_keys : tuple of str, optional
        The profiles whose requests are repaired; all when left out.

    Raises
    ------
    UsageError
        If a field has the wrong type or another value.

    Examples
    --------
    >>> SetTtl("1h").description
    'every breakpoint has a TTL of 1h'
    """

    ttl: str

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("ttl", self.ttl in ("5m", "1h"), "'5m' or '1h'")

    def _action(self) -> str:
        return f"every breakpoint has a TTL of {self.ttl}"


class UseAutomaticCaching(_Repair, frozen=True):
    """Ask the provider to cache up to the last block of each request (``cache_control`` of a Messages body).

    Parameters
    ----------
    learning_keys : tuple of str, optional
        The profiles whose requests are repaired; all when left out.

    Raises
    ------
    UsageError
        If `learning_keys` is not a tuple of str.

    Examples
    --------
    >>> UseAutomaticCaching().description
    'automatic caching is used'
    """

    def _action(self) -> str:
        return "automatic caching is used"


class StaggerParallelRequests(_Repair, frozen=True):
    """Let parallel first requests wait until one of them has its first token.

    An entry can be read once the answer of the request that writes it has begun; requests sent before that write the
    same prefix again. First requests are those of a profile that was idle for five minutes. Where no first token is
    recorded, the end of the answer counts. A request that waits delays what follows in its run.

    Parameters
    ----------
    learning_keys : tuple of str, optional
        The profiles whose requests are repaired; all when left out.

    Raises
    ------
    UsageError
        If `learning_keys` is not a tuple of str.

    Examples
    --------
    >>> StaggerParallelRequests().description
    'parallel first requests wait for the first token of one of them'
    """

    def _action(self) -> str:
        return "parallel first requests wait for the first token of one of them"


Repair: TypeAlias = (
    Pin
    | Drop
    | MoveToEnd
    | MoveToSystemPrompt
    | SortTools
    | RemovePattern
    | MergeProfiles
    | AddBreakpoint
    | SetTtl
    | UseAutomaticCaching
    | StaggerParallelRequests
)


def _is_texts(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(item, str) for item in value)


@cache
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile the pattern of a repair.

    Raises
    ------
    UsageError
        If it is not a regular expression.
    """
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        msg = f"The 'pattern' of a repair must be a regular expression; got {pattern!r} ({error})."
        raise UsageError(msg) from None


def check_repairs(value: Repair | Sequence[Repair]) -> tuple[Repair, ...]:
    """Return one repair, or several, as a tuple.

    Raises
    ------
    UsageError
        If one of them is not a repair; the message lists all repairs.
    """
    several: Sequence[Any] = value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else (value,)
    repairs = tuple(several)
    for repair in repairs:
        if not isinstance(repair, get_args(Repair)):
            names = ", ".join(f"acg.repairs.{kind.__name__}" for kind in get_args(Repair))
            msg = f"A repair must be one of {names}, with its fields, or a sequence of them; got {repair!r}."
            raise UsageError(msg)
    return repairs
