"""The tuner's state: settings as one frozen value, and what follows from them, without a view.

Invariant: an observer of ``settings`` that asks for anything gets it under the new settings.
"""

from collections import OrderedDict
from collections.abc import Mapping
from functools import cached_property
from threading import RLock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from traitlets import HasTraits, Instance, Int, Unicode, observe, validate

from acg_lab.advice import Recommendation, Sweep
from acg_lab.config import AcgSettings
from acg_lab.config.settings import check_writable
from acg_lab.core.errors import UsageError
from acg_lab.core.records import StabilityAnalysisResult
from acg_lab.history import Trace
from acg_lab.snapshot.analysis import analyze_profile
from acg_lab.snapshot.profile_names import ProfileNames
from acg_lab.snapshot.snapshot import Snapshot, check_snapshot
from acg_lab.storage.lazy import LazyMapping
from acg_lab.widgets.background import WindowHistory
from acg_lab.widgets.background_results import BackgroundResults
from acg_lab.widgets.matches import MatchCounts
from acg_lab.widgets.money import AgentCost, CostHistory
from acg_lab.widgets.prefixes import (
    Matched,
    PrefixChange,
    ProfileMetrics,
    group_positions,
    list_changes,
    measure_profile,
)
from acg_lab.widgets.profile import ProfileScores, select_profile
from acg_lab.widgets.questions import Asked, AskedCurve, recommend_for, sweep_thresholds
from acg_lab.widgets.windows import Window, check_trace, source_of

__all__ = ["TunerState"]

_PROFILES_KEPT: Final = 32
_MINIMUM: Final = "min_observations_for_full_confidence"


class TunerState(HasTraits):
    """The settings being tried, the profile being shown, and what production would learn.

    Parameters
    ----------
    snap : Snapshot
        Read, never changed.
    trace : Trace, optional
        Of `acg_lab.replay`. Observation windows that it lacks are replayed in the background, see `follow`.
    current : AcgSettings, optional
        The settings to compare with, tried first; production's defaults when left out.
    agent_id : str, optional
        The agent to show; all agents when left out.

    Attributes
    ----------
    settings, current : AcgSettings
        The settings being tried, and those they are compared with.
    agent_id : str or None
        The agent being shown; None for all.
    learning_key : str
        Of the profile being shown; empty if there is none.
    problem : str
        Why the last proposal was refused; empty if it was accepted. Read-only.
    progress : str
        Which observation window is being replayed, and how far; empty if none is. Read-only.
    n_replays, n_priced, n_advised, n_curves : int
        How often a replay has ended, settings were priced, and what is known of `recommendation` and `cost_curve` has
        changed. Read-only.
    recommender, curves : BackgroundResults
        What computes `recommendation`; and `cost_curve`, and the costs of single requests.

    Raises
    ------
    UsageError
        If ``snap`` is not a Snapshot, ``trace`` is not of it, or there is no such agent.

    Examples
    --------
    >>> import acg_lab as acg
    >>> from acg_lab.widgets import TunerState
    >>> state = TunerState(acg.load(acg.MemoryBackend()))
    >>> state.propose(stable_threshold=1.2), state.problem
    (False, "The 'stable_threshold' setting must be a number in [0, 1]; got 1.2.")
    >>> state.propose(stable_threshold=0.9), state.settings.thresholds.stable_threshold
    (True, 0.9)
    >>> state.close()
    """

    settings: Any = Instance(AcgSettings)
    current: Any = Instance(AcgSettings)
    agent_id: Any = Unicode(None, allow_none=True)
    learning_key: Any = Unicode("")
    problem: Any = Unicode("", read_only=True)
    progress: Any = Unicode("", read_only=True)
    n_replays: Any = Int(0, read_only=True)
    n_priced: Any = Int(0, read_only=True)
    n_advised: Any = Int(0, read_only=True)
    n_curves: Any = Int(0, read_only=True)

    def __init__(
        self,
        snap: Snapshot,
        trace: Trace | None = None,
        *,
        current: AcgSettings | None = None,
        agent_id: str | None = None,
    ) -> None:
        self._is_given, current = current is not None, current or AcgSettings()
        check_snapshot(snap)
        check_trace(snap, trace)
        self.lock = RLock()
        self.snap = snap
        self._history = WindowHistory(snap, trace, self._on_progress, self._on_end)
        self._history.prepare(current.observation_window)
        self._costs = CostHistory(snap, self._on_priced)
        self.recommender = BackgroundResults[Asked, Recommendation]("Looking for better settings", self._on_advised)
        self.curves = BackgroundResults[Any, Any]("Pricing", self._on_curve)
        self._profiles: OrderedDict[tuple[str, int], ProfileScores] = OrderedDict()
        self._matches = MatchCounts()
        super().__init__(current=current)
        try:
            self.settings = current
        except UsageError as error:
            self.settings = AcgSettings()
            self.set_trait("problem", f"Production's own setting can't be tried. {error}")
        self.agent_id = agent_id
        self.learning_key = next(iter(self.keys), "")
        self._opening = self.learning_key if agent_id is None else None  # until it is known who has most to win

    # --- settings ---

    @validate("settings")
    def _check_settings(self, proposal: Any) -> AcgSettings:
        settings: AcgSettings = proposal["value"]
        check_writable(settings)
        return settings

    @observe("settings")
    def _forget_problem(self, _change: Any) -> None:
        self.set_trait("problem", "")

    def propose(self, **values: Any) -> bool:
        """Try settings, by production's names; return whether they are accepted.

        Settings that can't be tried leave everything as it is, and `problem` says why. Settings already in force do
        nothing, so that a slider that snaps back does not erase the message.
        """
        with self.lock:
            try:
                proposed = self.settings.replace(**values)
                if proposed != self.settings:
                    self.settings = proposed
            except UsageError as error:
                self.set_trait("problem", str(error))
                return False
            return True

    def reset(self) -> None:
        """Go back to the current settings."""
        self._go_to(self.current)

    def _go_to(self, settings: AcgSettings) -> None:
        self.propose(**{"provider": None, "priority": None} | settings.values())

    # --- the agent and the profile being shown ---

    @validate("agent_id")
    def _check_agent(self, proposal: Any) -> str | None:
        agent_id: str | None = proposal["value"]
        if agent_id is not None and agent_id not in self.snap.agent_ids:
            ProfileNames({name: name for name in self.snap.agent_ids}).of_agent(agent_id)
        return agent_id

    @validate("learning_key")
    def _check_key(self, proposal: Any) -> str:
        key: str = proposal["value"]
        return self.snap.profile_names.resolve(key) if key else key

    @observe("agent_id")
    def _follow_agent(self, _change: Any) -> None:
        if self.learning_key not in (keys := self.keys):
            self.learning_key = next(iter(keys), "")

    @cached_property
    def _all_keys(self) -> tuple[str, ...]:
        return tuple(sorted(self.snap.windows))

    @cached_property
    def _positions(self) -> Mapping[str, NDArray[np.int64]]:
        return group_positions(self.snap.owners[key].agent_id for key in self._all_keys)

    def positions_of(self, agent_id: str | None) -> NDArray[np.int64]:
        """Return the positions of an agent's profiles among all learning keys; None is every agent."""
        if agent_id is None:
            return np.arange(len(self._all_keys))
        return self._positions.get(agent_id, np.empty(0, np.int64))

    @property
    def keys(self) -> tuple[str, ...]:
        """Learning keys of the agent being shown, worst loss under the current settings first."""
        window = self._history.prepare(self.current.observation_window)
        prefixes, tokens = window.prefixes, window.prefixes.lengths(self.current.thresholds).tokens
        used = np.where(prefixes.requests > 1, tokens, 0.0)
        lost = prefixes.requests * (prefixes.prompt_tokens - used)
        chosen = self.positions_of(self.agent_id)
        return tuple(self._all_keys[i] for i in chosen[np.argsort(-lost[chosen], kind="stable")].tolist())

    # --- one profile ---

    def profile(self, settings: AcgSettings, key: str | None = None) -> ProfileScores:
        """Return a profile in the observation window of some settings; the one being shown when left out."""
        key, size = key or self.learning_key, settings.observation_window
        if (key, size) not in self._profiles:
            source = source_of(self.snap, key, size, self._history.trace)
            self._profiles[key, size] = ProfileScores(select_profile(self.snap, key, size, source), key)
            if len(self._profiles) > _PROFILES_KEPT:
                self._profiles.popitem(last=False)
        return self._profiles[key, size]

    @property
    def results(self) -> Mapping[str, StabilityAnalysisResult]:
        """What production would learn of each profile of the agent, by learning key; each computed when asked for."""
        settings = self.settings

        def result(key: str) -> StabilityAnalysisResult:
            size = settings.observation_window
            snap = select_profile(self.snap, key, size, source_of(self.snap, key, size, self._history.trace))
            return analyze_profile(snap, key, settings.thresholds, snap.rules[key].rules)

        return LazyMapping(self.keys, result)

    # --- all profiles ---

    def metrics(self, settings: AcgSettings, agent_id: str | None = None) -> ProfileMetrics | None:
        """Return the metrics of an agent's profiles; None while the observation window is not known yet."""
        if (window := self.window(settings.observation_window)) is None:
            return None
        return measure_profile(
            window.prefixes, window.prefixes.lengths(settings.thresholds), self.positions_of(agent_id)
        )

    def matched(self, settings: AcgSettings, agent_id: str | None = None) -> Matched | None:
        """Return how many of an agent's requests matched their prefix; None while the window is not replayed yet."""
        if (window := self.window(settings.observation_window)) is None or window.trace is None:
            return None
        return self._matches.count(window.trace, settings, agent_id)

    def changes(self) -> list[PrefixChange] | None:
        """List the profiles of the agent whose prefix differs from the current one, the largest loss first."""
        current, tried = self.window(self.current.observation_window), self.window(self.settings.observation_window)
        if current is None or tried is None:
            return None
        pairs = ((current, self.current), (tried, self.settings))
        lengths = [window.prefixes.lengths(settings.thresholds) for window, settings in pairs]
        return list_changes(self._all_keys, lengths[0], lengths[1], self.positions_of(self.agent_id))

    # --- observation windows ---

    def window(self, size: int) -> Window | None:
        """Return what is known of an observation window; None if it must be replayed first."""
        return self._history.find(size)

    def follow(self) -> None:
        """Replay the observation windows in use that are not known yet, one after the other, in the background."""
        with self.lock:
            self._history.follow((self.current.observation_window, self.settings.observation_window))

    # --- money ---

    def cost(self, settings: AcgSettings, agent_id: str | None) -> AgentCost | None:
        """Return what settings would cost an agent, None for all agents; None while it is not priced yet."""
        return self._costs.find(settings, agent_id)

    @property
    def shown_agent(self) -> str | None:
        """The agent of the profile being shown."""
        return self.snap.owners[self.learning_key].agent_id if self.learning_key else None

    @property
    def governor_acts(self) -> bool | None:
        """Whether the governor placed breakpoints in the recorded history; None while that is unknown."""
        return self._costs.acts

    def follow_costs(self) -> None:
        """Price the settings in use in the background, and then those near them for the agent being shown."""
        if (trace := self._history.trace) is not None:
            found = self.recommendation
            recommended = () if found is None or not found.is_change else (found.settings,)
            self._costs.follow(trace, self.current, (self.current, *recommended, self.settings), self.shown_agent)

    def cost_curve(self) -> Sweep | None:
        """Return what each stable threshold costs the agent being shown, with the other settings as tried.

        None while that is not known yet; then it is computed in the background.
        """
        agent_id, trace, tried = self.shown_agent, self._history.trace, self.settings
        if agent_id is None or trace is None:
            return None
        asked = AskedCurve(agent_id, self.current, tried.observation_window, tried.values()[_MINIMUM])
        return self.curves.find_or_start(asked, lambda on_step: sweep_thresholds(trace, asked, on_step))

    def make_way(self) -> None:
        """Let a slider move: nothing more is priced until it rests."""
        self._costs.make_way()
        self.recommender.make_way()
        self.curves.make_way()

    def price(self, timeout: float = 60.0) -> None:
        """Price the settings in use, and wait for it, at most ``timeout`` seconds."""
        self.join(timeout)
        self.follow_costs()
        self._costs.join(timeout)

    # --- a recommendation ---

    @property
    def _asked(self) -> Asked:
        # Settings that nobody stated are inferred, so that a source without a governor is recognised.
        is_stated = self._is_given or not self.snap.learned_here
        return Asked(self.agent_id, self.current if is_stated else None)

    @property
    def recommendation(self) -> Recommendation | None:
        """What is recommended for the agent being shown, all agents if it is None; None until it was looked for."""
        return self.recommender.find(self._asked)

    @property
    def is_recommended(self) -> bool:
        """Whether the settings being tried are those that are recommended."""
        found = self.recommendation
        return found is not None and found.is_change and self.settings == self._advised(found)

    def _advised(self, found: Recommendation) -> AcgSettings:
        current: AcgSettings = self.current
        return current.replace(**{name: new for name, (_, new) in found.changes.items()})

    def recommend(self) -> None:
        """Look for a recommendation in the background."""
        snap, asked = self.snap, self._asked
        self.recommender.start(asked, lambda on_step: recommend_for(snap, asked, on_step))

    def use_recommended(self) -> None:
        """Try the recommended settings."""
        if (found := self.recommendation) is not None and found.is_change:
            self._go_to(self._advised(found))

    def close(self) -> None:
        """Stop replaying, pricing and recommending, for good."""
        self._costs.close()
        self.recommender.cancel()
        self.curves.cancel()
        with self.lock:
            self._history.close()

    def join(self, timeout: float = 60.0) -> None:
        """Wait until nothing is being replayed any more, at most ``timeout`` seconds."""
        self._history.join(timeout)

    def _on_progress(self, text: str) -> None:
        with self.lock:
            self.set_trait("progress", text)

    def _on_priced(self, error: str | None) -> None:
        with self.lock:
            if error is not None:
                self.set_trait("problem", f"What settings cost is not known: {error}")
            self._open_agent()
            self.set_trait("n_priced", self.n_priced + 1)

    def _open_agent(self) -> None:
        """Show the agent with most to win, once that is known, unless the user has begun."""
        if self.agent_id is None and self.settings == self.current and self.learning_key == self._opening:
            most = self._costs.find_most_to_win(self.current)
            own = (key for key in self.keys if self.snap.owners[key].agent_id == most)
            self.learning_key = next(own, self.learning_key)
        self._opening = None

    def _on_advised(self) -> None:
        with self.lock:
            self.set_trait("n_advised", self.n_advised + 1)

    def _on_curve(self) -> None:
        with self.lock:
            self.set_trait("n_curves", self.n_curves + 1)

    def _on_end(self, error: str | None) -> None:
        with self.lock:
            if error is not None:
                self.set_trait("problem", error)
                return
            self._profiles.clear()  # the first trace also holds requests that the stored windows have dropped
            self._matches.clear()
            self.set_trait("n_replays", self.n_replays + 1)
            self.follow()
