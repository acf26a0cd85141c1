"""What a replay found: any threshold is answered without walking again.

Belongs here: `Trace` and its views. Facts of the steps are in `acg_lab.replay.steps`; the numbers are told by
`acg_lab.replay.part`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from html import escape
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from acg_lab._format import counted
from acg_lab.core.errors import UsageError
from acg_lab.core.records import PromptIR, StabilityAnalysisResult
from acg_lab.core.stability import StabilityThresholds
from acg_lab.replay.part import Part
from acg_lab.replay.steps import Steps
from acg_lab.replay.thresholds import Thresholds, as_numbers
from acg_lab.snapshot.load import nanoseconds
from acg_lab.storage.times import render_time

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Trace"]

Numbers = NDArray[np.int64]
A = TypeVar("A", bound=np.generic)


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
        part: Part = self.parts[self.part[step]]
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
        return self._ask(Part.lengths, stable_thresholds, window)

    def prefix_tokens(self, stable_thresholds: Thresholds, *, window: int | None = None) -> Numbers:
        """Return how many tokens of each request production would have taken for its stable prefix.

        These are the tokens of so many leading blocks of the live request as the prefix has (of all, if it has fewer),
        as the planner counts them (spec planner.md, section 4). Parameters and errors as in `prefix_lengths`.
        """
        return self._ask(Part.prefix_tokens, stable_thresholds, window)

    def matched_tokens(self, stable_thresholds: Thresholds, *, window: int | None = None) -> Numbers:
        """Return how many tokens of that prefix the live request itself repeated: what a cache could have served.

        Blocks are compared from the first on, up to the first that differs. Before 0.8 the prefix is that of the
        scores in prompt order (ties by span id), and a block repeats it if it is of the same span and has the span's
        commonest content, or one of several equally common; from 0.8 on it is the exact block prefix that a
        majority shares. Parameters and errors as in `prefix_lengths`.
        """
        return self._ask(Part.matched_tokens, stable_thresholds, window)

    def n_observations(self, stable_thresholds: Thresholds, *, window: int | None = None) -> Numbers:
        """Return how many observations the result holds that each request met; 0 where nothing was known.

        It depends on the threshold only where an agent's seed entry was met: that is the best profile of the last run.
        """
        return self._ask(Part.n_observations, stable_thresholds, window)

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
        part: Part = self.parts[self.part[step]]
        return part.result(int(self.row[step]), thresholds or StabilityThresholds(), self._window(window))

    def _ask(
        self,
        answer: Callable[[Part, Numbers, NDArray[np.float64], int], NDArray[A]],
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
        agent_id, learning_key : str, optional
        since, until : str, date or datetime, optional
            RFC 3339, a date, or a datetime (without zone: UTC).

        Raises
        ------
        UsageError
            If the agent or the profile is not in the trace, or a time is none.
        """
        kept = np.ones(len(self), bool)
        for name, value in (("agent_id", agent_id), ("learning_key", learning_key)):
            if value is not None:
                kept &= self._is_of(name, value)
        begin, end, started = nanoseconds(since, "since"), nanoseconds(until, "until"), self.started_ns
        if begin is not None:
            kept &= started >= begin
        if end is not None:
            kept &= started < end
        return replace(self, part=self.part[kept], row=self.row[kept])

    def _is_of(self, name: str, value: str) -> NDArray[np.bool_]:
        wanted = np.array([getattr(profile, name) == value for profile in self.profiles], bool)
        if not wanted.any():
            msg = f"The {name!r} option must be one of the trace's (see .profiles); got {value!r}."
            raise UsageError(msg)
        return wanted[self.profile]

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
