"""The tabs of the tuner: the frame behind each picture, and the picture.

One row of `VIEWS` per tab. The blocks follow the drag, drawn by the raster canvas; the others are drawn when it pauses.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from acg_lab import frames, plots
from acg_lab.config import AcgSettings
from acg_lab.history import Trace
from acg_lab.plots.theme import palette, using
from acg_lab.widgets.questions import AskedSteps, price_steps
from acg_lab.widgets.raster import encode_png
from acg_lab.widgets.raster_canvas import RasterCanvas

if TYPE_CHECKING:
    from acg_lab.plots.canvas import Canvas
    from acg_lab.widgets.state import TunerState

__all__ = ["VIEWS", "Picture", "PictureMaker"]

_WIDTH: Final = 7.0  # inches beside the controls, at 96 dpi
_MOVING, _RESTING = 96, 192  # dpi


class View(NamedTuple):
    """One tab: ``frame`` returns its table, None while it is unknown; ``draw`` draws it; some follow the drag."""

    frame: "Callable[[TunerState], pd.DataFrame | None]"
    draw: "Callable[[TunerState, pd.DataFrame, Canvas | Figure], Any]"
    follows: bool = False


class Picture(NamedTuple):
    """PNG bytes, one for each theme that was asked for, and their alternative text."""

    pngs: tuple[bytes, ...]
    words: str


class PictureMaker:
    """Draws tabs, and never makes one lower than before, so that nothing below it jumps.

    Parameters
    ----------
    themes : sequence of str
        The themes of each picture.
    """

    def __init__(self, themes: Sequence[str]) -> None:
        self._themes = tuple(themes)
        self._canvas = RasterCanvas(_WIDTH)
        self._heights: dict[tuple[str, str], float] = {}

    def draw(self, state: "TunerState", name: str, *, sharp: bool) -> Picture | None:
        """Return the picture of a tab; None while there is nothing to draw yet."""
        view = VIEWS[name]
        if (frame := view.frame(state)) is None:
            return None
        dpi = _RESTING if sharp else _MOVING
        if view.follows:
            with using(self._themes[0]):
                view.draw(state, frame, canvas := self._canvas)
            height = self._reserve(state, name, canvas.height)
            # Laid out once: only the colours differ.
            sheets = (canvas.pixels(dpi, height, theme) for theme in self._themes)
            return Picture(_encode_all(sheets, canvas.words), canvas.words)
        pngs = []
        for theme in self._themes:
            with using(theme):
                figure = Figure(figsize=(_WIDTH, 1), facecolor=palette().paper)
                words = plots.alt_text(view.draw(state, frame, figure))
                height = self._reserve(state, name, figure.get_figheight())
                pngs.append(encode_png(self._pixels(figure, dpi, height), words))
        return Picture(tuple(pngs), words)

    def _reserve(self, state: "TunerState", name: str, height: float) -> float:
        key = (name, state.learning_key)
        self._heights[key] = max(height, self._heights.get(key, 0.0))
        return self._heights[key]

    @staticmethod
    def _pixels(figure: Figure, dpi: int, height: float) -> NDArray[np.uint8]:
        canvas: Any = FigureCanvasAgg(figure)
        figure.set_dpi(dpi)
        canvas.draw()
        drawn = np.asarray(canvas.buffer_rgba())[:, :, :3]
        pixels: NDArray[np.uint8] = np.empty((max(int(height * dpi), drawn.shape[0]), *drawn.shape[1:]), np.uint8)
        pixels[:] = np.frombuffer(bytes.fromhex(palette().paper[1:]), np.uint8)
        pixels[: drawn.shape[0]] = drawn
        return pixels


def _encode_all(sheets: Iterator[NDArray[np.uint8]], words: str) -> tuple[bytes, ...]:
    """Return sheets as PNGs; the first is packed while the second is painted: packing frees the interpreter."""
    first = next(sheets)
    pngs: list[bytes] = []
    thread = Thread(target=lambda: pngs.append(encode_png(first, words)))
    thread.start()
    rest = [encode_png(pixels, words) for pixels in sheets]
    thread.join()
    return (*pngs, *rest)


# --- tabs ---


def _scores(state: "TunerState") -> pd.DataFrame | None:
    return state.profile(state.settings).scores(state.settings.thresholds) if state.learning_key else None


def _draw_blocks(state: "TunerState", frame: pd.DataFrame, place: Any) -> Any:
    return plots.prefix_stability(frame, thresholds=state.settings.thresholds, heading=False, ax=place)


def _cells(state: "TunerState") -> pd.DataFrame | None:
    return frames.cells(state.profile(state.settings).snap, state.learning_key) if state.learning_key else None


def _draw_cells(state: "TunerState", frame: pd.DataFrame, place: Any) -> Any:
    thresholds = state.settings.thresholds
    scores = state.profile(state.settings).scores(thresholds)
    return plots.window_heatmap(frame, scores=scores, thresholds=thresholds, heading=False, ax=place)


def _profiles(state: "TunerState") -> pd.DataFrame | None:
    if (window := state.window(state.settings.observation_window)) is None:
        return None
    frame = frames.profiles(window.snap, state.settings.thresholds)
    return frame if state.agent_id is None else frame[frame["agent_id"] == state.agent_id].reset_index(drop=True)


def _draw_profiles(state: "TunerState", frame: pd.DataFrame, place: Any) -> Any:
    return plots.profiles_overview(frame, thresholds=state.settings.thresholds, heading=False, ax=place)


def _steps(state: "TunerState") -> pd.DataFrame | None:
    parts = []
    for settings in dict.fromkeys((state.current, state.settings)):
        size, stable = settings.observation_window, settings.thresholds.stable_threshold
        window = state.window(size)
        if window is None or window.trace is None:
            return None
        if state.learning_key not in {profile.learning_key for profile in window.trace.profiles}:
            return None
        steps = window.trace.select(learning_key=state.learning_key).to_frame(stable, window=size)
        steps = steps.assign(stable_threshold=stable, window=size)
        parts.append(_with_costs(state, settings, window.trace, steps))
    return pd.concat(parts, ignore_index=True).drop_duplicates(["step", "stable_threshold", "window"])


def _with_costs(state: "TunerState", settings: AcgSettings, trace: Trace, steps: pd.DataFrame) -> pd.DataFrame:
    """Return steps with what each costs, as far as that is computed; else it is computed in the background."""
    asked = AskedSteps(state.learning_key, settings, state.current)
    if state.curves.share is not None and state.curves.find(asked) is None:
        return steps  # one after the other
    costs = state.curves.find_or_start(asked, lambda on_step: price_steps(trace, asked, on_step))
    return steps if costs is None else steps.assign(cost=costs[:, 0], cost_without_cache=costs[:, 1])


def _draw_steps(state: "TunerState", frame: pd.DataFrame, place: Any) -> Any:
    current = state.current.thresholds.stable_threshold
    return plots.prefix_over_time(frame, current=current, heading=False, ax=place)


def _curve(state: "TunerState") -> pd.DataFrame | None:
    snap = state.profile(state.settings).snap if state.learning_key else None
    return None if snap is None else frames.threshold_curve(snap, state.learning_key)


def _draw_curve(state: "TunerState", frame: pd.DataFrame, place: Any) -> Any:
    thresholds = state.settings.thresholds
    role: Literal["current", "tuned"] = "current" if thresholds == state.current.thresholds else "tuned"
    return plots.threshold_curve(frame, thresholds=thresholds, role=role, heading=False, ax=place)


def _costs(state: "TunerState") -> pd.DataFrame | None:
    return None if (sweep := state.cost_curve()) is None else frames.setting_costs(sweep)


def _draw_costs(state: "TunerState", _frame: pd.DataFrame, place: Any) -> Any:
    tried = state.settings if state.settings != state.current else None
    best, sweep = state.recommendation, state.cost_curve()
    if tried is None and best is not None and best.sweep is not None and best.sweep.agent_ids == (state.shown_agent,):
        return plots.cost_curve(best, heading=False, ax=place)
    return plots.cost_curve(sweep, tried=tried, heading=False, ax=place)  # type: ignore[arg-type]  # there is a frame


VIEWS: Final[Mapping[str, View]] = {
    "Blocks": View(_scores, _draw_blocks, follows=True),
    "Requests": View(_cells, _draw_cells),
    "All profiles": View(_profiles, _draw_profiles),
    "Over time": View(_steps, _draw_steps),
    "Threshold": View(_curve, _draw_curve),
    "Cost": View(_costs, _draw_costs),
}
