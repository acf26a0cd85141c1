"""What a learner needs of a store, the commands that it gives one, and the update that it makes.

Any object with these methods will do; the backends of `acg_lab.storage` have them.
"""

from collections.abc import Callable, Generator
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

from msgspec import Struct, field

from acg_lab.core.records import PromptIR, StabilityAnalysisResult

__all__ = [
    "AsyncLearnerBackend",
    "LearnerBackend",
    "LearnerUpdate",
    "Load",
    "ResultBackend",
    "Store",
    "TransactionalBackend",
    "Window",
]

Window: TypeAlias = tuple[PromptIR, ...]


class LearnerBackend(Protocol):
    """The methods of a storage backend that the learner needs."""

    def load_observations(self, key: str, /) -> Window | None:
        """Return the window of a key, or None if there is none."""
        ...

    def store_observations(self, key: str, window: Window, /) -> None:
        """Store a window."""
        ...

    def store_stability(self, key: str, result: StabilityAnalysisResult, /) -> None:
        """Store a result."""
        ...


class AsyncLearnerBackend(Protocol):
    """`LearnerBackend` for asyncio."""

    async def load_observations(self, key: str, /) -> Window | None:
        """Return the window of a key, or None if there is none."""
        ...

    async def store_observations(self, key: str, window: Window, /) -> None:
        """Store a window."""
        ...

    async def store_stability(self, key: str, result: StabilityAnalysisResult, /) -> None:
        """Store a result."""
        ...


class Load(NamedTuple):
    """Command: load the window of a key and send it back, or None if there is none."""

    key: str


class Store(NamedTuple):
    """Command: store a window, then its result, under a key."""

    key: str
    window: Window
    result: StabilityAnalysisResult


class ResultBackend(Protocol):
    """The method of a storage backend that warming a hot cache needs."""

    def load_stability(self, key: str, /) -> StabilityAnalysisResult | None:
        """Return the result of a key, or None if there is none."""
        ...


class LearnerUpdate(Struct, frozen=True, kw_only=True):
    """What was learned from a run.

    Attributes
    ----------
    results : dict of str to StabilityAnalysisResult
        By learning key, in the order of calls.
    seed : StabilityAnalysisResult or None
        The new seed entry of the agent.
    skipped : int
        How many requests production cannot read, and so ignores silently.

    Examples
    --------
    >>> LearnerUpdate(skipped=2).results
    {}
    """

    results: dict[str, StabilityAnalysisResult] = field(default_factory=dict)
    seed: StabilityAnalysisResult | None = None
    skipped: int = 0


@runtime_checkable
class TransactionalBackend(Protocol):
    """A backend that carries out a learner's step as a whole, so that concurrent learners lose nothing."""

    def transact(self, start: Callable[[], Generator[Load | Store, Window | None, LearnerUpdate]], /) -> Any:
        """Carry out the step that ``start`` returns, and return its update; an asyncio backend returns an awaitable."""
        ...
