"""Pages, in inches: where they are, and that all texts have room."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from plot_snapshots import figure_of, text_of

import acg_lab as acg
from acg_lab.plots.canvas import open_page
from acg_lab.plots.text import drawable, spread, text_width
from acg_lab.plots.theme import drawing


def page_of(place=None, height=2.0):
    with drawing():
        return open_page(place, height, gid="page")


def test_places():
    """A figure keeps its width and takes the height; an axes keeps its place."""
    figure = Figure(figsize=(6, 9))
    page = page_of(figure)
    assert (page.width, page.height, *figure.get_size_inches()) == (6, 2, 6, 2)
    axes = plt.figure(figsize=(8, 4)).add_axes((0.5, 0.25, 0.5, 0.5))
    page = page_of(axes)
    assert (page.width, page.height) == pytest.approx((4, 2))
    assert page.axes is axes


def test_no_place():
    """What is no place to draw is refused."""
    with pytest.raises(acg.UsageError, match="must be a matplotlib Axes, Figure or None; got str"):
        page_of("here")


@pytest.mark.parametrize("width", [6, 7.5, 10])
@pytest.mark.parametrize("name", ["user-1", "system-14-" + "update_reservation_" * 9])
def test_heading_fits(width, name):
    """Title and subtitle have room at every width: a name in the title is cut, but not below 10 characters."""
    page = page_of(Figure(figsize=(width, 2)))
    page.heading("16 stable blocks, then {name} breaks the prefix", "60 requests", "claude-sonnet-" * 15, name=name)
    page.axes.figure.draw_without_rendering()
    for gid in ("title", "subtitle"):
        (text,) = page.axes.findobj(lambda artist, gid=gid: artist.get_gid() == gid)
        assert text.get_window_extent().x1 <= page.axes.figure.bbox.width
    assert "{name}" not in text_of(page.axes, "title")
    assert len(text_of(page.axes, "title")) >= len("16 stable blocks, then  breaks the prefix") + min(10, len(name))


def test_panels_move_with_their_page():
    """A panel stands where it was put, also after the figure was made larger."""
    page = page_of(Figure(figsize=(6, 9)))
    panel = page.panel(1, 0.5, 3, 1, gid="panel")
    for scale in (1, 2):
        page.axes.figure.set_size_inches(6 * scale, 2 * scale)
        box = panel.get_window_extent()
        assert (box.width, box.height) == pytest.approx((300 * scale, 100 * scale))


def test_text_is_no_mathematics():
    """Dollar signs and backslashes of a name stand as they are."""
    page = page_of()
    page.text(1, 1, r"$x_1$ \frac{1}", gid="text")
    figure_of(page.axes).draw_without_rendering()
    assert text_of(page.axes, "text") == r"$x_1$ \frac{1}"


@given(st.text(max_size=20), st.booleans())
def test_drawable(text, mono):
    """What is drawn needs no other font and is one line, and different names stay different."""
    shown = drawable(text, mono=mono)
    assert drawable(shown, mono=mono) == shown
    assert len(shown.splitlines()) <= 1
    assert text_width(shown, 8, mono=mono) >= 0


def test_letters_of_other_scripts():
    """Letters that the font has stay; those it lacks are written by their code, as are controls."""
    assert drawable("Größe é ф λ", mono=True) == "Größe é ф λ"
    assert drawable("查\n\u202e😀", mono=True) == r"\u67e5\u000a\u202e\U0001f600"
    assert drawable("e\u0301 א ع") == r"e\u0301 \u05d0 \u0639"


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0.1, 1)), max_size=6))
def test_spread(labels):
    """Labels that are moved apart stay in order, do not overlap, and stay inside where there is room."""
    labels.sort()
    middles, sizes = [middle for middle, _ in labels], [size for _, size in labels]
    placed = spread(middles, sizes, 0.1, 0, 10)
    edges = [
        edge for middle, size in zip(placed, sizes, strict=True) for edge in (middle - size / 2, middle + size / 2)
    ]
    assert edges == sorted(edges)
    assert all(-1e-9 <= edge <= 10 + 1e-9 for edge in edges)
