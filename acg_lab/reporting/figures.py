"""Plots as images inside an HTML file: SVG for the light and the dark theme, with their words as alternative text."""

import io
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from acg_lab import plots
from acg_lab.plots.short_svg import shorten_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Picture", "draw_picture"]


class Picture(NamedTuple):
    """A plot in both themes, as data URIs, and what it says in words."""

    light: str
    dark: str
    words: str


def draw_picture(draw: "Callable[[], Axes]") -> Picture:
    """Return what a function draws, in both themes; the theme that is set stays as it is."""
    before = plots.theme()
    try:
        light, words = _draw(draw, "light")
        dark, _ = _draw(draw, "dark")
    finally:
        plots.set_theme(before)
    return Picture(light, dark, words)


def _draw(draw: "Callable[[], Axes]", name: str) -> tuple[str, str]:
    from matplotlib import pyplot as plt  # noqa: PLC0415  loads when a figure is drawn

    plots.set_theme(name)
    with _not_shown():
        axes = draw()
    try:
        plots.save(axes, file := io.BytesIO(), format="svg")  # type: ignore[arg-type]  # savefig takes files too
        svg = shorten_svg(file.getvalue().decode())
        return f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}", plots.alt_text(axes)
    finally:
        plt.close(axes.get_figure(root=True))


@contextmanager
def _not_shown() -> Iterator[None]:
    """Keep a notebook from showing the figures that are drawn here."""
    from matplotlib import pyplot as plt  # noqa: PLC0415

    with plt.ioff():
        yield
