"""The learner: what production does after a run has ended (``acg_lab/docs/rules/learner.md``, 5).

`AcgLearner.step` does no I/O: it yields commands that load and store windows, which `process_run` and `aprocess_run`
carry out. The step changes none of its arguments and uses no clock or random source but the ``stamp`` passed in.
"""

import uuid
from collections.abc import Callable, Generator
from datetime import UTC, datetime
from threading import Lock
from typing import TypeAlias

from acg_lab.core.errors import RecordError, UsageError
from acg_lab.core.keys import learning_key
from acg_lab.core.learner_backend import (
    AsyncLearnerBackend,
    LearnerBackend,
    LearnerUpdate,
    Load,
    ResultBackend,
    Store,
    TransactionalBackend,
    Window,
)
from acg_lab.core.messages import tool_schemas
from acg_lab.core.plain_numbers import plain_number
from acg_lab.core.prompt_ir import build_prompt_ir
from acg_lab.core.records import PromptIR, RunRecord, StabilityAnalysisResult
from acg_lab.core.rules import get_rules
from acg_lab.core.stability import StabilityThresholds, judge_window
from acg_lab.core.window import CountedWindow

__all__ = ["AcgLearner", "HotCache", "Stamp", "system_stamp"]

_MAX_COUNTED = 256

Stamp: TypeAlias = Callable[[], tuple[str, str]]


class HotCache:
    """What a running process knows at request time. Updates are atomic.

    Attributes
    ----------
    acg_profiles : dict of str to StabilityAnalysisResult
        Results by learning key.
    acg_profile_observation_counts : dict of str to int
        Number of observations by learning key.
    acg_stability : StabilityAnalysisResult or None
        Result of the seed entry.
    acg_observation_count : int
        Number of observations of the seed entry.

    Examples
    --------
    >>> HotCache()
    <HotCache: 0 profiles, seed of 0 observations>
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self.acg_profiles: dict[str, StabilityAnalysisResult] = {}
        self.acg_profile_observation_counts: dict[str, int] = {}
        self.acg_stability: StabilityAnalysisResult | None = None
        self.acg_observation_count = 0

    @classmethod
    def from_backend(cls, backend: ResultBackend, agent_id: str) -> "HotCache":
        """Return the hot cache of a process that has just registered an agent: it knows the seed entry, no profiles.

        Parameters
        ----------
        backend : ResultBackend
            Any backend of acg_lab; read, never written.
        agent_id : str
            The agent whose seed entry is loaded. Without one, the hot cache is empty.

        Examples
        --------
        >>> from acg_lab.storage.memory import MemoryBackend
        >>> HotCache.from_backend(MemoryBackend(), "chat")
        <HotCache: 0 profiles, seed of 0 observations>
        """
        hot_cache = cls()
        hot_cache.apply(LearnerUpdate(seed=backend.load_stability(agent_id)))
        return hot_cache

    def __repr__(self) -> str:
        return f"<HotCache: {len(self.acg_profiles)} profiles, seed of {self.acg_observation_count} observations>"

    def apply(self, update: LearnerUpdate) -> None:
        """Apply what was learned from a run; an update without results changes nothing."""
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
    """Return a random UUID and the current time, with which production stamps its observations.

    Returns
    -------
    (str, str)
        The UUID, and the time in UTC as an RFC 3339 text with microseconds.

    Examples
    --------
    >>> ir_id, created_at = system_stamp()
    >>> len(ir_id), created_at[-1]
    (36, 'Z')
    """
    return str(uuid.uuid4()), datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class AcgLearner:
    """Learn prompt stability from finished runs, exactly as production does.

    On a Redis a run is learned in one transaction: any number of processes may learn the same profiles, and none loses
    an observation of another.

    Parameters
    ----------
    agent_id : str
        The agent whose runs are processed; part of every learning key.
    observation_window : int
        How many observations a profile keeps, from 0 to 2**64 - 1; 0 keeps one.
    thresholds : StabilityThresholds, optional
        Production's defaults if omitted.
    rules : str
        Name of the rules version.

    Raises
    ------
    UsageError
        If the window is not an integer of that range, or the rules version is unknown.

    Examples
    --------
    >>> from acg_lab.storage.memory import MemoryBackend
    >>> run = RunRecord(id="r1", agent_id="chat", calls=(), started_at="2026-01-01T00:00:00Z")
    >>> AcgLearner("chat").process_run(run, MemoryBackend(), HotCache()).skipped
    0
    """

    def __init__(
        self,
        agent_id: str,
        observation_window: int = 100,
        thresholds: StabilityThresholds | None = None,
        rules: str = "nemo-flow-0.2",
    ) -> None:
        observation_window = plain_number(observation_window)
        is_integer = isinstance(observation_window, int) and not isinstance(observation_window, bool)
        if not is_integer or not 0 <= observation_window < 2**64:
            needed = "an integer from 0 to 2**64 - 1"
            msg = f"The 'observation_window' setting must be {needed}; got {observation_window!r}."
            raise UsageError(msg)
        self.agent_id = agent_id
        self.observation_window = observation_window
        self.thresholds = thresholds or StabilityThresholds()
        self.rules = get_rules(rules).name
        # Counts of the windows stored last, by key. They are valid while the backend returns that same window.
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

        Errors of the backend propagate and leave the hot cache unchanged.

        Parameters
        ----------
        run : RunRecord
            A finished run of the agent. Calls without a request, or with an unreadable one, are skipped.
        backend : LearnerBackend
            Stores windows and results by learning key: a `MemoryBackend`, or a `RedisBackend` opened ``writable``.
        hot_cache : HotCache
            What the process knows at request time.
        stamp : callable
            Returns id and RFC 3339 time of each observation; `system_stamp` if omitted.

        Returns
        -------
        LearnerUpdate
            The changes applied to the hot cache.

        Raises
        ------
        UsageError
            If ``run`` is not a RunRecord; decode stored JSON with ``acg_lab.core.decode(RunRecord, raw)`` first.
        """
        if isinstance(backend, TransactionalBackend):
            update: LearnerUpdate = backend.transact(lambda: self.step(run, stamp))
            hot_cache.apply(update)
            return update
        step, answer = self.step(run, stamp), None
        while True:
            try:
                command = step.send(answer)
            except StopIteration as done:
                update = done.value
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
        """Learn from a run as `process_run` does, with an asyncio backend."""
        if isinstance(backend, TransactionalBackend):
            update: LearnerUpdate = await backend.transact(lambda: self.step(run, stamp))
            hot_cache.apply(update)
            return update
        step, answer = self.step(run, stamp), None
        while True:
            try:
                command = step.send(answer)
            except StopIteration as done:
                update = done.value
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
        """Learn from a run without I/O.

        Yield `Load` commands, which expect the stored window as answer, and `Store` commands, which expect None. Return
        the update of the hot cache.

        Raises
        ------
        UsageError
            If ``run`` is not a RunRecord.
        """
        if not isinstance(run, RunRecord):
            msg = (
                f"The 'run' must be a RunRecord; got {type(run).__name__}. "
                "Decode the stored JSON first: acg_lab.core.decode(RunRecord, raw)."
            )
            raise UsageError(msg)
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
            # The seed entry lets a restarted process warm up without a scan.
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
