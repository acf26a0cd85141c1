"""The storage protocol: what every backend offers, and how a bulk read hands over what it found."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

from acg_lab.core.errors import RecordError
from acg_lab.core.records import PromptIR, RunRecord, StabilityAnalysisResult

__all__ = ["AsyncBackend", "Backend", "Entry", "Kind", "Progress", "Selection", "silent"]

Kind: TypeAlias = Literal["observations", "stability", "run"]
Window: TypeAlias = tuple[PromptIR, ...]


class Entry(NamedTuple):
    """One stored document as a bulk read found it.

    ``key`` is the learning key or agent id of a window or result, or ``{agent_id}:{run id}`` of a run; ``agent_id`` is
    known for runs only. ``raw`` is the JSON text as stored, or the error that stands in its place.
    """

    kind: Kind
    key: str
    raw: bytes | RecordError
    agent_id: str = ""


class Selection(NamedTuple):
    """What to read: of one agent only, of these learning keys only; None is all."""

    agent_id: str | None = None
    keys: frozenset[str] | None = None

    def wants_key(self, key: str) -> bool:
        """Whether a window or result stored under this learning key or agent id may be wanted."""
        if self.agent_id is not None and key != self.agent_id and not key.startswith(f"{self.agent_id}::model="):
            return False
        return self.keys is None or key in self.keys

    def wants_agent(self, agent_id: str) -> bool:
        """Whether the runs of this agent are wanted."""
        return self.agent_id is None or agent_id == self.agent_id


class Progress(Protocol):
    """What reports progress: called with the bytes just read and the total expected so far."""

    def __call__(self, n_bytes: int, total: int, /) -> None: ...


def silent(_n_bytes: int, _total: int, /) -> None:
    """Report no progress."""


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

    def load_observations(self, key: str, /) -> Window | None: ...
    def store_observations(self, key: str, window: Sequence[PromptIR], /) -> None: ...
    def load_stability(self, key: str, /) -> StabilityAnalysisResult | None: ...
    def store_stability(self, key: str, result: StabilityAnalysisResult, /) -> None: ...
    def list_runs(self, agent_id: str, /) -> tuple[RunRecord, ...]:
        """Return the runs of an agent in the order of its index; ids without a run are passed over."""
        ...

    def store_run(self, run: RunRecord, /) -> None: ...

    def scan(self, selection: Selection, progress: Progress, /) -> Iterator[Entry]:
        """Yield every stored document that the selection wants; one bad entry does not hide the others."""
        ...


class AsyncBackend(Protocol):
    """As `Backend`, for asyncio; bulk reads are the blocking backend's."""

    @property
    def label(self) -> str: ...

    async def load_observations(self, key: str, /) -> Window | None: ...
    async def store_observations(self, key: str, window: Sequence[PromptIR], /) -> None: ...
    async def load_stability(self, key: str, /) -> StabilityAnalysisResult | None: ...
    async def store_stability(self, key: str, result: StabilityAnalysisResult, /) -> None: ...
    async def list_runs(self, agent_id: str, /) -> tuple[RunRecord, ...]: ...
    async def store_run(self, run: RunRecord, /) -> None: ...
