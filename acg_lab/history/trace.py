"""The trace of a replay: what production would have known before every recorded request, for any threshold.

Invariant: a trace is never changed, no answer needs another walk, and arrays have one row per step.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date
from html import escape
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from acg_lab._format import counted
from acg_lab.config.thresholds import check_share, check_thresholds
from acg_lab.core.errors import UsageError
from acg_lab.core.records import PromptIR, StabilityAnalysisResult
from acg_lab.core.stability import StabilityThresholds
from acg_lab.history.history import HistoryProfile
from acg_lab.history.lookup import ReplayedHistory
from acg_lab.snapshot.load import parse_option_time
from acg_lab.snapshot.profile_names import ProfileNames
from acg_lab.storage.observation_columns import offsets
from acg_lab.storage.times import NO_TIME, render_time

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Thresholds", "Trace", "parse_thresholds"]

Numbers = NDArray[np.int64]
A = TypeVar("A", bound=np.generic)
Thresholds: TypeAlias = float | StabilityThresholds | Iterable[float | StabilityThresholds]
_ENTRIES = np.array(["", "profile", "agent"])


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Trace:
    """What production would have known before every recorded request; made by `acg_lab.replay`.

    A step is a recorded LLM call with a request. It met the result that production had of its profile at that time,
    otherwise the agent's seed entry. Steps are in the order of their start, then by agent, run and call. Arrays have
    one row per step and must not be changed.

    Attributes
    ----------
    parts : tuple of ReplayedHistory
        The histories that were walked; no agent is in two of them.
    part, row : array of int64, shape (n_steps,)
        The part of each step, and its row in that part's history.
    windows : tuple of int
        The observation windows that were walked.
    source_caveats : tuple of str
        Caveats that hold for the whole source; `caveats` has those of the steps too.

    Examples
    --------
    >>> import acg_lab as acg
    >>> from acg_lab.core import AnnotatedLlmRequest, CallRecord, RunRecord
    >>> request = AnnotatedLlmRequest(messages=({"role": "user", "content": "Hello"},))
    >>> backend = acg.MemoryBackend()
    >>> for time in ("2026-11-01T08:00:00Z", "2026-11-01T09:00:00Z"):
    ...     call = CallRecord(kind="llm", name="openai", started_at=time, annotated_request=request)
    ...     backend.store_run(RunRecord(id=time, agent_id="chat", calls=(call,), started_at=time))
    >>> trace = acg.replay(acg.load(backend), progress=False)
    >>> len(trace), trace.entry.tolist(), trace.matched_tokens([0.5, 0.9]).tolist()
    (2, ['', 'profile'], [[0, 0], [1, 1]])
    """

    parts: tuple[ReplayedHistory, ...]
    part: Numbers
    row: Numbers
    windows: tuple[int, ...]
    source_caveats: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.row)

    # --- facts of the steps ---

    @property
    def caveats(self) -> tuple[str, ...]:
        """What a reader of the numbers must know of these steps."""
        parts = [self.parts[i] for i in np.unique(self.part)] if len(self) else self.parts
        caveats = [*self.source_caveats, *(caveat for part in parts for caveat in part.history.caveats)]
        if n_truncated := int(np.count_nonzero(self.is_truncated)):
            caveats.append(
                f"{n_truncated:,} of {counted(len(self), 'recorded request')} seem to be truncated to one turn, as "
                "NeMo Relay records them from 0.6 on: tokens counts what was recorded, usage_tokens the whole prompt "
                "where the provider reported it"
            )
        return tuple(dict.fromkeys(caveats))

    @property
    def profiles(self) -> tuple[HistoryProfile, ...]:
        """Agent, learning key and rules version of each profile."""
        return tuple(profile for part in self.parts for profile in part.history.profiles)

    @property
    def profile_names(self) -> ProfileNames:
        """The display name of every profile, by learning key."""
        return ProfileNames({profile.learning_key: profile.agent_id for profile in self.profiles})

    @property
    def profile(self) -> Numbers:
        """Number of each step's own profile in `profiles`."""
        shifts = offsets([len(part.history.profiles) for part in self.parts])
        return self._gather(lambda part, row: part.profile[row]) + shifts[self.part]

    @property
    def agent_ids(self) -> list[str]:
        """Agent of each request."""
        profiles = self.profiles
        return [profiles[i].agent_id for i in self.profile.tolist()]

    @property
    def learning_keys(self) -> list[str]:
        """Learning key of each request."""
        profiles = self.profiles
        return [profiles[i].learning_key for i in self.profile.tolist()]

    @property
    def runs(self) -> Numbers:
        """Number of each request's run in ``history.run_ids`` of its part."""
        return self._gather(lambda part, row: part.history.requests.run[row])

    @property
    def run_ids(self) -> list[str]:
        """Id of each request's run."""
        pairs = zip(self.part.tolist(), self.runs.tolist(), strict=True)
        return [self.parts[part].history.run_ids[run] for part, run in pairs]

    @property
    def calls(self) -> Numbers:
        """Position of each request among the calls of its run, 0 for the first."""
        return self._gather(lambda part, row: part.history.requests.call[row])

    @property
    def started(self) -> "NDArray[np.datetime64]":
        """When each request was sent (UTC, nanoseconds)."""
        return self.started_ns.view("datetime64[ns]")

    @property
    def started_ns(self) -> Numbers:
        """When each request was sent, in nanoseconds since 1970."""
        return self._gather(lambda part, row: part.history.requests.started[row])

    @property
    def n_runs(self) -> Numbers:
        """How many runs of its agent had been learned when each request was sent."""

        def count(part: ReplayedHistory, row: Numbers) -> Numbers:
            requests = part.history.requests
            return requests.first_unknown_run[row] - part.history.first_run[requests.run[row]]

        return self._gather(count)

    @property
    def entry(self) -> "NDArray[np.str_]":
        """Whose result each request met: ``"profile"``, ``"agent"`` (the seed entry), or ``""`` where none."""

        def number(part: ReplayedHistory, row: Numbers) -> Numbers:
            has_any = part.entries.offsets[row + 1] > part.entries.offsets[row]
            return np.where(part.entries.own[row], 1, np.where(has_any, 2, 0))

        return _ENTRIES[self._gather(number)]

    @property
    def n_blocks(self) -> Numbers:
        """How many blocks each request has as it was recorded."""
        return self._gather(lambda part, row: np.diff(part.history.observations.block_offsets)[row])

    @property
    def tokens(self) -> Numbers:
        """Tokens of each request as it was recorded: the known count of a block, else its UTF-8 bytes // 4."""

        def count(part: ReplayedHistory, row: Numbers) -> Numbers:
            ends = part.history.observations.block_offsets
            return part.cumulative_tokens[ends[row + 1]] - part.cumulative_tokens[ends[row]]

        return self._gather(count)

    @property
    def usage_tokens(self) -> Numbers:
        """Tokens of the whole prompt as the provider counted them, -1 where unknown."""
        return self._gather(lambda part, row: part.history.requests.usage_tokens[row])

    @property
    def is_truncated(self) -> NDArray[np.bool_]:
        """Whether each request seems to have been recorded without its earlier turns."""
        return self._gather(lambda part, row: part.history.requests.is_truncated[row])

    def request(self, step: int) -> PromptIR:
        """Return the request of a step as blocks, as the learner observes it."""
        part: ReplayedHistory = self.parts[self.part[step]]
        return part.history.observations.observation(int(self.row[step]))

    def _gather(self, answer: Callable[[ReplayedHistory, Numbers], NDArray[A]]) -> NDArray[A]:
        """Return the answers of the parts in the order of the steps."""
        if len(self.parts) == 1:
            return answer(self.parts[0], self.row)
        where = [np.flatnonzero(self.part == i) for i in range(len(self.parts))]
        answers = [answer(part, self.row[steps]) for part, steps in zip(self.parts, where, strict=True)]
        joined = np.concatenate(answers)
        ordered = np.empty_like(joined)
        ordered[np.concatenate(where)] = joined
        return ordered

    # --- answers by threshold ---

    def prefix_lengths(self, stable_thresholds: Thresholds, *, window: int | None = None) -> NDArray[np.int32]:
        """Return how long the stable prefix was that each request met, in blocks.

        Parameters
        ----------
        stable_thresholds : float, StabilityThresholds, or an iterable of either
            Finite numbers, in any order.
        window : int, optional
            Which observation window; may be left out if the trace has only one.

        Returns
        -------
        array of int32, shape (n_steps, n_thresholds)
            ``stable_prefix_length`` of the result; 0 where nothing was known.

        Raises
        ------
        UsageError
            If a threshold is not a finite number, or the window was not walked.
        """
        return self._ask(ReplayedHistory.lengths, stable_thresholds, window)

    def prefix_tokens(self, stable_thresholds: Thresholds, *, window: int | None = None) -> Numbers:
        """Return how many tokens of each request production would have taken for its stable prefix.

        These are the tokens in the first ``prefix_length`` blocks of the live request, or in all of them if it has
        fewer (acg_lab/docs/rules/planner.md, section 4). Parameters and errors are those of `prefix_lengths`.
        """
        return self._ask(ReplayedHistory.prefix_tokens, stable_thresholds, window)

    def matched_tokens(self, stable_thresholds: Thresholds, *, window: int | None = None) -> Numbers:
        """Return how many tokens of that prefix the request itself repeated, which a cache could have served.

        Blocks are compared from the first one up to the first that differs. Before 0.8 the prefix is in the order of
        the scores (ties by span id), and a block matches if it has the same span and the span's dominant content, or
        one of several equally common ones. From 0.8 on the prefix is the exact one that a majority shares. Parameters
        and errors are those of `prefix_lengths`.
        """
        return self._ask(ReplayedHistory.matched_tokens, stable_thresholds, window)

    def n_observations(self, stable_thresholds: Thresholds, *, window: int | None = None) -> Numbers:
        """Return how many observations the result holds that each request met; 0 where nothing was known.

        The count depends on the threshold only where an agent's seed entry was met, the best profile of the last run.
        Parameters and errors are those of `prefix_lengths`.
        """
        return self._ask(ReplayedHistory.n_observations, stable_thresholds, window)

    def results_at(
        self, step: int, thresholds: StabilityThresholds | None = None, *, window: int | None = None
    ) -> StabilityAnalysisResult | None:
        """Return the whole result that the request of a step met, equal to production's; None if nothing was known.

        Parameters
        ----------
        step : int
            Position in the trace; from its end if negative.
        thresholds : StabilityThresholds, optional
            Production's defaults when left out.
        window : int, optional
            As in `prefix_lengths`.

        Raises
        ------
        UsageError
            If there is no such step, or the window was not walked.
        """
        if not isinstance(step, int | np.integer) or not -len(self) <= step < len(self):
            msg = f"The 'step' option must be the position of one of {counted(len(self), 'step')}; got {step!r}."
            raise UsageError(msg)
        part: ReplayedHistory = self.parts[self.part[step]]
        return part.result(int(self.row[step]), check_thresholds(thresholds), self._check_window(window))

    def _ask(
        self,
        answer: Callable[[ReplayedHistory, Numbers, NDArray[np.float64], int], NDArray[A]],
        stable_thresholds: Thresholds,
        window: int | None,
    ) -> NDArray[A]:
        numbers, chosen = parse_thresholds(stable_thresholds), self._check_window(window)
        return self._gather(lambda part, row: answer(part, row, numbers, chosen))

    def _check_window(self, window: int | None) -> int:
        if window is None and len(self.windows) == 1:
            return self.windows[0]
        if window not in self.windows:
            walked = ", ".join(map(str, self.windows))
            msg = f"The 'window' option must be one of the trace's, {walked}; got {window!r}."
            raise UsageError(msg)
        return int(window)

    # --- views ---

    def select(
        self,
        *,
        agent_id: str | None = None,
        learning_key: str | None = None,
        since: str | date | None = None,
        until: str | date | None = None,
    ) -> "Trace":
        """Return the steps of one agent or profile, or of a time; what they knew stays the same.

        Parameters
        ----------
        agent_id : str, optional
        learning_key : str, optional
            A learning key or display name.
        since, until : str, date or datetime, optional
            First time included and first time excluded: RFC 3339, a date, or a datetime (without a zone: UTC).

        Raises
        ------
        UsageError
            If the trace has no such agent or profile, or a time cannot be read.
        """
        kept = np.ones(len(self), bool)
        names = self.profile_names
        if learning_key is not None:
            kept &= self._are_of({names.resolve(learning_key, agent_id=agent_id)})
        elif agent_id is not None:
            kept &= self._are_of(set(names.of_agent(agent_id)))
        begin, end, started = parse_option_time(since, "since"), parse_option_time(until, "until"), self.started_ns
        if begin is not None:
            kept &= started >= begin
        if end is not None:
            kept &= started < end
        return replace(self, part=self.part[kept], row=self.row[kept])

    def _are_of(self, keys: Collection[str]) -> NDArray[np.bool_]:
        return np.array([profile.learning_key in keys for profile in self.profiles], bool)[self.profile]

    def to_frame(self, thresholds: Thresholds, *, window: int | None = None) -> "DataFrame":
        """Return a DataFrame with one row per step and setting; see `acg_lab.frames.steps`."""
        from acg_lab.frames import steps  # noqa: PLC0415  a value's frame is the one import upwards

        return steps(self, thresholds, window=window)

    def __repr__(self) -> str:
        return "\n  ".join([f"<Trace: {self._summary()}", *self.caveats]) + ">"

    def _repr_html_(self) -> str:
        caveats = "".join(f"<li>{escape(caveat)}</li>" for caveat in self.caveats)
        return f"<b>Trace</b>: {escape(self._summary())}" + (f"<ul>{caveats}</ul>" if caveats else "")

    def _summary(self) -> str:
        profiles, of_steps = self.profiles, np.unique(self.profile).tolist()
        facts = [
            counted(len(self), "step"),
            counted(len({profiles[i].agent_id for i in of_steps}), "agent"),
            counted(len(of_steps), "profile"),
            f"window {' and '.join(map(str, self.windows))}",
        ]
        known = self.started_ns[self.started_ns != NO_TIME]
        if len(known):
            first, last = (render_time(time)[:10] for time in known[[0, -1]].tolist())
            facts.append(f"from {first} to {last}")
        return ", ".join(facts)


def parse_thresholds(thresholds: Thresholds) -> NDArray[np.float64]:
    """Return stable thresholds as an array of numbers, shape (n_thresholds,).

    Raises
    ------
    UsageError
        If one is not a finite number, or is written in per cent.
    """
    if isinstance(thresholds, str):
        msg = f"Stable thresholds must be numbers; got {thresholds!r}."
        raise UsageError(msg)
    if isinstance(thresholds, np.ndarray) and thresholds.dtype == np.float64 and np.isfinite(thresholds).all():
        for value in thresholds.ravel().tolist():
            check_share("stable_threshold", value)
        return thresholds.ravel()
    several: Iterable[Any] = thresholds if isinstance(thresholds, Iterable) else (thresholds,)
    return np.array([_parse_threshold(one) for one in several], np.float64)


def _parse_threshold(value: Any) -> float:
    value = value.item() if isinstance(value, np.generic) else value
    one = value if isinstance(value, StabilityThresholds) else StabilityThresholds(stable_threshold=value)
    check_share("stable_threshold", one.stable_threshold)
    return float(one.stable_threshold)
