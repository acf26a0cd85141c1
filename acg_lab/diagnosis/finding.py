"""The parts of a finding as frozen values: kind, timing, evidence, and the finding itself.

Invariant: they hold no prompt text except the excerpts that were asked for. How findings look is defined in
`acg_lab.diagnosis.findings`.
"""

from enum import StrEnum

from msgspec import Struct

from acg_lab._format import counted, printable
from acg_lab.repairs.effects import Effect
from acg_lab.repairs.text_diff import TextDifference

__all__ = ["Evidence", "Finding", "Kind", "Timing", "Variant"]


class Kind(StrEnum):
    """The kind of a fault: the change that ends a stable prefix, or why production does not use the prefix.

    Examples
    --------
    >>> Kind("datetime") is Kind.DATETIME
    True
    """

    DATETIME = "datetime"
    IDENTIFIER = "identifier"
    COUNTER = "counter"
    PATH = "path"
    NUMBER = "number"
    WHITESPACE = "whitespace"
    JSON_KEY_ORDER = "json_key_order"
    BLOCK_MISSING = "block_missing"
    SHIFTED = "shifted"
    TOOLS_ADDED = "tools_added"
    TOOLS_REMOVED = "tools_removed"
    TOOLS_REORDERED = "tools_reordered"
    TOOLS_EDITED = "tools_edited"
    RETRIEVED_TEXT = "retrieved_text"
    REORDERED = "reordered"
    APPENDED = "appended"
    UNICODE_FORM = "unicode_form"
    PERSON = "person"
    LOCALE = "locale"
    RELATIVE_TIME = "relative_time"
    CHECKLIST = "checklist"
    MEMORY = "memory"
    WORKING_DIRECTORY_STATE = "working_directory_state"
    OPTIONAL_SENTENCE = "optional_sentence"
    CHANGED_ONCE = "changed_once"
    VARIANTS = "variants"
    FEATURE_VARIANTS = "feature_variants"
    FRAGMENTED_BY_FIRST_MESSAGE = "fragmented_by_first_message"
    MODEL_CHANGED = "model_changed"
    RAW_BYTES_DIFFER = "raw_bytes_differ"
    CACHE_MARKS = "cache_marks"
    ARGUMENTS_REORDERED = "arguments_reordered"
    CALL_IDS_CHANGED = "call_ids_changed"
    PART_LOST = "part_lost"
    THINKING_DROPPED = "thinking_dropped"
    IMAGE_REPLACED = "image_replaced"
    RESULTS_CLEARED = "results_cleared"
    SUMMARISED = "summarised"
    MOVING_WINDOW = "moving_window"
    STABLE_START = "stable_start"
    BELOW_MINIMUM = "below_minimum"
    UNKNOWN_MODEL_FAMILY = "unknown_model_family"
    BOUND_TO_REQUESTS = "bound_to_requests"
    TOO_FEW_REQUESTS = "too_few_requests"
    BREAKPOINT_SHORT = "breakpoint_short"
    NO_BREAKPOINT = "no_breakpoint"
    TTL_TOO_SHORT = "ttl_too_short"
    PARALLEL_REQUESTS = "parallel_requests"
    LOOKBACK_EXCEEDED = "lookback_exceeded"
    WRITES_UNREAD = "writes_unread"
    REDACTED = "redacted"
    UNKNOWN = "unknown"


_EVENTS = frozenset(
    {
        Kind.CHANGED_ONCE,
        Kind.MODEL_CHANGED,
        Kind.RAW_BYTES_DIFFER,
        Kind.TOOLS_ADDED,
        Kind.TOOLS_EDITED,
        Kind.TOOLS_REMOVED,
        Kind.TOOLS_REORDERED,
    }
)


class Timing(StrEnum):
    """When a content changes.

    ``once``: one content replaced another for good. ``every_request``: nearly every request has a new content.
    ``alternating``: a few contents recur. ``drifting``: each content is used for a time and then replaced.

    Examples
    --------
    >>> [timing.value for timing in Timing]
    ['once', 'every_request', 'alternating', 'drifting']
    """

    ONCE = "once"
    EVERY_REQUEST = "every_request"
    ALTERNATING = "alternating"
    DRIFTING = "drifting"


class Variant(Struct, frozen=True):
    """One distinct content: the first 16 hex digits of its SHA-256, and how many requests have it."""

    hash: str
    count: int


class Evidence(Struct, frozen=True, kw_only=True):
    """The numbers behind a finding.

    Attributes
    ----------
    requests, present, distinct, changes : int
        Requests examined; those that have the block; its distinct contents; how often the content changed in time.
    last_change : str or None
        Time of the first request after the last change, RFC 3339.
    variants : tuple of Variant
        The commonest contents, at most five.
    places : tuple of TextDifference
        The first slots of the contents, at most eight: where the dominant one and, in each slot, the commonest other
        that differs there stand apart, in characters.
    n_places : int
        How many slots there are.
    stable_tokens_after : float
        Tokens per request of other blocks that do not change but cannot be cached; for splits, what all requests share.
    unchanging : float
        Tokens per request of the block itself that its two commonest contents share.
    threshold : float or None
        A ``stable_threshold`` that includes the block in the prefix; None if no useful one does. With money, the one to
        run, inside the range of those that save most; without, the largest.
    threshold_saved : float or None
        What that threshold saves in US dollars over the recorded history, by simulation; None where it is not known.
    profiles : tuple of str
        Learning keys that the finding is about, the largest first.
    n_profiles_if_fixed : int
        For splits, how many profiles there would be without this cause; else 0.
    details : tuple of str
        What the detector found beyond that, such as names of tools; never prompt text.
    beside : tuple of (str, Kind)
        Span id and kind of the other causes that change the same prompts: what the finding costs is measured with these
        mended, and repairs may mend them too. Empty for a cause that stands alone.
    slots : tuple of int
        Beside other causes in the same text, the numbers of the slots that are this one, as `acg_lab.repairs.Pin` and
        `acg_lab.repairs.MoveToEnd` take them.

    Examples
    --------
    >>> Evidence(requests=12, present=12, distinct=3, profiles=("k",))
    <Evidence: requests=12, present=12, distinct=3, changes=0, n_places=0, stable_tokens_after=0.0, unchanging=0.0, \
n_profiles_if_fixed=0; 1 profile>
    """

    requests: int
    present: int = 0
    distinct: int = 0
    changes: int = 0
    last_change: str | None = None
    variants: tuple[Variant, ...] = ()
    places: tuple[TextDifference, ...] = ()
    n_places: int = 0
    stable_tokens_after: float = 0.0
    unchanging: float = 0.0
    threshold: float | None = None
    threshold_saved: float | None = None
    profiles: tuple[str, ...] = ()
    n_profiles_if_fixed: int = 0
    details: tuple[str, ...] = ()
    beside: tuple[tuple[str, Kind], ...] = ()
    slots: tuple[int, ...] = ()

    def __repr__(self) -> str:
        facts = {name: getattr(self, name) for name in self.__struct_fields__ if name != "profiles"}
        known = ", ".join(f"{name}={value!r}" for name, value in facts.items() if value not in (None, ()))
        return f"<Evidence: {known}; {counted(len(self.profiles), 'profile')}>"


class Finding(Struct, frozen=True, kw_only=True):
    """One fault, its cost, and the repairs that were tried.

    Attributes
    ----------
    learning_key, agent_id : str
        The profile and its agent; if the finding is about several profiles, the costliest or the largest.
    span_id : str or None
        The breaking block; None if no single block is the cause.
    kind : Kind
    timing : Timing or None
        When the content changes; None if nothing changes in time.
    tokens_lost : float
        Mean tokens per request that do not change but cannot be read from a cache because of this fault.
    requests : int
        Requests of all profiles that the finding is about.
    sentence : str
        The finding in one sentence, without prompt text.
    evidence : Evidence
        Of several profiles with the same fault, that of ``learning_key``; of a split, that of all its profiles.
    repairs : tuple of Effect
        The repairs that were tried and gain tokens, each with the prefix before and after, best first. With
        ``money_lost``, those that save money.
    bound_repairs : int
        How many of these, the last ones, extend the prefix beyond system prompt and tools. The rules of 0.8 bind such a
        prefix to whole requests, so it helps only with a provider that caches on its own.
    money_lost, agent_cost, days : float or None
        US dollars that the fault costs over the recorded history, by simulation; what all prompts of the agent cost;
        and how long the history is. None where usage or prices are not known.
    lost_at_most : bool
        Whether ``money_lost`` is an upper bound, since no simulated repair shows what the fault costs.

    Examples
    --------
    >>> finding = Finding(
    ...     learning_key="k", agent_id="chat", span_id="user-6", kind=Kind.DATETIME, timing=Timing.EVERY_REQUEST,
    ...     tokens_lost=120.0, requests=50, sentence="A date changes.", evidence=Evidence(requests=50),
    ... )
    >>> finding.total_lost
    6000.0
    >>> finding
    <Finding of 'chat', datetime: A date changes.>
    """

    learning_key: str
    agent_id: str
    span_id: str | None
    kind: Kind
    timing: Timing | None
    tokens_lost: float
    requests: int
    sentence: str
    evidence: Evidence
    repairs: tuple[Effect, ...] = ()
    bound_repairs: int = 0
    money_lost: float | None = None
    lost_at_most: bool = False
    agent_cost: float | None = None
    days: float | None = None

    @property
    def is_event(self) -> bool:
        """Whether one content replaced another for good, as with a release: no fault if it was meant."""
        return self.timing is Timing.ONCE and self.kind in _EVENTS

    @property
    def total_lost(self) -> float:
        """Tokens lost in all requests that the finding is about; findings are sorted by it."""
        return self.tokens_lost * self.requests

    def __repr__(self) -> str:
        return f"<Finding of {self.agent_id!r}, {self.kind.value}: {printable(self.sentence)}>"
