"""Two learners side by side: ours is fed the runs that the runtime stored, and must come to the same.

Pure but for our own learner's memory: what stands in Redis is handed in as bytes by key without prefix. Identity and
time of observations are the only fields left out. Two things are random in production and judged as such: before 0.8
the order of spans that tie on their index, with the prefix length that follows from it, and which of equally good
profiles becomes the seed entry.
"""

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, zip_longest
from typing import Any

import msgspec

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
from acg_lab.core.fingerprint import identity, majority_prefix
from acg_lab.core.keys import Owner, assign_agents
from acg_lab.storage.codec import decode, decode_window, encode, encode_window
from acg_lab.storage.memory import MemoryBackend

GENERATIONS = {"0.3.0": "nemo-flow-0.2", "0.7.3": "nemo-relay-0.6", "0.10.4": "nemo-relay-0.8"}
WINDOW, RESULT = "acg_observations:", "acg_stability:"
IDENTITY = ("ir_id", "created_at")
ABSENT = "(absent)"

Stored = Mapping[str, bytes]


@dataclass(frozen=True)
class Difference:
    """The first thing in which two learners part.

    Attributes
    ----------
    key : str
        Learning key or agent id; empty where it is about the run as a whole.
    span : str
        Span id, or the number of an observation; empty where it is about neither.
    field : str
    ours, stored : object
        What we say, and what the runtime stored.
    """

    key: str
    span: str
    field: str
    ours: Any
    stored: Any


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
        depth = majority_prefix([observation.blocks for observation in window], limit, identity)
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


def rank(result: StabilityAnalysisResult) -> tuple[int, int]:
    """Return by what the seed entry is chosen."""
    return result.stable_prefix_length, result.total_observations


def compare_windows(key: str, ours: tuple[PromptIR, ...], raw: bytes) -> Difference | None:
    """Return the first difference between our window and the stored one."""
    stored = decode_window(raw)
    if encode_window(stored) != raw:
        return Difference(key, "", "window", "is printed in another way", "")
    if list(map(_content, ours)) == list(map(_content, stored)):
        return None
    for number, (one, other) in enumerate(zip_longest(ours, stored)):
        if one is None or other is None:
            return Difference(key, "", "length of the window", len(ours), len(stored))
        if found := _first(key, _blocks_of(one), _blocks_of(other)):
            return found
        if found := _first(key, [(str(number), _plain(one))], [(str(number), _plain(other))]):
            return found
    return None


def compare_results(
    key: str, ours: StabilityAnalysisResult, raw: bytes, window: Iterable[PromptIR], *, is_exact: bool
) -> Difference | None:
    """Return the first difference between our result and the stored one.

    Where ``is_exact`` is false, spans that tie on their index may be listed in any order, and the prefix length is what
    that order gives.
    """
    stored = decode(StabilityAnalysisResult, raw)
    if encode(stored) != raw:
        return Difference(key, "", "result", "is printed in another way", "")
    if ours == stored:
        return None
    indexes = smallest_indexes(window)
    one, other = ours, stored
    if not is_exact and len(set(indexes.values())) < len(indexes):
        if stored.stable_prefix_length != leading_stable(stored):
            return Difference(key, "", "stable_prefix_length", leading_stable(stored), stored.stable_prefix_length)
        one, other = _untied(ours, indexes), _untied(stored, indexes)
    names = [[score.span_id for score in result.scores] for result in (one, other)]
    if names[0] != names[1]:
        return Difference(key, "", "order of spans", *names)
    found = _first(key, _scores_of(one), _scores_of(other))
    return found or _first(key, [("", _plain(one))], [("", _plain(other))])


def smallest_indexes(window: Iterable[PromptIR]) -> dict[str, int]:
    """Return the smallest index that each span of a window was seen at."""
    indexes: dict[str, int] = {}
    for block in (block for observation in window for block in observation.blocks):
        indexes[block.span_id] = min(indexes.get(block.span_id, block.sequence_index), block.sequence_index)
    return indexes


def leading_stable(result: StabilityAnalysisResult) -> int:
    """Return how many scores lead with class ``stable``."""
    classes = [score.classification for score in result.scores]
    return next((i for i, name in enumerate(classes) if name != "stable"), len(classes))


def _untied(result: StabilityAnalysisResult, indexes: Mapping[str, int]) -> StabilityAnalysisResult:
    """Return a result with tied spans sorted by id, and without the prefix length that their order gave."""
    groups = groupby(result.scores, lambda score: indexes.get(score.span_id))
    scores = [score for _, group in groups for score in sorted(group, key=lambda score: score.span_id)]
    return msgspec.structs.replace(result, scores=tuple(scores), stable_prefix_length=0)


def _content(observation: PromptIR) -> PromptIR:
    return msgspec.structs.replace(observation, ir_id="", created_at="")


def _plain(record: msgspec.Struct) -> dict[str, Any]:
    """Return all fields of a record but those that hold others, and its identity."""
    fields = msgspec.structs.asdict(record)
    return {name: value for name, value in fields.items() if name not in {"blocks", "scores", *IDENTITY}}


def _blocks_of(observation: PromptIR) -> list[tuple[str, dict[str, Any]]]:
    return [(block.span_id, _plain(block)) for block in observation.blocks]


def _scores_of(result: StabilityAnalysisResult) -> list[tuple[str, dict[str, Any]]]:
    return [(score.span_id, _plain(score)) for score in result.scores]


def _first(key: str, ours: Iterable[tuple], stored: Iterable[tuple]) -> Difference | None:
    """Return the first field in which two lists of (name, fields) part."""
    for one, other in zip_longest(ours, stored, fillvalue=(ABSENT, {})):
        if one[0] != other[0]:
            return Difference(key, "", "span", one[0], other[0])
        for name, ours_, stored_ in _values(one[1], other[1]):
            if ours_ != stored_:
                return Difference(key, one[0], name, ours_, stored_)
    return None


def _values(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in (*one, *(name for name in other if name not in one)):
        yield name, one.get(name, ABSENT), other.get(name, ABSENT)
