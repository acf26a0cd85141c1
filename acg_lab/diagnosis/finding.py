"""What an explanation is made of, as frozen values.

Belongs here: kinds, timings, evidence, and a finding. Nothing that computes, and no prompt text but the excerpts that
were asked for; how findings look is in `acg_lab.diagnosis.findings`.
"""

from enum import StrEnum
from typing import TYPE_CHECKING

from msgspec import Struct

from acg_lab._format import counted, printable
from acg_lab.diagnosis.text_diff import TextDifference

if TYPE_CHECKING:
    from acg_lab.repairs.effects import Effect

__all__ = ["Evidence", "Finding", "Kind", "Timing", "Variant"]


class Kind(StrEnum):
    """What kind of change ends a stable prefix, in the field's words."""

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
    VARIANTS = "variants"
    FRAGMENTED_BY_FIRST_MESSAGE = "fragmented_by_first_message"
    MODEL_CHANGED = "model_changed"
    RAW_BYTES_DIFFER = "raw_bytes_differ"
    BELOW_MINIMUM = "below_minimum"
    UNKNOWN_MODEL_FAMILY = "unknown_model_family"
    BOUND_TO_REQUESTS = "bound_to_requests"
    TOO_FEW_REQUESTS = "too_few_requests"
    UNKNOWN = "unknown"


class Timing(StrEnum):
    """When it changes: at one moment, in every request, back and forth, or on and on."""

    ONCE = "once"
    EVERY_REQUEST = "every_request"
    ALTERNATING = "alternating"
    DRIFTING = "drifting"


class Variant(Struct, frozen=True):
    """One distinct content: the first 16 hex digits of its SHA-256, and in how many requests it stands."""

    hash: str
    count: int


class Evidence(Struct, frozen=True, kw_only=True):
    """The numbers behind a finding.

    Attributes
    ----------
    requests, present, distinct, changes : int
        Requests looked at; of these, those that hold the block; its distinct contents; how often it changed in time.
    last_change : str or None
        When it last changed, RFC 3339.
    variants : tuple of Variant
        The commonest contents, at most five.
    places : tuple of TextDifference
        Where the two commonest contents differ, at most eight.
    stable_tokens_after : float
        Tokens per request of what else does not change and is out of reach; of several profiles, what all share.
    unchanging : float
        Tokens of the block itself that its two commonest contents share.
    threshold : float or None
        Largest ``stable_threshold`` that takes the block into the prefix; None where no sensible one does.
    profiles : tuple of str
        Learning keys that the finding is about, the largest first; of several alike, those of the costliest.
    n_profiles_if_fixed : int
        Of profiles that are kept apart: how many they would be, were it not for this cause; 0 of others.
    details : tuple of str
        What the detector saw beyond that, such as the names of tools; never prompt text.
    """

    requests: int
    present: int = 0
    distinct: int = 0
    changes: int = 0
    last_change: str | None = None
    variants: tuple[Variant, ...] = ()
    places: tuple[TextDifference, ...] = ()
    stable_tokens_after: float = 0.0
    unchanging: float = 0.0
    threshold: float | None = None
    profiles: tuple[str, ...] = ()
    n_profiles_if_fixed: int = 0
    details: tuple[str, ...] = ()

    def __repr__(self) -> str:
        facts = {name: getattr(self, name) for name in self.__struct_fields__ if name != "profiles"}
        told = ", ".join(f"{name}={value!r}" for name, value in facts.items() if value not in (None, ()))
        return f"<Evidence: {told}; {counted(len(self.profiles), 'profile')}>"


class Finding(Struct, frozen=True, kw_only=True):
    """Why a stable prefix ends where it does, and what mending it wins.

    Attributes
    ----------
    learning_key, agent_id : str
        Of the profile; of the largest, where the finding is about several.
    span_id : str or None
        The block at which the prefix ends; None where it is not a block that does it.
    kind : Kind
    timing : Timing or None
    tokens_lost : float
        Tokens of a request, in the mean, that do not change and can't be read from a cache for this cause.
    requests : int
        Of all profiles that it is about.
    sentence : str
        All that in one plain sentence, without prompt text.
    evidence : Evidence
        Of several profiles with the same fault, that of ``learning_key``; of profiles kept apart, that of all.
    repairs : tuple of Effect
        What was tried and wins something, each with the prefix before and after; best first.
    bound_repairs : int
        How many of these, the last ones, leave a prefix beyond system prompt and tools: generation 0.8 binds it to
        whole requests, so only a provider that caches by itself makes use of it.
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
    repairs: "tuple[Effect, ...]" = ()
    bound_repairs: int = 0

    @property
    def total_lost(self) -> float:
        """Tokens lost in all requests that the finding is about; findings are ordered by it."""
        return self.tokens_lost * self.requests

    def __repr__(self) -> str:
        return f"<Finding of {self.agent_id!r}, {self.kind.value}: {printable(self.sentence)}>"
