"""The tuner: drag a threshold, and see at once what production would have learned with it."""

import os
from html import escape
from typing import TYPE_CHECKING, Any, Final

import ipywidgets as w
import pandas as pd
from traitlets import Instance, link, validate

from acg_lab._format import counted
from acg_lab.config import AcgSettings, inactive_reasons, load_config
from acg_lab.config.settings import check_writable
from acg_lab.history import Trace
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.widgets.advice import find_problem, refusals
from acg_lab.widgets.controls import (
    RANGES,
    Chooser,
    Control,
    classed,
    close_all,
    line,
    profile_names,
    refused,
    stylesheet,
)
from acg_lab.widgets.debounce import Debouncer
from acg_lab.widgets.export_panel import Exporter
from acg_lab.widgets.numbers import changes_line, numbers, of_agents
from acg_lab.widgets.state import TunerState
from acg_lab.widgets.views import VIEWS, Picture, Pictures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from acg_lab.core.records import StabilityAnalysisResult
    from acg_lab.widgets.prefixes import Matched

__all__ = ["ThresholdTuner"]

_NOT_YET: Final = "Nothing to draw here yet."
_NO_PROFILE: Final = "No requests observed yet: load a source with windows, or let an agent run once."
_STALE: Final = "acg-stale"
_HIDDEN: Final = "acg-hidden"


class ThresholdTuner(w.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """A widget that tries settings on what production observed.

    Parameters
    ----------
    snap : Snapshot
        What production observed. Read, never changed.
    trace : Trace, optional
        Of `acg_lab.history`; windows that it does not hold are replayed in the background. All of them, when left out.
    config : path, mapping or AcgSettings, optional
        What production has: a ``plugins.toml``, or its settings. Production's defaults when left out. It is what
        everything is compared with; a path is also offered for the export.
    agent_id : str, optional
        Of the agent to begin with.

    Attributes
    ----------
    settings : AcgSettings
        What is tried. Set it, observe it, link it; what can't be tried raises `UsageError`.
    state : TunerState
        All else, without the view.

    Raises
    ------
    UsageError, RecordError, SourceError
        If what is given is no snapshot, or no trace of it, there is no such agent, or the config can't be read.

    Examples
    --------
    >>> import acg_lab as acg
    >>> snap = acg.load(acg.MemoryBackend())
    >>> tuner = acg.ThresholdTuner(snap)
    >>> tuner.settings = tuner.settings.replace(stable_threshold=0.9)
    >>> tuner
    <ThresholdTuner: stable_threshold 0.9 (was 0.95), of 0 profiles>
    >>> tuner.close()
    """

    settings: Any = Instance(AcgSettings)

    def __init__(
        self,
        snap: Snapshot,
        trace: Trace | None = None,
        *,
        config: Any = None,
        agent_id: str | None = None,
    ) -> None:
        current = (
            config if isinstance(config, AcgSettings) else AcgSettings() if config is None else load_config(config)
        )
        self.state = TunerState(snap, trace, current=current, agent_id=agent_id)
        self._pictures = Pictures()
        self._matched: tuple[Matched, Matched] | None = None
        self._names: dict[str, str] = {}
        path = os.fspath(config) if isinstance(config, str | os.PathLike) else ""
        self._not_learning = () if config is None or isinstance(config, AcgSettings) else inactive_reasons(config)
        self._make(path)
        self._name_role("default" if config is None else "current")
        super().__init__(children=self._laid_out(), settings=self.state.settings)
        self.add_class("acg-tuner")
        self._newest = Debouncer(self._draw_soon, self._draw_history, self._draw_advice, self._draw_sharp)
        self._links = link((self.state, "settings"), (self, "settings"))
        self.state.observe(self._on_current, "current")
        self.state.observe(self._on_state, ["settings", "current", "agent_id", "learning_key", "problem", "n_walked"])
        self.state.observe(self._on_progress, "progress")
        self._tabs.observe(self._on_state, "value")
        self._show_soon()
        self._newest.request(only_rest=True)

    # --- parts ---

    def _make(self, path: str) -> None:
        self._chooser = Chooser(self.state)
        self._reset, self._legend = classed(w.Button(), "acg-reset"), classed(w.HTML(), "acg-legend")
        self._reset.on_click(self._on_reset)
        self._controls = {name: Control(name, self.state.propose) for name in RANGES}
        self._tabs: Any = w.ToggleButtons(options=list(VIEWS), description="plot", tooltip="What the plot shows")
        self._tabs.add_class("acg-tabs")
        self._exporter = Exporter(self.state, path)
        self._image: Any = w.Image(format="png")
        self._image.add_class("acg-picture")
        for name in ("refused", "numbers", "changes", "problem", "idle", "agents", "progress", "words"):
            setattr(self, f"_{name}", w.HTML())

    def _laid_out(self) -> list[Any]:
        top = classed(w.HBox([*self._chooser.widgets, self._reset]), "acg-top")
        controls = classed(
            w.VBox([*(control.box for control in self._controls.values()), self._legend]), "acg-controls"
        )
        below = [self._image, classed(self._words, _HIDDEN), self._problem, self._idle]
        plot = classed(w.VBox([self._refused, self._tabs, *below]), "acg-plot")
        body = classed(w.HBox([controls, plot]), "acg-body")
        return [stylesheet(), top, self._numbers, self._changes, self._progress, body, self._agents, self._exporter.box]

    # --- what is asked of it ---

    @validate("settings")
    def _check_settings(self, proposal: Any) -> AcgSettings:
        settings: AcgSettings = proposal["value"]
        check_writable(settings)
        return settings

    @property
    def results(self) -> "Mapping[str, StabilityAnalysisResult]":
        """What production would hold of each profile that is looked at, by learning key, worst loss first."""
        return self.state.results

    @property
    def view(self) -> str:
        """What the plot shows, by the name of its tab; may be set."""
        return str(self._tabs.value)

    @view.setter
    def view(self, name: str) -> None:
        self._tabs.value = name

    def frame(self) -> pd.DataFrame | None:
        """Return the table behind the picture; None while it is not known yet."""
        with self.state.lock:
            return VIEWS[self.view].frame(self.state)

    # --- what happens ---

    def _on_reset(self, _button: Any) -> None:
        self.state.reset()

    def _on_current(self, _change: Any) -> None:
        self._name_role("current")  # a file's, whatever it was before

    def _name_role(self, role: str) -> None:
        self._role = role
        self._reset.description = f"Reset to {role}"
        self._legend.value = f'<div class="acg-note">❘ {role}</div>'

    def _on_state(self, _change: Any) -> None:
        self._newest.request()

    def _on_progress(self, change: Any) -> None:
        self._progress.value = f'<div class="acg-note" role="status">{escape(change["new"])}</div>'

    def _draw_soon(self) -> None:
        self._guarded(self._show_soon)

    def _draw_history(self) -> None:
        self._guarded(self._show_history)

    def _draw_advice(self) -> None:
        self._guarded(self._show_advice)

    def _draw_sharp(self) -> None:
        self._guarded(self._show_sharp)

    def _guarded(self, show: Any) -> None:
        """Show what goes wrong where the user looks: nobody sees what a callback of the loop raises."""
        try:
            with self.state.lock:
                show()
        except Exception as error:  # noqa: BLE001
            self._refused.value = refused(f"ThresholdTuner: {type(error).__name__}: {error}")

    def _show_soon(self) -> None:
        """Show what follows the drag."""
        state = self.state
        now, current = state.settings.values(), state.current.values()
        # The picture first: it has the longest way.
        if VIEWS[self.view].follows:
            self._show_picture(sharp=False)
        else:
            self._image.add_class(_STALE)
        for name, control in self._controls.items():
            control.show(now[name], current[name], self._role)
        self._chooser.show()
        self._refused.value = refused(state.problem)
        self._numbers.value = numbers(state, self._role, self._matched, is_stale=True)
        self._exporter.show()
        if state.learning_key:
            self._problem.value = find_problem(state.profile(state.settings), state.settings.thresholds).html()

    def _show_history(self) -> None:
        """Show what needs the history or all profiles."""
        state = self.state
        state.follow()
        matched = [state.matched(settings, state.agent_id) for settings in (state.settings, state.current)]
        self._matched = (matched[0], matched[1]) if all(matched) else self._matched  # type: ignore[assignment]
        self._numbers.value = numbers(state, self._role, self._matched, is_stale=not all(matched))
        changes = state.changes()
        self._changes.value = "" if changes is None else changes_line(changes, self._name)
        self._agents.value = of_agents(state, self._role)

    def _show_sharp(self) -> None:
        """Show the picture for good."""
        if self._newest.has_loop or not VIEWS[self.view].follows:  # else it stands there already, and nobody looks
            self._show_picture(sharp=self._newest.has_loop)

    def _show_advice(self) -> None:
        """Say where production does nothing with what it learned, and what no class is given to any more."""
        state, thresholds = self.state, self.state.settings.thresholds
        said = [f"Production learns nothing with this file: {reason}" for reason in self._not_learning]
        if state.current.provider == "passthrough":
            said.append('provider = "passthrough": production learns, but changes no request.')
        if thresholds.semi_stable_threshold == thresholds.stable_threshold:
            said.append("semi_stable_threshold equals stable_threshold: no block can be semi-stable.")
        if state.is_short_of_requests:
            n = counted(state.profile(state.settings).requests, "request")
            said.append(f"Of this profile {n} are stored and no others recorded: a larger window shows no more.")
        if state.learning_key:
            profile = state.profile(state.settings)
            said += refusals(profile, thresholds)
            self._problem.value = find_problem(profile, thresholds, thorough=True).html()
        self._idle.value = "".join(map(line, said))

    def _show_picture(self, *, sharp: bool) -> None:
        nothing = Picture(b"", _NOT_YET if self.state.learning_key else _NO_PROFILE)
        picture = self._pictures.draw(self.state, self.view, sharp=sharp) or nothing
        self._image.value = picture.png
        self._words.value = f"<p>{escape(picture.words)}</p>"  # ipywidgets' images have no alternative text
        self._image.remove_class(_STALE)
        shown, hidden = (self._image, self._words) if picture.png else (self._words, self._image)
        shown.remove_class(_HIDDEN)
        hidden.add_class(_HIDDEN)

    def _name(self, key: str) -> str:
        if key not in self._names:
            self._names = profile_names(self.state, tuple(self.state.snap.windows))
        return self._names[key]

    # --- the end ---

    def close(self) -> None:
        """Close the widget and all its parts; nothing is drawn, walked or observed any more."""
        if self.comm is None:
            return
        self._newest.close()
        self.state.close()
        self._links.unlink()
        self.state.unobserve_all()
        close_all(self)
        super().close()

    def __repr__(self) -> str:
        changed = [
            f"{name} {value:g} (was {self.state.current.values()[name]:g})"
            for name, value in self.state.settings.values().items()
            if name in RANGES and value != self.state.current.values()[name]
        ]
        settings = ", ".join(changed) or f"the {self._role} settings"
        n = len(self.state.snap.windows)
        return f"<ThresholdTuner: {settings}, of {n:,} {'profile' if n == 1 else 'profiles'}>"
