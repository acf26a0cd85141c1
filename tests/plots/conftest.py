"""What tests of plots share: the sample, a canvas without a screen, both themes, and no figure left open."""

from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt

from acg_lab import plots

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
mpl.use("Agg")


@pytest.fixture(autouse=True)
def _nothing_left():
    """Close what was drawn, and go back to the light theme."""
    yield
    plt.close("all")
    plots.set_theme("light")


@pytest.fixture(params=["light", "dark"])
def theme(request):
    """Draw in either theme."""
    plots.set_theme(request.param)
    return request.param
