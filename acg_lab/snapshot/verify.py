"""Recompute what production stored, and name every difference.

Results are recomputed from windows, windows from runs, and seed entries are compared with the profiles they copy.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from hashlib import sha256
from typing import TYPE_CHECKING

from msgspec.structs import replace

from acg_lab._format import counted
from acg_lab.config.thresholds import check_thresholds
from acg_lab.core.codec import encode
from acg_lab.core.errors import RecordError, UsageError
from acg_lab.core.prompt_ir import build_prompt_ir
from acg_lab.core.records import BlockStability, PromptIR, StabilityAnalysisResult
from acg_lab.core.rules import get_rules
from acg_lab.core.stability import StabilityThresholds
from acg_lab.snapshot.analysis import analyze_profile, shared_prefixes
from acg_lab.snapshot.inferred_settings import SettingBounds, bound_settings, intersect
from acg_lab.snapshot.request_reader import LearningKeys
from acg_lab.snapshot.rereading import settle
from acg_lab.snapshot.snapshot import Snapshot, check_snapshot
from acg_lab.snapshot.verdicts import Difference, Status, Verdict, Verification
from acg_lab.storage.redis_backend import RedisBackend
from acg_lab.storage.sources import open_source

if TYPE_CHECKING:
    import os

    from acg_lab.storage.base import Backend

__all__ = ["RecomputedWindows", "verify"]


logger = logging.getLogger(__name__)


class RecomputedWindows:
    """The windows that production must have stored after the recorded runs, as digests of observations."""

    def __init__(self, snapshot: Snapshot, observation_window: int | None) -> None:
        self._snapshot = snapshot
        self._digests: dict[str, list[bytes]] = {}
        self._agents = {run.agent_id for run in snapshot.runs.records}
        rules = {agent_id: self._rules_of(agent_id) for agent_id in self._agents}
        for key, observation in observe_runs(snapshot, rules):
            self._digests.setdefault(key, []).append(_digest(observation))
        self._window = {agent_id: observation_window or self._find_window(agent_id) for agent_id in self._agents}

    def has_runs(self, agent_id: str) -> bool:
        """Return whether the agent has runs to compare with."""
        return agent_id in self._agents

    def _rules_of(self, agent_id: str) -> Sequence[str]:
        return sorted({self._snapshot.rules[key].rules for key in self._keys_of(agent_id)})

    def _keys_of(self, agent_id: str) -> list[str]:
        return [key for key in self._snapshot.windows if self._snapshot.owners[key].agent_id == agent_id]

    def _find_window(self, agent_id: str) -> int | None:
        """Return the longest window that is shorter than what the runs explain: it must have been full."""
        lengths = {key: self._snapshot.n_observations(key) for key in self._keys_of(agent_id)}
        return max((n for key, n in lengths.items() if n < len(self._digests.get(key, ()))), default=None)

    def compare(self, verdict: Verdict) -> Verdict:
        """Compare a profile's stored window with the recomputed one."""
        if not verdict.checked_runs:
            return verdict
        stored = [_digest(observation) for observation in self._snapshot.windows[verdict.key]]
        given = self._digests.get(verdict.key, [])
        full = self._window[verdict.agent_id]
        expected = given[-full:] if full else given
        if stored == expected:
            return verdict
        if len(stored) > len(given) and (not given or stored[-len(given) :] == given):
            n = len(stored) - len(given)
            return verdict._replace(status=Status.LONGER, detail=f"{counted(n, 'observation')} older than the runs")
        return self._mismatch(verdict, stored, given, expected, is_full=not full or len(stored) >= full)

    def _mismatch(
        self, verdict: Verdict, stored: list[bytes], given: list[bytes], expected: list[bytes], *, is_full: bool
    ) -> Verdict:
        foreign = Counter(stored) - Counter(given)
        if not foreign:
            # A window that is not full has dropped nothing, so observations missing at its start are lost, too.
            first = given.index(stored[0]) if stored and is_full else 0
            lost = max(sum((Counter(given[first:]) - Counter(stored)).values()), len(expected) - len(stored))
            detail = f"{counted(lost, 'update')} missing of the {len(given) - first:,} in the runs"
            return verdict._replace(
                status=Status.LOST, detail=detail if lost else "the observations are in another order"
            )
        position = next(i for i, digest in enumerate(stored) if digest in foreign)
        place = f"window, observation {position}"
        difference = Difference(place, "observation", "not in the runs", f"sha256:{stored[position].hex()[:12]}")
        nearest = self._nearest(verdict, position, stored, given)
        return verdict._replace(
            status=Status.DIFFERENT, difference=nearest or difference, detail=str(nearest or difference)
        )

    def _nearest(self, verdict: Verdict, position: int, stored: list[bytes], given: list[bytes]) -> Difference | None:
        """Compare an observation with the one at its position in the recomputed window, if there is one."""
        shift = len(given) - len(stored)
        if not 0 <= position + shift < len(given):
            return None
        rules = {verdict.agent_id: [verdict.rules]}
        of_key = [o for key, o in observe_runs(self._snapshot, rules) if key == verdict.key]
        theirs = self._snapshot.windows[verdict.key][position]
        return _difference(f"window, observation {position}", of_key[position + shift], theirs)


def observe_runs(snapshot: Snapshot, rules: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, PromptIR]]:
    """Yield learning key and observation of every recorded request, in the order in which production learned them."""
    runs = snapshot.runs
    keys = LearningKeys(runs)
    for record, calls in zip(runs.records, runs.calls, strict=True):
        for name in rules.get(record.agent_id, ()):
            for call in calls:
                if call.record.kind != "llm" or call.request is None:
                    continue
                request = runs.request(call)
                try:
                    key = keys.key(record.agent_id, call, name)
                    if key in snapshot.windows and snapshot.rules[key].rules == name:
                        yield key, build_prompt_ir(request, ir_id="", created_at="", rules=name)
                except RecordError:
                    continue  # production skips it too


def _digest(observation: PromptIR) -> bytes:
    """Return a digest of an observation without its id and time, with production's default sensitivity."""
    blocks = tuple(
        replace(block, sensitivity=block.sensitivity or "public", unknown={}) for block in observation.blocks
    )
    return sha256(encode(replace(observation, ir_id="", created_at="", blocks=blocks, unknown={}))).digest()


def _difference(place: str, ours: PromptIR, stored: PromptIR) -> Difference | None:
    for mine, theirs in zip(ours.blocks, stored.blocks, strict=False):
        for name in ("span_id", "sequence_index", "role", "content", "content_type", "provenance"):
            a, b = getattr(mine, name), getattr(theirs, name)
            if a != b:
                hashed = (
                    (f"sha256:{sha256(text.encode()).hexdigest()[:12]}" for text in (a, b))
                    if name == "content"
                    else (a, b)
                )
                return Difference(f"{place}, span {theirs.span_id!r}", name, *hashed)
    if len(ours.blocks) != len(stored.blocks):
        return Difference(place, "number of blocks", len(ours.blocks), len(stored.blocks))
    for name in ("source_request_hash", "structured_output_schema_id", "tool_schema_hashes"):
        if getattr(ours, name) != getattr(stored, name):
            return Difference(place, name, getattr(ours, name), getattr(stored, name))
    return None


def verify(
    snapshot: Snapshot,
    thresholds: StabilityThresholds | None = None,
    *,
    observation_window: int | None = None,
    source: "str | os.PathLike[str] | Backend | None" = None,
    gentle: bool | None = None,
) -> Verification:
    """Recompute every stored result from its window, and every window from the recorded runs, if there are any.

    Parameters
    ----------
    snapshot : Snapshot
        A whole source, not filtered by time or number. Read, never changed.
    thresholds : StabilityThresholds, optional
        The settings in force. If omitted, the settings that explain an agent's results are inferred; a result that no
        settings explain counts as different.
    observation_window : int, optional
        The window in force. If omitted, the longest stored window of an agent that is shorter than its runs explain.
    source : str, path or backend, optional
        Where the snapshot was loaded from, if production still writes there. Agents with an entry that differs are read
        again, a few times at most: a difference counts if it stands still, else the entry ``changed while reading``.
    gentle : bool, optional
        Whether that leaves a Redis half of its time, as of `acg_lab.load`.

    Returns
    -------
    Verification
        One verdict for each profile and seed entry, by key.

    Raises
    ------
    UsageError
        If the snapshot was filtered by ``since`` or ``limit``.

    Examples
    --------
    >>> from acg_lab.snapshot.load import load
    >>> from acg_lab.storage.memory import MemoryBackend
    >>> verify(load(MemoryBackend())).conclusion
    'There is nothing to verify.'
    """
    check_snapshot(snapshot)
    if thresholds is not None:
        check_thresholds(thresholds)
    if snapshot.is_filtered:
        msg = "The snapshot was filtered (since, limit); load the whole source to verify it."
        raise UsageError(msg)
    found = _find_settings(snapshot, thresholds)
    verdicts = _judge(snapshot, found, observation_window)
    if source is not None:
        backend = open_source(source, key_prefix=snapshot.columns.key_prefix or "auto", gentle=gentle)

        def judge(reading: Snapshot) -> list[Verdict]:
            return _judge(reading, _find_settings(reading, thresholds), observation_window)

        with backend if isinstance(backend, RedisBackend) and backend is not source else nullcontext():
            source = backend.label  # a password in it must not show in a traceback with locals
            verdicts = list(settle(snapshot, verdicts, backend, judge))
    texts = {agent_id: str(settings) for agent_id, (settings, _) in found.items()}
    learned = ("learned here from runs, not stored by production",) if snapshot.learned_here else ()
    notes = *learned, *snapshot.unread
    verification = Verification(tuple(sorted(verdicts, key=lambda verdict: verdict.key)), texts, notes)
    logger.info("verified %s: %s", snapshot.source, verification.conclusion)
    return verification


def _judge(snapshot: Snapshot, found: "Found", observation_window: int | None) -> list[Verdict]:
    recomputed = RecomputedWindows(snapshot, observation_window)
    verdicts = [_profile(snapshot, key, found, recomputed) for key in _profile_keys(snapshot)]
    return verdicts + [_seed(snapshot, agent_id, verdicts) for agent_id in snapshot.seeds]


def _profile_keys(snapshot: Snapshot) -> list[str]:
    return sorted({*snapshot.windows, *snapshot.stability})


# --- settings ---

Found = Mapping[str, tuple[SettingBounds | str, StabilityThresholds | None]]


def _find_settings(snapshot: Snapshot, thresholds: StabilityThresholds | None) -> Found:
    """Return by agent the settings, and the thresholds to recompute with: None if no settings explain all profiles."""
    if thresholds is not None:
        return dict.fromkeys(snapshot.agent_ids, (f"as given: {thresholds}", thresholds))
    bounds: dict[str, list[SettingBounds]] = {agent_id: [] for agent_id in snapshot.agent_ids}
    for key in snapshot.stability:
        if key in snapshot.windows and (settings := _bounds(snapshot, key)).is_possible:
            bounds[snapshot.owners[key].agent_id].append(settings)
    return {agent_id: _common(of_agent) for agent_id, of_agent in bounds.items()}


def _common(of_agent: Sequence[SettingBounds]) -> tuple[SettingBounds | str, StabilityThresholds | None]:
    settings = intersect(of_agent)
    if settings.is_possible:
        return settings, settings.choose()
    return "no settings explain all profiles; each was verified by its own", None


def _bounds(snapshot: Snapshot, key: str) -> SettingBounds:
    exact = get_rules(snapshot.rules[key].rules).exact_prefix
    return bound_settings(snapshot.stability[key], shared_prefixes(snapshot, key) if exact else None)


# --- profiles ---


def _profile(snapshot: Snapshot, key: str, found: Found, recomputed: RecomputedWindows) -> Verdict:
    agent_id = snapshot.owners[key].agent_id
    if key not in snapshot.windows:
        return Verdict(key, agent_id, "", Status.UNCHECKED, False, "it has no stored window")
    rules = snapshot.rules[key].rules
    if key not in snapshot.stability:
        verdict = recomputed.compare(Verdict(key, agent_id, rules, Status.UNCHECKED, recomputed.has_runs(agent_id)))
        missing = "it has no stored result"
        if verdict.status.is_fine or not verdict.detail:
            return verdict._replace(status=Status.UNCHECKED, detail=missing)
        return verdict._replace(detail=f"{verdict.detail}; {missing}")
    thresholds = found[agent_id][1] or _bounds(snapshot, key).choose()
    ours, stored = analyze_profile(snapshot, key, thresholds, rules), snapshot.stability[key]
    status, difference = _compare_results(ours, stored, exact=get_rules(rules).exact_prefix)
    verdict = recomputed.compare(Verdict(key, agent_id, rules, status, recomputed.has_runs(agent_id)))
    if difference is None:
        return verdict
    # A wrong window may be the reason why the result differs, so it is reported as well.
    also = f"; {verdict.detail}" if verdict.detail and not verdict.status.is_fine else ""
    return verdict._replace(status=Status.DIFFERENT, detail=f"result: {difference}{also}", difference=difference)


def _compare_results(
    ours: StabilityAnalysisResult, stored: StabilityAnalysisResult, *, exact: bool
) -> tuple[Status, Difference | None]:
    stored = replace(stored, unknown={}, scores=tuple(replace(score, unknown={}) for score in stored.scores))
    if ours == stored:
        return Status.EQUAL, None
    by_span = {score.span_id: score for score in ours.scores}
    for theirs in stored.scores:
        if theirs.span_id not in by_span:
            return Status.DIFFERENT, Difference(f"span {theirs.span_id!r}", "span", "absent", "present")
        if (difference := _of_fields(f"span {theirs.span_id!r}", by_span.pop(theirs.span_id), theirs)) is not None:
            return Status.DIFFERENT, difference
    if by_span:
        return Status.DIFFERENT, Difference(f"span {next(iter(by_span))!r}", "span", "present", "absent")
    if not exact and _own_length(stored) == stored.stable_prefix_length:
        total = _of_fields("result", *(replace(r, scores=(), stable_prefix_length=0) for r in (ours, stored)))
        return (Status.TIES, None) if total is None else (Status.DIFFERENT, total)
    return Status.DIFFERENT, _of_fields("result", replace(ours, scores=()), replace(stored, scores=())) or Difference(
        "result", "order of scores", *([score.span_id for score in result.scores][:3] for result in (ours, stored))
    )


def _own_length(result: StabilityAnalysisResult) -> int:
    classes = [score.classification for score in result.scores]
    return next((i for i, name in enumerate(classes) if name != "stable"), len(classes))


def _of_fields(
    place: str,
    ours: BlockStability | StabilityAnalysisResult,
    stored: BlockStability | StabilityAnalysisResult,
) -> Difference | None:
    for name in ours.__struct_fields__:
        if getattr(ours, name) != getattr(stored, name):
            return Difference(place, name, getattr(ours, name), getattr(stored, name))
    return None


# --- seed entries ---


def _seed(snapshot: Snapshot, agent_id: str, verdicts: Iterable[Verdict]) -> Verdict:
    """Compare a seed entry, which must be an exact copy of one of the agent's profiles."""
    seed = snapshot.seeds[agent_id]
    identity = [observation.ir_id for observation in seed.window]
    keys = [verdict.key for verdict in verdicts if verdict.agent_id == agent_id and verdict.key in snapshot.windows]
    copies = [key for key in keys if [o.ir_id for o in snapshot.windows[key]] == identity]
    verdict = Verdict(agent_id, agent_id, "", Status.EQUAL, False, "seed entry")
    if not keys:
        return verdict._replace(status=Status.UNCHECKED, detail="seed entry: its agent has no profile with a window")
    if not copies:
        return verdict._replace(status=Status.DIFFERENT, detail="seed entry: its window is not that of any profile")
    same = [
        key for key in copies if snapshot.windows[key] == seed.window and snapshot.stability.get(key) == seed.result
    ]
    if same:
        return verdict
    return verdict._replace(status=Status.DIFFERENT, detail=f"seed entry: it is not an exact copy of {copies[0]!r}")
