"""The storage protocol: what every backend offers, and how a bulk read hands over what it found."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal, NamedTuple, NoReturn, Protocol, TypeAlias, runtime_checkable

from acg_lab.core.errors import RecordError
from acg_lab.core.records import PromptIR, RunRecord, StabilityAnalysisResult

__all__ = [
    "EVERYTHING",
    "AsyncBackend",
    "Backend",
    "Entry",
    "EntryKind",
    "OnProblem",
    "Progress",
    "Selection",
    "raise_problem",
    "silent",
]

EntryKind: TypeAlias = Literal["observations", "stability", "run"]
Window: TypeAlias = tuple[PromptIR, ...]


class Entry(NamedTuple):
    """One stored document as a bulk read found it.

    ``key`` is the learning key or agent id of a window or result, or ``{agent_id}:{run id}`` of a run; ``agent_id`` is
    known for runs only. ``raw`` is the JSON text as stored, or the error that stands in its place. ``stored`` is the
    whole key in a source that has production's layout, for messages.
    """

    kind: EntryKind
    key: str
    raw: bytes | RecordError
    agent_id: str = ""
    stored: str = ""


class Selection(NamedTuple):
    """What to read: of one agent only, of these learning keys only; None is all."""

    agent_id: str | None = None
    keys: frozenset[str] | None = None

    @property
    def agents(self) -> frozenset[str] | None:
        """The wanted agents as a set, None for all."""
        return None if self.agent_id is None else frozenset({self.agent_id})

    def wants_key(self, key: str) -> bool:
        """Whether a window or result stored under this learning key or agent id may be wanted."""
        if self.agent_id is not None and key != self.agent_id and not key.startswith(f"{self.agent_id}::model="):
            return False
        return self.keys is None or key in self.keys

    def wants_agent(self, agent_id: str) -> bool:
        """Whether the runs of this agent are wanted."""
        return self.agent_id is None or agent_id == self.agent_id


EVERYTHING: Final = Selection()


class Progress(Protocol):
    """What reports progress: called with the bytes just read and the total expected so far."""

    def __call__(self, n_bytes: int, total: int, /) -> None:
        """Take in the bytes just read, and the total as far as it is known (0: not)."""
        ...


def silent(_n_bytes: int, _total: int, /) -> None:
    """Report no progress."""


OnProblem: TypeAlias = Callable[[RecordError], None]


def raise_problem(error: RecordError) -> NoReturn:
    """Let one bad entry end the reading."""
    raise error


@runtime_checkable
class Backend(Protocol):
    """A store of observations, results and runs; method names are production's.

    Loading what is not there gives None. Windows and runs are oldest first.

    Raises
    ------
    SourceError
        If the store can't be reached, or refuses to be written.
    RecordError
        If what is stored can't be read, with key and path.
    """

    @property
    def label(self) -> str:
        """How the source is called in messages; credentials masked."""
        ...

    def load_observations(self, key: str, /) -> Window | None:
        """Return the window stored under a learning key or agent id."""
        ...

    def store_observations(self, key: str, window: Sequence[PromptIR], /) -> None:
        """Store a window in the place of the former one."""
        ...

    def load_stability(self, key: str, /) -> StabilityAnalysisResult | None:
        """Return the result stored under a learning key or agent id."""
        ...

    def store_stability(self, key: str, result: StabilityAnalysisResult, /) -> None:
        """Store a result in the place of the former one."""
        ...

    def list_runs(self, agent_id: str, /) -> tuple[RunRecord, ...]:
        """Return the runs of an agent in the order of its index; ids without a run are passed over."""
        ...

    def store_run(self, run: RunRecord, /) -> None:
        """Store a run, last in its agent's index."""
        ...

    def scan(self, selection: Selection, progress: Progress, /) -> Iterator[Entry]:
        """Yield every stored document that the selection wants; one bad entry does not hide the others."""
        ...


class AsyncBackend(Protocol):
    """As `Backend`, for asyncio; bulk reads are the blocking backend's."""

    @property
    def label(self) -> str:
        """How the source is called in messages; credentials masked."""
        ...

    async def load_observations(self, key: str, /) -> Window | None:
        """Return the window stored under a learning key or agent id."""
        ...

    async def store_observations(self, key: str, window: Sequence[PromptIR], /) -> None:
        """Store a window in the place of the former one."""
        ...

    async def load_stability(self, key: str, /) -> StabilityAnalysisResult | None:
        """Return the result stored under a learning key or agent id."""
        ...

    async def store_stability(self, key: str, result: StabilityAnalysisResult, /) -> None:
        """Store a result in the place of the former one."""
        ...

    async def list_runs(self, agent_id: str, /) -> tuple[RunRecord, ...]:
        """Return the runs of an agent, oldest first; ids of the index without a run are passed over."""
        ...

    async def store_run(self, run: RunRecord, /) -> None:
        """Store a run, last in its agent's index."""
        ...
