"""Stable thresholds as a caller may give them.

The steps of a trace, and what is known of each without a threshold.

Belongs here: facts of recorded requests, put into the order of the steps. All arrays hold a row a step.


What a replay found: any threshold is answered without walking again.

Belongs here: `Trace` and its views. Facts of the steps are in `acg_lab.history.trace`; the numbers are told by
`acg_lab.history.lookup`.


Putting steps together: of the histories of one replay, and of several traces.

Belongs here: one order for all steps, whatever they are put together from.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from html import escape
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from acg_lab._format import counted
from acg_lab.core.errors import UsageError
from acg_lab.core.records import PromptIR, StabilityAnalysisResult
from acg_lab.core.stability import StabilityThresholds
from acg_lab.history.history import HistoryProfile
from acg_lab.history.lookup import ReplayedHistory
from acg_lab.snapshot.load import parse_option_time
from acg_lab.snapshot.profile_names import ProfileNames
from acg_lab.storage.columns import offsets
from acg_lab.storage.times import render_time

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Steps", "Thresholds", "Trace", "as_numbers", "merge", "trace_of"]

Thresholds: TypeAlias = float | StabilityThresholds | Iterable[float | StabilityThresholds]


def as_numbers(thresholds: Thresholds) -> NDArray[np.float64]:
    """Return stable thresholds as numbers.

    Raises
    ------
    UsageError
        If one is no finite number.
    """
    if isinstance(thresholds, str):
        msg = f"Stable thresholds must be numbers; got {thresholds!r}."
        raise UsageError(msg)
    if isinstance(thresholds, np.ndarray) and thresholds.dtype == np.float64 and np.isfinite(thresholds).all():
        return thresholds.ravel()
    given: Iterable[Any] = thresholds if isinstance(thresholds, Iterable) else (thresholds,)
    return np.array([_number(one) for one in given], np.float64)


def _number(value: Any) -> float:
    value = value.item() if isinstance(value, np.generic) else value
    one = value if isinstance(value, StabilityThresholds) else StabilityThresholds(stable_threshold=value)
    return float(one.stable_threshold)


Numbers = NDArray[np.int64]
A = TypeVar("A", bound=np.generic)
_ENTRIES = np.array(["", "profile", "agent"])


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Steps:
    """Recorded requests in the order of their starts, then of agents, runs and calls.

    Attributes
    ----------
    parts : tuple of ReplayedHistory
        The histories that were walked; no agent is in two of them.
    part, row : array of int64, shape (n_steps,)
        Part of each step, and row in its history.
    remarks : tuple of str
        What must be known of the source; see `caveats`.
    """

    parts: tuple[ReplayedHistory, ...]
    part: Numbers
    row: Numbers
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.row)

    @property
    def caveats(self) -> tuple[str, ...]:
        """What a reader of the numbers must know of these steps."""
        parts = [self.parts[i] for i in np.unique(self.part)] if len(self) else self.parts
        told = [*self.remarks, *(caveat for part in parts for caveat in part.history.caveats)]
        if n_cut := int(np.count_nonzero(self.is_truncated)):
            told.append(
                f"{n_cut:,} of {counted(len(self), 'recorded request')} seem to be cut to one turn, as NeMo Relay "
                "records them from 0.6 on: tokens counts what was recorded, usage_tokens the whole prompt, if told"
            )
        return tuple(dict.fromkeys(told))

    @property
    def profiles(self) -> tuple[HistoryProfile, ...]:
        """Agent, learning key and rules of every profile."""
        return tuple(profile for part in self.parts for profile in part.history.profiles)

    @property
    def profile_names(self) -> ProfileNames:
        """The display name of every profile, by learning key."""
        return ProfileNames({profile.learning_key: profile.agent_id for profile in self.profiles})

    @property
    def profile(self) -> Numbers:
        """Number of each step's own profile in `profiles`."""
        shifts = offsets([len(part.history.profiles) for part in self.parts])
        return self.gather(lambda part, row: part.profile[row]) + shifts[self.part]

    @property
    def agent_ids(self) -> list[str]:
        """Whose request each is."""
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
        return self.gather(lambda part, row: part.history.requests.run[row])

    @property
    def run_ids(self) -> list[str]:
        """Id of the run that each request belongs to."""
        pairs = zip(self.part.tolist(), self.runs.tolist(), strict=True)
        return [self.parts[part].history.run_ids[run] for part, run in pairs]

    @property
    def calls(self) -> Numbers:
        """Position of each request among the calls of its run, 0 for the first."""
        return self.gather(lambda part, row: part.history.requests.call[row])

    @property
    def started(self) -> "NDArray[np.datetime64]":
        """When each request was sent, UTC, in nanoseconds."""
        return self.started_ns.view("datetime64[ns]")

    @property
    def started_ns(self) -> Numbers:
        """The same as whole nanoseconds since 1970."""
        return self.gather(lambda part, row: part.history.requests.started[row])

    @property
    def n_runs(self) -> Numbers:
        """How many runs of its agent were learned when each request was sent."""

        def known(part: ReplayedHistory, row: Numbers) -> Numbers:
            return part.history.requests.known[row] - part.history.first_run[part.history.requests.run[row]]

        return self.gather(known)

    @property
    def entry(self) -> "NDArray[np.str_]":
        """Whose result each request met: ``profile``, ``agent`` (the seed entry), or nothing."""

        def kind(part: ReplayedHistory, row: Numbers) -> Numbers:
            has_any = part.entries.offsets[row + 1] > part.entries.offsets[row]
            return np.where(part.entries.own[row], 1, np.where(has_any, 2, 0))

        return _ENTRIES[self.gather(kind)]

    @property
    def n_blocks(self) -> Numbers:
        """Blocks of each request as it was recorded."""
        return self.gather(lambda part, row: np.diff(part.history.observations.block_offsets)[row])

    @property
    def tokens(self) -> Numbers:
        """Tokens of each request as it was recorded: of a block its own count, else UTF-8 bytes // 4."""

        def count(part: ReplayedHistory, row: Numbers) -> Numbers:
            ends = part.history.observations.block_offsets
            return part.cumulative[ends[row + 1]] - part.cumulative[ends[row]]

        return self.gather(count)

    @property
    def usage_tokens(self) -> Numbers:
        """Tokens of the whole prompt as the provider counted them; -1 where that is not recorded."""
        return self.gather(lambda part, row: part.history.requests.usage[row])

    @property
    def is_truncated(self) -> NDArray[np.bool_]:
        """Whether each request seems to have been recorded cut to the current turn."""
        return self.gather(lambda part, row: part.history.requests.cut[row])

    def gather(self, answer: Callable[[ReplayedHistory, Numbers], NDArray[A]]) -> NDArray[A]:
        """Put the answers of the parts into the order of the steps."""
        if len(self.parts) == 1:
            return answer(self.parts[0], self.row)
        where = [np.flatnonzero(self.part == i) for i in range(len(self.parts))]
        answers = [answer(part, self.row[steps]) for part, steps in zip(self.parts, where, strict=True)]
        joined = np.concatenate(answers)
        ordered = np.empty_like(joined)
        ordered[np.concatenate(where)] = joined
        return ordered


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Trace(Steps):
    """What production would have known before every recorded request.

    A step is a recorded LLM call with a request. What it met is the result of its profile as it was known then, else
    the agent's seed entry. All arrays hold a row a step; they are never changed.

    Attributes
    ----------
    windows : tuple of int
        The observation windows that were walked.
    """

    windows: tuple[int, ...]

    def request(self, step: int) -> PromptIR:
        """Return the request of a step as blocks, as the learner observes it."""
        part: ReplayedHistory = self.parts[self.part[step]]
        return part.history.observations.observation(int(self.row[step]))

    # --- thresholds ---

    def prefix_lengths(self, stable_thresholds: Thresholds, *, window: int | None = None) -> NDArray[np.int32]:
        """Return how long the stable prefix was that each request met, in blocks.

        Parameters
        ----------
        stable_thresholds : float, StabilityThresholds, or an iterable of either
            Any finite numbers, in any order.
        window : int, optional
            Which observation window; may be left out if the trace has but one.

        Returns
        -------
        array of int32, shape (n_steps, n_settings)
            ``stable_prefix_length`` of the result; 0 where nothing was known.

        Raises
        ------
        UsageError
            If a threshold is no finite number, or the window was not walked.
        """
        return self._ask(ReplayedHistory.lengths, stable_thresholds, window)

    def prefix_tokens(self, stable_thresholds: Thresholds, *, window: int | None = None) -> Numbers:
        """Return how many tokens of each request production would have taken for its stable prefix.

        These are the tokens of so many leading blocks of the live request as the prefix has (of all, if it has fewer),
        as the planner counts them (spec planner.md, section 4). Parameters and errors as in `prefix_lengths`.
        """
        return self._ask(ReplayedHistory.prefix_tokens, stable_thresholds, window)

    def matched_tokens(self, stable_thresholds: Thresholds, *, window: int | None = None) -> Numbers:
        """Return how many tokens of that prefix the live request itself repeated: what a cache could have served.

        Blocks are compared from the first on, up to the first that differs. Before 0.8 the prefix is that of the
        scores in prompt order (ties by span id), and a block repeats it if it is of the same span and has the span's
        commonest content, or one of several equally common; from 0.8 on it is the exact block prefix that a
        majority shares. Parameters and errors as in `prefix_lengths`.
        """
        return self._ask(ReplayedHistory.matched_tokens, stable_thresholds, window)

    def n_observations(self, stable_thresholds: Thresholds, *, window: int | None = None) -> Numbers:
        """Return how many observations the result holds that each request met; 0 where nothing was known.

        It depends on the threshold only where an agent's seed entry was met: that is the best profile of the last run.
        """
        return self._ask(ReplayedHistory.n_observations, stable_thresholds, window)

    def results_at(
        self, step: int, thresholds: StabilityThresholds | None = None, *, window: int | None = None
    ) -> StabilityAnalysisResult | None:
        """Return the whole result that the request of a step met, equal to production's; None if nothing was known.

        Parameters
        ----------
        step : int
        thresholds : StabilityThresholds, optional
            Production's defaults when left out.
        window : int, optional
            As in `prefix_lengths`.

        Raises
        ------
        UsageError
            If the window was not walked.
        """
        part: ReplayedHistory = self.parts[self.part[step]]
        return part.result(int(self.row[step]), thresholds or StabilityThresholds(), self._window(window))

    def _ask(
        self,
        answer: Callable[[ReplayedHistory, Numbers, NDArray[np.float64], int], NDArray[A]],
        stable_thresholds: Thresholds,
        window: int | None,
    ) -> NDArray[A]:
        numbers, chosen = as_numbers(stable_thresholds), self._window(window)
        return self.gather(lambda part, row: answer(part, row, numbers, chosen))

    def _window(self, window: int | None) -> int:
        if window is None and len(self.windows) == 1:
            return self.windows[0]
        if window not in self.windows:
            msg = (
                f"The 'window' option must be one of the trace's, {', '.join(map(str, self.windows))}; got {window!r}."
            )
            raise UsageError(msg)
        return window

    # --- views ---

    def select(
        self,
        *,
        agent_id: str | None = None,
        learning_key: str | None = None,
        since: str | date | None = None,
        until: str | date | None = None,
    ) -> "Trace":
        """Return the steps of one agent or profile, or those from ``since`` on and before ``until``.

        What they knew stays what it was.

        Parameters
        ----------
        agent_id : str, optional
        learning_key : str, optional
            A learning key or display name.
        since, until : str, date or datetime, optional
            RFC 3339, a date, or a datetime (without zone: UTC).

        Raises
        ------
        UsageError
            If the agent or the profile is not in the trace, or a time is none.
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
        """Return a DataFrame of a row a step and setting; see `acg_lab.frames.steps`."""
        from acg_lab.frames import steps  # noqa: PLC0415  a value's frame is the one import upwards

        return steps(self, thresholds, window=window)

    def __repr__(self) -> str:
        return "\n  ".join([f"<Trace: {self._facts()}", *self.caveats]) + ">"

    def _repr_html_(self) -> str:
        caveats = "".join(f"<li>{escape(caveat)}</li>" for caveat in self.caveats)
        return f"<b>Trace</b>: {escape(self._facts())}" + (f"<ul>{caveats}</ul>" if caveats else "")

    def _facts(self) -> str:
        profiles, of_step = self.profiles, np.unique(self.profile).tolist()
        facts = [
            counted(len(self), "step"),
            counted(len({profiles[i].agent_id for i in of_step}), "agent"),
            counted(len(of_step), "profile"),
            f"window {' and '.join(map(str, self.windows))}",
        ]
        if len(self):
            first, last = (render_time(time)[:10] for time in self.started_ns[[0, -1]].tolist())
            facts.append(f"from {first} to {last}")
        return ", ".join(facts)


def merge(traces: Iterable[Trace]) -> Trace:
    """Return one trace of the steps of several; in whatever groups they are merged, the result is the same.

    Parameters
    ----------
    traces : iterable of Trace
        Of the same windows: selections of one trace, or traces of different agents.

    Returns
    -------
    Trace
        Each step once.

    Raises
    ------
    UsageError
        If there are none, their windows differ, or an agent was replayed twice.
    """
    traces = tuple(traces)
    parts = tuple({id(part): part for trace in traces for part in trace.parts}.values())
    agents = [agent_id for part in parts for agent_id in part.agents]
    windows = {trace.windows for trace in traces}
    if len(windows) != 1 or len(set(agents)) < len(agents):
        twice = ", ".join(sorted({repr(agent_id) for agent_id in agents if agents.count(agent_id) > 1}))
        msg = (
            "Traces to merge must be of the same windows, one trace at least, and no two replays of one agent; "
            f"got windows {' and '.join(map(str, sorted(windows))) or 'none'}, and twice {twice or 'no agent'}."
        )
        raise UsageError(msg)
    number = {id(part): i for i, part in enumerate(parts)}
    steps = [
        np.stack((np.array([number[id(part)] for part in trace.parts], np.int64)[trace.part], trace.row))
        for trace in traces
    ]
    part, row = np.unique(np.concatenate(steps, axis=1), axis=1)
    remarks = tuple(dict.fromkeys(remark for trace in traces for remark in trace.remarks))
    return _in_order(Trace(parts=parts, part=part, row=row, windows=traces[0].windows, remarks=remarks))


def trace_of(parts: Sequence[ReplayedHistory], windows: Iterable[int], remarks: Iterable[str]) -> Trace:
    """Return the trace of all rows of histories that were walked."""
    sizes = [len(part.profile) for part in parts]
    row = np.concatenate([np.arange(size) for size in sizes])
    part = np.repeat(np.arange(len(sizes)), sizes)
    return _in_order(Trace(parts=tuple(parts), part=part, row=row, windows=tuple(windows), remarks=tuple(remarks)))


def _in_order(trace: Trace) -> Trace:
    """Return the same steps by start, then agent, run and call."""
    profiles = trace.profiles
    rank = {agent_id: i for i, agent_id in enumerate(sorted({profile.agent_id for profile in profiles}))}
    agent = np.array([rank[profile.agent_id] for profile in profiles], np.int64)[trace.profile]
    order = np.lexsort((trace.calls, trace.runs, agent, trace.started))
    return replace(trace, part=trace.part[order], row=trace.row[order])
