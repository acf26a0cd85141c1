"""The learner: what production does when a run has ended (spec section 5).

Belongs here: one step without I/O, and the two shells that carry out its storage commands, blocking and asyncio. The
step asks for windows and hands out what is to be stored; it never touches its arguments, a clock or randomness.
"""

import uuid
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from threading import Lock
from typing import NamedTuple, Protocol, TypeAlias

from msgspec import Struct, field

from acg_lab.core.errors import RecordError, UsageError
from acg_lab.core.keys import learning_key
from acg_lab.core.messages import tool_schemas
from acg_lab.core.prompt_ir import build_prompt_ir
from acg_lab.core.records import PromptIR, RunRecord, StabilityAnalysisResult
from acg_lab.core.rules import get_rules
from acg_lab.core.stability import StabilityThresholds, judge_window
from acg_lab.core.window import CountedWindow

__all__ = [
    "AcgLearner",
    "AsyncLearnerBackend",
    "HotCache",
    "LearnerBackend",
    "LearnerUpdate",
    "Load",
    "Stamp",
    "Store",
    "system_stamp",
]

_MAX_COUNTED = 256

Window: TypeAlias = tuple[PromptIR, ...]
Stamp: TypeAlias = Callable[[], tuple[str, str]]


class LearnerBackend(Protocol):
    """The part of a storage backend that the learner needs."""

    def load_observations(self, key: str, /) -> Window | None:
        """Return the window of a key, None for none."""
        ...

    def store_observations(self, key: str, window: Window, /) -> None:
        """Store a window."""
        ...

    def store_stability(self, key: str, result: StabilityAnalysisResult, /) -> None:
        """Store a result."""
        ...


class AsyncLearnerBackend(Protocol):
    """The same for asyncio."""

    async def load_observations(self, key: str, /) -> Window | None:
        """Return the window of a key, None for none."""
        ...

    async def store_observations(self, key: str, window: Window, /) -> None:
        """Store a window."""
        ...

    async def store_stability(self, key: str, result: StabilityAnalysisResult, /) -> None:
        """Store a result."""
        ...


class Load(NamedTuple):
    """Command: load the window of a key and send it back, None for none."""

    key: str


class Store(NamedTuple):
    """Command: store a window, then its result, under a key."""

    key: str
    window: Window
    result: StabilityAnalysisResult


class LearnerUpdate(Struct, frozen=True, kw_only=True):
    """What a run taught: results by learning key in call order, the seed entry's, and how many requests were skipped.

    ``skipped`` counts the requests whose observation can't be built; production passes over them in silence.
    """

    results: dict[str, StabilityAnalysisResult] = field(default_factory=dict)
    seed: StabilityAnalysisResult | None = None
    skipped: int = 0


class HotCache:
    """What a running process knows at request time; updated as a whole, under a lock.

    Attributes
    ----------
    acg_profiles : dict of str to StabilityAnalysisResult
    acg_profile_observation_counts : dict of str to int
        Both by learning key.
    acg_stability : StabilityAnalysisResult or None
    acg_observation_count : int
        Of the seed entry.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self.acg_profiles: dict[str, StabilityAnalysisResult] = {}
        self.acg_profile_observation_counts: dict[str, int] = {}
        self.acg_stability: StabilityAnalysisResult | None = None
        self.acg_observation_count = 0

    def __repr__(self) -> str:
        return f"<HotCache: {len(self.acg_profiles)} profiles, seed of {self.acg_observation_count} observations>"

    def apply(self, update: LearnerUpdate) -> None:
        """Take in what a run taught; an update without results changes nothing."""
        if update.seed is None:
            return
        with self._lock:
            self.acg_profiles.update(update.results)
            self.acg_profile_observation_counts.update(
                {key: result.total_observations for key, result in update.results.items()}
            )
            self.acg_stability = update.seed
            self.acg_observation_count = update.seed.total_observations


def system_stamp() -> tuple[str, str]:
    """Return a random UUID and the time now, as production stamps its observations."""
    return str(uuid.uuid4()), datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class AcgLearner:
    """Learn prompt stability from finished runs, exactly as production does.

    Parameters
    ----------
    agent_id : str
        Whose runs these are; part of every learning key.
    observation_window : int
        How many observations a profile keeps, from 0 to 2**64 - 1; 0 keeps one.
    thresholds : StabilityThresholds, optional
        Production's defaults when left out.
    rules : str
        Name of the generation of the rules.

    Raises
    ------
    UsageError
        If the window is no integer of that range, or the rules are unknown.
    """

    def __init__(
        self,
        agent_id: str,
        observation_window: int = 100,
        thresholds: StabilityThresholds | None = None,
        rules: str = "nemo-flow-0.2",
    ) -> None:
        is_integer = isinstance(observation_window, int) and not isinstance(observation_window, bool)
        if not is_integer or not 0 <= observation_window < 2**64:
            needed = "an integer from 0 to 2**64 - 1"
            msg = f"The 'observation_window' setting must be {needed}; got {observation_window!r}."
            raise UsageError(msg)
        self.agent_id = agent_id
        self.observation_window = observation_window
        self.thresholds = thresholds or StabilityThresholds()
        self.rules = get_rules(rules).name
        # Counts of the windows that were stored last, by key. They hold as long as the backend gives back that window.
        self._counted: dict[str, tuple[Window, CountedWindow]] = {}

    def __repr__(self) -> str:
        return (
            f"AcgLearner({self.agent_id!r}, observation_window={self.observation_window}, "
            f"thresholds={self.thresholds!r}, rules={self.rules!r})"
        )

    def process_run(
        self, run: RunRecord, backend: LearnerBackend, hot_cache: HotCache, *, stamp: Stamp = system_stamp
    ) -> LearnerUpdate:
        """Learn from a run: load windows, store windows and results, then update the hot cache.

        A storage error ends the call with that error and leaves the hot cache as it was.

        Parameters
        ----------
        run : RunRecord
            A finished run of this agent. Its calls without a request, or with one that can't be read, teach nothing.
        backend : LearnerBackend
            Where windows and results are kept, by learning key: the store in memory, or a Redis opened ``writable``.
        hot_cache : HotCache
            What the process knows at request time.
        stamp : callable
            Gives each observation its id and RFC 3339 time; a random UUID and the clock when left out.

        Returns
        -------
        LearnerUpdate
            What the hot cache took in.
        """
        step, answer = self.step(run, stamp), None
        while True:
            try:
                command = step.send(answer)
            except StopIteration as done:
                update: LearnerUpdate = done.value
                break
            answer = None
            if isinstance(command, Load):
                answer = backend.load_observations(command.key)
            else:
                backend.store_observations(command.key, command.window)
                backend.store_stability(command.key, command.result)
        hot_cache.apply(update)
        return update

    async def aprocess_run(
        self, run: RunRecord, backend: AsyncLearnerBackend, hot_cache: HotCache, *, stamp: Stamp = system_stamp
    ) -> LearnerUpdate:
        """As `process_run`, for asyncio."""
        step, answer = self.step(run, stamp), None
        while True:
            try:
                command = step.send(answer)
            except StopIteration as done:
                update: LearnerUpdate = done.value
                break
            answer = None
            if isinstance(command, Load):
                answer = await backend.load_observations(command.key)
            else:
                await backend.store_observations(command.key, command.window)
                await backend.store_stability(command.key, command.result)
        hot_cache.apply(update)
        return update

    def step(self, run: RunRecord, stamp: Stamp) -> Generator[Load | Store, Window | None, LearnerUpdate]:
        """Learn from a run without doing I/O.

        Yields `Load` commands, each to be answered with the stored window, and `Store` commands, answered with None;
        returns the update for the hot cache. ``stamp`` gives each observation its id and RFC 3339 time.
        """
        rules = get_rules(self.rules)
        observed, skipped = self._observe(run, stamp)
        results: dict[str, StabilityAnalysisResult] = {}
        best: Store | None = None
        for key, new in observed.items():
            stored = yield Load(key)
            counted = self._recall(key, stored or ())
            for observation in new:
                counted.push(observation, self.observation_window)
            result = judge_window(counted, self.thresholds, rules, key)
            yield (store := Store(key, tuple(counted), result))
            self._counted[key] = store.window, counted
            results[key] = result
            if best is None or _rank(result) > _rank(best.result):
                best = store
        if best is not None:
            # The seed entry: what a restarted process warms up from without a scan.
            yield best._replace(key=self.agent_id)
        return LearnerUpdate(results=results, seed=best.result if best else None, skipped=skipped)

    def _recall(self, key: str, stored: Window) -> CountedWindow:
        window, counted = self._counted.pop(key, (None, CountedWindow()))
        while len(self._counted) >= _MAX_COUNTED:
            del self._counted[next(iter(self._counted))]
        return counted if window is stored else CountedWindow(stored)

    def _observe(self, run: RunRecord, stamp: Stamp) -> tuple[dict[str, list[PromptIR]], int]:
        observed: dict[str, list[PromptIR]] = {}
        skipped = 0
        for call in run.calls:
            if call.kind != "llm" or (request := call.annotated_request) is None:
                continue
            ir_id, created_at = stamp()
            try:
                schemas = tool_schemas(request)
                observation = build_prompt_ir(
                    request, ir_id=ir_id, created_at=created_at, rules=self.rules, schemas=schemas
                )
                key = learning_key(self.agent_id, request, rules=self.rules, schemas=schemas)
            except RecordError:
                skipped += 1
                continue
            observed.setdefault(key, []).append(observation)
        return observed, skipped


def _rank(result: StabilityAnalysisResult) -> tuple[int, int]:
    return result.stable_prefix_length, result.total_observations
