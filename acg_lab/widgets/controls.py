"""One setting's control: a slider that follows the drag, a box for exact values, and a mark at the current value."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import ipywidgets as w

from acg_lab.plots.words import setting

__all__ = ["RANGES", "Control", "Range"]


class Range(NamedTuple):
    """What a slider spans; more can be typed."""

    low: float
    high: float
    step: float


RANGES: Final[Mapping[str, Range]] = {
    "stable_threshold": Range(0, 1, 0.01),
    "semi_stable_threshold": Range(0, 1, 0.01),
    "observation_window": Range(1, 200, 1),
    "min_observations_for_full_confidence": Range(0, 100, 1),
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
        low, high, step = RANGES[name]
        whole = step == 1
        span: dict[str, Any] = {"min": low, "max": high, "step": step, "readout": False, "continuous_update": True}
        self.slider: Any = (w.IntSlider if whole else w.FloatSlider)(description=name, **span)
        self.exact: Any = (w.IntText if whole else w.FloatText)(description=f"{name}, exact", step=step)
        self.slider.style.description_width = self.exact.style.description_width = "auto"
        self.exact.add_class("acg-exact")
        self._strip = w.HTML()
        self.box = w.VBox([w.HBox([self.slider, self.exact]), self._strip])
        self.box.add_class("acg-control")
        for widget in (self.slider, self.exact):
            widget.observe(self._on_value, "value")

    def _on_value(self, change: Any) -> None:
        if change["new"] != self._shown and not self._propose(**{self._name: change["new"]}):
            self._put(self._shown)  # refused twice for the same reason, nobody would be told to show it again

    def _put(self, value: float) -> None:
        self._shown = value
        if not self.slider.min <= value <= self.slider.max:
            self.slider.max = max(self.slider.max, value)
        self.slider.value = self.exact.value = value

    def show(self, value: float, current: float, role: str) -> None:
        """Show a value, and mark the one that it is compared with."""
        self._put(value)
        low, high = self.slider.min, self.slider.max
        at = 100 * (min(max(current, low), high) - low) / (high - low)
        mark = f'<div class="acg-current" style="left:{at:.2f}%" title="{role}: {setting(current)}"></div>'
        self._strip.value = (
            f'<div class="acg-strip">{mark}<div class="acg-ends" aria-hidden="true">'
            f"<span>{setting(low)}</span><span>{setting(high)}</span></div></div>"
        )
