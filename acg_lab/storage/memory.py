"""A backend in memory: for learners without a store, for tests, and for records made in a notebook."""

from collections.abc import Iterator, Sequence

from acg_lab.core.codec import encode, encode_window
from acg_lab.core.records import PromptIR, RunRecord, StabilityAnalysisResult
from acg_lab.storage.base import Entry, Progress, Selection, Window, ignore_progress

__all__ = ["MemoryBackend"]


class MemoryBackend:
    """Keep records in memory, by reference.

    Examples
    --------
    >>> MemoryBackend()
    <MemoryBackend: 0 windows, 0 results, 0 runs>
    """

    label = "memory"

    def __init__(self) -> None:
        self._windows: dict[str, Window] = {}
        self._results: dict[str, StabilityAnalysisResult] = {}
        self._runs: dict[str, dict[str, RunRecord]] = {}

    def __repr__(self) -> str:
        n_runs = sum(map(len, self._runs.values()))
        return f"<MemoryBackend: {len(self._windows)} windows, {len(self._results)} results, {n_runs} runs>"

    def load_observations(self, key: str) -> Window | None:
        """Return the window stored under a learning key or agent id."""
        return self._windows.get(key)

    def store_observations(self, key: str, window: Sequence[PromptIR]) -> None:
        """Store a window, replacing the former one."""
        self._windows[key] = tuple(window)

    def load_stability(self, key: str) -> StabilityAnalysisResult | None:
        """Return the result stored under a learning key or agent id."""
        return self._results.get(key)

    def store_stability(self, key: str, result: StabilityAnalysisResult) -> None:
        """Store a result, replacing the former one."""
        self._results[key] = result

    def list_runs(self, agent_id: str) -> tuple[RunRecord, ...]:
        """Return the runs of an agent in the order in which they were stored."""
        return tuple(self._runs.get(agent_id, {}).values())

    def store_run(self, run: RunRecord) -> None:
        """Store a run, replacing one with the same id."""
        self._runs.setdefault(run.agent_id, {})[run.id] = run

    def scan(self, selection: Selection, progress: Progress = ignore_progress) -> Iterator[Entry]:
        """Yield every selected document as JSON."""
        for entry in self._entries(selection):
            if isinstance(entry.raw, bytes):
                progress(len(entry.raw), 0)
            yield entry

    def _entries(self, selection: Selection) -> Iterator[Entry]:
        for key, window in self._windows.items():
            if selection.wants_key(key):
                yield Entry("observations", key, encode_window(window))
        for key, result in self._results.items():
            if selection.wants_key(key):
                yield Entry("stability", key, encode(result))
        for agent_id, runs in self._runs.items():
            if selection.wants_agent(agent_id):
                for run in runs.values():
                    yield Entry("run", f"{agent_id}:{run.id}", encode(run), agent_id)
