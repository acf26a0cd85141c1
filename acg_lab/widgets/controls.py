"""One setting's control: a slider that follows the drag, a box for exact values, and a mark at the current value."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import ipywidgets as w

from acg_lab._format import setting

__all__ = ["RANGES", "Control", "Range"]


_DECIMALS: Final = 2  # that a slider's steps have


class Range(NamedTuple):
    """What a slider spans; more can be typed. ``meaning`` is told where the pointer rests."""

    low: float
    high: float
    step: float
    meaning: str


RANGES: Final[Mapping[str, Range]] = {
    "stable_threshold": Range(0, 1, 0.01, "Score from which a block is stable"),
    "semi_stable_threshold": Range(0, 1, 0.01, "Score from which a block is semi-stable"),
    "observation_window": Range(1, 200, 1, "Requests that production keeps of each profile"),
    "min_observations_for_full_confidence": Range(0, 100, 1, "Requests from which production trusts a score in full"),
}


class Control:
    """A slider, its box and its strip, kept equal; ``box`` is the widget.

    Parameters
    ----------
    name : str
        Of the setting, as production has it.
    propose : callable
        Given the setting by name, whenever the user moves or types it; tells whether it is taken.
    """

    def __init__(self, name: str, propose: Callable[..., bool]) -> None:
        self._name, self._propose = name, propose
        self._shown: float = 0
        low, high, step, meaning = RANGES[name]
        whole = step == 1
        span: dict[str, Any] = {"min": low, "max": high, "step": step, "readout": False, "continuous_update": True}
        said = {"tooltip": meaning}  # without one the label would say "null"
        self.slider: Any = (w.IntSlider if whole else w.FloatSlider)(description=name, **span, **said)
        self.exact: Any = (w.IntText if whole else w.FloatText)(description=f"{name}, exact", step=step, **said)
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
            self._put(self._shown)  # refused twice for the same reason, nobody would be told to show it again

    def _put(self, value: float) -> None:
        self._shown = value
        if not self.slider.min <= value <= self.slider.max:
            self.slider.max = max(self.slider.max, value)
        self.exact.value = value
        # In steps of its own, or the front end would round it and send that back as if the user had moved it.
        self.slider.value = round(value, _DECIMALS)

    def show(self, value: float, current: float, role: str) -> None:
        """Show a value, and mark the one that it is compared with."""
        self._put(value)
        low, high = self.slider.min, self.slider.max
        at = 100 * (min(max(current, low), high) - low) / (high - low)
        mark = f'<div class="acg-current" style="left:{at:.2f}%"></div>'
        self._strip.value = (
            f'<div class="acg-strip" title="{role}: {setting(current)}">{mark}<div class="acg-ends" aria-hidden="true">'
            f"<span>{setting(low)}</span><span>{setting(high)}</span></div></div>"
        )
