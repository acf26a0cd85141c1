"""What the user operates: a control for each setting, and menus for agent and profile.

Also the small pieces that all widgets are built of: classes for the stylesheet, status lines, and closing.
"""

from collections.abc import Callable, Iterator, Mapping
from html import escape
from importlib.resources import files
from typing import Any, Final, NamedTuple

import ipywidgets as w

from acg_lab._format import counted, cut_all, joined, setting
from acg_lab.widgets.state import TunerState

__all__ = [
    "RANGES",
    "ProfileChooser",
    "SettingControl",
    "SliderRange",
    "close_parts",
    "error_line",
    "make_handle_names",
    "make_stylesheet",
    "name_profiles",
    "status_line",
    "warning_line",
    "with_class",
]

_ALL: Final = "all agents"
_NAME: Final = 60  # characters of a profile's name
_DECIMALS: Final = 2  # of a slider's steps


def with_class(widget: Any, name: str) -> Any:
    """Give a widget a class of the stylesheet, and return it."""
    widget.add_class(name)
    return widget


def make_stylesheet() -> Any:
    """Return an invisible widget that holds the stylesheet."""
    css = files(__package__).joinpath("tuner.css").read_text(encoding="utf-8")
    return with_class(w.HTML(f"<style>{css}</style>"), "acg-hidden")


def make_handle_names() -> Any:
    """Return an invisible widget whose script names the handles of the sliders, which ipywidgets leaves nameless."""
    script = files(__package__).joinpath("handles.js").read_text(encoding="utf-8")
    data = {"application/javascript": script, "text/plain": ""}
    output = {"output_type": "display_data", "data": data, "metadata": {}}
    return with_class(w.Output(outputs=(output,)), "acg-hidden")


def status_line(text: str) -> str:
    """Return a line of HTML that screen readers announce as a status."""
    return f'<div class="acg-line" role="status">{escape(text)}</div>'


def warning_line(text: str) -> str:
    """Return a line of HTML that warns, in orange."""
    return f'<div class="acg-line acg-can" role="status">{escape(text)}</div>'


def error_line(text: str) -> str:
    """Return a line of HTML with an error, or an empty text for an empty one."""
    return f'<div class="acg-refused" role="alert">{escape(text)}</div>' if text else ""


def close_parts(widget: Any) -> None:
    """Close everything in a widget, layouts and styles too, but not the widget itself, and stop observing all of it."""
    for part in list(_parts(widget)):
        part.unobserve_all()
        if part is not widget:
            part.close()


def _parts(widget: Any) -> Iterator[Any]:
    for child in getattr(widget, "children", ()):
        yield from _parts(child)
    for name in ("style", "layout"):
        if isinstance(part := getattr(widget, name, None), w.Widget):
            yield part
    yield widget


class SliderRange(NamedTuple):
    """Ends and step of a slider; larger values can be typed. ``meaning`` is its tooltip."""

    low: float
    high: float
    step: float
    meaning: str


RANGES: Final[Mapping[str, SliderRange]] = {
    "stable_threshold": SliderRange(0, 1, 0.01, "Score from which a block is stable"),
    "semi_stable_threshold": SliderRange(0, 1, 0.01, "Score from which a block is semi-stable"),
    "observation_window": SliderRange(1, 200, 1, "Requests that production keeps of each profile"),
    "min_observations_for_full_confidence": SliderRange(
        0, 100, 1, "Requests from which production trusts a score in full"
    ),
}


class SettingControl:
    """The control of one setting: a slider, a box for exact values, and a mark at the current value.

    ``box`` is the widget that holds all three.

    Parameters
    ----------
    name : str
        Production's name of the setting.
    propose : callable
        Called with the setting as keyword when the user changes it; returns whether it is accepted.
    """

    def __init__(self, name: str, propose: Callable[..., bool]) -> None:
        self._name, self._propose = name, propose
        self._shown: float = 0
        low, high, step, meaning = RANGES[name]
        is_whole = step == 1
        span: dict[str, Any] = {"min": low, "max": high, "step": step, "readout": False, "continuous_update": True}
        tooltip = {"tooltip": meaning}  # without one the label would say "null"
        self.slider: Any = (w.IntSlider if is_whole else w.FloatSlider)(description=name, **span, **tooltip)
        self.exact: Any = (w.IntText if is_whole else w.FloatText)(description=f"{name}, exact", step=step, **tooltip)
        self.slider.style.description_width = self.exact.style.description_width = "auto"
        self.exact.add_class("acg-exact")
        self._strip = w.HTML()
        self.box = w.VBox([w.HBox([self.slider, self.exact]), self._strip])
        self.box.add_class("acg-control")
        self.slider.observe(self._on_slider, "value")
        self.exact.observe(self._on_exact, "value")

    def _on_slider(self, change: Any) -> None:
        if change["new"] != round(self._shown, _DECIMALS):
            self._offer(change["new"])

    def _on_exact(self, change: Any) -> None:
        if change["new"] != self._shown:
            self._offer(change["new"])

    def _offer(self, value: float) -> None:
        if not self._propose(**{self._name: value}):
            self._put(self._shown)  # a second refusal for the same reason notifies nobody

    def _put(self, value: float) -> None:
        self._shown = value
        if not self.slider.min <= value <= self.slider.max:
            self.slider.max = max(self.slider.max, value)
        self.exact.value = value
        # Rounded to its steps, or the front end would round it and send it back as if the user had moved it.
        self.slider.value = round(value, _DECIMALS)

    def show(self, value: float, current: float, role: str, recommended: float | None = None) -> None:
        """Show a value; mark the current one, whose ``role`` is "current" or "default", and the recommended one."""
        self._put(value)
        low, high = self.slider.min, self.slider.max
        title, marks = f"{role}: {setting(current)}", self._mark("acg-current", current)
        if recommended is not None:
            title += f", recommended: {setting(recommended)}"
            marks += self._mark("acg-recommended", recommended)
        self._strip.value = (
            f'<div class="acg-strip" title="{title}">{marks}<div class="acg-ends" aria-hidden="true">'
            f"<span>{setting(low)}</span><span>{setting(high)}</span></div></div>"
        )

    def _mark(self, kind: str, value: float) -> str:
        low, high = self.slider.min, self.slider.max
        at = 100 * (min(max(value, low), high) - low) / (high - low)
        return f'<div class="{kind}" style="left:{at:.2f}%"></div>'


def name_profiles(state: TunerState, keys: tuple[str, ...]) -> dict[str, str]:
    """Return a menu entry for each profile: its display name and its model."""
    names = {key: state.snap.profile_names[key] for key in keys}
    shown = cut_all(names.values(), _NAME)
    return {key: joined(shown[name], state.snap.profile_names.parts[key].model) for key, name in names.items()}


class ProfileChooser:
    """Menus for agent and profile, and a search box; ``widgets`` holds them in the order to show.

    Parameters
    ----------
    state : TunerState
        Whose ``agent_id`` and ``learning_key`` are chosen.
    """

    def __init__(self, state: TunerState) -> None:
        self._state = state
        self._names: dict[str, str] = {}
        self._listed: tuple[Any, ...] = ()
        self._is_offering = False
        agents = [(_ALL, ""), *((agent_id, agent_id) for agent_id in state.snap.agent_ids)]
        self.agent: Any = w.Dropdown(
            options=agents, description="agent", value=state.agent_id or "", tooltip="Whose profiles are shown"
        )
        self.filter: Any = w.Text(
            placeholder="name",
            description="search",
            tooltip="Words of a profile's name or key",
            continuous_update=True,
        )
        self.profile: Any = w.Dropdown(description="profile")
        for name in ("agent", "filter", "profile"):
            getattr(self, name).add_class(f"acg-{name}")
            getattr(self, name).style.description_width = "auto"
        self.agent.layout.display = "" if len(state.snap.agent_ids) > 1 else "none"
        self.widgets = [self.agent, self.filter, self.profile]
        self._list()
        self._name_whole()
        self.agent.observe(self._on_agent, "value")
        self.filter.observe(self._on_filter, "value")
        self.profile.observe(self._on_profile, "value")

    def _list(self) -> None:
        keys = self._state.keys
        self._listed = (self._state.agent_id, self._state.current)
        self._names = name_profiles(self._state, keys)
        self._offer()

    def _offer(self) -> None:
        """List the profiles whose name or key has every word of the search, and the chosen one in any case."""
        words = self.filter.value.lower().split()
        chosen, counts = self._state.learning_key, self._state.snap.n_observations
        found = [key for key, name in self._names.items() if all(word in f"{name} {key}".lower() for word in words)]
        self.profile.description = f"profile ({len(found):,} found)" if words else "profile"
        listed = {*found, chosen}
        options = [
            (f"{name} — {counted(counts(key), 'request')}", key) for key, name in self._names.items() if key in listed
        ]
        if options != list(self.profile.options):
            self._is_offering = True  # setting options selects the first of them
            self.profile.options = options
            self.profile.value = chosen or None
            self._is_offering = False

    def _on_agent(self, change: Any) -> None:
        self._state.agent_id = change["new"] or None

    def _on_filter(self, _change: Any) -> None:
        self._offer()

    def _on_profile(self, change: Any) -> None:
        if change["new"] and not self._is_offering:
            self._state.learning_key = change["new"]

    def show(self) -> None:
        """Show the chosen agent and profile."""
        self.agent.value = self._state.agent_id or ""
        if (self._state.agent_id, self._state.current) != self._listed:
            self._list()
        elif self.profile.value != (self._state.learning_key or None):
            self._offer()
            self.profile.value = self._state.learning_key or None
        self._name_whole()

    def _name_whole(self) -> None:
        """Give the menu the whole name of the chosen profile as its tooltip; the menu itself cuts long names."""
        key = self._state.learning_key
        name = f"{self._state.snap.profile_names[key]}. " if key else ""
        self.profile.tooltip = f"{name}Profiles are listed worst loss first."
