"""Draw the picture of README and docs from the sample: ``python data/make_picture.py``."""

import io
from pathlib import Path

import matplotlib as mpl

import acg_lab as acg
from acg_lab.plots.short_svg import shorten_svg

HERE = Path(__file__).parent


def draw() -> str:
    """Return what is paid for nothing, and why, as SVG."""
    mpl.use("agg")
    axes = acg.plots.misses(acg.simulate(acg.load(HERE / "sample")))
    acg.plots.save(axes, file := io.BytesIO(), format="svg")
    return shorten_svg(file.getvalue().decode())


if __name__ == "__main__":
    (HERE / "misses.svg").write_text(draw(), encoding="utf-8")
