"""The tuner's picture in both themes: drawn once, coloured twice, and chosen by the stylesheet."""

import importlib

import pytest

import acg_lab as acg
from acg_lab import plots
from acg_lab.core import UsageError
from acg_lab.plots.theme import chosen_theme, using
from acg_lab.widgets.raster_canvas import RasterCanvas


@pytest.fixture
def no_theme(monkeypatch):
    monkeypatch.setattr(importlib.import_module("acg_lab.plots.theme"), "_chosen", None)


def test_the_other_theme_is_the_picture_drawn_in_it(sample):
    """Recoloured pixels are those of the figure drawn in the other theme, for every agent."""
    for key in {snap_key.partition("::")[0]: snap_key for snap_key in sample.windows}.values():
        scores = acg.frames.scores({key: acg.analyze(sample)[key]}, sample)
        pages = {}
        for theme in ("light", "dark"):
            with using(theme):
                plots.prefix_stability(scores, heading=False, ax=(canvas := RasterCanvas(7.0)))
                pages[theme] = canvas
        assert (pages["light"].pixels(96, theme="dark") == pages["dark"].pixels(96)).all()
        assert (pages["dark"].pixels(96, theme="light") == pages["light"].pixels(96)).all()


@pytest.mark.usefixtures("no_theme")
def test_auto(make_tuner, triage):
    """Unless a theme was set, every tab is drawn in both, and the stylesheet shows one."""
    tuner = make_tuner(*triage)
    light, dark = tuner._picture.images
    assert "acg-in-light" in light._dom_classes
    assert "acg-in-dark" in dark._dom_classes
    for view in ("Blocks", "Threshold"):
        tuner.view = view
        assert light.value
        assert dark.value
        assert light.value != dark.value
    tuner.settings = tuner.settings.replace(stable_threshold=0.9)
    assert chosen_theme() is None, "drawing leaves it as it was"


@pytest.mark.usefixtures("no_theme")
def test_one_theme(make_tuner, triage):
    """A theme that is set, or asked for, is the only one; another name is refused."""
    assert len(make_tuner(*triage, theme="dark")._picture.images) == 1
    plots.set_theme("dark")
    assert len(make_tuner(*triage)._picture.images) == 1
    assert len(make_tuner(*triage, theme="auto")._picture.images) == 2
    with pytest.raises(UsageError, match="'theme' option must be one of 'auto', 'light', 'dark'"):
        acg.ThresholdTuner(*triage, theme="solarized")
