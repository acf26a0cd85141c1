"""The tuner: drag a threshold and see at once what production would have learned with it.

`ThresholdTuner` lays out widgets and shows what its `TunerState` holds; it holds no numbers of its own. What follows
the drag is shown at once; what needs the history, all profiles or a sharp picture is shown when changes pause.
"""

import os
from html import escape
from typing import TYPE_CHECKING, Any, Final, Literal

import ipywidgets as w
import pandas as pd
from traitlets import Instance, dlink, validate

from acg_lab._format import counted
from acg_lab.config import AcgSettings, inactive_reasons, load_config
from acg_lab.history import Trace
from acg_lab.snapshot.snapshot import Snapshot
from acg_lab.widgets.advice import describe_break, is_short_of_requests, list_refusals
from acg_lab.widgets.controls import (
    RANGES,
    ProfileChooser,
    SettingControl,
    close_parts,
    error_line,
    make_handle_names,
    make_stylesheet,
    name_profiles,
    status_line,
    warning_line,
    with_class,
)
from acg_lab.widgets.cost_tiles import dearer_line, find_dearer
from acg_lab.widgets.debounce import Debouncer
from acg_lab.widgets.export_panel import ExportPanel
from acg_lab.widgets.numbers import agents_table, changes_line, numbers_row
from acg_lab.widgets.picture_panel import PicturePanel, themes_of
from acg_lab.widgets.recommendation_card import RecommendationCard
from acg_lab.widgets.state import TunerState
from acg_lab.widgets.views import VIEWS, Picture, PictureMaker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from acg_lab.core.records import StabilityAnalysisResult
    from acg_lab.widgets.prefixes import Matched

__all__ = ["ThresholdTuner"]

_NOT_YET: Final = "Nothing to draw here yet."
_NO_PROFILE: Final = "No requests observed yet: load a source with windows, or let an agent run once."
_STALE: Final = "acg-stale"
_COST, _OVER_TIME = "Cost", "Over time"  # the tabs whose numbers are computed in the background
_TRAITS: Final = ["settings", "current", "agent_id", "learning_key", "problem", "n_replays"]


class ThresholdTuner(w.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """A widget that tries settings on the requests that production observed.

    Parameters
    ----------
    snap : Snapshot
        What production observed. Read, never changed.
    trace : Trace, optional
        Of `acg_lab.replay`. Observation windows that it lacks are replayed in the background, all of them when it is
        left out.
    config : path, mapping or AcgSettings, optional
        The current settings, with which everything is compared: a ``plugins.toml``, its content, or settings.
        Production's defaults when left out. A path is also offered for the export.
    agent_id : str, optional
        The agent to show first.
    theme : {"auto", "light", "dark"}, optional
        The theme of the picture. ``auto`` follows the notebook or the system, also when it changes. When left out, the
        one of `acg_lab.plots.set_theme`, and ``auto`` if none was set.

    Attributes
    ----------
    settings : AcgSettings
        The settings being tried. Set, observe or link it; settings that can't be tried raise `UsageError`.
    state : TunerState
        Everything else, without the view.

    Raises
    ------
    UsageError, RecordError, SourceError
        If ``snap`` is not a Snapshot or ``trace`` is not of it, if there is no such agent or theme, or if the config
        can't be read.

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
        theme: Literal["auto", "light", "dark"] | None = None,
    ) -> None:
        current = config if config is None or isinstance(config, AcgSettings) else load_config(config)
        self.state = TunerState(snap, trace, current=current, agent_id=agent_id)
        themes = themes_of(theme)
        self._pictures = PictureMaker(themes)
        self._matched: tuple[Matched, Matched] | None = None
        self._names: dict[str, str] = {}
        path = os.fspath(config) if isinstance(config, str | os.PathLike) else ""
        self._not_learning = () if config is None or isinstance(config, AcgSettings) else inactive_reasons(config)
        self._make_widgets(path, themes)
        self._name_role("default" if config is None else "current")
        super().__init__(children=self._layout_widgets(), settings=self.state.settings)
        self.add_class("acg-tuner")
        self._debouncer = Debouncer(self._draw_soon, self._draw_history, self._draw_advice, self._draw_sharp)
        self._link = dlink((self.state, "settings"), (self, "settings"))
        self.state.observe(self._on_current, "current")
        self.state.observe(self._on_state, _TRAITS)
        self.state.observe(self._on_priced, "n_priced")
        self.state.observe(self._on_progress, "progress")
        self.state.observe(self._on_advised, "n_advised")
        self.state.observe(self._on_curve, "n_curves")
        self._tabs.observe(self._on_state, "value")
        self._show_soon()
        self._debouncer.request(only_rest=True)

    # --- widgets ---

    def _make_widgets(self, path: str, themes: tuple[str, ...]) -> None:
        self._chooser = ProfileChooser(self.state)
        self._reset, self._legend = with_class(w.Button(), "acg-reset"), with_class(w.HTML(), "acg-legend")
        self._reset.on_click(self._on_reset)
        self._controls = {name: SettingControl(name, self.state.propose) for name in RANGES}
        self._tabs: Any = w.ToggleButtons(options=list(VIEWS), description="plot", tooltip="What the plot shows")
        self._tabs.add_class("acg-tabs")
        self._exporter = ExportPanel(self.state, path)
        self._card = RecommendationCard(self.state)
        self._picture = PicturePanel(themes)
        self._image, self._words = self._picture.images[0], self._picture.words
        self._numbers, self._changes, self._agents, self._progress = w.HTML(), w.HTML(), w.HTML(), w.HTML()
        self._refused, self._problem, self._idle, self._dearer = w.HTML(), w.HTML(), w.HTML(), w.HTML()
        self._is_idle, self._drawn = False, ("", "")

    def _layout_widgets(self) -> list[Any]:
        top = with_class(w.HBox([*self._chooser.widgets, self._reset]), "acg-top")
        boxes = [control.box for control in self._controls.values()]
        controls = with_class(w.VBox([*boxes, self._legend]), "acg-controls")
        side = with_class(w.VBox([controls, self._card.box]), "acg-side")
        plot = with_class(w.VBox([self._refused, self._tabs, *self._picture.widgets, self._problem]), "acg-plot")
        body = with_class(w.HBox([side, plot, with_class(self._agents, "acg-others")]), "acg-body")
        status = [self._numbers, self._dearer, self._idle, self._changes, self._progress]
        return [make_stylesheet(), make_handle_names(), top, *status, body, self._exporter.box]

    # --- for callers ---

    @validate("settings")
    def _try_settings(self, proposal: Any) -> AcgSettings:
        """Hand new settings to the state, which checks them; its own are checked already."""
        settings: AcgSettings = proposal["value"]
        if settings is not self.state.settings:
            self.state.settings = settings
        return settings

    @property
    def results(self) -> "Mapping[str, StabilityAnalysisResult]":
        """What production would learn of each profile of the chosen agent, by learning key, worst loss first."""
        return self.state.results

    @property
    def view(self) -> str:
        """Name of the tab whose plot is shown; may be set."""
        return str(self._tabs.value)

    @view.setter
    def view(self, name: str) -> None:
        self._tabs.value = name

    def frame(self) -> pd.DataFrame | None:
        """Return the table behind the picture; None while it is not known yet."""
        with self.state.lock:
            return VIEWS[self.view].frame(self.state)

    # --- events ---

    def _on_reset(self, _button: Any) -> None:
        self.state.reset()

    def _on_current(self, _change: Any) -> None:
        self._name_role("current")  # from an exported file, whatever it was before

    def _name_role(self, role: str) -> None:
        self._role = role
        self._reset.description = f"Reset to {role}"
        self._show_legend()

    def _show_legend(self) -> None:
        """Name the marks below the sliders, as far as there are any."""
        found = self.state.recommendation
        also = ' <span class="acg-key">▲</span> recommended' if found is not None and found.is_change else ""
        self._legend.value = f'<div class="acg-note">❘ {self._role}{also}</div>'

    def _on_state(self, _change: Any) -> None:
        self._debouncer.request()

    def _on_priced(self, _change: Any) -> None:
        self._debouncer.request(only_rest=True)  # no picture shows costs

    def _on_progress(self, change: Any) -> None:
        self._progress.value = _progress_line(change["new"])

    def _on_advised(self, _change: Any) -> None:
        self._guarded(self._card.show)
        if self.state.recommender.share is None:
            self._debouncer.request()

    def _on_curve(self, _change: Any) -> None:
        if self.state.curves.share is None:
            self._debouncer.request(only_rest=True)
        elif self.view == _COST:
            self._progress.value = _progress_line(f"pricing all thresholds: {self.state.curves.share:.0%}")

    def _draw_soon(self) -> None:
        self._guarded(self._show_soon)

    def _draw_history(self) -> None:
        self._guarded(self._show_history)

    def _draw_advice(self) -> None:
        self._guarded(self._show_advice)

    def _draw_sharp(self) -> None:
        self._guarded(self._show_sharp)

    def _guarded(self, show: Any) -> None:
        """Call ``show``, and show its error in the widget: nobody sees what a callback of the event loop raises."""
        try:
            with self.state.lock:
                show()
        except Exception as error:  # noqa: BLE001
            self._refused.value = error_line(f"ThresholdTuner: {type(error).__name__}: {error}")

    def _show_soon(self) -> None:
        """Show what follows the drag."""
        state = self.state
        state.make_way()
        tried, current = state.settings.values(), state.current.values()
        # The picture first: it takes longest to reach the screen.
        if VIEWS[self.view].follows:
            self._show_picture(sharp=False)
        else:
            self._picture.dim()
        found = state.recommendation
        advised: Mapping[str, Any] = {} if found is None or not found.is_change else found.changes
        for name, control in self._controls.items():
            control.show(tried[name], current[name], self._role, advised.get(name, (None, None))[1])
        self._chooser.show()
        self._card.show()
        self._show_legend()
        self._refused.value = error_line(state.problem)
        self._is_idle = state.settings != state.current and (self._never_acts or any(self._refusals()))
        self._numbers.value = self._number_tiles(is_stale=True)
        self._picture.warn(is_warned=self._is_idle)
        for later in (self._changes, self._dearer, self._idle, self._agents):
            later.add_class(_STALE)
        self._exporter.show()
        if state.learning_key:
            self._problem.value = describe_break(state.profile(state.settings), state.settings.thresholds).html()

    def _show_history(self) -> None:
        """Show what needs the history or all profiles."""
        state = self.state
        state.follow()
        matched = [state.matched(settings, state.agent_id) for settings in (state.settings, state.current)]
        self._matched = (matched[0], matched[1]) if all(matched) else self._matched  # type: ignore[assignment]
        if self._debouncer.has_loop:  # without a front end nobody waits for costs; see TunerState.price
            state.follow_costs()
        self._numbers.value = self._number_tiles(is_stale=not all(matched))
        if state.curves.share is None and not state.progress:
            self._progress.value = _progress_line("")
        self._dearer.value = dearer_line(state)
        self._picture.warn(is_warned=self._is_idle or any(find_dearer(state, state.settings)))
        self._card.show()
        changes = state.changes()
        self._changes.value = "" if changes is None else changes_line(changes, self._name)
        self._agents.value = agents_table(state, self._role)
        for shown in (self._changes, self._dearer, self._agents):
            shown.remove_class(_STALE)

    def _number_tiles(self, *, is_stale: bool) -> str:
        return numbers_row(self.state, self._role, self._matched, is_stale=is_stale, is_warned=self._is_idle)

    @property
    def _never_acts(self) -> bool:
        """Whether production does nothing whatever the thresholds are."""
        state = self.state
        provider = state.settings.provider or state.current.provider
        return (
            bool(self._not_learning) or provider == "passthrough" or (provider is None and state.governor_acts is False)
        )

    def _refusals(self) -> "Iterator[str]":
        """Yield why production plans nothing for the profile with the settings being tried."""
        state = self.state
        yield from list_refusals(state.profile(state.settings), state.settings.thresholds) if state.learning_key else ()

    def _show_advice(self) -> None:
        """Say where production ignores what it learned, in orange if a change comes to nothing."""
        state, thresholds = self.state, self.state.settings.thresholds
        idle = [f"Production learns nothing with this file: {reason}" for reason in self._not_learning]
        if (state.settings.provider or state.current.provider) == "passthrough":
            idle.append('provider = "passthrough": production learns, but changes no request.')
        elif state.governor_acts is False and state.settings.provider is None:
            idle.append("No governor placed breakpoints in the recorded requests: no setting changes what they cost.")
        lines = []
        if thresholds.semi_stable_threshold == thresholds.stable_threshold:
            lines.append("semi_stable_threshold equals stable_threshold: no block can be semi-stable.")
        if is_short_of_requests(state):
            n = counted(state.profile(state.settings).requests, "request")
            lines.append(f"This profile has {n} stored and no others recorded: a larger window shows no more.")
        refusals = list(self._refusals())
        if state.learning_key:
            self._problem.value = describe_break(state.profile(state.settings), thresholds, thorough=True).html()
        is_changed = state.settings != state.current
        self._idle.value = "".join(
            [
                *map(warning_line, refusals),
                *map(warning_line if is_changed else status_line, idle),
                *map(status_line, lines),
            ]
        )
        self._idle.remove_class(_STALE)

    def _show_sharp(self) -> None:
        """Show the final picture: sharp, if anybody can see it."""
        if self._debouncer.has_loop or not VIEWS[self.view].follows:  # else the picture of the drag is final
            self._show_picture(sharp=self._debouncer.has_loop)

    def _show_picture(self, *, sharp: bool) -> None:
        place = (self.view, self.state.learning_key)
        if (picture := self._pictures.draw(self.state, self.view, sharp=sharp)) is not None:
            self._picture.show(picture)
            self._drawn = place
            if self.view == _OVER_TIME and self.state.curves.share is not None:
                self._picture.dim()  # its costs are on their way
        elif self._drawn == place:
            self._picture.dim()  # the numbers of other settings are on their way
        else:
            problem = self.state.curves.problem if self.view == _COST else ""
            self._picture.show(Picture((), problem or (_NOT_YET if self.state.learning_key else _NO_PROFILE)))

    def _name(self, key: str) -> str:
        if key not in self._names:
            self._names = name_profiles(self.state, tuple(self.state.snap.windows))
        return self._names[key]

    def close(self) -> None:
        """Close the widget and all its parts; nothing is drawn, replayed or observed any more."""
        if self.comm is None:
            return
        self._debouncer.close()
        self.state.close()
        self._link.unlink()
        self.state.unobserve_all()
        close_parts(self)
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


def _progress_line(text: str) -> str:
    return f'<div class="acg-note" role="status">{escape(text)}</div>'
