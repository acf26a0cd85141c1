"""The tuner's state: settings as one frozen value, and what they make of a snapshot.

Belongs here: traits and what follows from them, without any view. What an observer of the settings asks for is that of
the new ones.
"""

from collections import OrderedDict
from collections.abc import Mapping
from functools import cached_property
from threading import RLock
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from traitlets import HasTraits, Instance, Int, Unicode, observe, validate

from acg_lab.config import AcgSettings
from acg_lab.config.settings import check_writable
from acg_lab.core.errors import UsageError
from acg_lab.core.records import StabilityAnalysisResult
from acg_lab.history import Trace
from acg_lab.snapshot.analysis import analyze_profile
from acg_lab.snapshot.snapshot import Snapshot, check_snapshot
from acg_lab.storage.columns import Lazy
from acg_lab.widgets.background import WindowHistory
from acg_lab.widgets.prefixes import (
    AgentChange,
    Lengths,
    Matched,
    ProfileMetrics,
    changes,
    count_matched,
    measure_profile,
)
from acg_lab.widgets.profile import ProfileScores, one_profile
from acg_lab.widgets.windows import Window, check_trace, source_of

if TYPE_CHECKING:
    from acg_lab.core.stability import StabilityThresholds

__all__ = ["TunerState"]

_PROFILES_KEPT: Final = 32
_LENGTHS_KEPT: Final = 8


class TunerState(HasTraits):
    """Settings, what is looked at, and what production would hold.

    Parameters
    ----------
    snap : Snapshot
        Read, never changed.
    trace : Trace, optional
        Of `acg_lab.history`. What it does not hold is walked in the background, see `follow`.
    current : AcgSettings, optional
        What to compare with, and begin with; production's defaults when left out.
    agent_id : str, optional
        Of the agent to look at; all when left out.

    Attributes
    ----------
    settings, current : AcgSettings
        Those that are tried, and those that they are compared with.
    agent_id : str or None
    learning_key : str
        Of the profile that is looked at; empty if there is none.
    problem : str
        Why the last proposal was refused; empty if it was not. Read-only.
    progress : str
        What is being walked, and how far; empty if nothing is. Read-only.
    n_walked : int
        How many walks have ended. Read-only.

    Raises
    ------
    UsageError
        If what is given is no snapshot, or no trace of it, or there is no such agent.
    """

    settings: Any = Instance(AcgSettings)
    current: Any = Instance(AcgSettings)
    agent_id: Any = Unicode(None, allow_none=True)
    learning_key: Any = Unicode("")
    problem: Any = Unicode("", read_only=True)
    progress: Any = Unicode("", read_only=True)
    n_walked: Any = Int(0, read_only=True)

    def __init__(
        self,
        snap: Snapshot,
        trace: Trace | None = None,
        *,
        current: AcgSettings | None = None,
        agent_id: str | None = None,
    ) -> None:
        current = current or AcgSettings()
        check_snapshot(snap)
        check_trace(snap, trace)
        self.lock = RLock()
        self.snap = snap
        self._history = WindowHistory(snap, trace, self._on_progress, self._on_end)
        self._history.prepare(current.observation_window)
        self._profiles: OrderedDict[tuple[str, int], ProfileScores] = OrderedDict()
        self._lengths: OrderedDict[tuple[int, StabilityThresholds], Lengths] = OrderedDict()
        self._matched: OrderedDict[tuple[float, int, str | None], Matched] = OrderedDict()
        super().__init__(current=current)
        try:
            self.settings = current
        except UsageError as error:
            self.settings = AcgSettings()
            self.set_trait("problem", f"Production's own setting can't be tried. {error}")
        self.agent_id = agent_id
        self.learning_key = next(iter(self.keys), "")

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
        """Try settings, by production's names; return whether they are in force now.

        What can't be tried leaves the settings as they are and says why in `problem`. What is in force already does
        nothing, so that a slider that is put back does not erase what was just said.
        """
        with self.lock:
            try:
                proposed = self.settings.replace(**values)
                check_writable(proposed)
            except UsageError as error:
                self.set_trait("problem", str(error))
                return False
            if proposed != self.settings:
                self.settings = proposed
            return True

    def reset(self) -> None:
        """Go back to the settings that are compared with."""
        self.propose(**self.current.values())

    # --- what is looked at ---

    @validate("agent_id")
    def _check_agent(self, proposal: Any) -> str | None:
        agent_id: str | None = proposal["value"]
        if agent_id is not None and agent_id not in self.snap.agent_ids:
            msg = f"The 'agent_id' option must be one of the source's, see snap.agent_ids; got {agent_id!r}."
            raise UsageError(msg)
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
    def _agents(self) -> NDArray[np.object_]:
        return np.array([self.snap.owners[key].agent_id for key in self._all_keys], object)

    def of_agent(self, agent_id: str | None) -> NDArray[np.bool_]:
        """Tell which of all profiles, by learning key, are of an agent; None is every agent."""
        return np.ones(len(self._all_keys), bool) if agent_id is None else self._agents == agent_id

    @property
    def keys(self) -> tuple[str, ...]:
        """Profiles of the agent that is looked at, worst loss first under the settings compared with."""
        window = self._history.prepare(self.current.observation_window)
        prefixes, tokens = window.prefixes, self._lengths_of(window, self.current).tokens
        used = np.where(prefixes.requests > 1, tokens, 0.0)
        lost = prefixes.requests * (prefixes.prompt_tokens - used)
        chosen = np.flatnonzero(self.of_agent(self.agent_id))
        return tuple(self._all_keys[i] for i in chosen[np.argsort(-lost[chosen], kind="stable")].tolist())

    # --- one profile ---

    def profile(self, settings: AcgSettings, key: str | None = None) -> ProfileScores:
        """Return a profile in the observation window of some settings, that which is looked at by default."""
        key, size = key or self.learning_key, settings.observation_window
        if (key, size) not in self._profiles:
            source = source_of(self.snap, key, size, self._history.trace)
            self._profiles[key, size] = ProfileScores(one_profile(self.snap, key, size, source), key)
            if len(self._profiles) > _PROFILES_KEPT:
                self._profiles.popitem(last=False)
        return self._profiles[key, size]

    @property
    def is_short_of_requests(self) -> bool:
        """Whether the window that is tried would hold requests that production's has dropped, and nothing recorded."""
        before, size = (settings.observation_window for settings in (self.current, self.settings))
        if not self.learning_key or (window := self.window(size)) is None or window.trace is None:
            return False
        stored = self.snap.n_observations(self.learning_key)
        return bool(before <= stored == self.profile(self.settings).requests < size)

    @property
    def results(self) -> Mapping[str, StabilityAnalysisResult]:
        """What production would hold of each profile that is looked at, by learning key; made when asked for."""
        settings = self.settings

        def result(key: str) -> StabilityAnalysisResult:
            size = settings.observation_window
            snap = one_profile(self.snap, key, size, source_of(self.snap, key, size, self._history.trace))
            return analyze_profile(snap, key, settings.thresholds, snap.rules[key].rules)

        return Lazy(self.keys, result)

    # --- all profiles ---

    def standing(self, settings: AcgSettings, agent_id: str | None = None) -> ProfileMetrics | None:
        """Return what an agent's profiles hold; None while the window is not known yet."""
        if (window := self.window(settings.observation_window)) is None:
            return None
        return measure_profile(window.prefixes, self._lengths_of(window, settings), self.of_agent(agent_id))

    def _lengths_of(self, window: Window, settings: AcgSettings) -> Lengths:
        """Return all prefixes under a setting; those of the last few settings are kept."""
        key = (window.size, settings.thresholds)
        if key not in self._lengths:
            self._lengths[key] = window.prefixes.lengths(settings.thresholds)
            if len(self._lengths) > _LENGTHS_KEPT:
                self._lengths.popitem(last=False)
        return self._lengths[key]

    def matched(self, settings: AcgSettings, agent_id: str | None = None) -> Matched | None:
        """Return how many of an agent's requests matched what was known; None while the window is not walked yet."""
        size = settings.observation_window
        if (window := self.window(size)) is None or window.trace is None:
            return None
        known = {profile.agent_id for profile in window.trace.profiles}
        if agent_id is not None and agent_id not in known:
            return Matched(0, 0)
        key = (settings.thresholds.stable_threshold, size, agent_id)
        if key not in self._matched:
            trace = window.trace if agent_id is None else window.trace.select(agent_id=agent_id)
            self._matched[key] = count_matched(trace, settings.thresholds, size)
            if len(self._matched) > _PROFILES_KEPT:
                self._matched.popitem(last=False)
        else:
            self._matched.move_to_end(key)
        return self._matched[key]

    def changes(self) -> list[AgentChange] | None:
        """List the profiles that are looked at whose prefix differs from that of now, the largest loss first."""
        before, after = self.window(self.current.observation_window), self.window(self.settings.observation_window)
        if before is None or after is None:
            return None
        lengths = self._lengths_of(before, self.current), self._lengths_of(after, self.settings)
        return changes(self._all_keys, *lengths, self.of_agent(self.agent_id))

    # --- observation windows ---

    def window(self, size: int) -> Window | None:
        """Return what is known of an observation window; None if it must be walked first."""
        return self._history.find(size)

    def follow(self) -> None:
        """Walk the observation windows in use that are not known yet, one after the other, in the background."""
        with self.lock:
            self._history.follow((self.current.observation_window, self.settings.observation_window))

    def close(self) -> None:
        """Stop walking, for good."""
        with self.lock:
            self._history.close()

    def join(self, timeout: float = 60.0) -> None:
        """Wait until nothing is being walked any more, or so many seconds."""
        self._history.join(timeout)

    def _on_progress(self, text: str) -> None:
        with self.lock:
            self.set_trait("progress", text)

    def _on_end(self, error: str | None) -> None:
        with self.lock:
            if error is not None:
                self.set_trait("problem", error)
                return
            self._profiles.clear()  # with the first trace comes what windows have dropped
            self._lengths.clear()
            self._matched.clear()
            self.set_trait("n_walked", self.n_walked + 1)
            self.follow()
