"""Our learner at the runtime's side: it is fed the runs that the runtime stored, and must come to the same.

Pure but for our own learner's memory: what stands in Redis is handed in as bytes by key without prefix. Two things are
random in production and judged as such: before 0.8 the order of spans that tie on their index, with the prefix length
that follows from it, and which of equally good profiles becomes the seed entry.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from conformance.compare import RESULT, WINDOW, Difference, Stored, compare_results, compare_windows, rank

from acg_lab.core import (
    RULES,
    AcgLearner,
    HotCache,
    LearnerUpdate,
    PromptIR,
    RecordError,
    RunRecord,
    StabilityAnalysisResult,
    StabilityThresholds,
    analyze_stability,
    parse_learning_key,
)
from acg_lab.core.codec import decode, decode_window, encode
from acg_lab.core.exact_prefix import find_majority_depth, identity
from acg_lab.core.keys import Owner, assign_agents
from acg_lab.storage.memory import MemoryBackend


class _Awaited:
    """A store in memory, as the asyncio shell wants it."""

    def __init__(self, backend: MemoryBackend) -> None:
        self._backend = backend

    async def load_observations(self, key: str) -> tuple[PromptIR, ...] | None:
        return self._backend.load_observations(key)

    async def store_observations(self, key: str, window: tuple[PromptIR, ...]) -> None:
        self._backend.store_observations(key, window)

    async def store_stability(self, key: str, result: StabilityAnalysisResult) -> None:
        self._backend.store_stability(key, result)


class Twin:
    """Our learner, at the runtime's side: every other run is learned by its asyncio shell.

    Parameters
    ----------
    agent_id : str
    window : int
    thresholds : mapping
        Of one agent.
    rules : str
        Name of the generation of the rules.
    """

    def __init__(self, agent_id: str, window: int, thresholds: Mapping[str, Any], rules: str) -> None:
        self.agent_id = agent_id
        self.backend = MemoryBackend()
        self.hot_cache = HotCache()
        self.learner = AcgLearner(agent_id, window, StabilityThresholds(**thresholds), rules=rules)
        self.is_exact = RULES[rules].exact_prefix
        self.n_compared = self.n_skipped = self.n_runs = 0
        self._meddled: set[str] = set()  # whose result is older than their window

    def meddle(self, key: str, raw: bytes) -> None:
        """Take over a window that another writer stored."""
        self.backend.store_observations(key, decode_window(raw))
        self._meddled.add(key)

    def restart(self) -> None:
        """Forget what only the process knew: what is left is the seed entry."""
        self.hot_cache = HotCache()
        self.hot_cache.apply(LearnerUpdate(seed=self.backend.load_stability(self.agent_id)))

    def learn(self, raw: bytes, stored: Stored) -> Difference | None:
        """Learn from a run, and compare.

        Parameters
        ----------
        raw : bytes
            The run's record, as the runtime stored it.
        stored : mapping of str to bytes
            All windows and results that the runtime has stored by now, by key without prefix.

        Returns
        -------
        Difference or None
            The first one.
        """
        try:
            run = decode(RunRecord, raw)
            update = self._process(run)
        except RecordError as error:
            return Difference("", "", "run", f"refused: {error}", "learned")
        self.n_skipped += update.skipped
        if json.loads(encode(run)) != json.loads(raw):
            return Difference("", "", "run", "lost something on the way", "")
        found = self._compare(update, stored)
        if found is None and update.results:
            self._follow(update, stored)
        return found

    def _process(self, run: RunRecord) -> LearnerUpdate:
        self.n_runs += 1
        if self.n_runs % 2:
            return self.learner.process_run(run, self.backend, self.hot_cache)
        return asyncio.run(self.learner.aprocess_run(run, _Awaited(self.backend), self.hot_cache))

    def _follow(self, update: LearnerUpdate, stored: Stored) -> None:
        """Put into the hot cache what the runtime has there: where that is random, its choice counts."""
        results = {key: decode(StabilityAnalysisResult, stored[RESULT + key]) for key in update.results}
        seed = decode(StabilityAnalysisResult, stored[RESULT + self.agent_id])
        self.hot_cache.apply(LearnerUpdate(results=results, seed=seed))
        self.backend.store_stability(self.agent_id, seed)

    def _compare(self, update: LearnerUpdate, stored: Stored) -> Difference | None:
        expected = {f"{kind}{key}" for kind in (WINDOW, RESULT) for key in self.backend._windows}
        if different := expected ^ stored.keys():
            key = min(different)
            return Difference(key, "", "stored keys", key in expected, key in stored)
        if found := self._compare_owners([key.removeprefix(RESULT) for key in stored if key.startswith(RESULT)]):
            return found
        for key in update.results:
            self.n_compared += 1
            self._meddled.discard(key)
            if found := self._compare_profile(key, stored):
                return found
        return self._compare_seed(update, stored) if update.results else None

    def _compare_owners(self, keys: list[str]) -> Difference | None:
        """Compare what we read from the stored keys alone with whose they are."""
        for key, owner in assign_agents(keys).items():
            if owner != (expected := Owner(self.agent_id, key == self.agent_id)):
                return Difference(key, "", "owner", owner, expected)
            known = parse_learning_key(key, agent_id=self.agent_id)
            if (known is None) != owner.is_seed or known != parse_learning_key(key, agent_id=self.agent_id):
                return Difference(key, "", "parts of the key", known, "")
        return None

    def compare_all(self, stored: Stored) -> Difference | None:
        """Compare once more all profiles, those that the last run did not touch among them."""
        keys = [key for key in self.backend._windows if key != self.agent_id and key not in self._meddled]
        found = (self._compare_profile(key, stored) or self._compare_afresh(key) for key in keys)
        return next(filter(None, found), None)

    def _compare_profile(self, key: str, stored: Stored) -> Difference | None:
        window = self.backend.load_observations(key)
        result = self.backend.load_stability(key)
        found = compare_windows(key, window, stored[WINDOW + key])
        return found or compare_results(key, result, stored[RESULT + key], window, is_exact=self.is_exact)

    def _compare_afresh(self, key: str) -> Difference | None:
        """Compare what our learner counted step by step with an analysis of the window as it stands."""
        learner, result = self.learner, self.backend.load_stability(key)
        window = self.backend.load_observations(key)
        afresh = analyze_stability(window, learner.thresholds, rules=learner.rules, learning_key=key)
        if afresh != result:
            return Difference(key, "", "result", result, afresh)
        if not self.is_exact:
            return None
        limit = learner.thresholds.stable_threshold
        depth = find_majority_depth([observation.blocks for observation in window], limit, identity)
        given = result.stable_prefix_length
        return None if depth == given else Difference(key, "", "stable_prefix_length", given, depth)

    def _compare_seed(self, update: LearnerUpdate, stored: Stored) -> Difference | None:
        theirs = {key: decode(StabilityAnalysisResult, stored[RESULT + key]) for key in update.results}
        best = max(map(rank, theirs.values()))
        pairs = {key: (stored[WINDOW + key], stored[RESULT + key]) for key in theirs if rank(theirs[key]) == best}
        if (stored[WINDOW + self.agent_id], stored[RESULT + self.agent_id]) not in pairs.values():
            return Difference(self.agent_id, "", "seed entry", sorted(pairs), "another")
        if theirs == update.results and update.seed not in [theirs[key] for key in pairs]:
            return Difference(self.agent_id, "", "seed entry", rank(update.seed), best)
        return None
