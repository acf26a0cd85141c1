"""A history made ready for simulation: its requests, whose cache each met, sizes, and the run as it was.

What does not depend on the question is made once for each history and kept with it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any, Final, NamedTuple
from weakref import WeakKeyDictionary, ref

import numpy as np
from numpy.typing import NDArray

from acg_lab.config.thresholds import check_thresholds
from acg_lab.core.errors import UsageError
from acg_lab.core.stability import StabilityThresholds
from acg_lab.history.lookup import ReplayedHistory
from acg_lab.history.trace import Trace
from acg_lab.providers.matching import run_cache
from acg_lab.providers.outcomes import Doubt
from acg_lab.providers.registry import choose_provider, find_provider
from acg_lab.providers.rules import CacheProvider
from acg_lab.simulation.breakpoints import Breakpoints, Policy, choose_breakpoints, governor_acts, last_breakpoints
from acg_lab.simulation.plans import Plans, place_plans, plan_history
from acg_lab.simulation.readers import Scope, read_requests
from acg_lab.simulation.requests import RecordedRequests
from acg_lab.simulation.sending import send_otherwise
from acg_lab.simulation.sizes import Sizes, measure_prefixes
from acg_lab.simulation.tables import CacheRun, TableParts, run_caches, split_requests
from acg_lab.storage._runtime import paused_collector
from acg_lab.storage.recorded_runs import Runs

__all__ = ["GovernorSettings", "PreparedHistory", "prepare_history", "read_settings"]

Ints = NDArray[np.int64]
_DAY: Final = 86_400 * 10**9
_AGREE: Final = 0.1
_MOST_RUNS: Final = 4  # of policies other than what was sent


@dataclass(frozen=True)
class GovernorSettings:
    """The governor's settings, as far as they decide breakpoints; ``acts`` is None where that is to be inferred."""

    thresholds: StabilityThresholds
    window: int
    acts: bool | None = None


def read_settings(value: Any, window: int, name: str) -> GovernorSettings:
    """Return settings given as a stable threshold, thresholds, a config's settings, or None for the defaults.

    Raises
    ------
    UsageError
        If it is none of these, or a threshold is written in per cent.
    """
    if value is None:
        return GovernorSettings(StabilityThresholds(), window)
    if isinstance(value, StabilityThresholds):
        return GovernorSettings(check_thresholds(value), window)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return GovernorSettings(check_thresholds(StabilityThresholds(stable_threshold=value)), window)
    thresholds = getattr(value, "thresholds", None)
    if isinstance(thresholds, StabilityThresholds):
        provider = getattr(value, "provider", None)
        acts = None if provider is None else provider == "anthropic"
        return GovernorSettings(check_thresholds(thresholds), int(getattr(value, "observation_window", window)), acts)
    msg = f"The {name!r} option must be a stable threshold, StabilityThresholds or settings; got {value!r}."
    raise UsageError(msg)


class _Ran(NamedTuple):
    """What caches did with the breakpoints of a policy, and how many requests had some refused."""

    runs: list[CacheRun]
    refused: int


class PreparedHistory:
    """The requests of a trace, and all that simulations of them share."""

    def __init__(
        self, parts: tuple[ReplayedHistory, ...], requests: RecordedRequests, cache_provider: "CacheProvider | str"
    ) -> None:
        # Weak, since this is kept with a part: simulations hold the parts themselves.
        self._parts = tuple(map(ref, parts))
        self._cache_provider = cache_provider
        self.requests = requests
        self.providers, self.provider_of = _providers(requests, cache_provider)
        self.tables: tuple[TableParts, ...] = tuple(split_requests(requests, self.provider_of, self.providers))
        self._plans: dict[GovernorSettings, Plans] = {}
        self._sizes: dict[object, Sizes] = {}
        self._runs: dict[tuple[object, ...], _Ran] = {}
        self._is_settled = self.early_entries = False

    @property
    def parts(self) -> tuple[ReplayedHistory, ...]:
        """The replayed histories, as long as something holds them."""
        return tuple(part for held in self._parts if (part := held()) is not None)

    def sent_as(self, runs: Runs) -> "PreparedHistory":
        """Return the same history, its requests sent as repairs of these runs say; they differ in nothing else."""
        return PreparedHistory(self.parts, self.requests.sent_as(runs), self._cache_provider)

    def plans(self, settings: GovernorSettings) -> Plans:
        """Return what the governor planned at some settings."""
        key = GovernorSettings(settings.thresholds, settings.window)
        if key not in self._plans:
            planned = [plan for part in self.parts for plan in plan_history(part, key.thresholds, key.window)]
            self._plans[key] = place_plans(self.requests, planned)
        return self._plans[key]

    @cached_property
    def profiles(self) -> Ints:
        """The profile that learned from each request, -1 for none; profiles of all parts are numbered through."""
        shift, found = 0, [np.zeros(0, np.int64)]
        for part in self.parts:
            found.append(part.profile + shift)
            shift += len(part.history.profiles)
        return np.append(np.concatenate(found), -1)[self.requests.steps]

    def acts(self, settings: GovernorSettings) -> bool:
        """Whether the governor placed breakpoints: as the settings say, else as the bills show."""
        return governor_acts(self.requests) if settings.acts is None else settings.acts

    def sizes(
        self,
        config: GovernorSettings,
        count_tokens: Callable[[bytes], int] | None = None,
        learn_from: NDArray[np.bool_] | None = None,
    ) -> Sizes:
        """Return the sizes of all prefixes, with breakpoints as they were."""
        key = (config, count_tokens, None if learn_from is None else learn_from.tobytes())
        if key not in self._sizes:
            breakpoints = self.breakpoints(config, "sent", config)
            written = last_breakpoints(self.requests, breakpoints)
            options: dict[str, Any] = {"count_tokens": count_tokens, "learn_from": learn_from}
            rough = measure_prefixes(self.requests, written, **options)
            self._sizes[key] = rough
            if not self._states_all_reads(rough):
                with paused_collector():
                    hits = self._hits(run_caches(self.requests, self.tables, rough, breakpoints))
                self._sizes[key] = measure_prefixes(self.requests, written, hits=hits, **options)
        return self._sizes[key]

    def _states_all_reads(self, sizes: Sizes) -> bool:
        """Whether every billed read ends where a bill states a size: then reads have no more to teach."""
        requests = self.requests
        for rows, pieces in requests.in_chunks():
            owner = np.repeat(
                np.arange(rows.start, rows.stop), np.diff(requests.piece_offsets[rows.start : rows.stop + 1])
            )
            ends_here = (sizes.ends[pieces] == requests.read[owner]) & (sizes.margins[pieces] == 0)
            is_stated = requests.read[rows] <= 0
            is_stated[owner[ends_here] - rows.start] = True
            if not is_stated.all():
                return False
        return True

    def _hits(self, runs: list[CacheRun]) -> Ints:
        """Return where reads ended, where the rules and the bill agree on it well enough to learn the size there."""
        hits = np.full(len(self.requests), -1, np.int64)
        for run in runs:
            outcome = run.outcome
            if run.provider.matching not in ("breakpoint", "boundary"):
                continue
            read = self.requests.read[run.rows]
            agrees = (outcome.read_pieces >= 0) & (np.abs(read - outcome.read_tokens) <= _AGREE * read)
            hits[run.rows[agrees]] = run.pieces[outcome.read_pieces[agrees]]
        return hits

    def breakpoints(
        self, settings: GovernorSettings, policy: "str | Policy", config: GovernorSettings, ends: Ints | None = None
    ) -> Breakpoints:
        """Return the breakpoints of every request under a policy."""
        acts = policy == "planned" or (policy == "sent" and self.acts(config))
        found = choose_breakpoints(
            self.requests,
            policy,
            self.plans(settings) if acts else None,
            ends,
            recorded_plans=self.plans(config) if acts else None,
        )
        return send_otherwise(self.requests, found) if policy == "sent" and self.requests.sendings else found

    def settle_as(self, other: "PreparedHistory", tables: Iterable[TableParts]) -> None:
        """Let entries become readable as in another history, whose caches these tables have."""
        self._is_settled, self.early_entries, self.tables = True, other.early_entries, tuple(tables)

    def run(
        self, settings: GovernorSettings, policy: "str | Policy", config: GovernorSettings, sizes: Sizes
    ) -> list[CacheRun]:
        """Run all requests through their caches; what was run before is not run again."""
        self._settle(config, sizes)
        return self._run(settings, policy, config, sizes).runs

    def count_refused(
        self, settings: GovernorSettings, policy: "str | Policy", config: GovernorSettings, sizes: Sizes
    ) -> int:
        """Return how many requests would have carried too many breakpoints in a run."""
        return self._run(settings, policy, config, sizes).refused

    def _settle(self, config: GovernorSettings, sizes: Sizes) -> None:
        """Decide when entries become readable whose writer's first token was not recorded.

        The rules leave it open between start and end of the answer. Of the two, that which the bills contradict less
        often holds for the whole source; without a difference the end, which promises less.
        """
        if self._is_settled:
            return
        self._is_settled = True
        for at, run in enumerate(self._run(config, "sent", config, sizes).runs):
            doubtful = (run.outcome.doubts & int(Doubt.TIME_UNKNOWN)) != 0
            read = self.requests.read[run.rows]
            if "missing_time" not in run.provider.settings or not np.any(doubtful & (read >= 0)):
                continue
            kinder = run.provider.with_settings(missing_time="start")
            other = run_cache(run.table, kinder).read_tokens
            known = read >= 0
            wrong = [
                np.count_nonzero(known & ((read > 0) != (found > 0))) for found in (run.outcome.read_tokens, other)
            ]
            if wrong[1] < wrong[0]:
                self.early_entries = True
                self.tables = (*self.tables[:at], replace(self.tables[at], provider=kinder), *self.tables[at + 1 :])
                self._runs.clear()

    def _run(self, settings: GovernorSettings, policy: "str | Policy", config: GovernorSettings, sizes: Sizes) -> _Ran:
        key = (settings, policy, config, id(sizes))
        if key not in self._runs:
            for old in [old for old in self._runs if old[1] != "sent"][: -_MOST_RUNS or None]:
                del self._runs[old]
            breakpoints = self.breakpoints(settings, policy, config, sizes.ends)
            with paused_collector():
                runs = run_caches(self.requests, self.tables, sizes, breakpoints)
            self._runs[key] = _Ran(runs, breakpoints.refused)
        return self._runs[key]


_prepared: "WeakKeyDictionary[ReplayedHistory, dict[object, PreparedHistory]]" = WeakKeyDictionary()


def prepare_history(
    trace: Trace | None,
    cache_provider: "CacheProvider | str" = "auto",
    scope: "str | Scope" = "agent",
    *,
    others: Runs | None = None,
) -> PreparedHistory:
    """Return a history ready for simulation; the same one for the same trace.

    ``others`` are runs that no trace can hold: of agents whose requests were never learned.
    """
    parts = () if trace is None else trace.parts
    kept = _prepared.setdefault(parts[0], {}) if parts else {}
    provider = cache_provider if isinstance(cache_provider, str) else id(cache_provider)
    key = (tuple(map(id, parts)), provider, scope, None if others is None else id(others))
    if key not in kept:
        with paused_collector():
            requests = read_requests((part.history for part in parts), scope=scope, others=others)
            kept[key] = PreparedHistory(parts, requests, cache_provider)
    return kept[key]


def _providers(
    requests: RecordedRequests, cache_provider: "CacheProvider | str"
) -> tuple[tuple[CacheProvider, ...], Ints]:
    """Return whose cache each request met, -1 where no rules are known."""
    n = len(requests)
    if cache_provider != "auto":
        return (find_provider(cache_provider),), np.zeros(n, np.int64)
    has_breakpoints = np.zeros(n, bool)
    has_breakpoints[requests.request_of_piece[requests.own_breakpoints >= 0]] = True
    key = np.stack((requests.apis, requests.models, requests.started // _DAY, has_breakpoints.astype(np.int64)))
    distinct, which = np.unique(key, axis=1, return_inverse=True)
    found: dict[str, CacheProvider] = {}
    names: list[str] = []
    for api, model, day, has_own in distinct.T.tolist():
        provider = choose_provider(
            requests.api_names[api], requests.model_names[model] or None, _date(day), has_breakpoints=bool(has_own)
        )
        names.append("" if provider is None else found.setdefault(provider.name, provider).name)
    codes = {name: code for code, name in enumerate(found)}
    by_key = np.array([codes.get(name, -1) for name in names], np.int64)
    return tuple(found.values()), by_key[which.reshape(-1)] if n else np.zeros(0, np.int64)


def _date(day: int) -> date:
    return datetime.fromtimestamp(day * 86_400, UTC).date()
