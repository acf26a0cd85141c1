"""One theme for all figures, and no setting of the user's is touched."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from plot_snapshots import figure_of, new, of_one, same

import acg_lab as acg
from acg_lab import plots
from acg_lab.plots.theme import PALETTES

ODD = {
    "text.usetex": True,
    "font.family": "serif",
    "font.size": 30,
    "axes.facecolor": "red",
    "axes.grid": True,
    "axes.spines.top": True,
    "xtick.labelsize": 40,
    "hatch.linewidth": 9,
    "path.sketch": (1, 100, 2),
    "figure.constrained_layout.use": True,
    "image.interpolation": "bicubic",
}


def pixels(axes):
    figure = figure_of(axes)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba()).copy()


@pytest.fixture
def snap():
    return of_one(9, ("system-0", same), ("user-1", new))


def test_unknown_theme():
    """An unknown theme is a UsageError that lists the themes."""
    with pytest.raises(acg.UsageError, match="'light', 'dark'; got 'blue'"):
        plots.set_theme("blue")
    assert plots.theme() == "light"


def test_paper(snap, theme):
    """A figure paints its own background, so that it can be read wherever it is shown."""
    red, green, blue, alpha = pixels(plots.window_heatmap(snap))[0, 0]
    assert f"#{red:02X}{green:02X}{blue:02X}" == PALETTES[theme].paper
    assert alpha == 255


@pytest.mark.parametrize("name", ["window_heatmap", "threshold_curve", "profiles_overview", "prefix_stability"])
def test_settings_of_the_user(snap, name):
    """The user's settings neither change nor show in what is drawn, even when it is rendered later."""
    draw = getattr(plots, name)
    plain = pixels(draw(snap))
    with mpl.rc_context(ODD):
        before = dict(mpl.rcParams)
        axes = draw(snap)
        assert dict(mpl.rcParams) == before
        odd = pixels(axes)
    assert np.array_equal(plain, odd)


def test_pyplot_is_left_alone(snap):
    """Drawn into the user's figure or axes, a plot opens no figure and does not change the current one."""
    mine, axes = plt.subplots()
    other = plt.figure()
    plots.window_heatmap(snap, ax=axes)
    plots.window_heatmap(snap, ax=Figure())
    assert plt.get_fignums() == [mine.number, other.number]
    assert plt.gcf() is other


def test_own_figure(snap):
    """Without a place a plot makes one figure of pyplot's, 7.5 inches wide, which a notebook shows."""
    axes = plots.window_heatmap(snap)
    assert plt.get_fignums() == [figure_of(axes).number]
    assert figure_of(axes).get_figwidth() == 7.5
