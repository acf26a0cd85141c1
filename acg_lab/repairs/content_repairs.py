"""Repairs of what prompts contain, as values that can be tried with `acg_lab.what_if`.

A repair names blocks by span id, as in the snapshot that it is applied to. Afterwards blocks are numbered and named as
production does it: a span id is ``{role}-{number}[-{name}]``, so a block that is dropped or moved renames those after
it. Requests without the span stay as they are. What a repair does to the blocks of a request is in
`acg_lab.repairs.edits`.

>>> Drop("user-6").description
"'user-6' is dropped"
"""

from acg_lab._format import counted
from acg_lab.repairs.base import (
    BaseRepair,
    BlockRepair,
    PlacementRepair,
    Slots,
    compile_pattern,
    describe_slots,
    is_slots,
)

__all__ = [
    "Drop",
    "MergeProfiles",
    "MoveToEnd",
    "MoveToSystemPrompt",
    "Pin",
    "RemovePattern",
    "SplitMessage",
    "UseOneForm",
]


class Pin(BlockRepair, frozen=True):
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
    slots : tuple of int or "all", optional
        Numbers of slots: the stretches that vary between what all contents of a text share, counted from 0 in the order
        in which they stand. Only these are set, to what the dominant content has there; the others stay. Not together
        with `pattern`.
    learning_keys : tuple of str, optional
        The profiles whose requests are repaired; all when left out.

    Raises
    ------
    UsageError
        If a field has the wrong type, or `pattern` is not a regular expression; `acg_lab.what_if` raises it if there is
        no such slot.

    Examples
    --------
    >>> Pin("system-0", r"\d{4}-\d\d-\d\d").description
    "matches of '\\\\d{4}-\\\\d\\\\d-\\\\d\\\\d' in 'system-0' are pinned to the dominant ones"
    >>> Pin("system-0", slots=(1,)).description
    "slot 1 of 'system-0' is pinned to the dominant value"
    """

    pattern: str | None = None
    slots: Slots = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("pattern", self.pattern is None or isinstance(self.pattern, str), "a str or None")
        is_valid = is_slots(self.slots) and (self.pattern is None or not self.slots)
        self._check("slots", is_valid, "a tuple of numbers, or 'all', and left out where a pattern is given")
        if self.pattern is not None:
            compile_pattern(self.pattern)

    def _action(self) -> str:
        if self.slots:
            is_one = self.slots == "all" or len(self.slots) == 1
            pinned = "is pinned to the dominant value" if is_one else "are pinned to the dominant values"
            return f"{describe_slots(self.slots, self.span_id)} {pinned}"
        if self.pattern is None:
            return f"{self.span_id!r} is pinned to its dominant content"
        return f"matches of {self.pattern!r} in {self.span_id!r} are pinned to the dominant ones"


class Drop(PlacementRepair, frozen=True):
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


class MoveToEnd(PlacementRepair, frozen=True):
    """Send a block, or what varies in it, last in its request, where it cannot break the prefix of anything.

    The blocks after it move up by one. A tool or a response format cannot be moved, since production puts them before
    the first message. Nor can instructions, which always come first; what varies in them can.

    A system message stays part of the learning key wherever it stands, so it goes on splitting profiles unless it
    becomes a user message.

    Parameters
    ----------
    span_id : str
        The block.
    as_user : bool, default False
        Whether a system message becomes a message of the user.
    slots : tuple of int or "all", optional
        Numbers of slots: the stretches that vary between what all contents of a text share, counted from 0 in the order
        in which they stand. Only these move, each as a whole value; the rest of the block and the other slots stay.
        They are sent as one message of the user, one value per line, and leave nothing in their place. A line with
        nothing else on it goes with them. Only a text of the system or the user has slots to move.
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
    >>> MoveToEnd("system-1", as_user=True).description
    "'system-1' moves to the end of the prompt as a user message"
    >>> MoveToEnd("system-0", slots=(0,)).description
    "slot 0 of 'system-0' moves to the end of the prompt as a user message"
    """

    as_user: bool = False
    slots: Slots = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("as_user", isinstance(self.as_user, bool), "a bool")
        self._check("slots", is_slots(self.slots), "a tuple of numbers, or 'all'")

    def _action(self) -> str:
        if self.slots:
            verb = "moves" if self.slots == "all" or len(self.slots) == 1 else "move"
            return f"{describe_slots(self.slots, self.span_id)} {verb} to the end of the prompt as a user message"
        return f"{self.span_id!r} moves to the end of the prompt{' as a user message' if self.as_user else ''}"


class MoveToSystemPrompt(PlacementRepair, frozen=True):
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


class SplitMessage(BlockRepair, frozen=True):
    """Send the start of a message as a message of its own, so that a breakpoint can stand behind it.

    The rest follows as a message of the same role. `MoveToSystemPrompt` can then move the start.

    Parameters
    ----------
    span_id : str
        The block: a text of the system, the user or the assistant. Instructions are one text, and stay one.
    n_characters : int
        Where it is split: after so many characters of its content, which has its white space normalised. A shorter
        content stays whole.
    learning_keys : tuple of str, optional
        The profiles whose requests are repaired; all when left out.

    Raises
    ------
    UsageError
        If a field has the wrong type; `acg_lab.what_if` raises it for a block that cannot be split.

    Examples
    --------
    >>> SplitMessage("user-0", n_characters=4000).description
    "the first 4,000 characters of 'user-0' are a message of their own"
    """

    n_characters: int

    def __post_init__(self) -> None:
        super().__post_init__()
        is_valid = type(self.n_characters) is int and self.n_characters > 0
        self._check("n_characters", is_valid, "a positive integer")

    def _action(self) -> str:
        return f"the first {self.n_characters:,} characters of {self.span_id!r} are a message of their own"


class RemovePattern(BaseRepair, frozen=True):
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


class UseOneForm(BaseRepair, frozen=True):
    """Send what says the same in one form: the commonest in the chosen profiles of an agent.

    That is the system prompt, tools, the response format, and messages whose JSON differs only in the order of keys,
    the format of numbers, white space, or in whether a text is sent as such or as the only part of a list. Cache marks
    stay where they are. The learner sees no difference, but a provider compares bytes. Where requests are recorded,
    learning keys that hash such texts become equal.

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
    >>> UseOneForm().description
    'what says the same is sent in one form'
    """

    def _action(self) -> str:
        return "what says the same is sent in one form"


class MergeProfiles(BaseRepair, frozen=True):
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
