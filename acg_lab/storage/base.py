"""The storage protocol: what every backend offers, and the entries of a bulk read."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal, NamedTuple, NoReturn, Protocol, TypeAlias, runtime_checkable

from acg_lab.core.errors import RecordError
from acg_lab.core.records import PromptIR, RunRecord, StabilityAnalysisResult
from acg_lab.storage.limits import DEFAULT_LIMITS, Limits

__all__ = [
    "EVERYTHING",
    "AsyncBackend",
    "Backend",
    "Entry",
    "EntryKind",
    "OnProblem",
    "Progress",
    "Selection",
    "ignore_progress",
    "raise_problem",
]

EntryKind: TypeAlias = Literal["observations", "stability", "run"]
Window: TypeAlias = tuple[PromptIR, ...]


class Entry(NamedTuple):
    """One stored document, as found by a bulk read.

    Attributes
    ----------
    kind : {"observations", "stability", "run"}
    key : str
        The learning key or agent id of a window or result, ``{agent_id}:{run id}`` of a run.
    raw : bytes or RecordError
        The JSON as stored, or the error that replaces it.
    agent_id : str
        The agent of a run; empty for other kinds.
    stored : str
        The whole key in a source with production's layout, for messages.
    """

    kind: EntryKind
    key: str
    raw: bytes | RecordError
    agent_id: str = ""
    stored: str = ""


class Selection(NamedTuple):
    """What to read; None means all.

    Attributes
    ----------
    agent_id : str, optional
        One agent only.
    keys : frozenset of str, optional
        Some learning keys only; runs are not affected.
    since : int, optional
        Runs that started at this time or later, in nanoseconds since 1970. A backend may yield earlier ones too.
    limit : int, optional
        The newest so many runs of each agent, of those ``since``. A backend may yield older ones too.
    limits : Limits
        What exceeds them is an error of its entry.
    """

    agent_id: str | None = None
    keys: frozenset[str] | None = None
    since: int | None = None
    limit: int | None = None
    limits: Limits = DEFAULT_LIMITS

    @property
    def agents(self) -> frozenset[str] | None:
        """The wanted agents as a set, or None for all."""
        return None if self.agent_id is None else frozenset({self.agent_id})

    @property
    def wants_some_runs(self) -> bool:
        """Whether some runs may not be wanted."""
        return self.agent_id is not None or self.since is not None or self.limit is not None

    def wants_key(self, key: str) -> bool:
        """Return whether a window or result under this learning key or agent id may be wanted."""
        if self.agent_id is not None and key != self.agent_id and not key.startswith(f"{self.agent_id}::model="):
            return False
        return self.keys is None or key in self.keys

    def wants_agent(self, agent_id: str) -> bool:
        """Return whether the runs of this agent are wanted."""
        return self.agent_id is None or agent_id == self.agent_id


EVERYTHING: Final = Selection()


class Progress(Protocol):
    """A callable that reports progress."""

    def __call__(self, n_bytes: int, total: int, /) -> None:
        """Report the number of bytes just read, and the total expected so far (0 if unknown)."""
        ...


def ignore_progress(_n_bytes: int, _total: int, /) -> None:
    """Report no progress."""


OnProblem: TypeAlias = Callable[[RecordError], None]


def raise_problem(error: RecordError) -> NoReturn:
    """Raise the error, so that one bad entry ends the read."""
    raise error


@runtime_checkable
class Backend(Protocol):
    """A store of observations, results and runs, with the method names of production.

    Loading returns None for a key that does not exist. Windows and runs are ordered oldest first.

    Raises
    ------
    SourceError
        If the store cannot be reached or written.
    RecordError
        If a stored document cannot be read; the error has its key and path.
    """

    @property
    def label(self) -> str:
        """The name of the source in messages, credentials masked."""
        ...

    def load_observations(self, key: str, /) -> Window | None:
        """Return the window stored under a learning key or agent id."""
        ...

    def store_observations(self, key: str, window: Sequence[PromptIR], /) -> None:
        """Store a window, replacing the former one."""
        ...

    def load_stability(self, key: str, /) -> StabilityAnalysisResult | None:
        """Return the result stored under a learning key or agent id."""
        ...

    def store_stability(self, key: str, result: StabilityAnalysisResult, /) -> None:
        """Store a result, replacing the former one."""
        ...

    def list_runs(self, agent_id: str, /) -> tuple[RunRecord, ...]:
        """Return the runs of an agent in the order of its index; ids without a run are skipped."""
        ...

    def store_run(self, run: RunRecord, /) -> None:
        """Store a run, and append it to its agent's index."""
        ...

    def scan(self, selection: Selection, progress: Progress, /) -> Iterator[Entry]:
        """Yield every selected document; an entry that cannot be read is yielded with its error."""
        ...


class AsyncBackend(Protocol):
    """`Backend` for asyncio, without bulk reads."""

    @property
    def label(self) -> str:
        """The name of the source in messages, credentials masked."""
        ...

    async def load_observations(self, key: str, /) -> Window | None:
        """Return the window stored under a learning key or agent id."""
        ...

    async def store_observations(self, key: str, window: Sequence[PromptIR], /) -> None:
        """Store a window, replacing the former one."""
        ...

    async def load_stability(self, key: str, /) -> StabilityAnalysisResult | None:
        """Return the result stored under a learning key or agent id."""
        ...

    async def store_stability(self, key: str, result: StabilityAnalysisResult, /) -> None:
        """Store a result, replacing the former one."""
        ...

    async def list_runs(self, agent_id: str, /) -> tuple[RunRecord, ...]:
        """Return the runs of an agent in the order of its index; ids without a run are skipped."""
        ...

    async def store_run(self, run: RunRecord, /) -> None:
        """Store a run, and append it to its agent's index."""
        ...
