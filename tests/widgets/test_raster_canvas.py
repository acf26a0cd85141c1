"""The raster canvas draws matplotlib's picture, but for the smoothing of edges."""

from io import BytesIO

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

import acg_lab as acg
from acg_lab import frames, plots
from acg_lab.plots.theme import PALETTES
from acg_lab.widgets.raster import Raster, encode_png
from acg_lab.widgets.raster_canvas import RasterCanvas

PAPER, INK = (255, 255, 255), (0, 0, 0)


@pytest.fixture(params=["light", "dark"])
def theme(request):
    plots.set_theme(request.param)
    yield request.param
    plots.set_theme("light")


@pytest.mark.parametrize("agent_id", ["coder", "claims-triage", "support-chat", "sales-analyst"])
def test_it_is_the_picture_of_matplotlib(sample, agent_id, theme):
    """Size, alternative text and blurred pixels are those of the matplotlib figure."""
    key = next(key for key in sample.windows if key.startswith(f"{agent_id}::"))
    given = frames.scores({key: acg.analyze(sample)[key]}, sample)
    raster, figure = RasterCanvas(7.0), Figure(figsize=(7, 1), dpi=96)
    plots.prefix_stability(given, heading=False, ax=raster)
    axes = plots.prefix_stability(given, heading=False, ax=figure)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    expected, quick = np.asarray(canvas.buffer_rgba())[:, :, :3], raster.pixels(96)
    assert quick.shape == expected.shape
    assert raster.words == plots.alt_text(axes)
    apart = np.abs(blurred(quick) - blurred(expected))
    assert apart.mean() < 2
    assert np.quantile(apart, 0.995) < 48
    paper = np.array(Image.new("RGB", (1, 1), PALETTES[theme].paper))[0, 0]
    assert (quick[-1] == paper).all()


def blurred(pixels, n=6):
    """Return means of squares of n by n pixels."""
    height, width = (size // n * n for size in pixels.shape[:2])
    return pixels[:height, :width].astype(float).reshape(height // n, n, width // n, n, 3).mean(axis=(1, 3))


@pytest.mark.parametrize("dpi", [72, 96, 192])
def test_lines_are_as_wide_wherever_they_run(dpi):
    """A line covers the same number of pixels at every place, at least one."""
    widths = set()
    for place in np.linspace(0.3, 0.6, 23):
        ink = Raster(1, 1, dpi, "#FFFFFF")
        ink.line((0.1, place), (0.9, place), "#000000", 0.9)
        widths.add(int((ink.pixels[:, dpi // 2, 0] == 0).sum()))
    assert widths == {max(round(0.9 / 72 * dpi), 1)}


def test_what_is_off_the_sheet_is_cut():
    """Dots and rectangles beyond an edge are cut and change nothing else."""
    ink = Raster(1, 0.5, 96, "#FFFFFF")
    ink.dot(0, 0, 10, "#000000", "#000000", 1)
    ink.dot(1, 0.5, 10, "#000000", "#000000", 1)
    ink.dot(9, 9, 10, "#000000", "#000000", 1)
    ink.fill(-1, -1, 0.1, 0.1, "#000000")
    ink.fill(2, 2, 3, 3, "#000000")
    assert tuple(ink.pixels[0, 0]) == INK
    assert tuple(ink.pixels[20, 50]) == PAPER


def test_dashes():
    """A dashed line has strokes and gaps of the given lengths."""
    ink = Raster(1, 0.2, 72, "#FFFFFF")
    ink.line((0, 0.1), (1, 0.1), "#000000", 1, (3, 2))
    row = ink.pixels[:, :, 0].min(axis=0)
    assert (row[:10] == [0, 0, 0, 255, 255, 0, 0, 0, 255, 255]).all()


def test_png():
    """The bytes are a PNG of exactly these pixels, with the alternative text in it."""
    pixels = np.random.default_rng(7).integers(0, 256, (13, 17, 3), np.uint8)
    picture = Image.open(BytesIO(encode_png(pixels, "16 stable blocks · größer")))
    assert (np.array(picture) == pixels).all()
    assert picture.info["Description"] == "16 stable blocks · größer"
